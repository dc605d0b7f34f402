"""Values that options may have.

They are spelt out, so that help and completion load nothing else; a test holds them equal to the enumerations.
"""

from __future__ import annotations

from typing import Literal

PriorityName = Literal["lowest", "low", "medium", "high", "critical"]
TaskStatusName = Literal["todo", "in_progress", "blocked", "done", "cancelled"]
RunStatusName = Literal[
    "created",
    "waiting",
    "queued",
    "preparing",
    "running",
    "processing",
    "retrying",
    "cancelling",
    "succeeded",
    "failed",
    "cancelled",
    "timed_out",
    "skipped",
    "lost",
]
CacheUseName = Literal["read-write", "read-only", "off"]
AnnotationsName = Literal["auto", "github", "none"]
ServiceName = Literal["github-actions", "gitlab-ci"]
BreakageName = Literal["tests", "lint", "data", "build"]
ResultTypeName = Literal[
    "containerized_workflow",
    "dagger_pipeline",
    "test_report",
    "lint_report",
    "ml_training",
    "data_processing",
    "build",
]
WorkflowTypeName = Literal["containerized_workflow", "dagger_pipeline"]
WebhookSourceName = Literal["github", "gitlab", "generic"]
HookFormName = Literal["webhook", "cloudevents", "cloudevents-binary", "github-status"]
DeliveryStateName = Literal["pending", "delivered", "dead"]
MissedTimesName = Literal["catch-up", "skip"]
OverlapName = Literal["skip", "allow"]

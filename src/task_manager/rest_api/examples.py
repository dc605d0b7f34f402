"""Examples of what the API sends and takes, for its document."""

from __future__ import annotations

from typing import Any, Final

_PROJECT: Final = "project-1m7zq3k5w-0f9c2hs81mv"
_PHASE: Final = "phase-1m7zq3k9a-7qk3v0b92xd"
_TASK: Final = "task-1m7zq3kc2-x0362k2xgr6"
_WORKFLOW: Final = "workflow-1m7zq3m1h-2e7arn5fe1s"
_RUN: Final = "run-1m7zq3m2z-e6drqs53wr0"
_CREATED, _STARTED, _FINISHED = "2026-11-20T09:30:00Z", "2026-11-20T09:31:00.250000Z", "2026-11-20T09:31:12.750000Z"
_STAMPS: Final = {"created_at": _CREATED, "updated_at": _CREATED, "revision": 1}

_RUN_RECORD: Final[dict[str, Any]] = {
    "id": _RUN,
    "workflow_id": _WORKFLOW,
    "workflow_version": 1,
    "task_id": _TASK,
    "project_id": _PROJECT,
    "status": "succeeded",
    "template_id": "python-tests",
    "actor": "local",
    "parameters": {"paths": ["tests"]},
    "engine": "embedded v0.21.8",
    "created_at": _STARTED,
    "updated_at": _FINISHED,
    "started_at": _STARTED,
    "finished_at": _FINISHED,
    "seconds": 12.5,
    "steps_cached": 1,
    "steps_counted": 2,
    "revision": 5,
}
_RUN_STATUS: Final[dict[str, Any]] = {
    "id": _RUN,
    "task_id": _TASK,
    "project_id": _PROJECT,
    "status": "running",
    "over": False,
    "reason": None,
    "attempt": 1,
    "created_at": _CREATED,
    "started_at": _STARTED,
    "finished_at": None,
    "seconds": None,
    "progress": {
        "steps_done": 1,
        "steps_total": 2,
        "expected_seconds": 12.5,
        "expected_from": 3,
        "remaining_seconds": 8.0,
    },
    "steps": [
        {"id": "install", "name": "Install", "status": "succeeded", "seconds": 4.0, "exit_code": 0, "error": ""},
        {"id": "test", "name": "Run pytest", "status": "running", "seconds": None, "exit_code": None, "error": ""},
    ],
    "result": None,
}

EXAMPLES: Final[dict[str, dict[str, Any]]] = {
    "NewProject": {"name": "textkit", "description": "A small library", "metadata": {"team": "tools"}},
    "ProjectChanges": {"description": "A library of text functions"},
    "NewPhase": {"project_id": "textkit", "name": "Deliver"},
    "PhaseChanges": {"order": 2},
    "NewTask": {
        "project_id": "textkit",
        "title": "Run the tests",
        "type": "test",
        "template_id": "python-tests",
        "inputs": {"paths": ["tests"]},
    },
    "TaskChanges": {"status": "in_progress", "priority": "high"},
    "NewWorkflow": {"template_id": "python-tests", "parameters": {"paths": ["tests"]}},
    "NewRun": {"skip_cache": True},
    "NewRuns": {"status": "todo"},
    "Selection": {"status": "todo"},
    "Repetition": {"from_step": "test"},
    "Parameters": {"parameters": {"paths": ["tests"]}},
    "Project": {"id": _PROJECT, "name": "textkit", "description": "A small library", **_STAMPS},
    "Phase": {"id": _PHASE, "project_id": _PROJECT, "name": "Deliver", "order": 1, **_STAMPS},
    "Task": {
        "id": _TASK,
        "project_id": _PROJECT,
        "phase_id": _PHASE,
        "title": "Run the tests",
        "type": "test",
        "template_id": "python-tests",
        "inputs": {"paths": ["tests"]},
        **_STAMPS,
    },
    "Workflow": {
        "id": _WORKFLOW,
        "task_id": _TASK,
        "project_id": _PROJECT,
        "name": "Run the tests",
        "workflow_type": "containerized_workflow",
        "template_id": "python-tests",
        "template_version": "1.0.0",
        "parameters": {"paths": ["tests"]},
        "created_at": _CREATED,
    },
    "WorkflowRun": _RUN_RECORD,
    "RunStatus": _RUN_STATUS,
    "TaskState": {
        "id": _TASK,
        "project_id": _PROJECT,
        "title": "Run the tests",
        "status": "in_progress",
        "workflow_id": _WORKFLOW,
        "workflow_version": 1,
        "run": _RUN_STATUS,
    },
    "StepRecord": {
        "run_id": _RUN,
        "step_id": "test",
        "name": "Run pytest",
        "position": 1,
        "status": "failed",
        "image": "docker.io/library/python:3.12-slim",
        "started_at": _STARTED,
        "finished_at": _FINISHED,
        "exit_code": 1,
        "error": "The command ended with exit code 1.",
        "stdout_tail": "1 failed, 41 passed",
    },
    "Event": {
        "sequence": 7,
        "run_sequence": 3,
        "run_id": _RUN,
        "task_id": _TASK,
        "project_id": _PROJECT,
        "time": _STARTED,
        "kind": "run_status",
        "previous": "queued",
        "status": "preparing",
    },
    "Artifact": {
        "run_id": _RUN,
        "step_id": "test",
        "name": "test/report",
        "path": f"runs/{_RUN}/test/report.xml",
        "size": 5120,
        "digest": "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "media_type": "application/xml",
        "created_at": _FINISHED,
    },
    "NewContainer": {"image": "docker.io/library/redis:7", "name": "db", "ports": [6379]},
    "ContainerRecord": {
        "id": "container-1m7zq3n0c-5h2k9d0w3ya",
        "kind": "held",
        "name": "db",
        "image": "docker.io/library/redis:7",
        "state": "created",
        "capabilities": ["network", "port:6379"],
    },
}
"""By the names of the schemas; a test holds them to those."""

"""The tables, as the newest migration leaves them.

Columns have the names of the records' fields. A run's `task_id` and `project_id` are its workflow's, and an event's are
its run's: repeated so that lists need no join.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Named,
    String,
    Table,
    Text,
    TypedColumns,
    UniqueConstraint,
)

from task_manager.store.column_types import DOCUMENT, ID, SERIAL, UtcTime

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _child_of(table: str) -> ForeignKey:
    return ForeignKey(f"{table}.id", ondelete="CASCADE")


class _Revised(TypedColumns):
    id: Named[str] = Column(ID, primary_key=True)
    created_at: Named[datetime] = Column(UtcTime)
    updated_at: Named[datetime] = Column(UtcTime)
    revision: Named[int]


class ProjectColumns(_Revised):
    """See `models.Project`."""

    name: Named[str] = Column(String(200), unique=True)
    description: Named[str] = Column(Text)
    source_folder: Named[str | None] = Column(Text)
    metadata: Named[dict[str, Any]] = Column(DOCUMENT)
    paused_at: Named[datetime | None] = Column(UtcTime)


class PhaseColumns(_Revised):
    """See `models.Phase`."""

    project_id: Named[str] = Column(ID, _child_of("projects"))
    name: Named[str] = Column(String(200))
    order: Named[int]


class TaskColumns(_Revised):
    """See `models.Task`; its dependencies have a table of their own."""

    project_id: Named[str] = Column(ID, _child_of("projects"))
    phase_id: Named[str | None] = Column(ID, _child_of("phases"))
    title: Named[str] = Column(String(200))
    description: Named[str] = Column(Text)
    type: Named[str] = Column(String(100))
    priority: Named[str] = Column(String(32))
    status: Named[str] = Column(String(32))
    labels: Named[list[str]] = Column(DOCUMENT)
    source_folder: Named[str | None] = Column(Text)
    template_id: Named[str | None] = Column(Text)
    inputs: Named[dict[str, Any]] = Column(DOCUMENT)
    pipeline: Named[dict[str, Any] | None] = Column(DOCUMENT)
    acceptance_criteria: Named[list[str]] = Column(DOCUMENT)
    metadata: Named[dict[str, Any]] = Column(DOCUMENT)


class TaskDependencyColumns(TypedColumns):
    """One row for each dependency of a task, in the task's order."""

    task_id: Named[str] = Column(ID, _child_of("tasks"), primary_key=True)
    depends_on: Named[str] = Column(ID, _child_of("tasks"), primary_key=True)
    position: Named[int]


class WorkflowColumns(TypedColumns):
    """See `models.Workflow`."""

    id: Named[str] = Column(ID, primary_key=True)
    task_id: Named[str] = Column(ID, _child_of("tasks"))
    project_id: Named[str] = Column(ID, _child_of("projects"))
    version: Named[int]
    name: Named[str] = Column(String(200))
    workflow_type: Named[str] = Column(String(32))
    template_id: Named[str | None] = Column(Text)
    template_version: Named[str | None] = Column(Text)
    parameters: Named[dict[str, Any]] = Column(DOCUMENT)
    pipeline: Named[dict[str, Any] | None] = Column(DOCUMENT)
    function: Named[str | None] = Column(Text)
    result_type: Named[str] = Column(String(32))
    definition: Named[dict[str, Any] | None] = Column(DOCUMENT, nullable=True)
    explanation: Named[str] = Column(Text)
    warnings: Named[list[str]] = Column(DOCUMENT)
    task_digest: Named[str] = Column(Text)
    created_at: Named[datetime] = Column(UtcTime)


class RunColumns(_Revised):
    """See `models.WorkflowRun`."""

    workflow_id: Named[str] = Column(ID, _child_of("workflows"))
    workflow_version: Named[int]
    task_id: Named[str] = Column(ID, _child_of("tasks"))
    project_id: Named[str] = Column(ID, _child_of("projects"))
    status: Named[str] = Column(String(32))
    reason: Named[dict[str, Any] | None] = Column(DOCUMENT)
    attempt: Named[int]
    priority: Named[str] = Column(String(32), server_default="medium")
    template_id: Named[str | None] = Column(Text)
    snapshot: Named[str | None] = Column(Text)
    rerun_of: Named[str | None] = Column(ID)
    from_step: Named[str | None] = Column(Text)
    due_at: Named[datetime | None] = Column(UtcTime)
    dispatched: Named[int] = Column(Integer, server_default="0")
    recoveries: Named[int] = Column(Integer, server_default="0")
    worker_id: Named[str | None] = Column(Text)
    actor: Named[str] = Column(Text)
    skip_cache: Named[bool] = Column(Boolean)
    parameters: Named[dict[str, Any]] = Column(DOCUMENT)
    engine: Named[str | None] = Column(Text)
    warnings: Named[list[str]] = Column(DOCUMENT)
    started_at: Named[datetime | None] = Column(UtcTime)
    finished_at: Named[datetime | None] = Column(UtcTime)
    seconds: Named[float | None] = Column(Double)
    steps_cached: Named[int | None]
    steps_counted: Named[int | None]
    cache_key: Named[str | None] = Column(Text)
    original_run_id: Named[str | None] = Column(ID)
    flight: Named[str | None] = Column(String(80))
    traceparent: Named[str | None] = Column(Text)
    tracestate: Named[str | None] = Column(Text)


class CacheRecordColumns(TypedColumns):
    """See `models.CacheRecord`."""

    run_id: Named[str] = Column(ID, _child_of("runs"), primary_key=True)
    key: Named[str | None] = Column(Text)
    outcome: Named[str] = Column(String(16))
    reason: Named[str] = Column(String(64))
    text: Named[str] = Column(Text)
    tier: Named[str | None] = Column(String(32))
    saved_seconds: Named[float | None] = Column(Double)
    stored: Named[bool | None] = Column(Boolean)
    components: Named[list[Any]] = Column(DOCUMENT)
    created_at: Named[datetime] = Column(UtcTime)


class CacheCountColumns(TypedColumns):
    """How often something happened to a tier of the cache, counted by all processes."""

    name: Named[str] = Column(String(32), primary_key=True)
    tier: Named[str] = Column(String(32), primary_key=True)
    count: Named[int] = Column(BigInteger)


class RunDependencyColumns(TypedColumns):
    """One row for each run that another run waits for."""

    run_id: Named[str] = Column(ID, _child_of("runs"), primary_key=True)
    upstream_id: Named[str] = Column(ID, _child_of("runs"), primary_key=True)


class WorkerColumns(TypedColumns):
    """See `models.WorkerRecord`."""

    id: Named[str] = Column(ID, primary_key=True)
    host: Named[str] = Column(Text)
    pid: Named[int]
    version: Named[str] = Column(Text)
    capacity: Named[int]
    settings_digest: Named[str] = Column(Text)
    state: Named[str] = Column(String(32))
    started_at: Named[datetime] = Column(UtcTime)
    seen_at: Named[datetime] = Column(UtcTime)


class IdempotencyKeyColumns(TypedColumns):
    """One row for each key that a call was made with: what was asked for, as a digest, and what came of it."""

    operation: Named[str] = Column(String(64), primary_key=True)
    key: Named[str] = Column(String(200), primary_key=True)
    digest: Named[str] = Column(Text)
    record_id: Named[str] = Column(ID)
    created_at: Named[datetime] = Column(UtcTime)


class TaskClaimColumns(TypedColumns):
    """See `models.TaskClaim`."""

    task_id: Named[str] = Column(ID, _child_of("tasks"), primary_key=True)
    holder: Named[str] = Column(Text)
    expires_at: Named[datetime] = Column(UtcTime)


class ReadResultColumns(TypedColumns):
    """One row for each reader that has seen how a run ended."""

    run_id: Named[str] = Column(ID, _child_of("runs"), primary_key=True)
    reader: Named[str] = Column(String(200), primary_key=True)
    read_at: Named[datetime] = Column(UtcTime)


class AccessTokenColumns(TypedColumns):
    """See `models.AccessToken`; of the token itself there is only a digest."""

    id: Named[str] = Column(ID, primary_key=True)
    name: Named[str] = Column(String(100), unique=True)
    scope: Named[str] = Column(String(32))
    digest: Named[str] = Column(String(64), unique=True)
    created_at: Named[datetime] = Column(UtcTime)
    expires_at: Named[datetime | None] = Column(UtcTime)
    used_at: Named[datetime | None] = Column(UtcTime)


class LoginSessionColumns(TypedColumns):
    """See `models.LoginSession`; of what the browser holds there is only a digest."""

    digest: Named[str] = Column(String(64), primary_key=True)
    token_id: Named[str] = Column(ID, _child_of("access_tokens"))
    created_at: Named[datetime] = Column(UtcTime)
    expires_at: Named[datetime] = Column(UtcTime)


class StepColumns(TypedColumns):
    """See `models.StepRecord`."""

    run_id: Named[str] = Column(ID, _child_of("runs"), primary_key=True)
    step_id: Named[str] = Column(Text, primary_key=True)
    name: Named[str] = Column(Text)
    position: Named[int]
    status: Named[str] = Column(String(32))
    image: Named[str] = Column(Text)
    image_digest: Named[str | None] = Column(Text)
    attempts: Named[int]
    cached: Named[bool | None] = Column(Boolean)
    attempt: Named[int] = Column(Integer, server_default="1")
    started_at: Named[datetime | None] = Column(UtcTime)
    finished_at: Named[datetime | None] = Column(UtcTime)
    exit_code: Named[int | None]
    error: Named[str] = Column(Text)
    stdout_tail: Named[str] = Column(Text)
    stderr_tail: Named[str] = Column(Text)
    log: Named[str | None] = Column(Text)


class EventColumns(TypedColumns):
    """See `models.Event`."""

    sequence: Named[int] = Column(SERIAL, primary_key=True, autoincrement=True)
    run_id: Named[str] = Column(ID, _child_of("runs"))
    run_sequence: Named[int]
    task_id: Named[str] = Column(ID)
    project_id: Named[str] = Column(ID)
    time: Named[datetime] = Column(UtcTime)
    kind: Named[str] = Column(String(32))
    actor: Named[str] = Column(Text)
    attempt: Named[int]
    previous: Named[str | None] = Column(String(32))
    status: Named[str | None] = Column(String(32))
    step_id: Named[str | None] = Column(Text)
    step_status: Named[str | None] = Column(String(32))
    reason: Named[dict[str, Any] | None] = Column(DOCUMENT)


class ArtifactColumns(TypedColumns):
    """See `models.Artifact`."""

    run_id: Named[str] = Column(ID, _child_of("runs"), primary_key=True)
    name: Named[str] = Column(Text, primary_key=True)
    step_id: Named[str] = Column(Text)
    path: Named[str] = Column(Text)
    is_directory: Named[bool] = Column(Boolean)
    size: Named[int] = Column(BigInteger)
    digest: Named[str] = Column(Text)
    media_type: Named[str] = Column(Text)
    created_at: Named[datetime] = Column(UtcTime)


class ResultColumns(TypedColumns):
    """One row for each run that has a result."""

    run_id: Named[str] = Column(ID, _child_of("runs"), primary_key=True)
    data: Named[dict[str, Any]] = Column(DOCUMENT)


class ResultMetricColumns(TypedColumns):
    """The metrics of results, by which they are found."""

    run_id: Named[str] = Column(ID, _child_of("runs"), primary_key=True)
    name: Named[str] = Column(String(200), primary_key=True)
    value: Named[float] = Column(Double)


class TriggerColumns(TypedColumns):
    """See `trigger_records.Trigger`; of the secret there is only where it is."""

    id: Named[str] = Column(ID, primary_key=True)
    name: Named[str] = Column(String(100), unique=True)
    source: Named[str] = Column(String(32))
    secret: Named[str] = Column(Text)
    events: Named[list[str]] = Column(DOCUMENT)
    repository: Named[str | None] = Column(Text)
    branch: Named[str | None] = Column(Text)
    conditions: Named[dict[str, Any]] = Column(DOCUMENT)
    task_id: Named[str | None] = Column(ID, _child_of("tasks"))
    project_id: Named[str | None] = Column(ID, _child_of("projects"))
    template_id: Named[str | None] = Column(Text)
    parameters: Named[dict[str, Any]] = Column(DOCUMENT)
    payload_parameters: Named[dict[str, Any]] = Column(DOCUMENT)
    created_at: Named[datetime] = Column(UtcTime)


class FiringColumns(TypedColumns):
    """See `trigger_records.Firing`."""

    trigger_id: Named[str] = Column(ID, _child_of("triggers"), primary_key=True)
    delivery_id: Named[str] = Column(String(200), primary_key=True)
    event: Named[str] = Column(Text)
    repository: Named[str | None] = Column(Text)
    branch: Named[str | None] = Column(Text)
    commit: Named[str | None] = Column(Text)
    run_ids: Named[list[str]] = Column(DOCUMENT)
    error: Named[str] = Column(Text)
    received_at: Named[datetime] = Column(UtcTime)


class HookColumns(TypedColumns):
    """See `hook_records.Hook`; of the secret there is only where it is."""

    id: Named[str] = Column(ID, primary_key=True)
    name: Named[str] = Column(String(100), unique=True)
    form: Named[str] = Column(String(32))
    url: Named[str] = Column(Text)
    secret: Named[str | None] = Column(Text)
    project_id: Named[str | None] = Column(ID, _child_of("projects"))
    statuses: Named[list[str]] = Column(DOCUMENT)
    repository: Named[str | None] = Column(Text)
    position: Named[int] = Column(BigInteger)
    created_at: Named[datetime] = Column(UtcTime)


class HookLeaseColumns(TypedColumns):
    """Which process sends for a hook, and until when nobody else may."""

    hook_id: Named[str] = Column(ID, _child_of("hooks"), primary_key=True)
    holder: Named[str | None] = Column(Text)
    leased_until: Named[datetime | None] = Column(UtcTime)


class HookDeliveryColumns(TypedColumns):
    """See `hook_records.HookDelivery`."""

    id: Named[str] = Column(ID, primary_key=True)
    hook_id: Named[str] = Column(ID, _child_of("hooks"))
    sequence: Named[int] = Column(BigInteger)
    run_id: Named[str] = Column(ID, _child_of("runs"))
    status: Named[str] = Column(String(32))
    state: Named[str] = Column(String(32))
    attempts: Named[int]
    due_at: Named[datetime | None] = Column(UtcTime)
    response: Named[int | None]
    error: Named[str] = Column(Text)
    created_at: Named[datetime] = Column(UtcTime)
    finished_at: Named[datetime | None] = Column(UtcTime)


class ScheduleColumns(_Revised):
    """See `schedule_records.Schedule`."""

    name: Named[str] = Column(String(100), unique=True)
    cron: Named[str] = Column(String(200))
    timezone: Named[str] = Column(String(100))
    task_id: Named[str | None] = Column(ID, _child_of("tasks"))
    project_id: Named[str | None] = Column(ID, _child_of("projects"))
    template_id: Named[str | None] = Column(Text)
    parameters: Named[dict[str, Any]] = Column(DOCUMENT)
    missed: Named[str] = Column(String(32))
    overlap: Named[str] = Column(String(32))
    use_cache: Named[bool] = Column(Boolean)
    paused_at: Named[datetime | None] = Column(UtcTime)
    created_by: Named[str] = Column(Text)
    next_due_at: Named[datetime | None] = Column(UtcTime)
    last_due_at: Named[datetime | None] = Column(UtcTime)
    last_run_ids: Named[list[str]] = Column(DOCUMENT)


class ScheduleLeaseColumns(TypedColumns):
    """Which process starts what a schedule says, and until when nobody else may."""

    schedule_id: Named[str] = Column(ID, _child_of("schedules"), primary_key=True)
    holder: Named[str | None] = Column(Text)
    leased_until: Named[datetime | None] = Column(UtcTime)


class OccurrenceColumns(TypedColumns):
    """See `schedule_records.Occurrence`."""

    schedule_id: Named[str] = Column(ID, _child_of("schedules"), primary_key=True)
    due_at: Named[datetime] = Column(UtcTime, primary_key=True)
    state: Named[str] = Column(String(32))
    missed_since: Named[datetime | None] = Column(UtcTime)
    run_ids: Named[list[str]] = Column(DOCUMENT)
    note: Named[str] = Column(Text)
    noted_at: Named[datetime] = Column(UtcTime)


projects = Table("projects", metadata, ProjectColumns)
phases = Table("phases", metadata, PhaseColumns, UniqueConstraint("project_id", "name"))
tasks = Table("tasks", metadata, TaskColumns, Index(None, "project_id", "id"), Index(None, "phase_id"))
task_dependencies = Table("task_dependencies", metadata, TaskDependencyColumns, Index(None, "depends_on"))
workflows = Table(
    "workflows", metadata, WorkflowColumns, UniqueConstraint("task_id", "version"), Index(None, "project_id", "id")
)
# One index for each way to list runs, ending in the id: pages are cut there.
runs = Table(
    "runs",
    metadata,
    RunColumns,
    Index(None, "task_id", "id"),
    Index(None, "project_id", "id"),
    Index(None, "status", "id"),
    # Of equal runs one is executed at a time.
    Index(None, "flight", unique=True),
    # All that statistics read, for they look at every run.
    Index("ix_runs_statistics", "workflow_id", "status", "created_at", "seconds", "steps_cached", "steps_counted"),
)
run_dependencies = Table("run_dependencies", metadata, RunDependencyColumns, Index(None, "upstream_id"))
cache_records = Table("cache_records", metadata, CacheRecordColumns, Index(None, "key"))
cache_counts = Table("cache_counts", metadata, CacheCountColumns)
workers = Table("workers", metadata, WorkerColumns)
idempotency_keys = Table("idempotency_keys", metadata, IdempotencyKeyColumns, Index(None, "record_id"))
task_claims = Table("task_claims", metadata, TaskClaimColumns)
read_results = Table("read_results", metadata, ReadResultColumns)
access_tokens = Table("access_tokens", metadata, AccessTokenColumns)
login_sessions = Table("login_sessions", metadata, LoginSessionColumns)
steps = Table("steps", metadata, StepColumns)
events = Table(
    "events",
    metadata,
    EventColumns,
    UniqueConstraint("run_id", "run_sequence"),
    Index(None, "run_id", "sequence"),
    Index(None, "project_id", "sequence"),
    # Numbers of removed events are not given again: a reader's position stays true.
    sqlite_autoincrement=True,
)
artifacts = Table("artifacts", metadata, ArtifactColumns)
results = Table("results", metadata, ResultColumns)
result_metrics = Table("result_metrics", metadata, ResultMetricColumns, Index(None, "name", "value"))
triggers = Table("triggers", metadata, TriggerColumns)
firings = Table("firings", metadata, FiringColumns, Index(None, "received_at", "delivery_id"))
hooks = Table("hooks", metadata, HookColumns)
hook_leases = Table("hook_leases", metadata, HookLeaseColumns)
hook_deliveries = Table(
    "hook_deliveries",
    metadata,
    HookDeliveryColumns,
    UniqueConstraint("hook_id", "sequence"),
    Index(None, "hook_id", "state", "sequence"),
    Index(None, "run_id"),
)
schedules = Table("schedules", metadata, ScheduleColumns)
schedule_leases = Table("schedule_leases", metadata, ScheduleLeaseColumns)
occurrences = Table(
    "occurrences",
    metadata,
    OccurrenceColumns,
    Index(None, "due_at", "schedule_id"),
    Index(None, "schedule_id", "state"),
)

"""The records: projects, phases, tasks, workflows, runs, steps, events, artifacts.

All are frozen; a changed one is a new one (`evolve`). Records that change carry a `revision`, which the store compares
before it writes.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, StringConstraints

from task_manager.pipeline import Pipeline, ResultType, content_digest
from task_manager.workflow_status import Reason, StepStatus, TaskStatus, WorkflowStatus

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: in ASCII order, so that ids sort by time
_TIME_DIGITS = 9
_RANDOM_DIGITS = 11

Title = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Label = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]


class IdSource:
    """Makes short, sortable, unguessable ids such as `task-1hv8k2m9x-4fz0q8rt2bd`.

    An id is the kind, nine digits of milliseconds and eleven random digits. Those of one source sort in the order in
    which they were made, also within a millisecond: the time in them never stands still.

    Args:
        now: Seconds since the epoch.
        random_bits: Returns that many random bits; 55 are used.
    """

    def __init__(
        self, now: Callable[[], float] = time.time, random_bits: Callable[[int], int] = secrets.randbits
    ) -> None:
        self._now = now
        self._random_bits = random_bits
        self._last = 0
        self._lock = threading.Lock()

    def __call__(self, kind: str) -> str:
        """A new id.

        Args:
            kind: What it names: `project`, `phase`, `task`, `workflow` or `run`.
        """
        with self._lock:
            self._last = max(int(self._now() * 1000), self._last + 1)
            milliseconds = self._last
        random = _digits(self._random_bits(5 * _RANDOM_DIGITS), _RANDOM_DIGITS)
        return f"{kind}-{_digits(milliseconds, _TIME_DIGITS)}-{random}"


new_id = IdSource()
"""The ids of this process."""


def _digits(number: int, count: int) -> str:
    return "".join(_ALPHABET[(number >> (5 * place)) & 31] for place in reversed(range(count)))


def utc_now() -> datetime:
    """The time, in UTC, with microseconds."""
    return datetime.now(UTC)


class Record(BaseModel):
    """A frozen record."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    def evolve(self, **changes: Any) -> Self:
        """The record with these fields changed, validated again.

        Raises:
            pydantic.ValidationError: A value does not fit.
        """
        return type(self).model_validate({**dict(self), **changes})


class Priority(StrEnum):
    """How urgent a task is."""

    LOWEST = "lowest"
    """When nothing else waits."""
    LOW = "low"
    """After the usual."""
    MEDIUM = "medium"
    """The usual."""
    HIGH = "high"
    """Before the usual."""
    CRITICAL = "critical"
    """Before everything."""


class WorkflowType(StrEnum):
    """How a workflow is written."""

    CONTAINERIZED_WORKFLOW = "containerized_workflow"
    """Steps: a pipeline."""
    DAGGER_PIPELINE = "dagger_pipeline"
    """A function written with the Dagger SDK."""


class Project(Record):
    """A body of work with a source folder of its own.

    Attributes:
        paused_at: Since when none of its runs starts; none while they may.
    """

    id: str
    name: Title
    description: str = ""
    source_folder: str | None = None
    metadata: dict[str, JsonValue] = Field(default_factory=dict)
    paused_at: AwareDatetime | None = None
    created_at: AwareDatetime
    updated_at: AwareDatetime
    revision: int = 1


class Phase(Record):
    """A part of a project; phases are worked on in their order."""

    id: str
    project_id: str
    name: Title
    order: int = Field(0, ge=0)
    created_at: AwareDatetime
    updated_at: AwareDatetime
    revision: int = 1


class Task(Record):
    """Something that is to be done.

    Attributes:
        type: What kind of work it is, such as `test`, `lint`, `build`, `training`, `data`; it helps to choose a
            template when the task names none.
        dependencies: Ids of tasks of the same project that must have succeeded before.
        source_folder: An absolute folder of the host; none: the project's.
        template_id: The template its workflow is made from; none: `pipeline`, or by type and requirements.
        inputs: Values for the template's parameters, or for a custom pipeline's environment.
        pipeline: A custom definition, in the schema of `Pipeline`; or `{"function": "module:name"}` for a
            `dagger_pipeline`.
    """

    id: str
    project_id: str
    phase_id: str | None = None
    title: Title
    description: str = ""
    type: Label = "general"
    priority: Priority = Priority.MEDIUM
    status: TaskStatus = TaskStatus.TODO
    dependencies: tuple[str, ...] = ()
    labels: tuple[Label, ...] = ()
    source_folder: str | None = None
    template_id: str | None = None
    inputs: dict[str, JsonValue] = Field(default_factory=dict)
    pipeline: dict[str, JsonValue] | None = None
    acceptance_criteria: tuple[str, ...] = ()
    metadata: dict[str, JsonValue] = Field(default_factory=dict)
    created_at: AwareDatetime
    updated_at: AwareDatetime
    revision: int = 1

    @property
    def definition_digest(self) -> str:
        """`sha256:…` over what a workflow is made from; status, priority and words for people are not in it."""
        fields = {"type", "labels", "title", "template_id", "inputs", "pipeline"}
        return content_digest(self.model_dump(mode="json", include=fields))


class TaskClaim(Record):
    """Somebody works on a task, until a time.

    Attributes:
        holder: Who.
        expires_at: From then on anybody may take the task over.
    """

    task_id: str
    holder: str
    expires_at: AwareDatetime


class TokenScope(StrEnum):
    """What a token allows; each includes what comes before it."""

    READ = "read"
    """Look."""
    RUN = "run"
    """Create, change and run."""
    ADMIN = "admin"
    """Remove, too."""


class AccessToken(Record):
    """A token that was given out.

    Attributes:
        name: Unique; what its holder does bears it in the event log.
        digest: SHA-256 of the token, in hexadecimal digits; the token itself is not kept.
        expires_at: From then on it is refused; none: never.
        used_at: About when it was used last; none: not yet.
    """

    id: str
    name: Label
    scope: TokenScope
    digest: str
    created_at: AwareDatetime
    expires_at: AwareDatetime | None = None
    used_at: AwareDatetime | None = None


class LoginSession(Record):
    """A browser that logged in with a token, for as long as that token is accepted.

    Attributes:
        token: What it logged in with.
        digest: SHA-256 of what the browser holds, in hexadecimal digits.
    """

    token: AccessToken
    digest: str
    created_at: AwareDatetime
    expires_at: AwareDatetime


class Workflow(Record):
    """A task's pipeline with its inputs, ready to run.

    Attributes:
        version: 1 for a task's first workflow, then one more each time; the highest is the current one.
        pipeline: The steps; none for a `dagger_pipeline`.
        function: `module:name` for a `dagger_pipeline`; none else.
        definition: The custom definition that it was made from, as given; none for a template's.
        explanation: Why this template or definition was chosen, one sentence.
        warnings: What is probably not meant, one sentence each.
        task_digest: `Task.definition_digest` when it was made, so that a task edited since is noticed.
    """

    id: str
    task_id: str
    project_id: str
    version: int = Field(1, ge=1)
    name: Title
    workflow_type: WorkflowType
    template_id: str | None = None
    template_version: str | None = None
    parameters: dict[str, JsonValue] = Field(default_factory=dict)
    pipeline: Pipeline | None = None
    function: str | None = None
    result_type: ResultType = ResultType.CONTAINERIZED_WORKFLOW
    definition: dict[str, JsonValue] | None = None
    explanation: str = ""
    warnings: tuple[str, ...] = ()
    task_digest: str = ""
    created_at: AwareDatetime


class WorkflowRun(Record):
    """One execution of a workflow.

    Attributes:
        reason: Why it is in its state.
        attempt: 1 for the first attempt.
        priority: Its task's, when it was started.
        template_id: What its workflow was made from; none for a definition of its own.
        snapshot: The digest of its sources as they were when it was started; none without a source folder.
        rerun_of: The run that it repeats.
        from_step: The step from which on that run is repeated; those before come from the engine's layers.
        due_at: When the next attempt starts, while it is `retrying`.
        dispatched: The last attempt that was handed over to be executed; 0 for none.
        recoveries: How often it was taken up again after an interruption.
        worker_id: The worker that executes it, or did so last.
        actor: Who asked for it.
        engine: Kind and version of the engine, such as `embedded 0.1.0`; none before it is known.
        warnings: What people should know about how it was run.
        seconds: How long it took from its start to its end; none before its end, or when it never started.
        steps_cached: How many of its steps the engine answered from earlier runs; none before its end.
        steps_counted: Of how many steps it told whether it did; none before its end.
        cache_key: What its result is kept under; none before it was computed, or when there is none.
        original_run_id: The run whose result it has from the cache; none when it was executed itself.
        flight: Its cache key while it is executed: equal runs wait for it.
        traceparent: The trace that it is a part of, as in W3C's Trace Context; none outside of any.
        tracestate: What the systems of that trace pass on with it.
    """

    id: str
    workflow_id: str
    workflow_version: int
    task_id: str
    project_id: str
    status: WorkflowStatus = WorkflowStatus.CREATED
    reason: Reason | None = None
    attempt: int = Field(1, ge=1)
    priority: Priority = Priority.MEDIUM
    template_id: str | None = None
    snapshot: str | None = None
    rerun_of: str | None = None
    from_step: str | None = None
    due_at: AwareDatetime | None = None
    dispatched: int = Field(0, ge=0)
    recoveries: int = Field(0, ge=0)
    worker_id: str | None = None
    actor: str = "local"
    skip_cache: bool = False
    parameters: dict[str, JsonValue] = Field(default_factory=dict)
    engine: str | None = None
    warnings: tuple[str, ...] = ()
    created_at: AwareDatetime
    updated_at: AwareDatetime
    started_at: AwareDatetime | None = None
    finished_at: AwareDatetime | None = None
    seconds: float | None = None
    steps_cached: int | None = None
    steps_counted: int | None = None
    cache_key: str | None = None
    original_run_id: str | None = None
    flight: str | None = None
    traceparent: str | None = None
    tracestate: str | None = None
    revision: int = 1


class StepRecord(Record):
    """What is known of one step of a run.

    Attributes:
        image: The reference it ran on; it differs from the pipeline's when the step was planned anew.
        image_digest: `REFERENCE@sha256:…` as the engine names the image, or none when it does not tell.
        attempt: The run's attempt that it belongs to.
        attempts: How often its command was run in that attempt.
        cached: Whether the engine answered it from an earlier run; none when it does not tell.
        error: What went wrong, one or a few lines.
        stdout_tail: The last lines of its standard output.
        stderr_tail: The last lines of its standard error.
        log: The folder of `stdout.log` and `stderr.log`, relative to the data folder; none before the step has ended.
    """

    run_id: str
    step_id: str
    name: str
    position: int = Field(0, ge=0)
    status: StepStatus = StepStatus.PENDING
    image: str = ""
    image_digest: str | None = None
    attempts: int = 0
    attempt: int = Field(1, ge=1)
    cached: bool | None = None
    started_at: AwareDatetime | None = None
    finished_at: AwareDatetime | None = None
    exit_code: int | None = None
    error: str = ""
    stdout_tail: str = ""
    stderr_tail: str = ""
    log: str | None = None

    @property
    def seconds(self) -> float | None:
        """How long it took; none before its end."""
        if self.started_at is None or self.finished_at is None:
            return None
        return (self.finished_at - self.started_at).total_seconds()


class EventKind(StrEnum):
    """What an event says."""

    RUN_STATUS = "run_status"
    """The run entered `status`."""
    STEP_STATUS = "step_status"
    """The step `step_id` entered `step_status`."""
    RUN_WARNING = "run_warning"
    """Something about the run that people should know; the reason says what."""


class Event(Record):
    """One line of the event log; never changed.

    Attributes:
        sequence: Its place in the whole log; 0 before it is stored.
        run_sequence: Its place in its run's log, from 1; 0 before it is stored.
    """

    sequence: int = 0
    run_sequence: int = 0
    run_id: str
    task_id: str
    project_id: str
    time: AwareDatetime
    kind: EventKind
    actor: str = "local"
    attempt: int = 1
    previous: WorkflowStatus | None = None
    status: WorkflowStatus | None = None
    step_id: str | None = None
    step_status: StepStatus | None = None
    reason: Reason | None = None


class CacheOutcome(StrEnum):
    """What the cache was for a run."""

    HIT = "hit"
    """It gave the result."""
    MISS = "miss"
    """It had none."""
    OFF = "off"
    """It was not asked."""


class KeyComponent(Record):
    """A part of a cache key.

    Attributes:
        name: Such as `parameters`.
        digest: `sha256:…` over all of it.
        parts: Short values, or digests of long ones, by name, so that differences can be told.
    """

    name: str
    digest: str
    parts: dict[str, str] = Field(default_factory=dict)


class CacheRecord(Record):
    """What the cache was for a run, and what its key was made of.

    Attributes:
        reason: A stable name for why, such as `not_stored`, `gone`, `expired`, `artifacts_missing`, `skip_cache`.
        text: The same in a sentence.
        tier: Which tier answered; none without a hit.
        saved_seconds: What the hit saved; none without one.
        stored: Whether its own result was kept; none before its end.
        components: In their order; empty where no key was computed.
    """

    run_id: str
    key: str | None = None
    outcome: CacheOutcome
    reason: str = ""
    text: str = ""
    tier: str | None = None
    saved_seconds: float | None = None
    stored: bool | None = None
    components: tuple[KeyComponent, ...] = ()
    created_at: AwareDatetime


class WorkerState(StrEnum):
    """What a worker is doing."""

    RUNNING = "running"
    """It takes runs."""
    STOPPING = "stopping"
    """It takes no more runs, and ends when those that it has are over or handed back."""


class WorkerRecord(Record):
    """A process that executes runs.

    Attributes:
        id: Its place: stable, and held by one process at a time.
        capacity: How many runs it executes at once.
        settings_digest: Of the settings that it executes by.
        seen_at: Its last sign of life.
    """

    id: str
    host: str
    pid: int
    version: str
    capacity: int = Field(ge=1)
    settings_digest: str = ""
    state: WorkerState = WorkerState.RUNNING
    started_at: AwareDatetime
    seen_at: AwareDatetime


class Artifact(Record):
    """Something a run left behind.

    Attributes:
        name: Unique in its run: `STEP/OUTPUT`.
        path: `STEP/OUTPUT/FILE` as the step left it; a folder's ends with its output.
        size: In bytes; of a folder, the sum of its files.
        digest: `sha256:…`, under which the artifact store has it.
    """

    run_id: str
    step_id: str
    name: str
    path: str
    is_directory: bool = False
    size: int = Field(0, ge=0)
    digest: str
    media_type: str = "application/octet-stream"
    created_at: AwareDatetime

"""What state a workflow run is in, which changes are allowed, and what a run's state means for its task.

`TRANSITIONS` is the table that decides; nothing outside this file does.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from task_manager.errors import InvalidInput, InvalidTransition
from task_manager.structured_log import get_logger

log = get_logger(__name__)

Member = TypeVar("Member", bound=StrEnum)


class WorkflowStatus(StrEnum):
    """The state of one workflow run."""

    CREATED = "created"
    """The run is recorded; nothing has been decided about it."""
    WAITING = "waiting"
    """It waits for the workflows of other tasks to succeed."""
    QUEUED = "queued"
    """It could start, and waits for a worker or a free place; its reason says which."""
    PREPARING = "preparing"
    """A worker has it: engine, images and sources are made ready."""
    RUNNING = "running"
    """Its steps are executed."""
    PROCESSING = "processing"
    """All steps have ended; outputs are turned into a result."""
    RETRYING = "retrying"
    """An attempt failed; the next one is going to start."""
    CANCELLING = "cancelling"
    """Somebody asked for its end; its containers are being stopped."""
    SUCCEEDED = "succeeded"
    """It ended well, by running or from the cache."""
    FAILED = "failed"
    """A step failed, or the run could not be carried out; the reason says which."""
    CANCELLED = "cancelled"
    """It was ended on request; its containers are gone."""
    TIMED_OUT = "timed_out"
    """A step or the whole run took longer than its limit."""
    SKIPPED = "skipped"
    """It never ran, because a task that it depends on did not succeed."""
    LOST = "lost"
    """Recovery was given up after repeated interruptions."""

    @property
    def is_terminal(self) -> bool:
        """Whether a run in this state is over."""
        return not TRANSITIONS[self]


class StepStatus(StrEnum):
    """The state of one step of a run."""

    PENDING = "pending"
    """It waits for the steps that it needs, or for a free place."""
    RUNNING = "running"
    """Its container works."""
    SUCCEEDED = "succeeded"
    """Its command ended with 0 and its outputs are there."""
    FAILED = "failed"
    """Its command ended with another code, or an output is missing."""
    TIMED_OUT = "timed_out"
    """It was stopped at its time limit."""
    CANCELLED = "cancelled"
    """It was stopped with its run."""
    SKIPPED = "skipped"
    """It never ran, because a step that it needs did not succeed."""

    @property
    def is_terminal(self) -> bool:
        """Whether a step in this state is over."""
        return self not in (StepStatus.PENDING, StepStatus.RUNNING)


class TaskStatus(StrEnum):
    """How far a task is, as people see it."""

    TODO = "todo"
    """Nobody works on it."""
    IN_PROGRESS = "in_progress"
    """Somebody, or a run, works on it."""
    BLOCKED = "blocked"
    """It cannot go on without something else."""
    DONE = "done"
    """It is finished."""
    CANCELLED = "cancelled"
    """It will not be done."""


def _table() -> dict[WorkflowStatus, frozenset[WorkflowStatus]]:
    s = WorkflowStatus
    return {
        s.CREATED: frozenset({s.WAITING, s.QUEUED, s.SUCCEEDED, s.FAILED, s.CANCELLED, s.SKIPPED}),
        s.WAITING: frozenset({s.QUEUED, s.SUCCEEDED, s.FAILED, s.CANCELLED, s.SKIPPED, s.TIMED_OUT}),
        s.QUEUED: frozenset({s.PREPARING, s.SUCCEEDED, s.FAILED, s.CANCELLED, s.TIMED_OUT, s.LOST}),
        s.PREPARING: frozenset(
            {s.RUNNING, s.QUEUED, s.SUCCEEDED, s.RETRYING, s.CANCELLING, s.FAILED, s.TIMED_OUT, s.LOST}
        ),
        s.RUNNING: frozenset({s.PROCESSING, s.QUEUED, s.RETRYING, s.CANCELLING, s.FAILED, s.TIMED_OUT, s.LOST}),
        s.PROCESSING: frozenset({s.SUCCEEDED, s.QUEUED, s.RETRYING, s.CANCELLING, s.FAILED, s.TIMED_OUT, s.LOST}),
        s.RETRYING: frozenset({s.QUEUED, s.PREPARING, s.CANCELLED, s.FAILED, s.TIMED_OUT, s.LOST}),
        s.CANCELLING: frozenset({s.CANCELLED, s.FAILED, s.LOST}),
        s.SUCCEEDED: frozenset(),
        s.FAILED: frozenset(),
        s.CANCELLED: frozenset(),
        s.TIMED_OUT: frozenset(),
        s.SKIPPED: frozenset(),
        s.LOST: frozenset(),
    }


TRANSITIONS: Mapping[WorkflowStatus, frozenset[WorkflowStatus]] = MappingProxyType(_table())
"""Each state with the states that may follow it. A way back to `queued` is a worker that hands a run back."""

TASK_STATUS_OF_RUN: Mapping[WorkflowStatus, TaskStatus | None] = MappingProxyType(
    {
        WorkflowStatus.CREATED: None,
        WorkflowStatus.WAITING: None,
        WorkflowStatus.QUEUED: None,
        WorkflowStatus.PREPARING: TaskStatus.IN_PROGRESS,
        WorkflowStatus.RUNNING: TaskStatus.IN_PROGRESS,
        WorkflowStatus.PROCESSING: TaskStatus.IN_PROGRESS,
        WorkflowStatus.RETRYING: TaskStatus.IN_PROGRESS,
        WorkflowStatus.CANCELLING: None,
        WorkflowStatus.SUCCEEDED: TaskStatus.DONE,
        WorkflowStatus.FAILED: TaskStatus.BLOCKED,
        WorkflowStatus.CANCELLED: TaskStatus.TODO,
        WorkflowStatus.TIMED_OUT: TaskStatus.BLOCKED,
        WorkflowStatus.SKIPPED: None,
        WorkflowStatus.LOST: TaskStatus.BLOCKED,
    }
)
"""What a task's status becomes when its run enters a state; None leaves it as it is."""


class Reason(BaseModel):
    """Why a run or step is in its state.

    Attributes:
        code: A stable name in snake case, such as `step_failed`, `cached`, `dependency_failed`.
        text: One sentence for people.
        details: Facts for machines.
    """

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    code: str
    text: str
    details: dict[str, JsonValue] = Field(default_factory=dict)


def check_transition(current: WorkflowStatus, following: WorkflowStatus, *, run_id: str = "") -> None:
    """Refuse a change of status that is not in the table, and log the refusal.

    Args:
        current: The state the run is in.
        following: The state it shall enter.
        run_id: Named in the error and the log.

    Raises:
        InvalidTransition: It names both states and the allowed ones.
    """
    allowed = sorted(TRANSITIONS[current])
    if following in allowed:
        return
    log.warning("transition_refused", run_id=run_id, current=current.value, following=following.value)
    run = f"Run {run_id}" if run_id else "A run"
    raise InvalidTransition(
        f"{run} is {current}; it cannot become {following}.",
        remedy=f"Allowed from {current}: {', '.join(allowed)}."
        if allowed
        else f"{current} is an end; start a new run.",
        details={"run_id": run_id, "current": current, "following": following, "allowed": list(allowed)},
    )


def chosen(kind: type[Member], value: Member | str | None, name: str) -> Member | None:
    """The member of an enumeration that a value names; None stays None.

    Raises:
        InvalidInput: It names none; the error lists them.
    """
    if value is None:
        return None
    try:
        return kind(value)
    except ValueError as error:
        raise InvalidInput(
            f"{name} cannot be {value!r}.", remedy=f"Choose one of {', '.join(member.value for member in kind)}."
        ) from error

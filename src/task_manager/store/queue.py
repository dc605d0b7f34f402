"""The queue in the store: which runs wait, which are under way, and each step from the one to the other.

Every operation is one transaction and may be repeated: who hands runs over, or takes them, may die at any moment.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, bindparam, case, exists, func, select

from task_manager.admission import Queue, flight_of, rank
from task_manager.models import Priority, StepRecord, WorkflowRun
from task_manager.store import cache, runs, steps, tables
from task_manager.store.database import read_only
from task_manager.store.prepared import Prepared, is_one_of
from task_manager.workflow_status import TRANSITIONS, Reason, StepStatus, WorkflowStatus

_runs = tables.runs
_dependencies = tables.run_dependencies
_columns = _runs.c

WAITING_FOR_PLACE: Final = Reason(code="waiting_for_place", text="Waits for a free place.")
"""Why a run is queued, as long as nobody asked more exactly."""

_QUEUED: Final = (WorkflowStatus.QUEUED, WorkflowStatus.RETRYING)
_INTERRUPTED: Final = (WorkflowStatus.PREPARING, WorkflowStatus.RUNNING, WorkflowStatus.PROCESSING)
_UNDER_WAY: Final = (*_QUEUED, *_INTERRUPTED, WorkflowStatus.CANCELLING)
_ALL: Final = (1 << 31) - 1

_is_candidate = is_one_of(_columns.status, _QUEUED) & (_columns.dispatched < _columns.attempt)
_is_handed_over = is_one_of(_columns.status, _UNDER_WAY) & ~_is_candidate
_rank = case({priority.value: rank(priority) for priority in Priority}, value=_columns.priority)
_candidates = Prepared(select(_runs).where(_is_candidate).order_by(_rank, _columns.id).limit(bindparam("most")))
_handed_over = Prepared(select(_runs).where(_is_handed_over).order_by(_columns.id))
_count_handed_over = Prepared(select(func.count().label("runs")).select_from(_runs).where(_is_handed_over))
_paused = Prepared(select(tables.projects.c.id).where(tables.projects.c.paused_at.is_not(None)))
_in_flight = Prepared(select(_columns.id).where(_columns.flight == bindparam("of_flight")))
_upstream = _runs.alias()
_unfinished = exists().where(
    _dependencies.c.run_id == _columns.id,
    _upstream.c.id == _dependencies.c.upstream_id,
    is_one_of(_upstream.c.status, runs.ACTIVE),
)
_released = Prepared(
    select(_columns.id).where(_columns.status == WorkflowStatus.WAITING.value, ~_unfinished).order_by(_columns.id)
)


@read_only
def load(c: Connection, *, most: int | None = None) -> Queue:
    """The queue as it is.

    Args:
        c: The transaction.
        most: How many candidates at most, the most urgent first; none: all.
    """
    candidates = runs.found(c, _candidates, {"most": _ALL if most is None else most})
    return Queue(candidates, handed_over(c), frozenset(row["id"] for row in _paused.all(c, {})))


@read_only
def count_handed_over(c: Connection) -> int:
    """How many runs were handed over and are not over."""
    found = _count_handed_over.first(c, {})
    return int(found["runs"]) if found else 0


@read_only
def handed_over(c: Connection) -> tuple[WorkflowRun, ...]:
    """The runs that were handed over and are not over, oldest first: somebody must have them."""
    return runs.found(c, _handed_over, {})


@read_only
def released(c: Connection) -> tuple[str, ...]:
    """The ids of the waiting runs whose upstream runs are all over, oldest first."""
    return tuple(str(row["id"]) for row in _released.all(c, {}))


def start(c: Connection, run: WorkflowRun, after: Collection[str] = (), *, now: datetime) -> WorkflowRun:
    """Store a new run: queued, or waiting for others.

    Args:
        c: The transaction.
        run: The run, `created`.
        after: The runs that it waits for.
        now: The time.

    Raises:
        InvalidInput: Its workflow, task or project, or a run that it waits for, does not exist.
    """
    runs.create(c, run, after)
    if not after:
        reason, status = WAITING_FOR_PLACE, WorkflowStatus.QUEUED
    else:
        text = f"Waits for {len(after)} run{'s' if len(after) > 1 else ''} of tasks that it depends on."
        reason = Reason(code="waiting_for_dependencies", text=text, details={"runs": list(after)})
        status = WorkflowStatus.WAITING
    return runs.transition(c, run.id, status, reason=reason, actor=run.actor, now=now)


def release(c: Connection, run_id: str, *, now: datetime) -> WorkflowRun:
    """Queue a waiting run whose upstream runs all succeeded; skip it when one did not.

    One that is not waiting any more, or whose upstream is not over, stays as it is.
    """
    run = runs.get_locked(c, run_id)
    upstream = runs.upstream(c, run_id)
    if run.status is not WorkflowStatus.WAITING or any(not other.status.is_terminal for other in upstream):
        return run
    for other in upstream:
        if other.status is not WorkflowStatus.SUCCEEDED:
            title = c.scalar(select(tables.tasks.c.title).where(tables.tasks.c.id == other.task_id))
            return runs.transition(c, run_id, WorkflowStatus.SKIPPED, reason=_skipped(other, title or ""), now=now)
    return runs.transition(c, run_id, WorkflowStatus.QUEUED, reason=WAITING_FOR_PLACE, now=now)


def hand_over(
    c: Connection, run_id: str, attempt: int, kept_results: int | None = None, *, keeps_result: bool = True
) -> bool:
    """Note that a run's attempt was handed over.

    Args:
        c: The transaction.
        run_id: The run.
        attempt: Which attempt.
        kept_results: How many equal runs had left a result when the cache was asked; none: whatever there is now.
        keeps_result: Whether it is going to leave a result, so that equal runs wait for it.

    Returns:
        False when it was handed over before, or is none (any more), and when an equal run is executed, or was since the
        cache was asked: that one's result may be taken.
    """
    run = runs.get_locked(c, run_id)
    if run.status not in _QUEUED or run.attempt != attempt or run.dispatched >= attempt:
        return False
    flight = flight_of(run)
    if flight is not None and (_is_executed(c, flight) or _was_executed(c, flight, kept_results)):
        return False
    runs.change(c, run, {"dispatched": attempt, "flight": (flight if keeps_result else None) or run.flight})
    return True


def _is_executed(c: Connection, flight: str) -> bool:
    """Whether an equal run is executed; of two that begin at the same time, the index refuses one."""
    return _in_flight.first(c, {"of_flight": flight}) is not None


def _was_executed(c: Connection, flight: str, kept_results: int | None) -> bool:
    """Whether an equal run, of whichever worker, has left a result since the cache was asked."""
    return kept_results is not None and cache.kept_results(c, flight) != kept_results


def take(
    c: Connection, run_id: str, attempt: int, *, worker_id: str, most_recoveries: int, now: datetime
) -> WorkflowRun | None:
    """Begin, or take up again, a run's attempt for a worker.

    Args:
        c: The transaction.
        run_id: The run.
        attempt: The attempt that was handed over.
        worker_id: Who executes it.
        most_recoveries: How often a run is taken up again before it is given up.
        now: The time.

    Returns:
        The run, now `preparing`; None when there is nothing to execute: it is over, was cancelled meanwhile, has
        another attempt, or was given up just now.
    """
    run = runs.get_locked(c, run_id)
    if run.status.is_terminal or run.attempt != attempt:
        return None
    if run.status is WorkflowStatus.CANCELLING:
        end_cancelled(c, run_id, now=now)
        return None
    if run.status in _INTERRUPTED:
        if run.recoveries >= most_recoveries:
            give_up(c, run, now=now)
            return None
        run = _take_up_again(c, run, now)
    also = {"worker_id": worker_id, "due_at": None, "dispatched": attempt}
    return runs.transition(c, run_id, WorkflowStatus.PREPARING, now=now, also=also)


def _take_up_again(c: Connection, run: WorkflowRun, now: datetime) -> WorkflowRun:
    reason = Reason(
        code="recovered",
        text=f"Its worker ended while it was {run.status}; it is taken up again.",
        details={"worker": run.worker_id, "recoveries": run.recoveries + 1},
    )
    also = {"recoveries": run.recoveries + 1}
    return runs.transition(c, run.id, WorkflowStatus.QUEUED, reason=reason, now=now, also=also)


def give_up(c: Connection, run: WorkflowRun, *, now: datetime) -> WorkflowRun:
    """Write that a run was interrupted too often."""
    reason = Reason(
        code="recovery_given_up",
        text=f"Given up after it was interrupted {run.recoveries + 1} times.",
        details={"recoveries": run.recoveries, "worker": run.worker_id},
    )
    end_steps(c, run.id, now=now)
    return runs.transition(c, run.id, WorkflowStatus.LOST, reason=reason, now=now)


def hand_back(c: Connection, run_id: str, *, now: datetime) -> WorkflowRun:
    """Write that a worker which stops gives a run up to whoever takes it next; one that is over stays as it is."""
    run = runs.get_locked(c, run_id)
    if run.status is WorkflowStatus.CANCELLING:
        return end_cancelled(c, run_id, now=now)
    if run.status not in _INTERRUPTED:
        return run
    reason = Reason(code="handed_back", text="Its worker was stopped; it goes on with the next one.")
    return runs.transition(c, run_id, WorkflowStatus.QUEUED, reason=reason, now=now)


def retry(c: Connection, run_id: str, *, reason: Reason, due_at: datetime, now: datetime) -> WorkflowRun:
    """Plan a run's next attempt; one whose end was asked for is cancelled instead."""
    run = runs.get_locked(c, run_id)
    if run.status is WorkflowStatus.CANCELLING:
        return end_cancelled(c, run_id, now=now)
    also = {"attempt": run.attempt + 1, "due_at": due_at}
    return runs.transition(c, run_id, WorkflowStatus.RETRYING, reason=reason, now=now, also=also)


def wish_cancelled(c: Connection, run_id: str, *, reason: Reason, actor: str, now: datetime) -> WorkflowRun:
    """Ask for a run's end: one that nobody executes yet ends at once, one that is over stays as it is."""
    run = runs.get_locked(c, run_id)
    if run.status.is_terminal or run.status is WorkflowStatus.CANCELLING:
        return run
    if WorkflowStatus.CANCELLED in TRANSITIONS[run.status]:
        return runs.transition(c, run_id, WorkflowStatus.CANCELLED, reason=reason, actor=actor, now=now)
    return runs.transition(c, run_id, WorkflowStatus.CANCELLING, reason=reason, actor=actor, now=now)


def end_cancelled(c: Connection, run_id: str, *, now: datetime) -> WorkflowRun:
    """Write that a run was stopped, from whatever state it is in; one that is over stays as it is."""
    run = runs.get_locked(c, run_id)
    if run.status.is_terminal:
        return run
    reason = run.reason if run.status is WorkflowStatus.CANCELLING else None
    reason = reason or Reason(code="stopped", text="The process that executed the run ended.")
    end_steps(c, run_id, now=now)
    if WorkflowStatus.CANCELLED not in TRANSITIONS[run.status]:
        runs.transition(c, run_id, WorkflowStatus.CANCELLING, reason=reason, now=now)
    return runs.transition(c, run_id, WorkflowStatus.CANCELLED, reason=reason, now=now)


def end(
    c: Connection, run_id: str, status: WorkflowStatus, *, reason: Reason | None, worker_id: str, now: datetime
) -> WorkflowRun:
    """Write how a run ended, and that its steps which are not over never will be.

    Raises:
        RunTaken: Another worker has the run.
        InvalidTransition: It cannot end so from the state that it is in.
    """
    end_steps(c, run_id, now=now)
    return runs.transition(c, run_id, status, reason=reason, now=now, worker_id=worker_id)


def end_steps(c: Connection, run_id: str, *, now: datetime) -> None:
    """Write that the steps of a run which are not over never will be: skipped if they had not begun, else cancelled."""
    reason = Reason(code="run_ended", text="Not run, because the run ended before.")
    for record in steps.of_run(c, run_id):
        if not record.status.is_terminal:
            status = StepStatus.SKIPPED if record.started_at is None else StepStatus.CANCELLED
            steps.change(c, record.evolve(status=status, error=reason.text), reason=reason, now=now)


def plan_steps(c: Connection, run: WorkflowRun, planned: tuple[StepRecord, ...]) -> tuple[StepRecord, ...]:
    """Store the records of a run's steps for an attempt; one that is taken up again keeps those it had.

    Returns:
        The records as they are stored now.
    """
    stored = steps.of_run(c, run.id)
    same = {record.step_id for record in stored} == {record.step_id for record in planned}
    if stored and same and all(record.attempt == run.attempt for record in stored):
        return stored
    return steps.plan(c, [record.evolve(attempt=run.attempt) for record in planned])


def _skipped(upstream: WorkflowRun, title: str) -> Reason:
    return Reason(
        code="upstream_failed",
        text=f"Not run, because task {title!r}, which it depends on, ended {upstream.status.replace('_', ' ')}.",
        details={"run": upstream.id, "task": upstream.task_id, "status": upstream.status},
    )

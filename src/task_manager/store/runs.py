"""Runs in the store; each change of a run is one transaction with its event."""

import statistics
from collections.abc import Collection, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, bindparam, case, func, select
from sqlalchemy import insert as insert_rows
from sqlalchemy import update as update_rows

from task_manager.errors import InvalidInput, RunTaken
from task_manager.models import Event, EventKind, WorkflowRun
from task_manager.store import events, tables
from task_manager.store.database import read_only
from task_manager.store.prepared import Prepared
from task_manager.store.records import Lock, RevisedTable
from task_manager.workflow_status import TASK_STATUS_OF_RUN, Reason, TaskStatus, WorkflowStatus, check_transition

ACTIVE: Final = frozenset(status for status in WorkflowStatus if not status.is_terminal)
"""The states of runs that are not over."""

_USUAL_AMONG: Final = 20
_STARTED: Final = frozenset({WorkflowStatus.PREPARING, WorkflowStatus.RUNNING})

_runs = RevisedTable("run", WorkflowRun, tables.runs, newest_first=True)
_columns = tables.runs.c
_tasks = tables.tasks
_steps = tables.steps.c
_latest = Prepared(
    select(tables.runs)
    .where(_columns.task_id == bindparam("of_task"))
    .order_by(_columns.id.desc())
    .limit(bindparam("most"))
)
_count_steps = Prepared(
    select(
        func.coalesce(func.sum(case((_steps.cached, 1), else_=0)), 0).label("steps_cached"),
        func.count(_steps.cached).label("steps_counted"),
    ).where(_steps.run_id == bindparam("of_run"))
)
# Both rows are locked, so that both are read as they are when the transaction's turn comes.
_with_task = Prepared(
    select(tables.runs, _tasks.c.status.label("task_status"))
    .join(_tasks, _tasks.c.id == _columns.task_id)
    .where(_columns.id == bindparam("known_id"))
    .with_for_update(key_share=True)
)
_change_task = Prepared(
    update_rows(_tasks)
    .where(_tasks.c.id == bindparam("known_id"))
    .values(status=bindparam("new_status"), updated_at=bindparam("now"), revision=_tasks.c.revision + 1)
)


def create(c: Connection, run: WorkflowRun, after: Collection[str] = ()) -> WorkflowRun:
    """Store a new run and the event that begins its log.

    Args:
        c: The transaction.
        run: The run.
        after: The runs that it waits for.

    Raises:
        InvalidInput: Its workflow, task or project, or a run that it waits for, does not exist.
    """
    _runs.insert(c, run)
    if after:
        rows = [{"run_id": run.id, "upstream_id": upstream} for upstream in dict.fromkeys(after)]
        c.execute(insert_rows(tables.run_dependencies), rows)
    events.append(c, _status_event(run, previous=None, actor=run.actor, time=run.created_at))
    return run


@read_only
def get(c: Connection, run_id: str) -> WorkflowRun:
    """The run of that id.

    Raises:
        NotFound: There is none.
    """
    return _runs.get(c, run_id)


def get_locked(c: Connection, run_id: str) -> WorkflowRun:
    """The run of that id, which nobody else changes until the transaction ends.

    Raises:
        NotFound: There is none.
    """
    return _runs.get(c, run_id, lock=Lock.CHANGE)


def change(c: Connection, run: WorkflowRun, changes: Mapping[str, Any]) -> WorkflowRun:
    """Store fields of a run that nobody is told of: no event is appended.

    Raises:
        Conflict: Somebody else changed it first.
    """
    return _runs.change(c, run, changes)


def found(c: Connection, query: Prepared, values: Mapping[str, Any]) -> tuple[WorkflowRun, ...]:
    """The runs that a query of whole rows finds."""
    return _runs.all(c, query, values)


def newest(c: Connection, condition: ColumnElement[bool], *, limit: int) -> tuple[WorkflowRun, ...]:
    """The newest runs that fulfil a condition, at most so many, newest first."""
    return _runs.all(c, _runs.matching().where(condition).order_by(_columns.id.desc()).limit(limit))


def update(c: Connection, run: WorkflowRun) -> WorkflowRun:
    """Store a changed run, with the revision that was read; return it with its new one.

    Its status changes by `transition` alone.

    Raises:
        Conflict: Somebody else changed it first.
        InvalidInput: Its status is not the stored one.
        NotFound: It is not there.
    """
    stored = _runs.get(c, run.id, lock=Lock.CHANGE)
    if stored.revision == run.revision and stored.status != run.status:
        raise InvalidInput(f"The status of run {run.id} is {stored.status}; only a transition changes it.")
    return _runs.update(c, run)


def transition(
    c: Connection,
    run_id: str,
    to: WorkflowStatus,
    *,
    reason: Reason | None = None,
    actor: str = "local",
    now: datetime,
    also: Mapping[str, Any] = MappingProxyType({}),
    expected_revision: int | None = None,
    worker_id: str | None = None,
) -> WorkflowRun:
    """Change a run's status, its times and its task's status, and append the event.

    Args:
        c: The transaction.
        run_id: The run.
        to: The state that it enters.
        reason: Why; it replaces the run's reason.
        actor: Who changes it.
        now: The time of the change.
        also: Valid values of other fields that change with it, by name.
        expected_revision: Refuse when the run has another one.
        worker_id: Refuse when another worker has the run: the one that had it was taken for dead.

    Returns:
        The changed run.

    Raises:
        Conflict: The run has another revision than the expected one.
        RunTaken: Another worker has it.
        InvalidTransition: The table does not allow it; nothing is changed.
        NotFound: There is no such run.
    """
    run, task_status = _find_with_task(c, run_id)
    if expected_revision is not None and run.revision != expected_revision:
        raise _runs.conflict(c, run_id, expected_revision)
    if worker_id is not None and run.worker_id != worker_id:
        raise RunTaken(
            f"Run {run_id} is not worker {worker_id}'s any more, but {run.worker_id}'s.",
            details={"run": run_id, "worker": worker_id, "found": run.worker_id},
        )
    check_transition(run.status, to, run_id=run_id)
    changes: dict[str, object] = {**also, "status": to, "reason": reason, "updated_at": now}
    if to in _STARTED and run.started_at is None:
        changes["started_at"] = now
    if to.is_terminal:
        changes |= _numbers(c, run, now)
    changed = _runs.change(c, run, changes)
    _follow(c, changed, task_status)
    events.append(c, _status_event(changed, previous=run.status, actor=actor, time=now))
    return changed


def warn(c: Connection, run_id: str, reason: Reason, now: datetime) -> WorkflowRun:
    """Add a warning to a run and append its event; the same text once.

    Returns:
        The run with the warning.

    Raises:
        NotFound: There is no such run.
    """
    run = _runs.get(c, run_id, lock=Lock.CHANGE)
    if reason.text in run.warnings:
        return run
    warned = _runs.change(c, run, {"warnings": (*run.warnings, reason.text), "updated_at": now})
    events.append(c, event_of(warned, EventKind.RUN_WARNING, reason=reason, time=now))
    return warned


@read_only
def upstream(c: Connection, run_id: str) -> tuple[WorkflowRun, ...]:
    """The runs that a run waits for, or waited for, oldest first."""
    dependencies = tables.run_dependencies.c
    wanted = select(dependencies.upstream_id).where(dependencies.run_id == run_id)
    return _runs.all(c, _runs.matching().where(_columns.id.in_(wanted)).order_by(_columns.id))


@read_only
def latest(c: Connection, task_id: str, *, status: WorkflowStatus | None = None) -> WorkflowRun | None:
    """The newest run of a task, or the newest in that status; None when there is none."""
    if status is None:
        return next(iter(_runs.all(c, _latest, {"of_task": task_id, "most": 1})), None)
    return _runs.first(c, _runs.matching(task_id=task_id, status=status).order_by(_columns.id.desc()))


@read_only
def latest_of_tasks(c: Connection, project_id: str) -> dict[str, WorkflowRun]:
    """The newest run of each task of a project that has any, by the task's id."""
    newest = select(func.max(_columns.id)).where(_columns.project_id == project_id).group_by(_columns.task_id)
    return {run.task_id: run for run in _runs.all(c, select(tables.runs).where(_columns.id.in_(newest)))}


@read_only
def usual_seconds(c: Connection) -> float | None:
    """How long the newest successful runs took, in the middle; None when there is none."""
    succeeded = _runs.matching(status=WorkflowStatus.SUCCEEDED).order_by(_columns.id.desc()).limit(_USUAL_AMONG)
    taken = [
        (run.finished_at - run.started_at).total_seconds()
        for run in _runs.all(c, succeeded)
        if run.started_at is not None and run.finished_at is not None
    ]
    return statistics.median(taken) if taken else None


@read_only
def active(
    c: Connection, *, project_id: str | None = None, task_ids: Collection[str] | None = None
) -> tuple[WorkflowRun, ...]:
    """The runs that are not over, of a project, of these tasks or of all, oldest first."""
    query = _runs.matching(project_id=project_id).where(_columns.status.in_(sorted(ACTIVE))).order_by(_columns.id)
    if task_ids is not None:
        query = query.where(_columns.task_id.in_(task_ids))
    return _runs.all(c, query)


@read_only
def ids(c: Connection, *, project_id: str | None = None, task_ids: Collection[str] | None = None) -> tuple[str, ...]:
    """The ids of the runs of a project, of these tasks or of all, oldest first."""
    query = _runs.matching(project_id=project_id).with_only_columns(_columns.id).order_by(_columns.id)
    return tuple(c.scalars(query if task_ids is None else query.where(_columns.task_id.in_(task_ids))))


def event_of(run: WorkflowRun, kind: EventKind, *, time: datetime, actor: str = "local", **fields: object) -> Event:
    """An event about a run, ready to be appended."""
    about = {"run_id": run.id, "task_id": run.task_id, "project_id": run.project_id, "attempt": run.attempt}
    return Event.model_validate({**about, "kind": kind, "time": time, "actor": actor, **fields})


def _status_event(run: WorkflowRun, *, previous: WorkflowStatus | None, actor: str, time: datetime) -> Event:
    return event_of(
        run, EventKind.RUN_STATUS, time=time, actor=actor, previous=previous, status=run.status, reason=run.reason
    )


def _numbers(c: Connection, run: WorkflowRun, end: datetime) -> dict[str, object]:
    """What is counted when a run ends."""
    seconds = None if run.started_at is None else (end - run.started_at).total_seconds()
    return {"finished_at": end, "seconds": seconds, "flight": None, **(_count_steps.first(c, {"of_run": run.id}) or {})}


def _find_with_task(c: Connection, run_id: str) -> tuple[WorkflowRun, str]:
    """A run that is going to change, and its task's status."""
    row = _with_task.first(c, {"known_id": run_id})
    if row is None:
        raise _runs.missing(c, run_id)
    task_status: str = row.pop("task_status")
    return _runs.record(row), task_status


def _follow(c: Connection, run: WorkflowRun, task_status: str) -> None:
    """Give the run's task the status that the table relates to the run's."""
    status: TaskStatus | None = TASK_STATUS_OF_RUN[run.status]
    if status is not None and status != task_status:
        _change_task.execute(c, {"known_id": run.task_id, "new_status": status.value, "now": run.updated_at})

"""Claims in the store: who works on which task, until when; and which task is ready for the next who asks."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, Connection, and_, case, delete, exists, insert, or_, select

from task_manager.models import Priority, TaskClaim
from task_manager.store import tables
from task_manager.store.database import read_only
from task_manager.store.records import RecordTable
from task_manager.workflow_status import TaskStatus

_claims = RecordTable("claim", TaskClaim, tables.task_claims, order=("task_id",))
_columns = tables.task_claims.c
_tasks = tables.tasks
_URGENCY: Final = {priority.value: place for place, priority in enumerate(reversed(Priority))}


@read_only
def of_task(c: Connection, task_id: str) -> TaskClaim | None:
    """The claim of a task, expired or not; None when it has none."""
    return _claims.first(c, _claims.matching(task_id=task_id))


@read_only
def of_tasks(c: Connection, task_ids: Collection[str]) -> dict[str, TaskClaim]:
    """The claims of those of these tasks that have one, by the task's id."""
    found = _claims.all(c, _claims.matching().where(_columns.task_id.in_(task_ids)))
    return {claim.task_id: claim for claim in found}


def put(c: Connection, claim: TaskClaim) -> TaskClaim:
    """Store a claim in place of the one that its task had before."""
    remove(c, claim.task_id)
    c.execute(insert(tables.task_claims), _claims.row(claim))
    return claim


def remove(c: Connection, task_id: str) -> None:
    """Remove the claim of a task, where it has one."""
    c.execute(delete(tables.task_claims).where(_columns.task_id == task_id))


def next_ready(
    c: Connection, *, now: datetime, project_id: str | None = None, labels: Collection[str] = ()
) -> str | None:
    """The id of the task that is to be done next, which nobody else gets until the transaction ends.

    It is to be done, or its claim has expired; all that it depends on is done; the most urgent first, then the oldest.

    Args:
        c: The transaction.
        now: The time.
        project_id: Of this project alone.
        labels: With all of these alone.
    """
    query = (
        select(_tasks.c.id, _tasks.c.labels)
        .outerjoin(tables.task_claims, _columns.task_id == _tasks.c.id)
        .where(_is_free(now), ~_waits())
        .order_by(case(_URGENCY, value=_tasks.c.priority), _tasks.c.id)
        .with_for_update(of=_tasks, skip_locked=True)
    )
    if project_id is not None:
        query = query.where(_tasks.c.project_id == project_id)
    if not labels:
        query = query.limit(1)
    found = (row.id for row in c.execute(query) if set(labels) <= set(row.labels))
    return next(found, None)


def _is_free(now: datetime) -> ColumnElement[bool]:
    expired = _columns.expires_at <= now
    return or_(
        and_(_tasks.c.status == TaskStatus.TODO.value, or_(_columns.task_id.is_(None), expired)),
        and_(_tasks.c.status == TaskStatus.IN_PROGRESS.value, expired),
    )


def _waits() -> ColumnElement[bool]:
    """Whether a task depends on one that is not done."""
    needed = _tasks.alias("needed")
    links = tables.task_dependencies.c
    return exists(
        select(needed.c.id)
        .join(tables.task_dependencies, links.depends_on == needed.c.id)
        .where(links.task_id == _tasks.c.id, needed.c.status != TaskStatus.DONE.value)
        .correlate(_tasks)
    )

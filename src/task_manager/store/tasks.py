"""Tasks in the store, with their dependencies."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, bindparam, func, select
from sqlalchemy import delete as delete_from
from sqlalchemy import insert as insert_into

from task_manager.models import Task
from task_manager.store import tables
from task_manager.store.database import read_only
from task_manager.store.paging import DEFAULT_LIMIT, MAX_LIMIT, Page
from task_manager.store.prepared import Prepared
from task_manager.store.records import Lock, NamedTable
from task_manager.workflow_status import TaskStatus

_links = tables.task_dependencies
_dependencies_of_one = Prepared(
    select(_links.c.depends_on).where(_links.c.task_id == bindparam("of_task")).order_by(_links.c.position)
)


class _TaskTable(NamedTable[Task]):
    """Tasks; their dependencies are in a table of their own."""

    def insert(self, c: Connection, record: Task) -> Task:
        super().insert(c, record)
        _link(c, record)
        return record

    def update(self, c: Connection, record: Task) -> Task:
        updated = super().update(c, record)
        c.execute(delete_from(_links).where(_links.c.task_id == record.id))
        _link(c, record)
        return updated

    def records(self, c: Connection, rows: Sequence[RowMapping | Mapping[str, Any]]) -> tuple[Task, ...]:
        if len(rows) == 1:
            needs = _dependencies_of_one.all(c, {"of_task": rows[0]["id"]})
            return (self.record(rows[0], dependencies=[link["depends_on"] for link in needs]),)
        found: list[Task] = []
        for start in range(0, len(rows), MAX_LIMIT):
            part = rows[start : start + MAX_LIMIT]
            needed = _dependencies(c, _links.c.task_id.in_([row["id"] for row in part]))
            found += [self.record(row, dependencies=needed[row["id"]]) for row in part]
        return tuple(found)


_tasks = _TaskTable("task", Task, tables.tasks, name="title")


def insert(c: Connection, task: Task) -> Task:
    """Store a new task.

    Raises:
        InvalidInput: Its project, phase or a dependency does not exist.
    """
    return _tasks.insert(c, task)


@read_only
def get(c: Connection, task_id: str) -> Task:
    """The task of that id.

    Raises:
        NotFound: There is none.
    """
    return _tasks.get(c, task_id)


@read_only
def find(c: Connection, id_or_title: str, project_id: str | None = None) -> Task:
    """The task of that id or title.

    Args:
        c: The transaction.
        id_or_title: What it is called.
        project_id: The project that it must belong to; none: any.

    Raises:
        NotFound: There is none; near misses are named.
        InvalidInput: Several tasks have that title; their ids are named.
    """
    return _tasks.find(c, id_or_title, project_id=project_id)


def lock(c: Connection, task_id: str, *, removal: bool = False) -> Task:
    """The task of that id, which nobody else changes or locks until the transaction ends.

    Args:
        c: The transaction.
        task_id: The id.
        removal: It is going to be removed: nobody adds anything to it either.

    Raises:
        NotFound: There is none.
    """
    return _tasks.get(c, task_id, lock=Lock.REMOVAL if removal else Lock.CHANGE)


def update(c: Connection, task: Task) -> Task:
    """Store a changed task, with the revision that was read; return it with its new one.

    Raises:
        Conflict: Somebody else changed it first.
        InvalidInput: Its phase or a dependency does not exist.
        NotFound: It is not there.
    """
    return _tasks.update(c, task)


def delete(c: Connection, task_id: str) -> None:
    """Remove a task with its workflows, runs and all that belongs to them; no task depends on it any more.

    Raises:
        NotFound: There is none.
    """
    _tasks.delete(c, task_id)


@read_only
def list_(
    c: Connection,
    *,
    project_id: str | None = None,
    phase_id: str | None = None,
    status: TaskStatus | None = None,
    limit: int = DEFAULT_LIMIT,
    cursor: str | None = None,
) -> Page[Task]:
    """A page of tasks, oldest first.

    Args:
        c: The transaction.
        project_id: Of this project alone.
        phase_id: Of this phase alone.
        status: In this status alone.
        limit: How many at most.
        cursor: The `next_cursor` of the page before.

    Raises:
        InvalidInput: The limit or the cursor cannot be used.
    """
    query = _tasks.matching(project_id=project_id, phase_id=phase_id, status=status)
    return _tasks.page(c, query, limit=limit, cursor=cursor)


@read_only
def of_project(
    c: Connection, project_id: str, *, phase_id: str | None = None, status: TaskStatus | None = None
) -> tuple[Task, ...]:
    """All tasks of a project, or of one of its phases, or in a status, oldest first."""
    query = _tasks.matching(project_id=project_id, phase_id=phase_id, status=status)
    return _tasks.all(c, query.order_by(tables.tasks.c.id))


@read_only
def count_by_status(c: Connection, project_id: str) -> dict[TaskStatus, int]:
    """How many tasks of a project are in each status; 0 for statuses without any."""
    columns = tables.tasks.c
    query = select(columns.status, func.count()).where(columns.project_id == project_id).group_by(columns.status)
    return dict.fromkeys(TaskStatus, 0) | {TaskStatus(status): count for status, count in c.execute(query)}


@read_only
def titles(c: Connection, task_ids: Collection[str]) -> dict[str, str]:
    """The titles of tasks, by their ids; those that are not there are left out."""
    columns = tables.tasks.c
    return {row.id: row.title for row in c.execute(select(columns.id, columns.title).where(columns.id.in_(task_ids)))}


@read_only
def edges(c: Connection, project_id: str) -> dict[str, tuple[str, ...]]:
    """The dependencies of each task of a project, as a graph for `task_manager.graph`."""
    ids = _tasks.matching(project_id=project_id).with_only_columns(tables.tasks.c.id)
    needed = _dependencies(c, _links.c.task_id.in_(ids))
    return {task_id: tuple(needed[task_id]) for task_id in c.scalars(ids.order_by(tables.tasks.c.id))}


@read_only
def dependents(c: Connection, task_ids: Collection[str]) -> tuple[Task, ...]:
    """The tasks that depend on one of these and are none of these, oldest first."""
    waiting = select(_links.c.task_id).where(_links.c.depends_on.in_(task_ids), _links.c.task_id.not_in(task_ids))
    return _tasks.all(c, select(tables.tasks).where(tables.tasks.c.id.in_(waiting)).order_by(tables.tasks.c.id))


def _dependencies(c: Connection, where: ColumnElement[bool]) -> defaultdict[str, list[str]]:
    """The dependencies of each task for which the condition holds, in their order."""
    links = select(_links.c.task_id, _links.c.depends_on).where(where)
    needed = defaultdict[str, list[str]](list)
    for task_id, depends_on in c.execute(links.order_by(_links.c.task_id, _links.c.position)):
        needed[task_id].append(depends_on)
    return needed


def _link(c: Connection, task: Task) -> None:
    links = [
        {"task_id": task.id, "depends_on": needed, "position": position}
        for position, needed in enumerate(task.dependencies)
    ]
    if links:
        c.execute(insert_into(_links), links)

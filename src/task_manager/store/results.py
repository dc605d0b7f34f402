"""Results in the store, as JSON-like data."""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Select, bindparam, delete, insert, select

from task_manager.pipeline import ResultType
from task_manager.results.conditions import MetricCondition
from task_manager.store import tables
from task_manager.store.database import read_only
from task_manager.store.paging import DEFAULT_LIMIT, Page, after, check_limit, encode_cursor
from task_manager.store.prepared import Prepared

_AT_ONCE: Final = 100

_columns = tables.results.c
_delete = Prepared(delete(tables.results).where(_columns.run_id == bindparam("of_run")))
_insert = Prepared(insert(tables.results).inline(), ["run_id", "data"])


def put(c: Connection, run_id: str, data: dict[str, Any]) -> None:
    """Store a run's result in place of its earlier one.

    Args:
        c: The transaction.
        run_id: The run.
        data: JSON-like data.

    Raises:
        InvalidInput: The run does not exist, or the data cannot be written as JSON (a NaN, for example).
    """
    _delete.execute(c, {"of_run": run_id})
    _insert.execute(c, {"run_id": run_id, "data": data})


@read_only
def get(c: Connection, run_id: str) -> dict[str, Any] | None:
    """A run's result; None when it has none."""
    return c.scalar(select(_columns.data).where(_columns.run_id == run_id))


@dataclass(frozen=True)
class ResultFilter:
    """Which results are meant; what is not given is not looked at.

    Attributes:
        project_id: Of runs of this project.
        task_id: Of runs of this task.
        result_type: Of this type.
        metric: Whose metric fits.
    """

    project_id: str | None = None
    task_id: str | None = None
    result_type: ResultType | None = None
    metric: MetricCondition | None = None


@read_only
def list_(
    c: Connection, where: ResultFilter, *, limit: int = DEFAULT_LIMIT, cursor: str | None = None
) -> Page[dict[str, Any]]:
    """A page of results, those of the newest runs first.

    Args:
        c: The transaction.
        where: Which.
        limit: How many at most.
        cursor: The `next_cursor` of the page before.

    Raises:
        InvalidInput: The limit or the cursor cannot be used.
    """
    check_limit(limit)
    found: list[tuple[str, dict[str, Any]]] = []
    query = after(_selected(where), cursor, [_columns.run_id], newest_first=True)
    # One more than asked for tells whether there is another page; metrics are looked at here, whatever the database.
    for run_id, data in c.execute(query.execution_options(yield_per=_AT_ONCE)):
        if where.metric is None or where.metric.fits(data.get("metrics", ())):
            found.append((run_id, data))
        if len(found) > limit:
            break
    items = tuple(data for _, data in found[:limit])
    return Page(items, encode_cursor([found[limit - 1][0]]) if len(found) > limit else None)


def _selected(where: ResultFilter) -> Select[Any]:
    runs, workflows = tables.runs.c, tables.workflows.c
    query = select(_columns.run_id, _columns.data).join(tables.runs, runs.id == _columns.run_id)
    if where.project_id is not None:
        query = query.where(runs.project_id == where.project_id)
    if where.task_id is not None:
        query = query.where(runs.task_id == where.task_id)
    if where.result_type is not None:
        query = query.join(tables.workflows, workflows.id == runs.workflow_id)
        query = query.where(workflows.result_type == where.result_type.value)
    return query

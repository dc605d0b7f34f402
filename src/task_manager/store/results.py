"""Results in the store, as JSON-like data, with an index of their metrics."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Select, bindparam, delete, insert, select

from task_manager.pipeline import ResultType
from task_manager.results.conditions import MetricCondition
from task_manager.store import tables
from task_manager.store.database import read_only
from task_manager.store.paging import DEFAULT_LIMIT, Page, after, check_limit, encode_cursor
from task_manager.store.prepared import Prepared

_LONGEST_NAME: Final = 200

_columns = tables.results.c
_data_of = select(_columns.data).where(_columns.run_id == bindparam("of_run"))
_metrics = tables.result_metrics.c
_delete = Prepared(delete(tables.results).where(_columns.run_id == bindparam("of_run")))
_insert = Prepared(insert(tables.results).inline(), ["run_id", "data"])
_delete_metrics = Prepared(delete(tables.result_metrics).where(_metrics.run_id == bindparam("of_run")))


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
    _delete_metrics.execute(c, {"of_run": run_id})
    measured = _measured(data.get("metrics", ()))
    if measured:
        rows = [{"run_id": run_id, "name": name, "value": value} for name, value in measured.items()]
        c.execute(insert(tables.result_metrics), rows)


def _measured(metrics: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """The values by the names that the index has for them; of a name the first counts."""
    found: dict[str, float] = {}
    for metric in metrics:
        found.setdefault(_indexed(metric["name"]), metric["value"])
    return found


def _indexed(name: str) -> str:
    """A metric's name as every database can hold and index it."""
    return name.encode("utf-8", "replace").decode().replace("\0", "?")[:_LONGEST_NAME]


@read_only
def get(c: Connection, run_id: str) -> dict[str, Any] | None:
    """A run's result; None when it has none."""
    return c.scalar(_data_of, {"of_run": run_id})


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
    query = after(_selected(where), cursor, [_columns.run_id], newest_first=True)
    # One more than asked for tells whether there is another page.
    found: Sequence[Any] = c.execute(query.limit(limit + 1)).all()
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
    if where.metric is not None:
        query = query.join(tables.result_metrics, _metrics.run_id == _columns.run_id)
        query = query.where(_metrics.name == _indexed(where.metric.name))
        if where.metric.compare is not None:
            query = query.where(where.metric.compare(_metrics.value, where.metric.value))
    return query

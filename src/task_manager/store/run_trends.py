"""How runs went over time. Nothing here writes."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from typing import Any

from sqlalchemy import Connection, case, func, select

from task_manager.errors import InvalidInput
from task_manager.models import WorkflowType
from task_manager.run_statistics import RunGroup, RunTrends, TrendGroup, trends_of
from task_manager.store import tables
from task_manager.store.database import read_only
from task_manager.store.run_queries import ALL, Collected, RunFilter, narrowed
from task_manager.workflow_status import WorkflowStatus

_columns = tables.runs.c
_records = tables.cache_records.c
_workflows = tables.workflows.c


@read_only
def trends(c: Connection, moments: Sequence[datetime], where: RunFilter = ALL) -> RunTrends:
    """How runs went, from each moment until the next.

    Args:
        c: The transaction.
        moments: At least two, ascending: runs that were made from the first until before the last are looked at.
        where: Which; its times are not looked at.

    Raises:
        InvalidInput: The moments are too few, have no time zone, or do not ascend.
    """
    if len(moments) < 2 or any(earlier >= later for earlier, later in pairwise(moments)):  # noqa: PLR2004
        raise InvalidInput("Two moments or more are needed, each later than the one before.")
    wanted = replace(where, since=moments[0], until=moments[-1])
    # Compared, not computed with: each database has functions of its own for times.
    period = case(*((_columns.created_at < until, place) for place, until in enumerate(moments[1:])), else_=-1)
    grouped = narrowed(
        select(
            period.label("period"),
            _columns.project_id,
            _columns.workflow_id,
            _columns.status,
            func.count().label("runs"),
            Collected(_columns.seconds).label("seconds"),
            func.coalesce(func.sum(_columns.steps_cached), 0).label("steps_cached"),
            func.coalesce(func.sum(_columns.steps_counted), 0).label("steps_counted"),
            func.coalesce(func.sum(_records.saved_seconds), 0.0).label("saved_seconds"),
        ).outerjoin(tables.cache_records, _records.run_id == _columns.id),
        wanted,
    ).group_by("period", _columns.project_id, _columns.workflow_id, _columns.status)
    groups = grouped.subquery()
    query = select(
        *(groups.c[name] for name in ("period", "project_id", "saved_seconds")),
        _workflows.template_id,
        _workflows.workflow_type,
        *(groups.c[name] for name in ("status", "runs", "seconds", "steps_cached", "steps_counted")),
    ).join(groups, groups.c.workflow_id == _workflows.id)
    return trends_of([_group(*row) for row in c.execute(query)], moments[:-1])


def _group(period: int, project_id: str, saved_seconds: float, *of_group: Any) -> TrendGroup:
    template_id, workflow_type, status, *numbers = of_group
    group = RunGroup(template_id, WorkflowType(workflow_type), WorkflowStatus(status), *numbers)
    return TrendGroup(period, project_id, saved_seconds, group)

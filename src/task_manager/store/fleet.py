"""Numbers about everything at once, for monitoring: runs, their durations, workers. Nothing here writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, case, func, select, text

from task_manager.models import WorkerState
from task_manager.store import migrations, run_queries, tables, workers
from task_manager.store.database import read_only
from task_manager.workflow_status import WorkflowStatus

_runs = tables.runs.c


@dataclass(frozen=True)
class FleetFigures:
    """How everything is at a moment.

    Attributes:
        by_status: How many runs are in each status; 0 for statuses without any.
        durations: For each bound that was asked for, how many runs took no longer.
        timed: How many runs have begun and ended.
        seconds: How long these took together.
        waiting_since: When the run was created that has been queued longest; none when none is queued.
        workers: How many workers are in each state.
        capacity: How many runs they execute at once.
    """

    by_status: dict[WorkflowStatus, int]
    durations: tuple[int, ...]
    timed: int
    seconds: float
    waiting_since: datetime | None
    workers: dict[WorkerState, int]
    capacity: int


@read_only
def figures(c: Connection, bounds: Sequence[float]) -> FleetFigures:
    """How everything is now.

    Args:
        c: The transaction.
        bounds: Seconds; runs are counted by them.
    """
    within = [func.coalesce(func.sum(case((_runs.seconds <= bound, 1), else_=0)), 0) for bound in bounds]
    *counted, timed, seconds = c.execute(
        select(*within, func.count(_runs.seconds), func.coalesce(func.sum(_runs.seconds), 0.0))
    ).one()
    oldest = select(_runs.created_at).where(_runs.status == WorkflowStatus.QUEUED.value).order_by(_runs.id).limit(1)
    known = workers.all_(c)
    return FleetFigures(
        by_status=run_queries.count_by_status(c),
        durations=tuple(counted),
        timed=timed,
        seconds=float(seconds),
        waiting_since=c.scalar(oldest),
        workers={state: sum(one.state is state for one in known) for state in WorkerState},
        capacity=sum(one.capacity for one in known),
    )


@read_only
def is_current(c: Connection) -> bool:
    """Whether the database has the version that this software knows; reads it, so the database answers, too."""
    found = c.scalar(text(f"SELECT version_num FROM {migrations.VERSION_TABLE}"))  # noqa: S608 - a constant
    return bool(found == migrations.HEAD)

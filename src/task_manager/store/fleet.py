"""Numbers about everything at once, for monitoring: runs, workers, hooks, schedules. Nothing here writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, case, func, select, text

from task_manager.hook_records import DeliveryState
from task_manager.models import WorkerState
from task_manager.store import migrations, run_queries, tables, workers
from task_manager.store.database import read_only
from task_manager.workflow_status import WorkflowStatus

_runs = tables.runs.c
_messages = tables.hook_deliveries.c
_schedules = tables.schedules.c


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
        messages: How many messages of hooks are in each state.
        unsent_since: When the message was noted that has been pending longest; none when none is pending.
        schedules: How many schedules are active, and how many are paused.
        next_due_at: The next due time of all schedules, in the past when nobody has looked; none without any.
    """

    by_status: dict[WorkflowStatus, int]
    durations: tuple[int, ...]
    timed: int
    seconds: float
    waiting_since: datetime | None
    workers: dict[WorkerState, int]
    capacity: int
    messages: dict[DeliveryState, int]
    unsent_since: datetime | None
    schedules: dict[str, int]
    next_due_at: datetime | None


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
    unsent = select(func.min(_messages.created_at)).where(_messages.state == DeliveryState.PENDING.value)
    active, schedules, due = c.execute(
        select(func.count(_schedules.next_due_at), func.count(), func.min(_schedules.next_due_at))
    ).one()
    return FleetFigures(
        by_status=run_queries.count_by_status(c),
        durations=tuple(counted),
        timed=timed,
        seconds=float(seconds),
        waiting_since=c.scalar(oldest),
        workers={state: sum(one.state is state for one in known) for state in WorkerState},
        capacity=sum(one.capacity for one in known),
        messages=_count_messages(c),
        unsent_since=c.scalar(unsent),
        schedules={"active": active, "paused": schedules - active},
        next_due_at=due,
    )


def _count_messages(c: Connection) -> dict[DeliveryState, int]:
    counted = select(_messages.state, func.count()).group_by(_messages.state)
    return dict.fromkeys(DeliveryState, 0) | {DeliveryState(state): count for state, count in c.execute(counted)}


@read_only
def is_current(c: Connection) -> bool:
    """Whether the database has the version that this software knows; reads it, so the database answers, too."""
    found = c.scalar(text(f"SELECT version_num FROM {migrations.VERSION_TABLE}"))  # noqa: S608 - a constant
    return bool(found == migrations.HEAD)

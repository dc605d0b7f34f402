"""What is to be done for a schedule at a moment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from task_manager.cron_times import CronTimes
from task_manager.schedule_records import MissedTimes, Schedule

ON_TIME: Final = timedelta(minutes=1)
"""A due time that is seen later than this was missed."""


@dataclass(frozen=True)
class Due:
    """That a schedule's time has come.

    Attributes:
        at: The last due time that has come.
        missed_since: The first of those before it that came since somebody looked; none: there were none.
        left_out: Why nothing is to be started; empty: something is.
        next: The next due time; none: there is none.
    """

    at: datetime
    missed_since: datetime | None
    left_out: str
    next: datetime | None


def due(schedule: Schedule, now: datetime) -> Due | None:
    """What has come since somebody looked at a schedule; None: nothing.

    Raises:
        InvalidInput: Its time zone is not known here.
    """
    first = schedule.next_due_at
    if first is None or first > now:
        return None
    times = CronTimes(schedule.cron, schedule.timezone)
    latest = times.latest(first, now)
    is_left_out = schedule.missed is MissedTimes.SKIP and now - latest > ON_TIME
    left_out = "It was missed: no server or worker was there." if is_left_out else ""
    return Due(latest, first if first < latest else None, left_out, times.after(latest))

"""When a cron expression is due in a time zone.

Five fields, as Debian's cron reads them, and `@hourly` to `@yearly`. Where clocks are changed, a time of day that is
left out is due at the next moment that there is, and one that comes twice is due the first time. An expression for
every hour is due by the time that passes, so that no hour is left out or taken for another.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from difflib import get_close_matches
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from cronsim import CronSim, CronSimError

from task_manager.errors import InvalidInput

LONGEST: Final = 200
"""How many characters an expression may have."""

_ALIASES: Final = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_REMEDY: Final = (
    'Write minute, hour, day of month, month and day of week, such as "30 6 * * 1-5" for 06:30 from Monday to Friday; '
    "or @hourly, @daily, @weekly, @monthly, @yearly."
)
_NO_SUCH_DAY: Final = "Bad day-of-month"
_FIELDS: Final = 5
_HOURS: Final = 24
_OF_THE_MACHINE: Final = frozenset({"localtime", "posixrules"})
_START: Final = datetime(2000, 1, 1, tzinfo=UTC)
_FIRST_LOOK: Final = timedelta(minutes=2)


class CronTimes:
    """The due times of an expression, in UTC.

    Args:
        cron: The expression.
        timezone: The IANA name of the zone whose clocks it is about.

    Raises:
        InvalidInput: The expression cannot be read or never comes, or there is no such zone.
    """

    def __init__(self, cron: str, timezone: str = "UTC") -> None:
        self._zone = _zone(timezone)
        self._expression = _read(cron)
        if self.after(_START) is None:
            raise _never(cron)

    def after(self, moment: datetime) -> datetime | None:
        """The first due time after a moment; None when there is none within 50 years."""
        return next(self._all_after(moment), None)

    def upcoming(self, moment: datetime, count: int) -> tuple[datetime, ...]:
        """The first so many due times after a moment."""
        return tuple(itertools.islice(self._all_after(moment), count))

    def latest(self, first: datetime, now: datetime) -> datetime:
        """The last due time that is not after now.

        Args:
            first: A due time that is not after now.
            now: The time.
        """
        look = _FIRST_LOOK
        while (start := now - look) > first:
            found = list(itertools.takewhile(lambda due: due <= now, self._all_after(start)))
            if found:
                return found[-1]
            look *= 2
        return max(itertools.takewhile(lambda due: due <= now, self._all_after(first)), default=first)

    def _all_after(self, moment: datetime) -> Iterator[datetime]:
        latest = moment
        # What comes twice by the clock may come up again.
        for due in CronSim(self._expression, moment.astimezone(self._zone)):
            universal = due.astimezone(UTC)
            if universal > latest:
                latest = universal
                yield universal


def _zone(name: str) -> tzinfo:
    if name == "UTC":
        return UTC
    try:
        if name not in _OF_THE_MACHINE:
            return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        pass  # no such file, or one that is none
    known = available_timezones() - _OF_THE_MACHINE
    lowered = {one.lower(): one for one in known}
    near = [lowered[one] for one in get_close_matches(name.lower()[:LONGEST], lowered, n=3)]
    raise InvalidInput(
        f"There is no time zone {name!r}.",
        remedy=f"Did you mean {', '.join(near)}?" if near else "Name one as Europe/Berlin, America/New_York or UTC.",
        details={"timezone": name, "near": near},
    )


def _read(cron: str) -> str:
    """The expression as it is counted with.

    CronSim takes a field that begins with a star for one that goes by the time that passes. Here that is what is due in
    every hour, however it is written, and nothing else.
    """
    text = _ALIASES.get(cron.strip().lower(), cron)
    fields = text.split()
    if len(text) > LONGEST:
        raise _unreadable(cron, f"it has more than {LONGEST} characters")
    if len(fields) != _FIELDS:
        raise _unreadable(cron, f"it has {len(fields)} fields, not {_FIELDS}")
    try:
        is_hourly = len(CronSim(text, _START).hours) == _HOURS
    except CronSimError as error:
        if str(error) == _NO_SUCH_DAY and _is_read(" ".join([*fields[:3], "*", fields[4]])):
            raise _never(cron) from error
        raise _unreadable(cron, str(error).lower()) from error
    minute, hour, *days = fields
    if is_hourly:
        return " ".join([minute, "*", *days])
    return " ".join([minute.replace("*", "0-59"), hour.replace("*", "0-23"), *days])


def _is_read(text: str) -> bool:
    try:
        CronSim(text, _START)
    except CronSimError:
        return False
    return True


def _unreadable(cron: str, problem: str) -> InvalidInput:
    return InvalidInput(
        f"The cron expression {cron[:LONGEST]!r} cannot be used: {problem}.",
        remedy=_REMEDY,
        details={"cron": cron[:LONGEST]},
    )


def _never(cron: str) -> InvalidInput:
    return InvalidInput(
        f"The cron expression {cron[:LONGEST]!r} never comes: its months do not have such a day.",
        remedy=_REMEDY,
        details={"cron": cron[:LONGEST]},
    )

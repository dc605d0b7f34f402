"""Moments as people write them."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from task_manager.errors import InvalidInput

_AGO = re.compile(r"(\d{1,9})\s*(s|min|h|d|w)")
_UNITS = {"s": "seconds", "min": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def moment(text: str, now: datetime) -> datetime:
    """The moment that a text names.

    Args:
        text: How long ago, such as `30min`, `2h`, `7d`; or a date, or a date with a time, as in ISO 8601. Without a
            zone it is the local time.
        now: The time.

    Raises:
        InvalidInput: It names none.
    """
    ago = _AGO.fullmatch(text.strip())
    try:
        if ago:
            return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        return datetime.fromisoformat(text.strip()).astimezone()
    except (ValueError, OverflowError) as error:
        raise InvalidInput(
            f"{text!r} is no moment.",
            remedy="Write a date (2026-03-14), a date with a time (2026-03-14T15:09), or how long ago: 30min, 2h, 7d.",
        ) from error

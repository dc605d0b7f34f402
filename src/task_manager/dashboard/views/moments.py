"""Moments and durations as pages tell them; the browser counts them on."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from task_manager.dashboard.views.tree import Node, h
from task_manager.models import WorkflowRun
from task_manager.results.wording import seconds_text

_UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"))


def ago_text(seconds: float) -> str:
    """How long ago something was: `now`, `12 s ago`, `3 min ago`, `2 d ago`."""
    for length, unit in _UNITS:
        if seconds >= length:
            return f"{int(seconds // length)} {unit} ago"
    return f"{int(seconds)} s ago" if seconds >= 1 else "now"


def ago(moment: datetime | None, now: datetime) -> Node:
    """How long ago a moment is, with the moment itself on hovering; a dash for none."""
    if moment is None:
        return h("span", "\u2013", class_="muted")
    text = ago_text(max((now - moment).total_seconds(), 0.0))
    return h("time", text, datetime=moment.isoformat(), title=f"{moment:%Y-%m-%d %H:%M:%S} UTC", data_ago="")


def clock(moment: datetime) -> Node:
    """A moment to the second, in UTC until the browser tells it by its own clock."""
    return h("time", f"{moment:%Y-%m-%d %H:%M:%S} UTC", datetime=moment.isoformat(), class_="num", data_clock="")


def elapsed(since: datetime, now: datetime) -> Node:
    """How long something has been going on; it goes on in the browser."""
    text = seconds_text((now - since).total_seconds())
    return h("span", text, class_="num", data_elapsed=since.isoformat())


def took(run: WorkflowRun, now: datetime) -> Node:
    """How long a run took, or has been going on."""
    if run.started_at and not run.finished_at:
        return elapsed(run.started_at, now)
    return duration(run.seconds)


def duration(seconds: float | None) -> Node:
    """How long something took; a dash when that is unknown."""
    return h("span", seconds_text(seconds) or "\u2013", class_="num" if seconds is not None else "num muted")

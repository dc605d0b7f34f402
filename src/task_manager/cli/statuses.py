"""How states look: one symbol and one colour for each."""

from __future__ import annotations

from datetime import datetime, timedelta

from rich.text import Text

_LOOKS = {
    "succeeded": ("✓", "green"),
    "done": ("✓", "green"),
    "started": ("✓", "green"),
    "failed": ("✗", "red"),
    "timed_out": ("✗", "red"),
    "lost": ("✗", "red"),
    "blocked": ("✗", "red"),
    "skipped": ("○", "yellow"),
    "cancelled": ("○", "yellow"),
    "cancelling": ("●", "yellow"),
    "preparing": ("●", "cyan"),
    "running": ("●", "cyan"),
    "processing": ("●", "cyan"),
    "retrying": ("●", "cyan"),
    "in_progress": ("●", "cyan"),
    "starting": ("●", "cyan"),
}
_WAITING = ("·", "dim")


def symbol(status: str) -> Text:
    """One character for a state of a run, step or task."""
    sign, style = _LOOKS.get(status, _WAITING)
    return Text(sign, style=style)


def status_text(status: str) -> Text:
    """A state's symbol and name."""
    sign, style = _LOOKS.get(status, _WAITING)
    return Text(f"{sign} {label(status)}", style=style)


def label(status: str) -> str:
    """A state's name for people."""
    return status.replace("_", " ")


def is_moving(status: str) -> bool:
    """Whether somebody works on what is in that state."""
    return _LOOKS.get(status, _WAITING)[0] == "●"


def moment_text(moment: datetime, now: datetime) -> str:
    """A moment in the local time zone: the time of a day within 12 hours from now, else the date."""
    recent = abs(now - moment) < timedelta(hours=12)
    return f"{moment.astimezone():%H:%M:%S}" if recent else f"{moment.astimezone():%Y-%m-%d}"

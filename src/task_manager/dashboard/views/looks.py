"""How states look: a tone, an icon and a name; never a colour alone."""

from __future__ import annotations

from typing import Final

from task_manager.dashboard.views.icons import icon
from task_manager.dashboard.views.tree import Node, h

GOOD: Final = "good"
BAD: Final = "bad"
ACTIVE: Final = "active"
WAITING: Final = "waiting"
STOPPED: Final = "stopped"
WARN: Final = "warn"

_TONES: Final = {
    "succeeded": GOOD,
    "done": GOOD,
    "failed": BAD,
    "timed_out": BAD,
    "lost": BAD,
    "blocked": BAD,
    "preparing": ACTIVE,
    "running": ACTIVE,
    "processing": ACTIVE,
    "retrying": ACTIVE,
    "in_progress": ACTIVE,
    "cancelling": WARN,
    "cancelled": STOPPED,
    "skipped": STOPPED,
}

_NAMES: Final = {"ml_training": "ML training"}
"""Names that have capitals of their own."""


def tone(status: str) -> str:
    """The tone of a state of a run, step or task: one of this module's constants."""
    return _TONES.get(status, WAITING)


def label(status: str) -> str:
    """A state's name for people."""
    return _NAMES.get(status) or status.replace("_", " ").replace("-", " ").capitalize()


def status(state: str, text: str | None = None) -> Node:
    """A state as icon and name, in its tone.

    Args:
        state: Of a run, step or task.
        text: In place of the name.
    """
    of = tone(state)
    return h("span", icon(of), h("span", text or label(state)), class_=f"status tone-{of}", data_status=state)


def chip(text: str, *, tone: str = STOPPED, icon_name: str | None = None) -> Node:
    """A short remark with a border."""
    drawn = icon(icon_name) if icon_name else None
    return h("span", drawn, h("span", text), class_=f"chip tone-{tone}")

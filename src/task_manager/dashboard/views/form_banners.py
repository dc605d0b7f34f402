"""What is said above a form's fields: what is wrong with the whole, and that somebody else was quicker."""

from __future__ import annotations

from collections.abc import Mapping

from task_manager.dashboard.views.forms import problem_banner
from task_manager.dashboard.views.icons import icon
from task_manager.dashboard.views.parameter_forms import WHOLE_FORM
from task_manager.dashboard.views.tree import Node, h
from task_manager.results.wording import counted

_MOST_SHOWN = 80


def banner(problems: Mapping[str, str]) -> Node | None:
    """What is wrong with the whole form, or that fields below are wrong; None when nothing is."""
    if not problems:
        return None
    whole = problems.get(WHOLE_FORM, "")
    below = counted(sum(name != WHOLE_FORM for name in problems), "field")
    return problem_banner(whole or f"Nothing was saved: {below} below cannot be used as given.")


def conflict(changed: Mapping[str, tuple[object, object]], labels: Mapping[str, str], reload: str) -> Node:
    """Somebody else has changed the record since the form was filled; what was typed is still there.

    Args:
        changed: The fields that changed, each with what it was and what it is.
        labels: The fields' names for people.
        reload: The address that shows the form with what is stored now.
    """
    lines = [
        h("li", h("strong", f"{labels.get(name, name)}: "), f"{_shown(was)} → {_shown(now)}")
        for name, (was, now) in changed.items()
    ]
    words = h(
        "div",
        h("strong", "Somebody else changed this while you were typing."),
        h("ul", *lines) if lines else h("p", "Its fields in this form are as they were."),
        h("p", "What you typed is kept below. Save once more to put it in place of that, or take what is there now."),
        h("a", "Discard mine and show theirs", href=reload, class_="button small"),
    )
    return h("div", icon("warn"), words, class_="banner tone-warn", role="alert", key="banner")


def _shown(value: object) -> str:
    text = (
        ", ".join(map(str, value)) if isinstance(value, list) else str(value if value not in (None, "") else "nothing")
    )
    return text if len(text) <= _MOST_SHOWN else f"{text[: _MOST_SHOWN - 1]}…"

"""The bar above a log: which step and stream, search, following, download."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from task_manager.dashboard.views.icons import icon
from task_manager.dashboard.views.parts import menu, search_field
from task_manager.dashboard.views.tree import Node, action, h
from task_manager.models import StepRecord
from task_manager.workflow_status import StepStatus

LOG_PATH: Final = "/_dashboard-logs"
"""Where whole logs are downloaded."""

STREAMS: Final = {"stdout": "Output", "stderr": "Errors"}
"""What a step writes to, with names for people."""

_ESCAPES: Final = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])|[\x00-\x08\x0b-\x1f\x7f]"
)


@dataclass(frozen=True)
class LogChoice:
    """What of a run's logs is shown.

    Attributes:
        step: The step's id; empty before there is any.
        stream: One of `STREAMS`.
        pattern: Only lines that it fits, in the syntax of RE2; empty: all.
    """

    step: str = ""
    stream: str = "stdout"
    pattern: str = ""


def plain(line: str) -> str:
    """A line without what is meant for terminals."""
    return _ESCAPES.sub("", line.rpartition("\r")[2] if "\r" in line.rstrip("\r") else line)


def first_choice(steps: Sequence[StepRecord], step: str) -> LogChoice:
    """What is shown at first: a step's log, by default of the one that failed, else of the last that has begun.

    Args:
        steps: The steps.
        step: The step that the address names; empty: none.
    """
    named = [one for one in steps if one.step_id == step]
    failed = [one for one in steps if one.status in (StepStatus.FAILED, StepStatus.TIMED_OUT)]
    begun = [one for one in steps if one.started_at is not None]
    found = next(iter([*named, *failed, *begun[-1:], *steps[:1]]), None)
    if found is None:
        return LogChoice()
    return LogChoice(found.step_id, "stderr" if found.stderr_tail and not found.stdout_tail else "stdout")


def bar(run_id: str, steps: Sequence[StepRecord], choice: LogChoice, *, following: bool) -> list[Node]:
    """Draw the bar.

    Args:
        run_id: The run.
        steps: Its steps.
        choice: What is shown.
        following: Whether the end stays in sight.
    """
    options = [(one.step_id, one.name or one.step_id) for one in steps]
    streams = [
        h(
            "button",
            name,
            type="button",
            aria_pressed="true" if stream == choice.stream else "false",
            on={"click": action("stream", stream=stream)},
        )
        for stream, name in STREAMS.items()
    ]
    hint = "Search (regular expression)"
    search = search_field("Search in the log", choice.pattern, action("search"), name="pattern", hint=hint)
    fetch = f"{LOG_PATH}/{quote(run_id)}/{quote(choice.step)}/{choice.stream}"
    return [
        h(
            "div",
            menu("Step", options, choice.step, action("step"), name="step"),
            h("span", *streams, class_="segments", role="group", aria_label="Stream"),
            h("span", icon("search"), search, class_="search"),
            h(
                "button",
                h("span", "Follow"),
                type="button",
                class_="button small",
                aria_pressed="true" if following else "false",
                on={"click": action("follow")},
            ),
            h("a", icon("download"), h("span", "Download"), href=fetch, download="", class_="button small"),
            class_="log-bar",
        )
    ]

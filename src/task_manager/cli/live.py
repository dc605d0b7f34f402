"""Live progress: a table that is redrawn in a terminal, one line for each change elsewhere."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from rich.console import Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from task_manager.cli.following import Follower, RunView
from task_manager.cli.output import Output
from task_manager.cli.statuses import is_moving, label, symbol
from task_manager.cli.terminal_text import Harmless
from task_manager.models import Event, EventKind, WorkflowRun, utc_now
from task_manager.results.wording import seconds_text
from task_manager.run_statistics import Progress
from task_manager.workflow_status import StepStatus, WorkflowStatus

_FRAMES_PER_SECOND = 12
_STATUS_WIDTH = 10  # so that columns do not jump when a state gets a longer name


class Display(Protocol):
    """What shows progress."""

    def __enter__(self) -> Display:
        """Begin to show."""

    def __exit__(self, *exception: object) -> None:
        """Leave the last state on the screen."""

    def changed(self, events: Sequence[Event]) -> None:
        """Show what happened; the follower's views are up to date."""


async def follow(follower: Follower, display: Display) -> tuple[RunView, ...]:
    """Show what runs do until all are over.

    Returns:
        The runs as they ended.
    """
    with display:
        async with contextlib.aclosing(follower.changes()) as changes:
            async for events in changes:
                display.changed(events)
    return tuple(follower.views.values())


def display_for(output: Output, follower: Follower) -> Display:
    """The display that fits where the output goes."""
    if output.json:
        return _Silence()
    return _Redrawn(output, follower) if output.live else _Lines(output, follower)


class _Silence:
    """Shows nothing."""

    def __enter__(self) -> Display:
        return self

    def __exit__(self, *exception: object) -> None:
        """Nothing was begun."""

    def changed(self, events: Sequence[Event]) -> None:
        """Nothing is shown."""


class _Redrawn:
    """A table that is redrawn several times a second, so that times run on between events."""

    def __init__(self, output: Output, follower: Follower) -> None:
        self._follower = follower
        self._spinner = Spinner("dots", style="cyan")
        self._live = Live(
            console=output.console,
            get_renderable=self._draw,
            refresh_per_second=_FRAMES_PER_SECOND,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __enter__(self) -> Display:
        self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._live.stop()

    def changed(self, events: Sequence[Event]) -> None:
        """The next frame shows it."""

    def _draw(self) -> RenderableType:
        return Harmless(progress_table(tuple(self._follower.views.values()), utc_now(), self._spinner))


class _Lines:
    """One line for each change of a run or step."""

    def __init__(self, output: Output, follower: Follower) -> None:
        self._output = output
        self._follower = follower
        self._began: datetime | None = None
        self._warned: set[str] = set()

    def __enter__(self) -> Display:
        return self

    def __exit__(self, *exception: object) -> None:
        """Every line is already written."""

    def changed(self, events: Sequence[Event]) -> None:
        for event in events:
            self._began = self._began or event.time
            text = event_text(event)
            if text and self._is_news(event):
                elapsed = (event.time - self._began).total_seconds()
                self._output.say(f"{elapsed:7.1f} s  {self._follower.views[event.run_id].title}: {text}")

    def _is_news(self, event: Event) -> bool:
        """False for a warning that another run had already, and for a start that its first step tells too."""
        if event.kind is not EventKind.RUN_WARNING or event.reason is None:
            return event.status is not WorkflowStatus.RUNNING
        known = event.reason.text in self._warned
        self._warned.add(event.reason.text)
        return not known


def event_text(event: Event) -> str:
    """What an event says, without whose it is; empty where it is of no interest to people."""
    reason = f" ({event.reason.text.rstrip('.')})" if event.reason and event.reason.text else ""
    if event.kind is EventKind.RUN_WARNING:
        return f"warning: {event.reason.text}" if event.reason else ""
    if event.kind is EventKind.STEP_STATUS and event.step_status is not None:
        return f"step {event.step_id} {label(event.step_status)}{reason}"
    if event.status in (None, WorkflowStatus.CREATED, WorkflowStatus.QUEUED, WorkflowStatus.PROCESSING):
        return ""
    return f"{label(event.status)}{reason}" if event.status else ""


def progress_table(views: Sequence[RunView], now: datetime, spinner: RenderableType) -> RenderableType:
    """What all runs do at a moment.

    Args:
        views: The runs.
        now: The moment.
        spinner: The symbol of what moves.
    """
    grid = Table.grid(padding=(0, 2, 0, 0), expand=True)
    grid.add_column(width=1)
    grid.add_column(no_wrap=True, overflow="ellipsis", max_width=36)
    grid.add_column(no_wrap=True, min_width=_STATUS_WIDTH)
    grid.add_column(no_wrap=True, justify="right", min_width=6)
    grid.add_column(no_wrap=True, overflow="ellipsis", style="dim", ratio=1)
    for view in views:
        status = view.run.status
        sign = spinner if is_moving(status) else symbol(status)
        style = "dim" if status in _NOT_BEGUN else ""
        grid.add_row(
            sign,
            Text(view.title, style=style),
            label(status),
            seconds_text(run_seconds(view.run, now)),
            _doing(view, views, now),
        )
    return Group(grid, Text(_summary(views, now), style="dim"))


_NOT_BEGUN = (WorkflowStatus.CREATED, WorkflowStatus.WAITING, WorkflowStatus.QUEUED)


def _doing(view: RunView, views: Sequence[RunView], now: datetime) -> str:
    if view.run.status is WorkflowStatus.WAITING:
        return _waits_for(view.run, views)
    if view.run.status.is_terminal or view.run.status in _NOT_BEGUN:
        return ""
    running = [step.name for step in view.steps if step.status is StepStatus.RUNNING]
    counted = steps_text(view.progress) if len(view.steps) > 1 and view.progress else ""
    return "  ".join(part for part in (counted, _left(view, now), ", ".join(running)) if part)


def _left(view: RunView, now: datetime) -> str:
    expected = view.progress.expected_seconds if view.progress else None
    elapsed = run_seconds(view.run, now)
    return "" if expected is None or elapsed is None else remaining_text(expected, max(expected - elapsed, 0.0))


def steps_text(progress: Progress) -> str:
    """How many steps are over, of how many; empty before they are planned."""
    return f"{progress.steps_done}/{progress.steps_total} steps" if progress.steps_total else ""


def remaining_text(expected: float, remaining: float | None) -> str:
    """What is left of the seconds that a run is expected to take; None: all, for it has not begun."""
    if remaining is None:
        return f"takes about {seconds_text(expected)}"
    return f"about {seconds_text(remaining)} left" if remaining else f"longer than the usual {seconds_text(expected)}"


def _waits_for(run: WorkflowRun, views: Sequence[RunView]) -> str:
    needed = run.reason.details.get("runs") if run.reason else None
    if not isinstance(needed, list):
        return ""
    titles = [view.title for view in views if view.run.id in needed and not view.run.status.is_terminal]
    return f"after {', '.join(titles)}" if titles else ""


def _summary(views: Sequence[RunView], now: datetime) -> str:
    over = sum(view.run.status.is_terminal for view in views)
    began = min(view.run.created_at for view in views)
    ended = max((view.run.finished_at or now) for view in views)
    return f"\n{over} of {len(views)} done, {seconds_text((ended - began).total_seconds())}"


def time_text(run: WorkflowRun) -> str:
    """How long a run has worked, or worked, for people; one that took an earlier result is called cached."""
    return "cached" if run.original_run_id else seconds_text(run_seconds(run, utc_now()))


def run_seconds(run: WorkflowRun, now: datetime | None = None) -> float | None:
    """How long a run has worked, or worked; none before it began.

    Args:
        run: The run.
        now: The time, for a run that is not over.
    """
    end = run.finished_at or now
    if run.started_at is None or end is None:
        return None
    return (end - run.started_at).total_seconds()

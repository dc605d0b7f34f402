"""The overview: what runs, what waits and why, what failed last, how runs went, what the cache saved, who executes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from task_manager.admission import DEAD_AFTER_SECONDS
from task_manager.application import Application
from task_manager.dashboard.views import frame, looks
from task_manager.dashboard.views.icons import icon
from task_manager.dashboard.views.moments import ago, duration, elapsed
from task_manager.dashboard.views.named_runs import NamedRun, named
from task_manager.dashboard.views.parts import card, empty, figure
from task_manager.dashboard.views.tree import Node, h
from task_manager.models import WorkerRecord, utc_now
from task_manager.queue_explanation import Wait
from task_manager.results.wording import counted, seconds_text
from task_manager.run_statistics import RunSummary
from task_manager.store import workers
from task_manager.store.run_queries import RunFilter
from task_manager.workflow_status import WorkflowStatus

DAYS: Final = 7
"""How far back the figures look."""

_MOST_ACTIVE: Final = 12
_MOST_LISTED: Final = 8
_FAILED: Final = frozenset({WorkflowStatus.FAILED, WorkflowStatus.TIMED_OUT, WorkflowStatus.LOST})


@dataclass(frozen=True)
class Overview:
    """What the overview shows.

    Attributes:
        active: Runs that are not over, in the order in which they start, with what they wait for.
        active_total: How many there are of them.
        failed: The last that failed.
        recent: The last runs of all.
        summary: Of the last days.
        cache_hits: How many runs the cache answered.
        cache_asked: Of how many.
        saved_seconds: What that saved.
        workers: Who executes.
        engine: What executes, and why this one; empty when it is not known.
    """

    now: datetime
    active: Sequence[tuple[NamedRun, Wait]]
    active_total: int
    failed: Sequence[NamedRun]
    recent: Sequence[NamedRun]
    summary: RunSummary
    cache_hits: int
    cache_asked: int
    saved_seconds: float
    workers: Sequence[WorkerRecord]
    engine: str = ""


async def load(application: Application, engine: str = "") -> Overview:
    """Find out what the overview shows."""
    now = utc_now()
    runs = application.runs
    waits = await (await application.workflows()).list_queue(limit=_MOST_ACTIVE)
    counts = await runs.count_by_status()
    failed = (await runs.list(RunFilter(statuses=_FAILED), limit=_MOST_LISTED)).items
    recent = (await runs.list(limit=_MOST_LISTED)).items
    figures = await application.cache.figures()
    active = await named(application, [wait.run for wait in waits])
    return Overview(
        now=now,
        active=list(zip(active, waits, strict=True)),
        active_total=sum(count for status, count in counts.items() if not status.is_terminal),
        failed=await named(application, failed),
        recent=await named(application, recent),
        summary=(await runs.statistics(RunFilter(since=now - timedelta(days=DAYS)))).total,
        cache_hits=figures.hits,
        cache_asked=figures.hits + sum(figures.misses.values()),
        saved_seconds=figures.saved_seconds,
        workers=await application.store.run(workers.all_),
        engine=engine,
    )


def draw(facts: Overview) -> list[Node]:
    """Draw the overview."""
    if not facts.recent:
        return [frame.heading("Overview"), _welcome(), _health(facts)]
    return [
        frame.heading("Overview"),
        _figures(facts),
        h(
            "div",
            h("div", _active(facts), _recent(facts), class_="column"),
            h("div", _failed(facts), _health(facts), class_="column"),
            class_="columns wide-left",
        ),
    ]


def _welcome() -> Node:
    text = "Create a project with a task and run it; what happens shows up here at once. Agents do the same over MCP."
    commands = (
        'task-manager project create "My project" --source .',
        "task-manager task create --help",
        "task-manager demo",
    )
    return h("section", empty("Nothing has run yet", text, *commands), class_="card", aria_label="First steps")


def _figures(facts: Overview) -> Node:
    summary = facts.summary
    rate = "\u2013" if summary.success_rate is None else f"{summary.success_rate:.0%}"
    failing = sum(summary.by_status.get(status.value, 0) for status in _FAILED)
    tone = "" if summary.success_rate is None else ("bad" if summary.success_rate < _WORRYING else "good")
    asked = f"{facts.cache_hits:,} of {counted(facts.cache_asked, 'run')} from the cache"
    period = f"last {DAYS} days"
    return h(
        "div",
        figure("Running and waiting", f"{facts.active_total:,}", note="now", href="/runs?status=active"),
        figure("Success rate", rate, note=f"{failing:,} failed, {period}", tone=tone, href="/runs?status=failed"),
        figure("Median duration", seconds_text(summary.p50_seconds) or "\u2013", note=_slow(summary)),
        figure("Saved by the cache", seconds_text(facts.saved_seconds) or "\u2013", note=asked),
        class_="figures",
    )


_WORRYING: Final = 0.8


def _slow(summary: RunSummary) -> str:
    slow = seconds_text(summary.p95_seconds)
    return f"95% within {slow}" if slow else "no finished runs yet"


def _active(facts: Overview) -> Node:
    if not facts.active:
        quiet = h("p", "Nothing runs or waits.", class_="quiet")
        return card("Running and waiting", quiet)
    lines = [_active_line(one, wait, facts.now) for one, wait in facts.active]
    rest = facts.active_total - len(facts.active)
    more = h("a", f"{rest:,} more" if rest > 0 else "All", href="/runs?status=active", class_="more")
    return card("Running and waiting", h("ul", *lines, class_="lines"), more=more)


def _active_line(one: NamedRun, wait: Wait, now: datetime) -> Node:
    run = one.run
    why = wait.reason.text if wait.reason else ""
    clock = elapsed(run.started_at, now) if run.started_at else ago(run.created_at, now)
    return run_line(one, why or one.project, clock)


def run_line(one: NamedRun, under: str, right: Node) -> Node:
    """A run in a list: status, task, a line below, a time.

    Args:
        one: The run.
        under: The line below its title.
        right: What is at the right.
    """
    state = looks.status(one.run.status.value)
    texts = h("span", h("strong", one.task), h("small", under), class_="line-text")
    return h(
        "li", h("a", texts, state, h("span", right, class_="line-time"), href=f"/runs/{one.run.id}"), key=one.run.id
    )


def _recent(facts: Overview) -> Node:
    lines = [_recent_line(one, facts.now) for one in facts.recent]
    more = h("a", "All runs", href="/runs", class_="more")
    return card("Latest runs", h("ul", *lines, class_="lines"), more=more)


def _recent_line(one: NamedRun, now: datetime) -> Node:
    by = f"{one.project} · {one.run.actor}"
    if one.run.original_run_id:
        by += " · from the cache"
    right = h("span", duration(one.run.seconds), h("small", ago(one.run.created_at, now)), class_="stack")
    return run_line(one, by, right)


def _failed(facts: Overview) -> Node:
    if not facts.failed:
        return card("Failed last", h("p", "No run has failed.", class_="quiet"))
    lines = [
        run_line(one, one.run.reason.text if one.run.reason else "", ago(one.run.finished_at, facts.now))
        for one in facts.failed
    ]
    more = h("a", "All", href="/runs?status=failed", class_="more")
    return card("Failed last", h("ul", *lines, class_="lines"), more=more)


def _health(facts: Overview) -> Node:
    alive = [one for one in facts.workers if (facts.now - one.seen_at).total_seconds() < DEAD_AFTER_SECONDS]
    lines = [_worker_line(one, alive=one in alive) for one in facts.workers]
    if not facts.workers:
        lines.append(_health_line("worker", "No worker", "One is started with the next run.", looks.WAITING, "Idle"))
    if facts.engine:
        name, _, why = facts.engine.partition(": ")
        lines.append(_health_line("plug", name, why, looks.GOOD, "Engine"))
    more = h("a", "Settings", href="/settings", class_="more")
    return card("Engine and workers", h("ul", *lines, class_="lines"), more=more)


def _worker_line(worker: WorkerRecord, *, alive: bool) -> Node:
    state = worker.state.value.capitalize() if alive else "Silent"
    under = f"{counted(worker.capacity, 'run')} at once · process {worker.pid} · version {worker.version}"
    tone = looks.GOOD if alive else looks.BAD
    return _health_line("worker", f"Worker on {worker.host}", under, tone, state)


def _health_line(drawing: str, title: str, under: str, tone: str, state: str) -> Node:
    texts = h("span", h("strong", title), h("small", under), class_="line-text")
    return h("li", h("div", icon(drawing, class_="lead"), texts, looks.chip(state, tone=tone), class_="line"))

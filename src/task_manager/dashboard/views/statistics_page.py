"""How runs went over time, by template and project: successes, durations, the cache, failures by class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Self
from urllib.parse import urlencode

from task_manager.application import Application
from task_manager.dashboard.views import charts, frame, looks
from task_manager.dashboard.views.charts import Series
from task_manager.dashboard.views.moments import duration
from task_manager.dashboard.views.parts import card, empty, figure, menu, table
from task_manager.dashboard.views.tree import Node, action, h
from task_manager.models import Project, utc_now
from task_manager.results.wording import counted, seconds_text
from task_manager.run_queries import MOST_FAILURES, FailureCounts
from task_manager.run_statistics import NamedSummary, Period, RunSummary, RunTrends
from task_manager.store.run_queries import RunFilter
from task_manager.workflow_status import WorkflowStatus

_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)
SPANS: Final = {1: (24, _HOUR), 7: (7, _DAY), 30: (30, _DAY), 90: (13, 7 * _DAY)}
"""What can be looked at, by its days: how many stretches of which length."""

_USUAL: Final = 30
_FAILED: Final = (WorkflowStatus.FAILED, WorkflowStatus.TIMED_OUT, WorkflowStatus.LOST)
_DASH: Final = "\u2013"


@dataclass(frozen=True)
class StatisticsView:
    """What is looked at; it is what the page's address says.

    Attributes:
        days: One of `SPANS`.
        project: The id of a project; empty: all.
        template: The id of a template; empty: all.
    """

    days: int = _USUAL
    project: str = ""
    template: str = ""

    @classmethod
    def of_query(cls, query: Mapping[str, str]) -> Self:
        """What an address asks for; a span that there is not is the usual one."""
        days = query.get("days", "")
        known = int(days) if days in {str(one) for one in SPANS} else _USUAL
        return cls(known, query.get("project", ""), query.get("template", ""))

    @property
    def address(self) -> str:
        """The part of the address that says it, from `?` on."""
        said = {"days": str(self.days), "project": self.project, "template": self.template}
        return "?" + urlencode({name: value for name, value in said.items() if value})


@dataclass(frozen=True)
class StatisticsFacts:
    """What the page shows.

    Attributes:
        projects: For the filter, and for their names.
        templates: The ids of the templates, for the filter.
    """

    trends: RunTrends
    failures: FailureCounts
    projects: Sequence[Project]
    templates: Sequence[str]


async def load(application: Application, view: StatisticsView) -> StatisticsFacts:
    """Find out what the page shows."""
    where = RunFilter(project_id=view.project or None, template_id=view.template or None)
    limits = moments(utc_now(), view.days)
    since = RunFilter(where.statuses, where.template_id, project_id=where.project_id, since=limits[0])
    return StatisticsFacts(
        await application.runs.trends(limits, where),
        await application.runs.failures(since),
        (await application.tasks.list_projects(limit=500)).items,
        [template.id for template in application.templates.list()],
    )


def moments(now: datetime, days: int) -> list[datetime]:
    """The limits of the stretches that are looked at, from whole hours or days; the last one is not over."""
    count, length = SPANS[days]
    unit = {"minute": 0, "second": 0, "microsecond": 0} | ({} if length == _HOUR else {"hour": 0})
    end = now.replace(**unit) + min(length, _DAY)  # type: ignore[arg-type]  # names of its parts
    return [end - length * number for number in range(count, -1, -1)]


def draw(facts: StatisticsFacts, view: StatisticsView) -> list[Node]:
    """Draw the page."""
    bar = h("div", _spans(view), _filters(facts, view), class_="toolbar")
    if not facts.trends.total.runs:
        text = "Numbers appear with the first run. Change the filters, or start something."
        nothing = empty("No runs in this time", text, "task-manager task run TASK", icon_name="statistics")
        return [frame.heading("Statistics"), bar, h("section", nothing, class_="card")]
    names = {project.id: project.name for project in facts.projects}
    return [
        frame.heading("Statistics"),
        bar,
        _figures(facts),
        h(
            "div",
            *_charts(facts, view),
            _by_kind("By project", "Project", facts.trends.by_project, names, "/projects/"),
            class_="columns",
        ),
        _by_kind("By template", "Template", facts.trends.by_template, {}, "/templates/"),
        _periods(facts.trends.periods, view),
    ]


def _spans(view: StatisticsView) -> Node:
    tabs = [
        h(
            "a",
            "24 hours" if days == 1 else f"{days} days",
            href=StatisticsView(days, view.project, view.template).address,
            data_action="",
            aria_current="true" if days == view.days else None,
            on={"click": action("look", field="days", value=str(days))},
        )
        for days in SPANS
    ]
    return h("nav", *tabs, class_="segments", aria_label="Time")


def _filters(facts: StatisticsFacts, view: StatisticsView) -> Node:
    projects = [("", "All projects"), *((one.id, one.name) for one in facts.projects)]
    templates = [("", "All templates"), *((one, one) for one in facts.templates)]
    return h(
        "div",
        menu("Project", projects, view.project, action("look", field="project")),
        menu("Template", templates, view.template, action("look", field="template")),
        class_="filters",
        role="search",
    )


def _figures(facts: StatisticsFacts) -> Node:
    total = facts.trends.total
    failed = _failed(total)
    return h(
        "div",
        figure("Runs", f"{total.runs:,}", note=f"{failed:,} failed"),
        figure("Success rate", _percent(total.success_rate)),
        figure("Median duration", seconds_text(total.p50_seconds) or _DASH, note=counted(total.timed_runs, "run")),
        figure("95 of 100 within", seconds_text(total.p95_seconds) or _DASH),
        figure("Cached steps", _percent(total.cached_share)),
        figure("Saved by the cache", _span(facts.trends.saved_seconds)),
        class_="figures",
    )


def _charts(facts: StatisticsFacts, view: StatisticsView) -> list[Node]:
    periods = facts.trends.periods
    places = [_place(period, view) for period in periods]
    good = [float(period.summary.by_status.get("succeeded", 0)) for period in periods]
    bad = [float(_failed(period.summary)) for period in periods]
    rest = [period.summary.runs - one - other for period, one, other in zip(periods, good, bad, strict=True)]
    parts = (("Succeeded", looks.GOOD, good), ("Failed", looks.BAD, bad), ("Others", "rest", rest))
    runs = charts.bars("Runs", places, [Series(name, tone, values) for name, tone, values in parts])
    p50 = Series("Median", looks.ACTIVE, [period.summary.p50_seconds for period in periods])
    p95 = Series("95 of 100 within", looks.WARN, [period.summary.p95_seconds for period in periods])
    share = Series("Cached steps", "accent", [period.summary.cached_share for period in periods])
    saved = Series("Saved", looks.GOOD, [period.saved_seconds for period in periods])
    return [
        _chart("Runs", runs),
        _chart("Durations", charts.lines("Durations", places, [p50, p95], _span)),
        _chart("Steps answered from earlier runs", charts.lines("Cached steps", places, [share], _percent)),
        _chart("Time saved by the cache", charts.bars("Time saved", places, [saved], _span)),
        _failures(facts.failures),
    ]


def _chart(title: str, drawn: Node) -> Node:
    return card(title, h("div", drawn, class_="card-body"))


def _failures(failures: FailureCounts) -> Node:
    if not failures.runs:
        return card("Failures by class", h("p", "Nothing failed in this time.", class_="quiet"))
    values = {looks.label(name): float(count) for name, count in failures.by_class.items()}
    drawn = charts.ranking("Failures by class", values, "{:,.0f}".format, tone=looks.BAD)
    note = (
        h("p", f"Of the newest {failures.runs:,} failures.", class_="help") if failures.runs >= MOST_FAILURES else None
    )
    return card("Failures by class", h("div", drawn, note, class_="card-body spaced"))


def _by_kind(title: str, kind: str, listed: Sequence[NamedSummary], names: Mapping[str, str], address: str) -> Node:
    rows = [
        h("tr", h("td", _kind(one.name, names, address)), *_numbers(one.summary), key=one.name or "") for one in listed
    ]
    return card(title, table(_heads(kind), rows, label=title))


def _kind(name: str | None, names: Mapping[str, str], address: str) -> Node:
    if name is None:
        return h("span", "Own definitions", class_="muted")
    return h("a", names.get(name, name), href=f"{address}{name}", class_="row-title")


def _periods(periods: Sequence[Period], view: StatisticsView) -> Node:
    rows = [
        h(
            "tr",
            h("td", _place(one, view)),
            *_numbers(one.summary),
            h("td", _span(one.saved_seconds), class_="num right"),
        )
        for one in reversed(periods)
    ]
    heads = [*_heads("From"), h("th", "Saved", scope="col", class_="right")]
    label = "Numbers over time"
    return h("details", h("summary", "The same as a table"), h("div", table(heads, rows, label=label), class_="card"))


def _heads(first: str) -> list[Node]:
    numbers = ("Runs", "Failed", "Success rate", "Median", "95 of 100", "Cached steps")
    return [h("th", first, scope="col"), *(h("th", one, scope="col", class_="right") for one in numbers)]


def _numbers(summary: RunSummary) -> list[Node]:
    shown: list[Node] = [
        f"{summary.runs:,}",
        f"{_failed(summary):,}",
        _percent(summary.success_rate),
        duration(summary.p50_seconds),
        duration(summary.p95_seconds),
        _percent(summary.cached_share),
    ]
    return [h("td", one, class_="num right") for one in shown]


def _place(period: Period, view: StatisticsView) -> str:
    return f"{period.since:%H:%M}" if view.days == 1 else f"{period.since:%b} {period.since.day}"


def _failed(summary: RunSummary) -> int:
    return sum(summary.by_status.get(status.value, 0) for status in _FAILED)


def _percent(share: float | None) -> str:
    return _DASH if share is None else f"{share:.0%}"


def _span(seconds: float) -> str:
    return seconds_text(seconds) if seconds else "0 s"

"""What came out of a run: tests, findings, metrics with curves, tables, packages, texts, artifacts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Final
from urllib.parse import quote

from pydantic import JsonValue

from task_manager.dashboard.views import looks
from task_manager.dashboard.views.icons import icon
from task_manager.dashboard.views.parts import empty, table
from task_manager.dashboard.views.step_pictures import curve
from task_manager.dashboard.views.tree import Node, action, h
from task_manager.models import Artifact
from task_manager.results.lint_reports import LintReport
from task_manager.results.packages import BuiltPackage
from task_manager.results.parts import Metric
from task_manager.results.schemas import (
    BuildResult,
    DaggerPipelineResult,
    DataProcessingResult,
    LintReportResult,
    MlTrainingResult,
    TestReportResult,
    WorkflowResult,
)
from task_manager.results.table_statistics import TableStatistics
from task_manager.results.test_reports import TestReport
from task_manager.results.wording import number_text, size_text

_MOST_ROWS: Final = 200
_LEVELS: Final = {"error": looks.BAD, "warning": looks.WARN, "note": looks.ACTIVE, "none": looks.STOPPED}


def draw(result: WorkflowResult | None) -> list[Node]:
    """Draw a result; none: there is none yet."""
    if result is None:
        return [empty("No result yet", "There is one once the run is over.", icon_name="file")]
    parts = [*_problems(result), *_typed(result), *_metrics(result.metrics), *_reports(result)]
    headline = h("p", result.headline, class_="headline") if result.headline else None
    return [h("div", headline, *parts, class_="card-body result")]


def _typed(result: WorkflowResult) -> Iterable[Node]:
    match result:
        case TestReportResult(tests=TestReport() as tests):
            yield from _tests(tests)
        case LintReportResult(lint=LintReport() as lint):
            yield from _lint(lint)
        case MlTrainingResult():
            if result.curves:
                drawn = [curve(name, result.curves.epochs, values) for name, values in result.curves.values.items()]
                yield _part("Curves", h("div", *drawn, class_="curves"))
            yield from _json("Facts", result.facts)
        case DataProcessingResult():
            yield from (_table(one) for one in result.tables)
        case BuildResult():
            yield from (_package(one) for one in result.packages)
        case DaggerPipelineResult():
            yield from _json("Value", result.value)
        case _:
            return


def _part(title: str, *children: Node | None) -> Node:
    return h("div", h("h3", title), *children, class_="part")


def _problems(result: WorkflowResult) -> Iterable[Node]:
    lines = [h("li", looks.status("failed", one.message)) for one in result.problems]
    if lines:
        yield _part("Reports that could not be read", h("ul", *lines))


def _tests(report: TestReport) -> Iterable[Node]:
    counts = (
        ("Passed", report.passed, looks.GOOD),
        ("Failed", report.failed, looks.BAD),
        ("Errors", report.errors, looks.BAD),
        ("Skipped", report.skipped, looks.STOPPED),
    )
    chips = [looks.chip(f"{count:,} {name.lower()}", tone=tone) for name, count, tone in counts if count]
    yield h("div", *chips, class_="row-line")
    shown = report.failures[:_MOST_ROWS]
    rows = [
        h(
            "details",
            h(
                "summary",
                icon("bad", class_="tone-bad"),
                h("strong", one.name),
                h("small", one.place),
                h("span", one.message, class_="test-message"),
            ),
            h("pre", one.details or one.message, class_="block", tabindex="0"),
            key=f"{one.suite}.{one.name}.{number}",
        )
        for number, one in enumerate(shown)
    ]
    if rows:
        yield _part("Tests that failed", h("div", *rows, class_="tests"))


def _lint(report: LintReport) -> Iterable[Node]:
    chips = [looks.chip(f"{count:,} {level}", tone=_LEVELS[level.value]) for level, count in report.by_level.items()]
    chips += [looks.chip(f"{rule}: {count:,}") for rule, count in list(report.by_rule.items())[:12]]
    if chips:
        yield h("div", *chips, class_="row-line")
    rows = [
        h(
            "tr",
            h("td", looks.chip(one.level.value, tone=_LEVELS[one.level.value])),
            h("td", h("code", one.rule)),
            h("td", h("code", one.place), class_="muted"),
            h("td", one.message),
        )
        for one in report.findings[:_MOST_ROWS]
    ]
    if rows:
        heads = [h("th", name) for name in ("Level", "Rule", "Place", "Finding")]
        yield _part("Findings", table(heads, rows, label="Findings"))
        if report.total > len(rows):
            yield h("p", f"{report.total - len(rows):,} more.", class_="muted")


def _metrics(metrics: Sequence[Metric]) -> Iterable[Node]:
    figures = [
        h("div", h("dt", one.name), h("dd", f"{number_text(one.value)} {one.unit}".strip(), class_="num"))
        for one in metrics[:_MOST_ROWS]
    ]
    if figures:
        yield _part("Metrics", h("dl", *figures, class_="facts metrics"))


def _table(of: TableStatistics) -> Node:
    heads = [h("th", name) for name in ("Column", "Type")]
    heads += [h("th", name, class_="right") for name in ("Filled", "Smallest", "Largest", "Mean")]
    rows = [
        h(
            "tr",
            h("td", h("strong", one.name)),
            h("td", one.type.value, class_="muted"),
            h("td", f"{one.filled:,}", class_="right num"),
            *(h("td", _number(value), class_="right num") for value in (one.minimum, one.maximum, one.mean)),
        )
        for one in of.columns[:_MOST_ROWS]
    ]
    return _part(of.headline, table(heads, rows, label=of.headline))


def _number(value: float | None) -> str:
    return "" if value is None else number_text(value)


def _package(one: BuiltPackage) -> Node:
    facts = f"{one.name} {one.version} · {size_text(one.size)} · {', '.join(one.tags)}"
    return h(
        "div", icon("file"), h("span", h("strong", one.file), h("small", facts), class_="line-text"), class_="line"
    )


def _reports(result: WorkflowResult) -> Iterable[Node]:
    yield from (part for name, value in result.data.items() for part in _json(name, value))
    for name, text in result.texts.items():
        yield _part(name, h("pre", text, class_="block", tabindex="0"))


def _json(name: str, value: JsonValue) -> Iterable[Node]:
    if value in (None, {}, []):
        return
    text = json.dumps(value, indent=2, ensure_ascii=False)
    yield h("details", h("summary", h("strong", name)), h("pre", text, class_="block", tabindex="0"), class_="part")


def artifacts(run_id: str, left: Sequence[Artifact], previews: dict[str, Node]) -> list[Node]:
    """What the run left, with links, and previews of those that were opened.

    Args:
        run_id: The run.
        left: What it left.
        previews: By name.
    """
    if not left:
        return [empty("No artifacts", "Outputs of steps that the pipeline names are kept here.", icon_name="file")]
    lines = []
    for one in left:
        lines.append(h("li", _artifact(run_id, one, opened=one.name in previews), key=one.name))
        if one.name in previews:
            lines.append(h("li", previews[one.name], class_="preview", key=f"{one.name} preview"))
    return [h("ul", *lines, class_="lines")]


def artifact_address(run_id: str, name: str) -> str:
    """Where an artifact is downloaded."""
    return f"/api/v1/runs/{run_id}/artifacts/{quote(name)}"


def _artifact(run_id: str, one: Artifact, *, opened: bool) -> Node:
    kind = "folder" if one.is_directory else one.media_type
    texts = h("span", h("strong", one.name), h("small", f"{size_text(one.size)} · {kind}"), class_="line-text")
    show = h(
        "button",
        h("span", "Close" if opened else "Preview"),
        type="button",
        class_="button small",
        aria_expanded="true" if opened else "false",
        aria_label=f"{'Close' if opened else 'Preview'} {one.name}",
        on={"click": action("preview", name=one.name)},
    )
    fetch = h(
        "a",
        icon("download"),
        h("span", "Download"),
        href=artifact_address(run_id, one.name),
        download="",
        class_="button small",
        title="All of it as a ZIP archive" if one.is_directory else None,
        aria_label=f"Download {one.name}",
    )
    parts = h("span", show, fetch, class_="row-line")
    return h("div", icon("folder" if one.is_directory else "file", class_="lead"), texts, parts, class_="line")

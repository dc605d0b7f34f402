"""Results as Markdown, to paste into an issue or a pull request."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from task_manager.results.schemas import LintReportResult, TestReportResult, WorkflowResult
from task_manager.results.wording import number_text, seconds_text, size_text

_MOST = 20
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~])")


def as_markdown(result: WorkflowResult) -> bytes:
    """A summary: how it ended, steps, metrics, what failed, artifacts."""
    return ("\n".join(_lines(result)).rstrip("\n") + "\n").encode("utf-8", "replace")


def _lines(result: WorkflowResult) -> Iterator[str]:
    yield f"## {as_text(result.headline or result.status.value)}"
    yield ""
    ended = f" in {seconds_text(result.seconds)}" if result.seconds is not None else ""
    yield f"Run `{result.run_id}` {result.status.value}{ended}, engine {as_text(result.engine or 'none')}."
    yield ""
    if result.diagnosis is not None and result.diagnosis.lines:
        yield from ("```text", *(line.replace("```", "'''") for line in result.diagnosis.lines), "```", "")
    yield from (f"- {as_text(one.message)}" for one in result.problems)
    yield from _failures(result)
    yield from table(
        ("Step", "Status", "Time"),
        [(one.id, one.status.value, seconds_text(one.seconds)) for one in result.steps],
    )
    yield from table(
        ("Metric", "Value", "Unit"), [(one.name, number_text(one.value), one.unit) for one in result.metrics]
    )
    yield from table(
        ("Artifact", "Size", "Digest"),
        [(one.name, size_text(one.size), one.digest[:19]) for one in result.artifacts],
    )
    yield from (f"> {as_text(warning)}" for warning in result.warnings)


def _failures(result: WorkflowResult) -> Iterator[str]:
    if isinstance(result, TestReportResult) and result.tests:
        yield from _first([f"- {as_text(one.name)}: {as_text(one.message)}" for one in result.tests.failures])
    if isinstance(result, LintReportResult) and result.lint:
        found = result.lint.findings
        yield from _first([f"- {as_text(one.place)} {as_text(one.rule)}: {as_text(one.message)}" for one in found])


def _first(lines: Sequence[str]) -> Iterator[str]:
    yield from lines[:_MOST]
    if len(lines) > _MOST:
        yield f"- … and {len(lines) - _MOST:,} more"
    if lines:
        yield ""


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """The lines of a table, with an empty one after it; none where there are no rows."""
    if rows:
        yield f"| {' | '.join(head)} |"
        yield f"|{'---|' * len(head)}"
        yield from (f"| {' | '.join(map(as_text, row))} |" for row in rows)
        yield ""


def as_text(text: str) -> str:
    """A text that means nothing but itself, on one line."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))

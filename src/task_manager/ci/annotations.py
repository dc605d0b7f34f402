"""Remarks beside the lines that they are about, as workflow commands of GitHub Actions.

The form is that of "Workflow commands for GitHub Actions": `::error file=NAME,line=N,col=N,title=TEXT::MESSAGE`, in
which `%`, line ends and, within a property, `:` and `,` are quoted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, Literal

from task_manager.ci.outcomes import Outcome, warnings_of
from task_manager.results.lint_reports import LintLevel
from task_manager.results.schemas import LintReportResult, TestReportResult
from task_manager.workflow_status import WorkflowStatus

Level = Literal["error", "warning", "notice"]

MOST_OF_A_LEVEL: Final = 10
"""How many of one level the service keeps of a step."""

_LEVELS: Final[Mapping[LintLevel, Level]] = {
    LintLevel.ERROR: "error",
    LintLevel.WARNING: "warning",
    LintLevel.NOTE: "notice",
    LintLevel.NONE: "notice",
}
_QUOTED: Final = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
_QUOTED_IN_PROPERTY: Final = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A", ":": "%3A", ",": "%2C"})


@dataclass(frozen=True)
class Annotation:
    """A remark.

    Attributes:
        file: Relative to the repository; none when it is about no file.
        line: Counted from 1.
        column: Counted from 1.
    """

    level: Level
    title: str
    message: str
    file: str | None = None
    line: int | None = None
    column: int | None = None

    @property
    def command(self) -> str:
        """The workflow command, on one line."""
        line = self.line if self.file else None
        places = {"file": self.file, "line": line, "col": self.column if line else None, "title": self.title}
        properties = ",".join(
            f"{name}={str(value).translate(_QUOTED_IN_PROPERTY)}" for name, value in places.items() if value
        )
        return f"::{self.level} {properties}::{self.message.translate(_QUOTED)}"


def annotations_of(outcomes: Sequence[Outcome]) -> list[Annotation]:
    """Remarks on all tasks, as many of each level as the service keeps: failed tasks come before single findings."""
    found = [*_of_tasks(outcomes), *(remark for one in outcomes for remark in _of_result(one))]
    found += [Annotation("warning", "Task manager", text) for text in warnings_of(outcomes)]
    levels: tuple[Level, ...] = ("error", "warning", "notice")
    return [
        remark for level in levels for remark in islice((one for one in found if one.level == level), MOST_OF_A_LEVEL)
    ]


def _of_tasks(outcomes: Sequence[Outcome]) -> Iterator[Annotation]:
    for one in outcomes:
        if not one.succeeded and one.run.status is not WorkflowStatus.SKIPPED:
            lines = one.diagnosis.lines if one.diagnosis else ()
            yield Annotation("error", f"{one.title} {one.run.status.value}", "\n".join([one.headline, *lines]))


def _of_result(one: Outcome) -> Iterator[Annotation]:
    if isinstance(one.result, TestReportResult) and one.result.tests:
        for test in one.result.tests.failures:
            file = one.place(test.file) if test.file else None
            yield Annotation("error", test.name, test.message or test.kind.value, file, test.line)
    if isinstance(one.result, LintReportResult) and one.result.lint:
        for found in one.result.lint.findings:
            file = one.place(found.file) if found.file else None
            title = found.rule or one.title
            yield Annotation(_LEVELS[found.level], title, found.message, file, found.line, found.column)

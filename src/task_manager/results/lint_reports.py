"""What code checkers found, whatever tool it was."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Final, Self

from pydantic import Field

from task_manager.results.parts import Metric, Part
from task_manager.results.wording import counted

_MAXIMUM_FINDINGS: Final = 5000


class LintLevel(StrEnum):
    """How serious a finding is (SARIF 2.1.0, 3.27.10)."""

    ERROR = "error"
    """A serious problem."""
    WARNING = "warning"
    """A problem."""
    NOTE = "note"
    """A minor problem, or a chance to improve."""
    NONE = "none"
    """Not a problem at all."""


class LintFinding(Part):
    """Something that a code checker found.

    Attributes:
        rule: The rule's id, such as `F401`; empty when the tool names none.
        file: Relative to the checked folder where the report allows it; none when it is about no file.
        line: Counted from 1.
        column: Counted from 1.
    """

    rule: str = ""
    level: LintLevel = LintLevel.WARNING
    message: str = ""
    file: str | None = None
    line: int | None = None
    column: int | None = None

    @property
    def place(self) -> str:
        """`src/a.py:3:1`, or what is known of it."""
        return ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)


class LintReport(Part):
    """What code checkers found.

    Attributes:
        tools: Their names, with versions where known.
        total: How many findings there are.
        by_rule: Each rule with its number of findings, the most frequent first.
        by_level: Each level that occurs with its number of findings.
        findings: In the order of the reports; fewer than `total` when there are very many.
    """

    tools: tuple[str, ...] = ()
    total: int = Field(0, ge=0)
    by_rule: dict[str, int] = Field(default_factory=dict)
    by_level: dict[LintLevel, int] = Field(default_factory=dict)
    findings: tuple[LintFinding, ...] = ()

    @property
    def headline(self) -> str:
        """`0 findings`, or `3 findings (2 errors, 1 note)`."""
        nouns = {LintLevel.NONE: "remark"}
        levels = [counted(count, nouns.get(level, level.value)) for level, count in self.by_level.items()]
        return counted(self.total, "finding") + (f" ({', '.join(levels)})" if levels else "")

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """How many findings, in all and by level."""
        levels = (Metric(name=f"findings.{level}", value=count) for level, count in self.by_level.items())
        return (Metric(name="findings", value=self.total), *levels)

    @classmethod
    def of(cls, findings: Iterable[LintFinding], tool: str) -> Self:
        """What one tool found; of very many findings the first 5,000 are kept with their places."""
        by_level: Counter[LintLevel] = Counter()
        by_rule: Counter[str] = Counter()
        kept: list[LintFinding] = []
        for finding in findings:
            by_level[finding.level] += 1
            by_rule[finding.rule or "(none)"] += 1
            if len(kept) < _MAXIMUM_FINDINGS:
                kept.append(finding)
        return cls(
            tools=(tool,) if tool else (),
            total=by_level.total(),
            by_rule=_most_frequent(by_rule),
            by_level={level: by_level[level] for level in LintLevel if by_level[level]},
            findings=tuple(kept),
        )

    @classmethod
    def joined(cls, reports: Iterable[Self]) -> Self:
        """Several reports as one."""
        several = tuple(reports)
        return cls(
            tools=tuple(dict.fromkeys(tool for report in several for tool in report.tools)),
            total=sum(report.total for report in several),
            by_rule=_most_frequent(_added(report.by_rule for report in several)),
            by_level={
                level: count
                for level in LintLevel
                if (count := sum(report.by_level.get(level, 0) for report in several))
            },
            findings=tuple(finding for report in several for finding in report.findings),
        )


def path_within(path: str, folder: str) -> str:
    """A file's path relative to the checked folder, if it lies in it; a leading `./` is left out."""
    plain = path.removeprefix("./")
    if folder and PurePosixPath(plain).is_relative_to(folder):
        return PurePosixPath(plain).relative_to(folder).as_posix()
    return plain


def _added(counts: Iterable[dict[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for count in counts:
        for name, number in count.items():
            total[name] = total.get(name, 0) + number
    return total


def _most_frequent(counts: dict[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))

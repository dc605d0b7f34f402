"""What reports say, whatever tool wrote them; each knows its headline and its metrics."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from task_manager.results.wording import counted, number_text, size_text


class Part(BaseModel):
    """A frozen part of a result; its numbers are finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Metric(Part):
    """A measured number.

    Attributes:
        unit: Such as `s` or `bytes`; empty for plain numbers.
    """

    name: str
    value: float
    unit: str = ""


# --- tests ---


class FailureKind(StrEnum):
    """How a test did not pass."""

    FAILURE = "failure"
    """It ran, and what it checks is not so."""
    ERROR = "error"
    """It could not be carried out."""


class FailedTest(Part):
    """A test that did not pass.

    Attributes:
        message: The first line of why.
        details: What the tool wrote about it, its end when it is long.
        file: Where it failed; none when the report does not tell.
        line: Counted from 1.
    """

    name: str
    suite: str = ""
    kind: FailureKind
    message: str = ""
    details: str = ""
    file: str | None = None
    line: int | None = None

    @property
    def place(self) -> str:
        """`tests/test_a.py:12`, or what is known of it."""
        if self.file is None:
            return self.suite
        return self.file if self.line is None else f"{self.file}:{self.line}"


class TestReport(Part):
    """How tests ended.

    Attributes:
        seconds: How long they took together.
        failures: The tests that failed, in the order of the report.
    """

    total: int = Field(0, ge=0)
    passed: int = Field(0, ge=0)
    failed: int = Field(0, ge=0)
    errors: int = Field(0, ge=0)
    skipped: int = Field(0, ge=0)
    seconds: float = Field(0, ge=0)
    failures: tuple[FailedTest, ...] = ()

    __test__: ClassVar[bool] = False  # pytest takes classes whose names begin with "Test" for tests

    @property
    def headline(self) -> str:
        """`12 passed, 1 failed in 0.8 s`."""
        if not self.total:
            return "no tests were run"
        counts = [f"{self.passed:,} passed"]
        counts += [f"{self.failed:,} failed"] if self.failed else []
        counts += [counted(self.errors, "error")] if self.errors else []
        counts += [f"{self.skipped:,} skipped"] if self.skipped else []
        return f"{', '.join(counts)} in {self.seconds:.1f} s"

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The counts and the seconds."""
        counts = {
            "tests": self.total,
            "passed": self.passed,
            "failed": self.failed,
            "errors": self.errors,
            "skipped": self.skipped,
        }
        numbers = (Metric(name=f"tests.{name}", value=value) for name, value in counts.items())
        return (*numbers, Metric(name="tests.seconds", value=self.seconds, unit="s"))

    @classmethod
    def joined(cls, reports: Iterable[Self]) -> Self:
        """Several reports as one."""
        several = tuple(reports)
        return cls(
            total=sum(report.total for report in several),
            passed=sum(report.passed for report in several),
            failed=sum(report.failed for report in several),
            errors=sum(report.errors for report in several),
            skipped=sum(report.skipped for report in several),
            seconds=sum(report.seconds for report in several),
            failures=tuple(failure for report in several for failure in report.failures),
        )


# --- findings of code checkers ---


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


def _added(counts: Iterable[dict[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for count in counts:
        for name, number in count.items():
            total[name] = total.get(name, 0) + number
    return total


def _most_frequent(counts: dict[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


# --- training ---

_MAIN_METRICS = ("accuracy", "test_accuracy", "validation_accuracy", "val_accuracy", "f1", "r2", "rmse", "mae", "loss")


class LearningCurves(Part):
    """Metrics per epoch.

    Attributes:
        epochs: The number of each epoch, in order.
        values: For each metric one value per epoch, none where an epoch does not tell.
    """

    epochs: tuple[int, ...] = ()
    values: dict[str, tuple[float | None, ...]] = Field(default_factory=dict)

    @property
    def headline(self) -> str:
        """`20 epochs`."""
        return counted(len(self.epochs), "epoch")

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """How many epochs, and each metric's last known value."""
        known = {name: [value for value in values if value is not None] for name, values in self.values.items()}
        last = (Metric(name=name, value=values[-1]) for name, values in known.items() if values)
        return (*last, Metric(name="epochs", value=len(self.epochs)))


class Measurements(Part):
    """What was measured at the end.

    Attributes:
        numbers: In the order of the report.
        facts: What is no number: names, settings.
    """

    numbers: tuple[Metric, ...] = ()
    facts: dict[str, JsonValue] = Field(default_factory=dict)

    @property
    def headline(self) -> str:
        """The first metrics: `accuracy 0.93, loss 0.2`."""
        return ", ".join(metric_text(metric) for metric in self.numbers[:3])

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """All of them."""
        return self.numbers


def main_metric(metrics: Iterable[Metric]) -> Metric | None:
    """The metric that says most about a model: by its usual names, else the first."""
    known = {metric.name: metric for metric in metrics}
    for name in _MAIN_METRICS:
        if name in known:
            return known[name]
    return next(iter(known.values()), None)


def metric_text(metric: Metric) -> str:
    """`accuracy 0.93`, `latency 12 ms`."""
    return f"{metric.name.replace('_', ' ')} {number_text(metric.value)}" + (f" {metric.unit}" if metric.unit else "")


# --- tables ---


class ColumnType(StrEnum):
    """What all filled cells of a column are."""

    NUMBER = "number"
    """Numbers."""
    TEXT = "text"
    """At least one that is no number."""
    EMPTY = "empty"
    """There are none."""


class ColumnStatistics(Part):
    """A column of a table.

    Attributes:
        filled: Cells that are not empty.
        minimum: Of numbers, as are `maximum` and `mean`.
    """

    name: str
    type: ColumnType
    filled: int = Field(ge=0)
    minimum: float | None = None
    maximum: float | None = None
    mean: float | None = None


class TableStatistics(Part):
    """A table.

    Attributes:
        artifact: Where it comes from.
        rows: Without the header.
    """

    artifact: str
    rows: int = Field(ge=0)
    columns: tuple[ColumnStatistics, ...] = ()

    @property
    def headline(self) -> str:
        """`312 rows, 5 columns`."""
        return f"{counted(self.rows, 'row')}, {counted(len(self.columns), 'column')}"

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """How many rows."""
        return (Metric(name=f"{self.artifact.rpartition('/')[2]}.rows", value=self.rows),)


# --- packages ---


class BuiltPackage(Part):
    """A wheel.

    Attributes:
        file: Its name.
        size: In bytes.
        digest: `sha256:…`.
        tags: What it runs on, such as `py3-none-any`.
    """

    artifact: str
    file: str
    name: str
    version: str
    size: int = Field(ge=0)
    digest: str
    requires_python: str = ""
    tags: tuple[str, ...] = ()

    @property
    def headline(self) -> str:
        """`textkit-0.1.0-py3-none-any.whl (9.1 kB)`."""
        return f"{self.file} ({size_text(self.size)})"

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """How large it is."""
        return (Metric(name=f"{self.name}.size", value=self.size, unit="bytes"),)

"""How tests ended, whatever tool ran them."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import ClassVar, Self

from pydantic import Field

from task_manager.results.parts import Metric, Part
from task_manager.results.wording import counted, seconds_text


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
        return f"{', '.join(counts)} in {seconds_text(self.seconds)}"

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

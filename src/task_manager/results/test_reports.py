"""How tests ended, whatever tool ran them."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from itertools import chain, islice
from math import isfinite
from typing import ClassVar, Final, Self

from pydantic import Field

from task_manager.results.parts import Metric, Part
from task_manager.results.wording import counted, seconds_text

MOST_OTHERS: Final = 2000
"""How many tests that did not fail a report names."""

LONGEST_NAME: Final = 200
"""Characters of a name or suite of a test that did not fail; longer ones are cut."""


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


class OtherTest(Part):
    """A test that passed or was skipped.

    Attributes:
        seconds: How long it took, as far as the report tells.
    """

    name: str
    suite: str = ""
    skipped: bool = False
    seconds: float = Field(0, ge=0)

    @classmethod
    def named(cls, name: str, suite: str, *, skipped: bool, seconds: float) -> Self:
        """The record of a test, its names not longer than they may be."""
        return cls(
            name=_shortened(name), suite=_shortened(suite), skipped=skipped, seconds=seconds if isfinite(seconds) else 0
        )


def _shortened(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"


class TestReport(Part):
    """How tests ended.

    Attributes:
        seconds: How long they took together.
        failures: The tests that failed, in the order of the report; at most 1,000 of each file.
        others: The tests that passed or were skipped, in the order of the report; at most 2,000.
    """

    total: int = Field(0, ge=0)
    passed: int = Field(0, ge=0)
    failed: int = Field(0, ge=0)
    errors: int = Field(0, ge=0)
    skipped: int = Field(0, ge=0)
    seconds: float = Field(0, ge=0)
    failures: tuple[FailedTest, ...] = ()
    others: tuple[OtherTest, ...] = ()

    __test__: ClassVar[bool] = False  # pytest takes classes whose names begin with "Test" for tests

    @property
    def unnamed(self) -> int:
        """How many tests are counted and not named."""
        return max(self.total - len(self.failures) - len(self.others), 0)

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
            others=tuple(islice(chain.from_iterable(report.others for report in several), MOST_OTHERS)),
        )

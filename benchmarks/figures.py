"""What a benchmark yields: a figure beside its goal."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum


class Bound(StrEnum):
    """Which side of its goal a figure should be on."""

    AT_MOST = "at most"
    AT_LEAST = "at least"


@dataclass(frozen=True)
class Goal:
    """What is promised of a figure."""

    bound: Bound
    value: float

    def is_met(self, value: float, *, slack: float = 1) -> bool:
        """Return whether a value keeps the promise, or misses it by no more than the factor `slack`."""
        if self.bound is Bound.AT_MOST:
            return value <= self.value * slack
        return value >= self.value / slack


@dataclass(frozen=True)
class Figure:
    """One result.

    Attributes:
        title: What was measured, for people.
        value: The result, in `unit`.
        unit: `x` for a ratio within the run, else a unit of time or a rate.
        goal: What the result should be.
        parts: What the result was computed from: names with their units, and values.
    """

    title: str
    value: float
    unit: str
    goal: Goal
    parts: Mapping[str, float] = field(default_factory=dict)

    def plain(self) -> dict[str, object]:
        """Return it as JSON takes it."""
        goal = {"bound": str(self.goal.bound), "value": self.goal.value}
        result = {"title": self.title, "value": self.value, "unit": self.unit, "goal": goal}
        return {**result, "met": self.goal.is_met(self.value), "parts": dict(self.parts)}

    def line(self) -> str:
        """Return it as a line of a table."""
        mark = "met" if self.goal.is_met(self.value) else "MISSED"
        parts = ", ".join(f"{name} {value:.3g}" for name, value in self.parts.items())
        goal = f"{self.goal.bound} {self.goal.value:g} {self.unit}"
        return f"{self.title:<52} {self.value:>8.3g} {self.unit:<4} goal: {goal:<16} {mark:<6}  {parts}"


def milliseconds(samples: Sequence[float]) -> float:
    """Return the median of durations, given in seconds, in milliseconds."""
    return statistics.median(samples) * 1000

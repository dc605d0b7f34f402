"""Conditions on the metrics of results, as people write them: `accuracy>0.9`."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from task_manager.errors import InvalidInput

_WRITTEN: Final = re.compile(r"\s*(?P<name>[^<>=!\s]+)\s*(?:(?P<sign><=|>=|!=|==|=|<|>)\s*(?P<value>\S+))?\s*")
_SIGNS: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
}


@dataclass(frozen=True)
class MetricCondition:
    """What a result's metric must be.

    Attributes:
        name: The metric's; a result without it does not fit.
        sign: One of `<`, `<=`, `>`, `>=`, `=`, `!=`; none: any value fits.
        value: What it is compared with.
    """

    name: str
    sign: str | None = None
    value: float = 0.0

    @classmethod
    def parse(cls, text: str) -> MetricCondition:
        """Read a condition.

        Args:
            text: `NAME`, or such as `accuracy>0.9`.

        Raises:
            InvalidInput: It is none.
        """
        match = _WRITTEN.fullmatch(text)
        value = _number(match["value"]) if match and match["value"] else 0.0
        if match is None or value is None:
            raise InvalidInput(
                f"{text!r} is no condition on a metric.",
                remedy="Write NAME, or such as 'accuracy>0.9' or 'findings=0'.",
            )
        return cls(match["name"], match["sign"], value)

    @property
    def compare(self) -> Callable[[Any, Any], Any] | None:
        """Compares a value, or a column of values, with another; none where any value fits."""
        return None if self.sign is None else _SIGNS[self.sign]


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None

"""What is in tables."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from task_manager.results.parts import Metric, Part
from task_manager.results.wording import counted


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

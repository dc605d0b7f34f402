"""What all parts of results have in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Part(BaseModel):
    """A frozen part of a result; its numbers are finite."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid", allow_inf_nan=False)


class Metric(Part):
    """A measured number.

    Attributes:
        unit: Such as `s` or `bytes`; empty for plain numbers.
    """

    name: str
    value: float
    unit: str = ""

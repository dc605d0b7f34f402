"""When a run that failed is tried again: `RetryPolicy`, and which failures it may be asked about."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from task_manager.errors import EngineCircuitOpen, EngineLost, RegistryUnreachable, StepTimedOut

RUN_TIMED_OUT: Final = "run_timed_out"
"""The code of the reason of a run that reached its own time limit."""


class RetryStrategy(StrEnum):
    """How long to wait before the next attempt."""

    NONE = "none"
    """There is no next attempt."""
    IMMEDIATE = "immediate"
    """Not at all."""
    FIXED = "fixed"
    """The same time before each."""
    EXPONENTIAL = "exponential"
    """Twice as long before each, with jitter, up to a maximum."""


class FailureClass(StrEnum):
    """Kinds of failures that another attempt may mend."""

    INFRASTRUCTURE = "infrastructure"
    """The engine went away, or a registry did not answer."""
    TIME_OUT = "time_out"
    """A step or the run took longer than its limit."""


_CLASSES: Mapping[str, FailureClass] = MappingProxyType(
    {
        EngineLost.code: FailureClass.INFRASTRUCTURE,
        EngineCircuitOpen.code: FailureClass.INFRASTRUCTURE,
        RegistryUnreachable.code: FailureClass.INFRASTRUCTURE,
        StepTimedOut.code: FailureClass.TIME_OUT,
        RUN_TIMED_OUT: FailureClass.TIME_OUT,
    }
)


def failure_class(code: str) -> FailureClass | None:
    """The class of a failure by its reason's code; None for one that another attempt would only repeat."""
    return _CLASSES.get(code)


_DAY: Final = 24 * 3600


def _separated(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


class RetryPolicy(BaseModel):
    """How often and when a run is tried again as a whole.

    Attributes:
        attempts: How many there are in all, the first included.
        delay: Seconds before the second attempt.
        maximum: Seconds between two attempts at most.
        on: The failures that lead to another attempt.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    strategy: RetryStrategy = Field(RetryStrategy.EXPONENTIAL, description="How long to wait before another attempt.")
    attempts: int = Field(3, ge=1, le=20, description="Attempts in all, the first included.")
    delay: float = Field(0.5, ge=0, le=_DAY, description="Seconds before the second attempt.")
    maximum: float = Field(60.0, ge=0, le=_DAY, description="Seconds between two attempts at most.")
    on: Annotated[tuple[FailureClass, ...], BeforeValidator(_separated)] = Field(
        (FailureClass.INFRASTRUCTURE,), description="The failures that lead to another attempt."
    )

    def delay_after(self, attempt: int, code: str, jitter: float) -> float | None:
        """Seconds until the next attempt; None when there is none.

        Args:
            attempt: The attempt that failed, from 1.
            code: The code of the reason why.
            jitter: Between 0 and 1; an exponential delay is shortened by up to half of it.
        """
        if self.strategy is RetryStrategy.NONE or attempt >= self.attempts or failure_class(code) not in self.on:
            return None
        if self.strategy is RetryStrategy.IMMEDIATE:
            return 0.0
        if self.strategy is RetryStrategy.FIXED:
            return min(self.delay, self.maximum)
        return min(self.delay * 2.0 ** (attempt - 1), self.maximum) * (1 - jitter / 2)

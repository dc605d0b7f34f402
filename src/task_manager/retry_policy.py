"""When a run that failed is tried again: `RetryPolicy`, and which failures it may be asked about."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from task_manager.failure_rules import Classification, FailureClass, Resource

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


class RetryCause(StrEnum):
    """Failures that another attempt may mend."""

    INFRASTRUCTURE = "infrastructure"
    """The engine went away, or a registry did not answer."""
    TRANSIENT = "transient"
    """The command met something that passes, such as a service that did not answer."""
    TIME_OUT = "time_out"
    """A step or the run took longer than its limit."""
    MEMORY = "memory"
    """The memory was not enough; in the next attempts each step runs alone on its worker, with all that there is."""
    DISK = "disk"
    """A disk is full; before the next attempt the embedded engine's cache is halved."""


_CAUSE_OF: Final = {
    Resource.TIME: RetryCause.TIME_OUT,
    Resource.MEMORY: RetryCause.MEMORY,
    Resource.DISK: RetryCause.DISK,
}


def retry_cause(failure: Classification) -> RetryCause | None:
    """Which of the causes a failure is; None for one that another attempt would only repeat."""
    if not failure.again:
        return None
    if failure.failure_class is FailureClass.RESOURCE:
        return _CAUSE_OF.get(failure.resource) if failure.resource else None
    is_infrastructure = failure.failure_class is FailureClass.INFRASTRUCTURE
    return RetryCause.INFRASTRUCTURE if is_infrastructure else RetryCause.TRANSIENT


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
        time_factor: How many times longer the time limits are in the attempt after a time-out.
    """

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid", allow_inf_nan=False)

    strategy: RetryStrategy = Field(RetryStrategy.EXPONENTIAL, description="How long to wait before another attempt.")
    attempts: int = Field(3, ge=1, le=20, description="Attempts in all, the first included.")
    delay: float = Field(0.5, ge=0, le=_DAY, description="Seconds before the second attempt.")
    maximum: float = Field(60.0, ge=0, le=_DAY, description="Seconds between two attempts at most.")
    on: Annotated[tuple[RetryCause, ...], BeforeValidator(_separated)] = Field(
        (RetryCause.INFRASTRUCTURE, RetryCause.TRANSIENT), description="The failures that lead to another attempt."
    )
    time_factor: float = Field(
        1.0,
        ge=1,
        le=100,
        description="How many times longer the time limits are in the attempt after a time-out; "
        "more than 1 leads to that attempt, whatever `on` says.",
    )

    def delay_after(self, attempt: int, failure: Classification, jitter: float) -> float | None:
        """Seconds until the next attempt; None when there is none.

        Args:
            attempt: The attempt that failed, from 1.
            failure: How it failed.
            jitter: Between 0 and 1; an exponential delay is shortened by up to half of it.
        """
        if self.strategy is RetryStrategy.NONE or attempt >= self.attempts or not self._answers(retry_cause(failure)):
            return None
        if self.strategy is RetryStrategy.IMMEDIATE:
            return 0.0
        if self.strategy is RetryStrategy.FIXED:
            return min(self.delay, self.maximum)
        return min(self.delay * 2.0 ** (attempt - 1), self.maximum) * (1 - jitter / 2)

    def _answers(self, cause: RetryCause | None) -> bool:
        return cause in self.on or (cause is RetryCause.TIME_OUT and self.time_factor > 1)

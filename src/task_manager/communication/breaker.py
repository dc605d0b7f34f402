"""The circuit breaker: holds calls back after repeated connection failures, then lets one opening try."""

from __future__ import annotations

import time
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING

from task_manager.errors import EngineCircuitOpen

# purgatory imports every store that it could keep its state in: only processes that call an engine pay for that.
if TYPE_CHECKING:
    from purgatory.domain.model import Context


class BreakerState(StrEnum):
    """What the circuit breaker does with calls."""

    CLOSED = "closed"
    """They pass."""
    OPEN = "open"
    """They are refused at once, until some time has passed."""
    HALF_OPEN = "half_open"
    """An engine is being tried; its answer closes the circuit, its failure opens it again."""


class CircuitBreaker:
    """Counts connection failures in a row.

    It is told what happened instead of watching calls: many calls that fail because one engine died are one failure,
    and a call that takes hours must not leave the circuit undecided for hours.

    Args:
        failures_to_open: Failures in a row after which calls are held back.
        seconds_open: How long they are.
    """

    def __init__(self, *, failures_to_open: int, seconds_open: float) -> None:
        self._failures_to_open = failures_to_open
        self._seconds_open = seconds_open

    @cached_property
    def _context(self) -> Context:
        from purgatory.domain.model import Context

        return Context("engine", self._failures_to_open, self._seconds_open)

    @property
    def state(self) -> BreakerState:
        """Closed, open or half-open."""
        from purgatory.domain.model import HALF_OPENED, OPENED

        names = {OPENED: BreakerState.OPEN, HALF_OPENED: BreakerState.HALF_OPEN}
        return names.get(self._context.state, BreakerState.CLOSED)

    def admit(self) -> None:
        """Let a call begin.

        Raises:
            EngineCircuitOpen: Calls are held back; `retry_in` in the details are the seconds until one is tried.
        """
        from purgatory.domain.model import OpenedState

        try:
            self._context.handle_new_request()
        except OpenedState as error:
            left = max(0.0, error.opened_at + self._seconds_open - time.time())
            raise EngineCircuitOpen(
                "The engine failed repeatedly; calls are held back for a while.",
                remedy=f"Try again in {max(left, 0.1):.1f} s, or see `task-manager engine doctor`.",
                details={"retry_in": left},
            ) from error

    def opened_session(self) -> None:
        """Note that an engine answered when a session was opened, which closes a circuit that is half open."""
        if self.state is BreakerState.HALF_OPEN:
            self.succeeded()

    def succeeded(self) -> None:
        """Note that a call went through: the failures in a row are over."""
        self._context.handle_end_request()
        self._context.messages.clear()

    def failed(self, error: Exception) -> None:
        """Note a connection failure."""
        self._context.handle_exception(error)
        self._context.messages.clear()

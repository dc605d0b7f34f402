"""What a worker asks of whatever carries attempts out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, Self


@dataclass(frozen=True)
class Attempt:
    """One attempt of a run.

    Attributes:
        number: From 1.
    """

    run_id: str
    number: int

    @property
    def key(self) -> str:
        """`RUN:NUMBER`, under which it is known; handing the same key over twice is harmless."""
        return f"{self.run_id}:{self.number}"

    @classmethod
    def parse(cls, key: str) -> Self:
        """The attempt of a key.

        Raises:
            ValueError: It is none.
        """
        run_id, _, number = key.rpartition(":")
        return cls(run_id, int(number))


CarryOut = Callable[[Attempt], Awaitable[None]]
"""Executes an attempt; it may be called again for one that was interrupted, never twice at the same time."""


class Orchestrator(Protocol):
    """Keeps attempts until they were carried out."""

    async def start(self, carry_out: CarryOut) -> None:
        """Begin, with the attempts that this place was interrupted in."""

    async def hand_over(self, attempt: Attempt) -> None:
        """Keep an attempt, and carry it out here; one that it has or had is left as it is."""

    async def unknown(self, attempts: Collection[Attempt]) -> Collection[Attempt]:
        """Those of the attempts that it does not have to carry out any more, or never had."""

    async def adopt(self, worker_id: str) -> int:
        """Take over the attempts of a worker that is gone; returns how many those are."""

    async def forget_ended(self, before: datetime) -> int:
        """Forget attempts that ended before a moment; returns how many those were."""

    async def stop(self) -> None:
        """End without waiting; attempts under way stay kept, where anything is kept beyond this process."""

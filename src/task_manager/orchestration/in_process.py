"""Attempts as tasks of the running event loop: nothing is kept beyond the process."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from datetime import datetime

from task_manager.orchestration.protocol import Attempt, CarryOut


class InProcessOrchestrator:
    """Carries each attempt out at once; who hands them over sees to it that there are not too many."""

    def __init__(self) -> None:
        self._carry_out: CarryOut | None = None
        self._tasks: dict[Attempt, asyncio.Task[None]] = {}

    async def start(self, carry_out: CarryOut) -> None:
        """Begin; there is nothing that was interrupted."""
        self._carry_out = carry_out

    async def hand_over(self, attempt: Attempt) -> None:
        """Start an attempt."""
        if self._carry_out is None or attempt in self._tasks:
            return
        task = asyncio.ensure_future(self._carry_out(attempt))
        self._tasks[attempt] = task
        task.add_done_callback(lambda _: self._tasks.pop(attempt, None))

    async def unknown(self, attempts: Collection[Attempt]) -> Collection[Attempt]:
        """Those that do not run."""
        return [attempt for attempt in attempts if attempt not in self._tasks]

    async def adopt(self, worker_id: str) -> int:
        """Nothing: what another process had is found in the store."""
        del worker_id
        return 0

    async def forget_ended(self, before: datetime) -> int:
        """Nothing: those that ended are not known any more."""
        del before
        return 0

    async def stop(self) -> None:
        """Cancel what runs, and wait for its end."""
        self._carry_out = None
        tasks = tuple(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

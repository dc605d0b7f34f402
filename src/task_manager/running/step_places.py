"""How many steps run at once in a process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager


class StepPlaces:
    """Places for steps; one step may have all of them, so that it runs alone.

    Args:
        count: How many there are.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._places = asyncio.Semaphore(count)
        # Of two that want all places, each would wait for what the other has.
        self._wants_all = asyncio.Lock()

    @asynccontextmanager
    async def taken(self, *, alone: bool = False) -> AsyncGenerator[None]:
        """A place, or all of them, as soon as it is free; those that wait come in turn."""
        async with AsyncExitStack() as stack:
            if alone:
                await stack.enter_async_context(self._wants_all)
            for _ in range(self._count if alone else 1):
                await stack.enter_async_context(self._places)
            yield

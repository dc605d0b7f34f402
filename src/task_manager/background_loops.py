"""Loops that go on beside whatever else a process does, and end with the tasks that they began."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine, Mapping


@contextlib.asynccontextmanager
async def running_beside(
    *loops: Coroutine[object, object, None], begun: Mapping[str, asyncio.Task[None]]
) -> AsyncIterator[None]:
    """Run loops as long as this is entered.

    Args:
        loops: What is run, each in a task of its own.
        begun: The tasks that the loops have begun; those that are there at the end are cancelled with the loops.
    """
    running = [asyncio.create_task(loop) for loop in loops]
    try:
        yield
    finally:
        tasks = [*running, *begun.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

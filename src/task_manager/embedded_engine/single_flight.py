"""Work that is asked for several times at once and done once."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

Result = TypeVar("Result")


@dataclass
class _Flight:
    task: asyncio.Task[Any]
    waiters: int = 0


class SingleFlight:
    """Runs one task per key; when the last who waits goes away, the task is cancelled."""

    def __init__(self) -> None:
        self._flights: dict[str, _Flight] = {}

    async def run(self, key: str, work: Callable[[], Awaitable[Result]]) -> Result:
        """Return the result of the work under way for `key`, or start it.

        Raises:
            Exception: What the work raises, to everybody who waits.
        """
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = _Flight(asyncio.ensure_future(_as_coroutine(work)))
            flight.task.add_done_callback(lambda _: self._forget(key, flight))
        flight.waiters += 1
        try:
            result: Result = await asyncio.shield(flight.task)
        finally:
            flight.waiters -= 1
            if flight.waiters == 0 and not flight.task.done():
                # Whoever asks from now on gets work of their own, not what is being torn down.
                self._forget(key, flight)
                flight.task.cancel()
                await asyncio.wait([flight.task])
        return result

    def _forget(self, key: str, flight: "_Flight | None") -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]


async def _as_coroutine(work: Callable[[], Awaitable[Result]]) -> Result:
    return await work()

"""What happens, told to all open pages: the event log is heard once, put together, and passed on."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Any, Final, TypeVar, cast

from nicegui import Event as Signal

from task_manager.errors import TaskManagerError
from task_manager.event_broadcast import EventBroadcast, Listener
from task_manager.models import Event
from task_manager.structured_log import get_logger

log = get_logger(__name__)

TOGETHER_SECONDS: Final = 0.1
"""What happens within this time is told at once."""

QUIET_SECONDS: Final = 5.0
"""While nothing happens, pages look this often after what no event tells: whether workers are alive."""

_AGAIN_SECONDS: Final = 1.0
_MOST_SHARED: Final = 200

T = TypeVar("T")


@dataclass(frozen=True)
class Batch:
    """What happened of late.

    Attributes:
        runs: The latest event of each run, by the run's id; none when something else was written, or time has passed.
        projects: Whose runs these are.
    """

    runs: dict[str, Event]
    projects: frozenset[str]


class Live:
    """Hears the event log as long as it is open.

    Args:
        broadcast: The event log.
    """

    def __init__(self, broadcast: EventBroadcast) -> None:
        self._broadcast = broadcast
        self._generation = 0
        self._shared: dict[Hashable, tuple[int, asyncio.Task[Any]]] = {}
        self.happened: Signal[Batch] = Signal()

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Hear, and tell."""
        hearing = asyncio.create_task(self._hear(), name="dashboard events")
        try:
            yield
        finally:
            hearing.cancel()
            await asyncio.wait([hearing])

    async def shared(self, key: Hashable, load: Callable[[], Awaitable[T]]) -> T:
        """Facts that many pages show, found out once until something happens.

        Args:
            key: What they are.
            load: Finds them out.
        """
        known = self._shared.get(key)
        if known is None or known[0] != self._generation or _failed(known[1]):
            if len(self._shared) >= _MOST_SHARED:
                self._shared = {key: one for key, one in self._shared.items() if one[0] == self._generation}
            known = self._generation, asyncio.ensure_future(_awaited(load))
            self._shared[key] = known
        # Whoever goes away does not take the answer from the others.
        return cast("T", await asyncio.shield(known[1]))

    def forget(self) -> None:
        """What is shared is found out anew the next time."""
        self._generation += 1

    async def _hear(self) -> None:
        while True:
            try:
                async with self._broadcast.listening(changes=True) as listener:
                    await self._tell_all(listener)
            except TaskManagerError as error:
                log.warning("dashboard_events_interrupted", error=str(error))
            await asyncio.sleep(_AGAIN_SECONDS)

    async def _tell_all(self, listener: Listener) -> None:
        self._tell(())  # What happened before it listened is not missed.
        while (page := await listener.next(QUIET_SECONDS)) is not None:
            await asyncio.sleep(TOGETHER_SECONDS)
            self._tell(page + (await listener.next(0) or ()))

    def _tell(self, events: tuple[Event, ...]) -> None:
        self.forget()
        batch = Batch({event.run_id: event for event in events}, frozenset(event.project_id for event in events))
        self.happened.emit(batch)


async def _awaited(load: Callable[[], Awaitable[T]]) -> T:
    return await load()


def _failed(task: asyncio.Task[Any]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)

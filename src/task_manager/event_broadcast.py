"""The event log for many listeners of one process: the log is read once, whoever listens gets what concerns it."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator
from typing import Final

from task_manager.errors import InvalidInput, TaskManagerError
from task_manager.models import Event
from task_manager.store import Store, events, projects, runs
from task_manager.structured_log import get_logger

log = get_logger(__name__)

MOST_WAITING: Final = 500
"""Events that are kept for a listener which does not take them; one that falls further behind reads the log again."""


class Listener:
    """One who listens, from `EventBroadcast.listening`.

    Args:
        store: Where the log is.
        after: The last sequence number that it has.
        run_id: It hears of this run alone.
        project_id: It hears of this project alone.
        changes: It also hears that something else was written, though not what.
    """

    def __init__(
        self, store: Store, after: int, run_id: str | None, project_id: str | None, *, changes: bool = False
    ) -> None:
        self._store = store
        self._after = after
        self._run_id = run_id
        self._project_id = project_id
        self._waiting: deque[Event] = deque()
        self._woken = asyncio.Event()
        self._changes = changes
        self._behind = True
        self._ended = False

    async def next(self, timeout: float) -> tuple[Event, ...] | None:
        """The events that follow those it has, in order, without a gap.

        Args:
            timeout: Seconds after which nothing is returned when nothing has happened.

        Returns:
            One or more events; none after the time, or when something else was written; None when there will be no
            more.

        Raises:
            StoreError: The log cannot be read.
        """
        if self._behind and (page := await self._read_log()):
            return page
        if not self._waiting and not self._ended:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    await self._woken.wait()
        self._woken.clear()
        if self._behind:
            return await self._read_log()
        if self._waiting:
            return self._take()
        return None if self._ended else ()

    def offer(self, page: tuple[Event, ...]) -> None:
        """Hear of events; those that do not concern it are left out. Without any: something else was written."""
        if self._changes and not page:
            self._woken.set()
        if self._behind:
            return
        mine = [event for event in page if self._concerns(event)]
        if not mine:
            return
        if len(self._waiting) + len(mine) > MOST_WAITING:
            self._waiting.clear()
            self._behind = True
        else:
            self._waiting.extend(mine)
        self._woken.set()

    def end(self) -> None:
        """Hear nothing any more."""
        self._ended = True
        self._woken.set()

    def _concerns(self, event: Event) -> bool:
        return self._run_id in (None, event.run_id) and self._project_id in (None, event.project_id)

    async def _read_log(self) -> tuple[Event, ...]:
        # From here on it is offered what is appended; what was appended before is in the page, or in the next ones.
        self._behind = False
        try:
            page = await self._store.run(
                events.after, self._after, run_id=self._run_id, project_id=self._project_id, limit=MOST_WAITING
            )
        except BaseException:
            self._behind = True
            raise
        if len(page) == MOST_WAITING:
            self._behind = True
            self._waiting.clear()
        return self._had(page)

    def _take(self) -> tuple[Event, ...]:
        page = tuple(event for event in self._waiting if event.sequence > self._after)
        self._waiting.clear()
        return self._had(page)

    def _had(self, page: tuple[Event, ...]) -> tuple[Event, ...]:
        if page:
            self._after = page[-1].sequence
        return page


class EventBroadcast:
    """Reads the event log as long as somebody listens, once for all of them.

    Args:
        store: Where the log is.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._listeners: set[Listener] = set()
        self._reader: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def listeners(self) -> int:
        """How many listen."""
        return len(self._listeners)

    @contextlib.asynccontextmanager
    async def listening(
        self,
        *,
        after: int | None = None,
        run_id: str | None = None,
        project_id: str | None = None,
        changes: bool = False,
    ) -> AsyncIterator[Listener]:
        """Listen, as long as the context lasts.

        Args:
            after: The last sequence number that the listener has; 0 for the log's beginning; none: what is appended
                from now on.
            run_id: Of this run alone.
            project_id: Of this project alone.
            changes: Whether the listener also hears, by no events, that something else was written.

        Raises:
            InvalidInput: The number is negative.
            NotFound: There is no such run or project.
            StoreError: The log cannot be read.
        """
        if after is not None and after < 0:
            raise InvalidInput(f"A sequence number is 0 or more, not {after}.")
        if run_id is not None:
            await self._store.run(runs.get, run_id)
        if project_id is not None:
            await self._store.run(projects.get, project_id)
        last = await self._store.run(events.last_sequence)
        listener = Listener(self._store, last if after is None else after, run_id, project_id, changes=changes)
        self._listeners.add(listener)
        if self._closed:
            listener.end()
        elif self._reader is None:
            self._reader = asyncio.create_task(self._read(last), name="event broadcast")
        try:
            yield listener
        finally:
            self._listeners.discard(listener)
            if not self._listeners:
                await self._stop_reading()

    async def close(self) -> None:
        """Let all listeners hear that there will be no more, and all that come."""
        self._closed = True
        for listener in self._listeners:
            listener.end()
        await self._stop_reading()

    async def _stop_reading(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.cancel()
            await asyncio.wait([reader])

    async def _read(self, after: int) -> None:
        try:
            async with contextlib.aclosing(self._store.feed.pages(after=after, changes=True)) as pages:
                async for page in pages:
                    for listener in tuple(self._listeners):
                        listener.offer(page)
        except TaskManagerError as error:
            # Listeners come back and begin after the last event that they have.
            log.warning("event_broadcast_ended", error=str(error))
            self._reader = None
            for listener in self._listeners:
                listener.end()

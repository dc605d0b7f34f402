"""The event log as a feed: who follows it is woken when something was appended, by whichever process.

Nothing is handed over on the way: a reader that is woken reads the log after the last number that it has. So a signal
that comes twice does no harm, and one that is lost only delays.
"""

import asyncio
import contextlib
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import TYPE_CHECKING, Final, Protocol

from sqlalchemy import Connection

from task_manager.errors import InvalidInput, TaskManagerError
from task_manager.models import Event
from task_manager.store import events, projects, runs
from task_manager.store.database import read_only
from task_manager.structured_log import get_logger

if TYPE_CHECKING:
    from task_manager.store.store import Store

log = get_logger(__name__)

LATEST_SECONDS: Final = 5.0
"""After this long the log is read again without a signal, for where none comes through, as behind some poolers."""

_RETRY_SECONDS: Final = 1.0


class Signal(Protocol):
    """How a database tells that somebody wrote."""

    def changes(self) -> AsyncGenerator[None]:
        """Yield once as soon as no later change can be missed, then after every change; closed, it leaves nothing."""


class _Watch:
    """What the followers of one event loop share: one signal, and whether something was written.

    Attributes:
        is_awaited: Whether somebody asked for the next change since the last one that this process told of.
    """

    def __init__(self, signal: Signal) -> None:
        self.followers = 0
        self.is_awaited = False
        self.ready = asyncio.Event()
        self._signal = signal
        self._changed = asyncio.Event()
        self._task = asyncio.create_task(self._listen(), name="event feed")

    def expect(self) -> asyncio.Event:
        """What is set with the next change; to be taken before the log is read."""
        self.is_awaited = True
        return self._changed

    def wake(self) -> None:
        """Tell all followers of this loop; called in it."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def close(self) -> None:
        """Stop listening and wait until that is done."""
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _listen(self) -> None:
        while True:
            try:
                async with contextlib.aclosing(self._signal.changes()) as changes:
                    async for _ in changes:
                        self.ready.set()
                        self.wake()
            except Exception as error:  # noqa: BLE001 - followers read the log, and meet what is wrong there
                log.warning("event_signal_lost", error=str(error))
            self.ready.set()
            await asyncio.sleep(_RETRY_SECONDS)


class EventFeed:
    """Follows the event log of a store; `Store.feed` is one.

    Args:
        store: Where the log is.
        signal: How its database tells of other processes' changes.
        latest: Seconds after which the log is read without a signal.
    """

    def __init__(self, store: "Store", signal: Signal, *, latest: float = LATEST_SECONDS) -> None:
        self._store = store
        self._signal = signal
        self._latest = latest
        self._watches: dict[asyncio.AbstractEventLoop, _Watch] = {}
        self._lock = threading.Lock()

    def notify(self) -> None:
        """Say that this process wrote, so that its own followers need not wait for the signal; from any thread."""
        if not self._watches:
            return
        with self._lock:
            watches = tuple(self._watches.items())
        for loop, watch in watches:
            # Who is not waiting yet has the log still to read. A loop that is called needlessly costs every writer.
            if watch.is_awaited:
                watch.is_awaited = False
                with contextlib.suppress(RuntimeError):  # that loop has ended
                    loop.call_soon_threadsafe(watch.wake)

    async def pages(
        self, *, after: int = 0, run_id: str | None = None, project_id: str | None = None, changes: bool = False
    ) -> AsyncGenerator[tuple[Event, ...]]:
        """Like `subscribe`, with all events at once that were there when the log was read.

        With `changes`, a page is also yielded when something else was written; it is empty then.
        """
        if after < 0:
            raise InvalidInput(f"A sequence number is 0 or more, not {after}.")
        read = _first_page
        async with self._watched() as watch:
            is_new = False
            while True:
                changed = watch.expect()
                page = await self._store.run(read, after, run_id=run_id, project_id=project_id)
                read = events.after
                if page:
                    after = page[-1].sequence
                if page or (changes and is_new):
                    is_new = False
                    yield page
                else:
                    is_new = await self._comes(changed)

    async def wake(self, sleeper: asyncio.Event, *, changes: bool = False) -> None:
        """Set `sleeper` whenever something is appended from now on, until this is cancelled.

        With `changes`, it is also set when something else is written. Errors of the store are logged, and end nothing.
        """
        while True:
            try:
                after = await self._store.run(events.last_sequence)
                async with contextlib.aclosing(self.pages(after=after, changes=changes)) as pages:
                    async for _ in pages:
                        sleeper.set()
            except TaskManagerError as error:
                log.warning("events_not_followed", error=str(error))
                await asyncio.sleep(_RETRY_SECONDS)

    async def _comes(self, changed: asyncio.Event) -> bool:
        """Whether something was written, before the time after which the log is read in any case."""
        with contextlib.suppress(TimeoutError):
            # Not `wait_for`: before Python 3.12 it may lose a cancellation.
            async with asyncio.timeout(self._latest):
                await changed.wait()
        return changed.is_set()

    async def subscribe(
        self, *, after: int = 0, run_id: str | None = None, project_id: str | None = None
    ) -> AsyncGenerator[Event]:
        """The events of a run, of a project or of all, in order: those that are there, then each as it is appended.

        It goes on until it is closed; `contextlib.aclosing` does so at once when a loop over it is left.

        Args:
            after: The last sequence number that the reader has; 0 for the log's beginning.
            run_id: Of this run alone.
            project_id: Of this project alone.

        Raises:
            InvalidInput: The number is negative.
            NotFound: There is no such run or project.
            StoreError: The log cannot be read.
        """
        async with contextlib.aclosing(self.pages(after=after, run_id=run_id, project_id=project_id)) as pages:
            async for page in pages:
                for event in page:
                    yield event

    @contextlib.asynccontextmanager
    async def _watched(self) -> AsyncIterator[_Watch]:
        loop = asyncio.get_running_loop()
        watch = self._watches.get(loop)
        if watch is None:
            watch = _Watch(self._signal)
            self._change(lambda watches: watches.update({loop: watch}))
        watch.followers += 1
        try:
            await watch.ready.wait()
            yield watch
        finally:
            watch.followers -= 1
            if not watch.followers:
                self._change(lambda watches: watches.pop(loop, None))
                await watch.close()

    def _change(self, change: Callable[[dict[asyncio.AbstractEventLoop, _Watch]], object]) -> None:
        with self._lock:
            change(self._watches)


@read_only
def _first_page(
    c: Connection, sequence: int, *, run_id: str | None = None, project_id: str | None = None
) -> tuple[Event, ...]:
    """Like `events.after`; whom it is about must be there."""
    if run_id is not None:
        runs.get(c, run_id)
    if project_id is not None:
        projects.get(c, project_id)
    return events.after(c, sequence, run_id=run_id, project_id=project_id)

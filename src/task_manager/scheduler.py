"""Sees to it that what schedules say is started: each due time once, whoever looks and whatever ends in between."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

from task_manager.background_loops import running_beside
from task_manager.errors import NotFound, StoreError, TaskManagerError, WorkerError
from task_manager.models import new_id, utc_now
from task_manager.schedule_records import Occurrence, OccurrenceState
from task_manager.store import Store, schedules
from task_manager.structured_log import get_logger

log = get_logger(__name__)

LEASE: Final = timedelta(seconds=60)
"""After this long another process goes on with what one has begun; whatever both of them start is the same."""

LONGEST_SLEEP: Final = 60.0
"""Seconds after which the clock is looked at again, for it may have been set, or the machine may have slept."""

_MOST_AT_ONCE: Final = 8
_TOGETHER_SECONDS: Final = 0.2
_AFTER_ERROR_SECONDS: Final = 5.0


class Scheduler:
    """Starts what schedules say as long as it is open; of several processes, one works for each schedule.

    It sleeps until the next due time, and is woken when something was written.

    Args:
        store: Where schedules are.
        start: Starts what a due time asks for; called again for the same one, it starts nothing more.
        clock: The time, in UTC.
    """

    def __init__(
        self,
        store: Store,
        start: Callable[[Occurrence], Awaitable[Sequence[str]]],
        *,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._store = store
        self._start = start
        self._clock = clock
        self._holder = new_id("scheduler")
        self._at_work: dict[str, asyncio.Task[None]] = {}
        self._changed = asyncio.Event()
        self._places = asyncio.Semaphore(_MOST_AT_ONCE)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Start what is due as long as this is entered."""
        looking_for_changes = self._store.feed.wake(self._changed, changes=True)
        try:
            async with running_beside(looking_for_changes, self._look(), begun=self._at_work):
                yield
        finally:
            with contextlib.suppress(TaskManagerError):
                await self._store.run(schedules.release, self._holder)

    async def _look(self) -> None:
        while True:
            self._changed.clear()
            try:
                wait = await self._attend()
            except TaskManagerError as error:
                log.warning("schedules_not_read", error=str(error))
                wait = _AFTER_ERROR_SECONDS
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._changed.wait()
                    await asyncio.sleep(_TOGETHER_SECONDS)

    async def _attend(self) -> float:
        """Work for each schedule that is due in a task of its own.

        Returns:
            Seconds until the next one is.
        """
        agenda = await self._store.run(schedules.agenda, self._holder)
        now = self._clock()
        wait = LONGEST_SLEEP
        for schedule_id, moment in agenda:
            if moment > now:
                wait = min(wait, (moment - now).total_seconds())
            elif schedule_id not in self._at_work:
                task = asyncio.create_task(self._serve(schedule_id), name=f"schedule {schedule_id}")
                self._at_work[schedule_id] = task
        return wait

    async def _serve(self, schedule_id: str) -> None:
        """Do what is due for a schedule, if nobody else does; tried again after an error."""
        try:
            async with self._places:
                await self._start_all(schedule_id)
        except NotFound:
            pass  # it was removed
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one must not end the others, nor go on at once
            log.warning("schedule_not_served", schedule=schedule_id, error=f"{type(error).__name__}: {error}")
            await asyncio.sleep(_AFTER_ERROR_SECONDS)
        finally:
            del self._at_work[schedule_id]
            self._changed.set()

    async def _start_all(self, schedule_id: str) -> None:
        while (occurrence := await self._begun(schedule_id)) is not None:
            if occurrence.state is OccurrenceState.STARTING:
                await self._store.run(schedules.end, await self._started(occurrence))

    async def _begun(self, schedule_id: str) -> Occurrence | None:
        now = self._clock()
        return await self._store.run(schedules.begin, schedule_id, self._holder, now=now, until=now + LEASE)

    async def _started(self, occurrence: Occurrence) -> Occurrence:
        """What became of a due time.

        Raises:
            StoreError: The store could not be used; it is tried again.
            WorkerError: Nobody could be started who executes; it is tried again.
        """
        try:
            run_ids = await self._start(occurrence)
        except (StoreError, WorkerError):
            raise
        except TaskManagerError as error:
            log.warning("schedule_failed", schedule=occurrence.schedule_id, code=error.code)
            return occurrence.evolve(state=OccurrenceState.FAILED, note=error.message)
        log.info("schedule_started", schedule=occurrence.schedule_id, due=occurrence.due_at, runs=len(run_ids))
        return occurrence.evolve(state=OccurrenceState.STARTED, run_ids=tuple(run_ids))

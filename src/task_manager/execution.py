"""Who executes the runs that a face starts: a worker in this process, or one of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from task_manager.store import Store, queue, workers
from task_manager.workflow_status import Reason

# What executes is loaded by the processes that do: the others start in a fraction of the time.
if TYPE_CHECKING:
    from task_manager.communication import DaggerCommunicationManager
    from task_manager.config import Settings
    from task_manager.worker import Worker
    from task_manager.worker_place import WorkerPlace


class Execution(Protocol):
    """Sees to it that queued runs are executed."""

    async def prepare(self) -> Reason | None:
        """Before a run is queued, see to it that nobody executes it by other settings.

        Returns:
            A warning where that cannot be had; none where it is so.
        """

    async def ensure(self) -> None:
        """Have a worker; at once where there is one.

        Raises:
            WorkerError: None can be started.
        """

    async def close(self) -> None:
        """End what was started for this process alone."""


class ExecutionHere:
    """A worker in this process, from the first run on; its runs are handed back when it is closed.

    Where another process is the data folder's worker, that one executes.
    """

    def __init__(
        self,
        store: Store,
        communication: DaggerCommunicationManager,
        settings: Settings,
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._communication = communication
        self._settings = settings
        self._clock = clock
        self._place: WorkerPlace | None = None
        self._worker: Worker | None = None
        self._lock = asyncio.Lock()

    async def prepare(self) -> Reason | None:
        """It has the settings of this process."""
        return None

    async def ensure(self) -> None:
        """Start the worker, or wake it."""
        from task_manager.worker_place import WorkerPlace

        async with self._lock:
            if self._worker is not None:
                self._worker.wake()
                return
            self._place = WorkerPlace.claim(self._store.data_dir, shared=self._settings.database_url is not None)
            if self._place is not None:
                self._worker = self._make(self._place.id)
                await self._worker.start()

    async def close(self) -> None:
        """Stop the worker."""
        async with self._lock:
            worker, self._worker = self._worker, None
            place, self._place = self._place, None
            if worker is not None:
                await worker.stop()
            if place is not None:
                place.release()

    def _make(self, worker_id: str) -> Worker:
        from task_manager.cached_runs import CachedRuns
        from task_manager.orchestration import InProcessOrchestrator
        from task_manager.run_executor import RunExecutor
        from task_manager.worker import Worker

        cache = CachedRuns(self._store, self._communication, self._settings, clock=self._clock)
        executor = RunExecutor(
            self._store, self._communication, self._settings, worker_id=worker_id, cache=cache, clock=self._clock
        )
        return Worker(
            self._store,
            executor,
            InProcessOrchestrator(),
            self._settings,
            worker_id=worker_id,
            cache=cache,
            clock=self._clock,
        )


class ExecutionByWorker:
    """A worker process that outlives this one, started when there is none."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings

    async def prepare(self) -> Reason | None:
        """End an idle worker that was started with other settings; one that is at work goes on, with a warning."""
        others = [
            worker
            for worker in await self._store.run(workers.all_)
            if worker.settings_digest != self._settings.execution_digest
        ]
        if not others or self._settings.database_url is not None:
            return None
        if not (await self._store.run(queue.load)).under_way:
            # It comes with all that a worker needs, which takes longer to load than the rest of starting a run.
            from task_manager.worker_process import stop_worker

            await stop_worker(self._store, self._settings)
            return None
        text = f"Worker {others[0].id}, which is at work, was started with other settings; it executes by those."
        return Reason(code="other_settings", text=text, details={"worker": others[0].id, "pid": others[0].pid})

    async def ensure(self) -> None:
        """Start a worker unless there is one."""
        from task_manager.worker_starting import ensure_worker

        await asyncio.to_thread(ensure_worker, self._settings)

    async def close(self) -> None:
        """Leave the worker at its work."""


class ExecutionElsewhere:
    """Workers that others start; runs stay queued until one takes them."""

    async def prepare(self) -> Reason | None:
        """Whoever starts the workers chooses their settings."""
        return None

    async def ensure(self) -> None:
        """Leave it to others."""

    async def close(self) -> None:
        """Nothing was started."""

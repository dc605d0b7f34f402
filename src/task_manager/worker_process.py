"""The worker as a process of its own, which ends when it is idle, or when it is asked to."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from typing import Final

from task_manager.cached_runs import CachedRuns
from task_manager.communication import DaggerCommunicationManager
from task_manager.config import Settings
from task_manager.errors import InvalidConfiguration, TaskManagerError, WorkerError
from task_manager.hook_delivery import HookSender
from task_manager.models import WorkerRecord, utc_now
from task_manager.orchestration import Orchestrator
from task_manager.run_executor import RunExecutor
from task_manager.store import Store, queue, workers
from task_manager.structured_log import get_logger
from task_manager.worker import Worker
from task_manager.worker_place import WorkerPlace, is_held, is_wanted

log = get_logger(__name__)

_LOOK_SECONDS: Final = 0.5
_STOP_SECONDS: Final = 30.0


Beside = Callable[[Store, Settings], AbstractAsyncContextManager[None]]
"""Something that goes on as long as a worker does."""


async def serve(settings: Settings, *, until_idle: bool, ready: Callable[[WorkerRecord], None], beside: Beside) -> None:
    """Execute runs until a signal asks for the end, or, if wanted, nothing was to be done for a while.

    Args:
        settings: All settings.
        until_idle: Whether to end after `settings.idle_seconds` without a run.
        ready: Called once runs are taken.
        beside: What else goes on here.

    Raises:
        WorkerError: Another worker has this data folder.
        StoreError: The store cannot be used.
    """
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    store = await asyncio.to_thread(Store.open, settings.data_dir, settings.database_url)
    try:
        place = _claim(settings)
        if place is None and not until_idle:
            raise _place_taken(settings)
        while place is not None:
            await _serve_at(place, store, settings, stop, ready=ready, beside=beside, until_idle=until_idle)
            place.release()
            # A run that was queued while this place was given up saw it held, so nobody else was started for it.
            place = None if stop.is_set() or not await _has_work(store) else _claim(settings)
    finally:
        store.close()


def _claim(settings: Settings) -> WorkerPlace | None:
    return WorkerPlace.claim(settings.data_dir, shared=settings.database_url is not None)


def _place_taken(settings: Settings) -> WorkerError:
    return WorkerError(
        f"Another worker executes the runs of {settings.data_dir}.",
        remedy="See it by `task-manager worker status`, end it by `task-manager worker stop`.",
    )


async def _serve_at(
    place: WorkerPlace,
    store: Store,
    settings: Settings,
    stop: asyncio.Event,
    *,
    ready: Callable[[WorkerRecord], None],
    beside: Beside,
    until_idle: bool,
) -> None:
    communication = DaggerCommunicationManager(settings)
    cache = CachedRuns(store, communication, settings)
    executor = RunExecutor(store, communication, settings, worker_id=place.id, cache=cache)
    orchestrator = durable_orchestrator(settings, place.id)
    worker = Worker(store, executor, orchestrator, settings, worker_id=place.id, cache=cache)
    await worker.start()
    warming = asyncio.create_task(_warm_up(communication))
    try:
        place.mark_served()
        ready(worker.record)
        async with HookSender(store, settings).sending(), beside(store, settings):
            while not stop.is_set() and not (until_idle and await _is_idle(worker, store, settings)):
                with suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_SECONDS):
                        await stop.wait()
    finally:
        await worker.stop(settings.shutdown_seconds)
        warming.cancel()
        await communication.shutdown()


async def _warm_up(communication: DaggerCommunicationManager) -> None:
    """Open the engine's session before the first run needs it, which tells what is wrong with it if anything is."""
    with suppress(TaskManagerError):
        await communication.initialize()


async def _is_idle(worker: Worker, store: Store, settings: Settings) -> bool:
    since = worker.idle_since
    if is_wanted(settings.data_dir):
        return False
    if since is None or (utc_now() - since).total_seconds() < settings.idle_seconds:
        return False
    return not await _has_work(store)


async def _has_work(store: Store) -> bool:
    found = await store.run(queue.load)
    return bool(found.under_way) or any(run.project_id not in found.paused for run in found.candidates)


def durable_orchestrator(settings: Settings, worker_id: str) -> Orchestrator:
    """What keeps attempts, in the data folder or in the database of the settings."""
    # Only workers need DBOS, which takes longer to load than most commands take.
    from task_manager.orchestration.durable import DurableOrchestrator, postgresql_url, sqlite_url

    url = sqlite_url(settings.data_dir) if settings.database_url is None else postgresql_url(settings.database_url)
    shared = settings.database_url is not None
    return DurableOrchestrator(url, worker_id=worker_id, places=settings.run_parallelism, shared=shared)


async def stop_worker(store: Store, settings: Settings) -> WorkerRecord | None:
    """End this host's worker of the data folder and wait until it is gone; None when there is none.

    Raises:
        WorkerError: It does not end.
    """
    living = [worker for worker in await store.run(workers.all_) if worker.host == socket.gethostname()]
    if not living or not is_held(settings.data_dir):
        return None
    worker = living[0]
    with suppress(ProcessLookupError):
        os.kill(worker.pid, signal.SIGTERM)
    try:
        async with asyncio.timeout(settings.shutdown_seconds + _STOP_SECONDS):
            while is_held(settings.data_dir):  # noqa: ASYNC110 - a lock of another process tells nobody
                await asyncio.sleep(_LOOK_SECONDS / 10)
    except TimeoutError as error:
        raise WorkerError(
            f"Worker {worker.id} (process {worker.pid}) does not end.", details={"pid": worker.pid}
        ) from error
    return worker


def settings_from(text: str) -> Settings:
    """The settings that the process which starts a worker hands over.

    Raises:
        InvalidConfiguration: They cannot be read.
    """
    try:
        return Settings.model_validate_json(text)
    except ValueError as error:
        raise InvalidConfiguration("The settings on standard input cannot be read.") from error

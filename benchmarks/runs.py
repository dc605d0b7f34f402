"""Benchmarks of runs that a worker takes from the queue, on SQLite; the engine is a fake that does nothing."""

import asyncio
import contextlib
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from dbos import DBOS, DBOSConfig
from tests.store.builders import a_run, stored_workflow

from benchmarks.engine import Counts
from benchmarks.figures import Bound, Figure, Goal
from benchmarks.store import filled_store, opened_store
from task_manager.config import Settings
from task_manager.models import Workflow, WorkflowRun, utc_now
from task_manager.orchestration.durable import sqlite_url
from task_manager.pipeline import Pipeline
from task_manager.run_executor import RunExecutor
from task_manager.store import Store, queue
from task_manager.testing import FakeCommunicationManager, FakeEngine
from task_manager.worker import Worker
from task_manager.worker_process import durable_orchestrator

_PLACES: Final = 8
_POLL_SECONDS: Final = 0.1
_FEW_STORED: Final = 1_000
_NOOP: Final = Pipeline.model_validate({"steps": [{"id": "only", "image": "busybox", "command": ["true"]}]})


async def queued_runs(counts: Counts) -> Figure:
    """Measure queued runs of one step that does nothing against bare DBOS workflows that do nothing, in turns.

    A bare one is enqueued and carried out: nothing else is stored, and nobody can follow it.
    """
    bare, ours = [], []
    for _ in range(counts.rounds):
        with tempfile.TemporaryDirectory(prefix="task-manager-benchmarks-") as folder:
            bare.append(await _bare(Path(folder), counts.queued))
        with opened_store() as store:
            async with working(store) as run_all:
                ours.append(await run_all(counts.queued))
    ratio = statistics.median(ours) / statistics.median(bare)
    parts = {"run ms": statistics.median(ours) * 1000, "bare ms": statistics.median(bare) * 1000}
    return Figure("queued no-op run / bare DBOS workflow", ratio, "x", Goal(Bound.AT_MOST, 1.5), parts)


async def runs_beside_stored(counts: Counts) -> Figure:
    """Measure queued runs in a store with many ended runs against those in one with few, in turns."""
    few: list[float] = []
    many: list[float] = []
    with filled_store(_FEW_STORED) as small, filled_store(counts.stored_runs) as large:
        for _ in range(counts.rounds):
            for store, seconds in ((small, few), (large, many)):
                async with working(store) as run_all:
                    seconds.append(await run_all(counts.queued))
    ratio = statistics.median(many) / statistics.median(few)
    parts = {
        f"ms at {counts.stored_runs:,}": statistics.median(many) * 1000,
        f"ms at {_FEW_STORED:,}": statistics.median(few) * 1000,
    }
    return Figure("time per run beside many stored runs / few", ratio, "x", Goal(Bound.AT_MOST, 1.2), parts)


async def _bare(folder: Path, count: int) -> float:
    """Seconds for each of so many workflows."""
    left = count
    done = asyncio.Event()

    async def nothing(_key: str) -> None:
        nonlocal left
        left -= 1
        if not left:
            done.set()

    config: DBOSConfig = {
        "name": "bare",
        "system_database_url": sqlite_url(folder),
        "executor_id": "bare",
        "application_version": "1",
        "log_level": "ERROR",
    }
    DBOS(config=config)
    DBOS.workflow(name="nothing")(nothing)
    DBOS.launch()
    try:
        await DBOS.register_queue_async("bare", worker_concurrency=_PLACES, polling_interval_sec=_POLL_SECONDS)
        began = time.perf_counter()
        for number in range(count):
            key = f"bare-{number}"
            await DBOS.enqueue_workflow_with_options_async(
                {
                    "workflow_name": "nothing",
                    "queue_name": "bare",
                    "workflow_id": key,
                    "priority": 3,
                    "app_version": "1",
                },
                key,
            )
        await done.wait()
        return (time.perf_counter() - began) / count
    finally:
        DBOS.destroy(destroy_registry=True)
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor())


class _CountingExecutor(RunExecutor):
    """Tells when so many runs are over."""

    left = 0
    done: asyncio.Event

    def expect(self, count: int) -> None:
        self.left = count
        self.done = asyncio.Event()

    async def execute(self, run_id: str) -> WorkflowRun:
        ended = await super().execute(run_id)
        self.left -= 1
        if not self.left:
            self.done.set()
        return ended


@contextlib.asynccontextmanager
async def working(store: Store) -> AsyncIterator[Callable[[int], Awaitable[float]]]:
    """A worker over a store, and what has it run so many runs; that returns the seconds for each."""
    settings = Settings.model_validate({"data_dir": store.data_dir, "run_parallelism": _PLACES})
    engine = FakeEngine()
    communication = FakeCommunicationManager(settings, engine)
    executor = _CountingExecutor(store, communication, settings, worker_id="worker")
    orchestrator = durable_orchestrator(settings, "worker")
    worker = Worker(store, executor, orchestrator, settings, worker_id="worker")
    workflow = await asyncio.to_thread(stored_workflow, store, pipeline=_NOOP)
    await worker.start()

    async def run_all(count: int) -> float:
        engine.calls.clear()
        await _start(store, executor, workflow, 1)
        began = time.perf_counter()
        await _start(store, executor, workflow, count)
        return (time.perf_counter() - began) / count

    try:
        yield run_all
    finally:
        await worker.stop()


async def _start(store: Store, executor: _CountingExecutor, workflow: Workflow, count: int) -> None:
    """Queue so many runs, and wait until all are over."""
    executor.expect(count)
    for _ in range(count):
        await store.run(queue.start, a_run(workflow), now=utc_now())
    await executor.done.wait()


BENCHMARKS: Final[Mapping[str, Callable[[Counts], Awaitable[Figure]]]] = {
    "queued-runs": queued_runs,
    "stored-runs": runs_beside_stored,
}

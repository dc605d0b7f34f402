"""Benchmarks of the REST API: reading a status, and many followers of the event log."""

import asyncio
import contextlib
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import httpx
from fastapi import FastAPI
from tests.rest_api.server import RunningApi, served, serving
from tests.store.builders import a_step, stored_run

from benchmarks.engine import Counts
from benchmarks.figures import Bound, Figure, Goal
from task_manager.application import Application
from task_manager.config import Settings
from task_manager.models import Event, EventKind, utc_now
from task_manager.store import Store, events, runs, steps
from task_manager.workflow_status import WorkflowStatus

_STEPS: Final = 5
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


def status_read(counts: Counts) -> Figure:
    """Measure GETs of a run's status against GETs of a bare FastAPI route that has the same body, in turns."""
    with _api() as api, httpx.Client(trust_env=False, timeout=60) as client:
        run_id = _run(api.application.store)
        address = f"{api.url}/runs/{run_id}/status"
        body = client.get(address).json()
        with served(_bare(body)) as bare:
            taken: dict[str, list[float]] = {address: [], f"{bare}/runs/{run_id}/status": []}
            for _ in range(counts.steps):
                for url, seconds in taken.items():
                    began = time.perf_counter()
                    client.get(url).raise_for_status()
                    seconds.append(time.perf_counter() - began)
    ours, floor = (statistics.median(seconds) * 1000 for seconds in taken.values())
    parts = {"ms": ours, "bare ms": floor}
    return Figure("GET of a run's status - bare FastAPI route", ours - floor, "ms", Goal(Bound.AT_MOST, 3), parts)


def event_streams(counts: Counts) -> Figure:
    """Measure how long an event takes to the last of many open event streams, from its commit on."""
    # Whoever measures has a loop of their own in this thread.
    with _api() as api, ThreadPoolExecutor(1) as thread:
        seconds, kilobytes = thread.submit(asyncio.run, _followed(api, counts.streams, counts.connections)).result()
    parts = {"streams": float(counts.streams), "KB a stream, both ends": kilobytes}
    return Figure("an event to the last of many streams", seconds * 1000, "ms", Goal(Bound.AT_MOST, 500), parts)


async def _followed(api: RunningApi, count: int, rounds: int) -> tuple[float, float]:
    """The median seconds to the last stream, and the memory that a stream takes."""
    store = api.application.store
    run_id = _run(store)
    before = _memory()
    host, _, port = api.url.removeprefix("http://").partition("/")[0].partition(":")
    followers = [await _follower(host, int(port)) for _ in range(count)]
    while api.application.broadcast.listeners < count:  # noqa: ASYNC110 - another thread's
        await asyncio.sleep(0.01)
    kilobytes = (_memory() - before) / count / 1000
    taken = []
    for _ in range(rounds):
        began = time.perf_counter()
        await asyncio.to_thread(store.run_sync, _append, run_id)
        await asyncio.gather(*(reader.readuntil(b"event: run_warning") for reader, _ in followers))
        taken.append(time.perf_counter() - began)
    for _, writer in followers:
        writer.close()
    return statistics.median(taken), kilobytes


async def _follower(host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(b"GET /api/v1/events/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await reader.readuntil(b"retry: 1000")
    return reader, writer


def _append(c: Any, run_id: str) -> None:
    run = runs.get(c, run_id)
    event = Event(
        run_id=run.id, task_id=run.task_id, project_id=run.project_id, time=utc_now(), kind=EventKind.RUN_WARNING
    )
    events.append(c, event)


def _memory() -> int:
    """Bytes that this process has in memory."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * _PAGE_BYTES


def _run(store: Store) -> str:
    """The id of a run that is under way, with steps."""
    run = stored_run(store, status=WorkflowStatus.RUNNING, started_at=utc_now())
    store.run_sync(steps.plan, tuple(a_step(run, f"step-{number}", position=number) for number in range(_STEPS)))
    return run.id


def _bare(body: dict[str, Any]) -> FastAPI:
    app = FastAPI()

    @app.get("/runs/{run_id}/status")
    async def get_status(run_id: str) -> dict[str, Any]:
        return body

    return app


@contextlib.contextmanager
def _api() -> Iterator[RunningApi]:
    folder = Path(tempfile.mkdtemp(prefix="task-manager-benchmarks-"))
    settings = Settings.model_validate({"data_dir": folder, "worker": "here"})
    try:
        with serving(lambda: Application(settings)) as api:
            yield api
    finally:
        shutil.rmtree(folder)


BENCHMARKS: Final[Mapping[str, Callable[[Counts], Figure]]] = {
    "status-read": status_read,
    "event-streams": event_streams,
}

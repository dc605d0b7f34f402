"""Benchmarks of the dashboard: how soon open pages show what happens, and a table of many runs."""

import asyncio
import contextlib
import re
import shutil
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

import httpx
from playwright.sync_api import Browser, sync_playwright
from tests.browser.dashboard_server import DashboardServer, running
from tests.environment import packages
from tests.store.builders import a_run, stored_workflow
from websockets.asyncio.client import connect

from benchmarks.engine import Counts
from benchmarks.figures import Bound, Figure, Goal
from benchmarks.store import fill
from task_manager.models import Workflow, utc_now
from task_manager.store import Store, runs

_PAGE: Final = "/runs"
_PACE_SECONDS: Final = 0.05
_LAST_SECONDS: Final = 30.0
# A message of socket.io (version 5) over a websocket of engine.io (version 4): their protocols' documents.
_PING, _PONG, _OPEN = "2", "3", "40"


def delivery(counts: Counts) -> Figure:
    """Measure how long new runs take until open pages have been sent them, from before their commit on."""
    with _filled(counts.clients) as (server, store), ThreadPoolExecutor(1) as thread:
        workflow = stored_workflow(store)
        taken, megabytes = thread.submit(asyncio.run, _delivered(server, store, workflow, counts)).result()
    late = statistics.quantiles(taken, n=20)[-1] * 1000
    parts = {
        "pages": float(counts.clients),
        "median ms": statistics.median(taken) * 1000,
        "server grew by MB": megabytes,
    }
    return Figure("20 events a second on open pages, p95", late, "ms", Goal(Bound.AT_MOST, 500), parts)


def first_view(counts: Counts) -> Figure:
    """Measure how long a browser that was never there takes until it shows the first of 10,000 runs."""
    with _filled(10_000) as (server, _), ThreadPoolExecutor(1) as thread:
        seconds = thread.submit(_viewed, server, counts.connections).result()
    parts = {"slowest s": max(seconds)}
    return Figure("the first view of 10,000 runs", statistics.median(seconds), "s", Goal(Bound.AT_MOST, 1), parts)


def server_end(counts: Counts) -> Figure:
    """Measure how long a server takes to end while pages and event streams are open."""
    with _filled(100) as (server, _), ThreadPoolExecutor(1) as thread:
        seconds = thread.submit(asyncio.run, _ended(server, counts.clients)).result()
    return Figure("the end of a server with open pages", seconds, "s", Goal(Bound.AT_MOST, 2), {})


@dataclass
class _OpenPage:
    """A page as its browser's script has it: what it was sent is looked through for runs.

    Attributes:
        wanted: When each run was begun to be stored that the page was not sent yet, by the run's id.
        taken: The seconds that the others took.
    """

    wanted: dict[str, float] = field(default_factory=dict)
    taken: list[float] = field(default_factory=list)

    @contextlib.asynccontextmanager
    async def open(self, server: DashboardServer, http: httpx.AsyncClient) -> AsyncIterator[None]:
        """Ask for the page, and be told what happens."""
        page = (await http.get(server.url + _PAGE)).text
        given = {name: _given(page, name) for name in ("client_id", "next_message_id")}
        query = {**given, "EIO": "4", "transport": "websocket", "implicit_handshake": "true"}
        own = {name: f"{id(self)}-{name}" for name in ("tab_id", "document_id")}
        address = f"{server.url.replace('http', 'ws', 1)}/_nicegui_ws/socket.io/?{urlencode({**query, **own})}"
        async with connect(address, max_size=None, proxy=None) as socket:
            await socket.recv()
            await socket.send(_OPEN)
            await socket.recv()
            listening = asyncio.create_task(self._listen(socket))
            try:
                yield
            finally:
                listening.cancel()
                await asyncio.wait([listening])

    async def _listen(self, socket: object) -> None:
        async for message in socket:  # type: ignore[attr-defined]
            if message == _PING:
                await socket.send(_PONG)  # type: ignore[attr-defined]
                continue
            self._note(message, time.perf_counter())

    def _note(self, message: str, now: float) -> None:
        """Note what was sent; a run that has left the page's rows before they were sent came with the next one."""
        waiting = list(self.wanted)
        last = max((place for place, run_id in enumerate(waiting) if run_id in message), default=-1)
        self.taken += [now - self.wanted.pop(run_id) for run_id in waiting[: last + 1]]


def _given(page: str, name: str) -> str:
    """What the page's script is given under a name."""
    (found,) = set(re.findall(rf"{name}['\"]?\s*:\s*['\"]?([\w-]+)", page))
    return str(found)


async def _delivered(
    server: DashboardServer, store: Store, workflow: Workflow, counts: Counts
) -> tuple[list[float], float]:
    """The seconds that each page took for each run, and the megabytes by which the server grew in the second half."""
    pages = [_OpenPage() for _ in range(counts.clients)]
    async with contextlib.AsyncExitStack() as stack:
        http = await stack.enter_async_context(httpx.AsyncClient(timeout=60, trust_env=False))
        for page in pages:
            await stack.enter_async_context(page.open(server, http))
        memory = []
        for _ in range(2):
            await _write(store, workflow, pages, counts.events // 2)
            memory.append(server.memory)
    return [seconds for page in pages for seconds in page.taken], (memory[1] - memory[0]) / 1e6


async def _write(store: Store, workflow: Workflow, pages: list[_OpenPage], count: int) -> None:
    """Store new runs at an even pace, and wait until every page has been sent them."""
    for _ in range(count):
        run = a_run(workflow, created_at=utc_now(), updated_at=utc_now())
        begun = time.perf_counter()
        for page in pages:
            page.wanted[run.id] = begun
        await store.run(runs.create, run)
        await asyncio.sleep(max(0.0, begun + _PACE_SECONDS - time.perf_counter()))
    async with asyncio.timeout(_LAST_SECONDS):
        while any(page.wanted for page in pages):  # noqa: ASYNC110 - each page is told by its own task
            await asyncio.sleep(_PACE_SECONDS)


def _viewed(server: DashboardServer, rounds: int) -> list[float]:
    """The seconds of first views, each in a browser profile of its own; one before them is not counted."""
    packages.require("chromium")
    with sync_playwright() as playwright:
        # Root has no sandbox of Chromium's; nothing but the benchmark's own server is looked at.
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        seconds = [_view(browser, server) for _ in range(rounds + 1)]
        browser.close()
    return seconds[1:]


def _view(browser: Browser, server: DashboardServer) -> float:
    with contextlib.closing(browser.new_context()) as context:
        page = context.new_page()
        begun = time.perf_counter()
        page.goto(server.url + _PAGE, wait_until="commit")
        page.get_by_role("table", name="Runs").get_by_role("row").nth(50).wait_for()
        return time.perf_counter() - begun


async def _ended(server: DashboardServer, clients: int) -> float:
    """The seconds from the signal to the end of the process."""
    async with contextlib.AsyncExitStack() as stack:
        http = await stack.enter_async_context(httpx.AsyncClient(timeout=60, trust_env=False))
        for _ in range(clients):
            await stack.enter_async_context(_OpenPage().open(server, http))
            await stack.enter_async_context(http.stream("GET", f"{server.url}/api/v1/events/stream"))
        return await asyncio.to_thread(server.stop)


@contextlib.contextmanager
def _filled(count: int) -> Iterator[tuple[DashboardServer, Store]]:
    """A server process with so many ended runs, and another way to its store."""
    with (
        tempfile.TemporaryDirectory(prefix="task-manager-benchmarks-") as name,
        running(Path(name)) as server,
        Store.open(server.data_dir) as store,
    ):
        fill(store, count)
        yield server, store


BENCHMARKS: Final[Mapping[str, Callable[[Counts], Figure]]] = {
    "dashboard-events": delivery,
    "dashboard-runs": first_view,
    "dashboard-end": server_end,
}

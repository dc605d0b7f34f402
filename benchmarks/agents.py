"""Benchmarks of the MCP server against a bare server of the SDK that echoes, in turns within one run."""

import asyncio
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mcp import Client, StdioServerParameters

from benchmarks.engine import Counts
from benchmarks.figures import Bound, Figure, Goal
from task_manager.application import Application
from task_manager.config import load_settings

_CLIENTS: Final = 100
_CALLS_PER_STEP: Final = 5
_MORE_MS: Final = 3
_BARE: Final = ("benchmarks.bare_server",)
_OURS: Final = ("task_manager",)


@dataclass(frozen=True)
class _Call:
    """One kind of call that is measured."""

    tool: str
    arguments: Mapping[str, str]


_ECHO: Final = _Call("echo", {"text": "hello"})


async def status_over_stdio(counts: Counts) -> Figure:
    """Measure single calls, one after the other, over standard input and output."""
    async with _stored() as (environment, status):
        bare, ours = Client(_stdio(_BARE, "stdio", environment)), Client(_stdio(_OURS, "mcp", environment))
        return await _in_turns("over stdio", counts, bare, ours, status)


async def status_over_http(counts: Counts) -> Figure:
    """Measure single calls, one after the other, over HTTP."""
    async with _stored() as (environment, status):
        with _http(_BARE, environment, "http") as bare, _http(_OURS, environment, "server", "--port", "0") as ours:
            return await _in_turns("over HTTP", counts, Client(bare), Client(ours), status)


async def status_for_many(counts: Counts) -> Figure:
    """Measure rounds in which all of many connected clients call at once, over HTTP: the time for each call."""
    async with _stored() as (environment, status):
        with _http(_BARE, environment, "http") as bare, _http(_OURS, environment, "server", "--port", "0") as ours:
            bare_ms, ours_ms = await _crowd(bare, _ECHO, counts), await _crowd(ours, status, counts)
    title = f"get_workflow_status of {_CLIENTS} clients at once - bare echo"
    return _more(title, ours_ms, bare_ms)


async def launch(counts: Counts) -> Figure:
    """Measure starting a server up to its first answer to a client."""
    async with _stored() as (environment, _):
        bare, ours = await _launches(counts, environment, None)
    return _later("stdio launch to initialise - bare", ours, bare, 0.3)


async def first_answer(counts: Counts) -> Figure:
    """Measure starting a server up to its first answer from the store."""
    async with _stored() as (environment, status):
        bare, ours = await _launches(counts, environment, status)
    return _later("stdio launch to first stored answer - bare", ours, bare, 1.0)


def _later(title: str, ours: float, bare: float, most: float) -> Figure:
    return Figure(title, ours - bare, "s", Goal(Bound.AT_MOST, most), {"ours s": ours, "bare s": bare})


def _more(title: str, ours: float, bare: float) -> Figure:
    return Figure(title, ours - bare, "ms", Goal(Bound.AT_MOST, _MORE_MS), {"ours ms": ours, "bare ms": bare})


async def _in_turns(way: str, counts: Counts, bare: Client, ours: Client, status: _Call) -> Figure:
    echoes, answers = [], []
    async with bare, ours:
        for client, call in ((bare, _ECHO), (ours, status)):
            await _called(client, call)
        for _ in range(counts.steps * _CALLS_PER_STEP):
            echoes.append(await _timed(lambda: _called(bare, _ECHO)))
            answers.append(await _timed(lambda: _called(ours, status)))
    title = f"get_workflow_status {way} - bare echo"
    return _more(title, statistics.median(answers) * 1000, statistics.median(echoes) * 1000)


async def _crowd(address: str, call: _Call, counts: Counts) -> float:
    """Milliseconds for each call."""
    async with contextlib.AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(Client(address)) for _ in range(_CLIENTS)]

        async def all_at_once() -> None:
            await asyncio.gather(*(_called(client, call) for client in clients))

        await all_at_once()
        rounds = [await _timed(all_at_once) for _ in range(max(3, counts.steps // 10))]
    return statistics.median(rounds) * 1000 / _CLIENTS


async def _launches(counts: Counts, environment: dict[str, str], status: _Call | None) -> tuple[float, float]:
    """Seconds of the bare server and of ours."""
    bare, ours = [], []
    for _ in range(counts.connections):
        bare.append(await _timed(lambda: _launched(_stdio(_BARE, "stdio", environment), status and _ECHO)))
        ours.append(await _timed(lambda: _launched(_stdio(_OURS, "mcp", environment), status)))
    return statistics.median(bare), statistics.median(ours)


async def _launched(server: StdioServerParameters, call: _Call | None) -> None:
    # Leaving is not measured by itself, but takes both servers the same: the end of their input.
    async with Client(server) as client:
        if call is not None:
            await _called(client, call)


async def _called(client: Client, call: _Call) -> None:
    result = await client.call_tool(call.tool, dict(call.arguments))
    if result.is_error:
        raise RuntimeError(str(result.content))


async def _timed(work: Callable[[], Awaitable[object]]) -> float:
    start = time.perf_counter()
    await work()
    return time.perf_counter() - start


def _stdio(module: tuple[str, ...], argument: str, environment: dict[str, str]) -> StdioServerParameters:
    return StdioServerParameters(command=sys.executable, args=["-m", *module, argument], env=environment)


@contextlib.contextmanager
def _http(module: tuple[str, ...], environment: dict[str, str], *arguments: str) -> Iterator[str]:
    """Run a server; gives its address."""
    command = [sys.executable, "-m", *module, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as running:
        if running.stdout is None:
            raise RuntimeError("a process was started without pipes")
        try:
            words = [word for word in running.stdout.readline().split() if word.startswith("http://")]
            yield words[-1].rstrip(".").removesuffix("/mcp") + "/mcp"
        finally:
            running.terminate()


@contextlib.asynccontextmanager
async def _stored() -> AsyncIterator[tuple[dict[str, str], _Call]]:
    """A store with a task that has a workflow; gives the variables that lead there, and the call that asks for it."""
    with tempfile.TemporaryDirectory(prefix="task-manager-benchmarks-") as name:
        source = Path(name) / "source"
        source.mkdir()
        async with Application(load_settings({"data_dir": Path(name) / "data"})[0]) as application:
            project = await application.tasks.create_project("measured", source_folder=source)
            steps = [{"id": "only", "image": "busybox", "command": ["true"]}]
            task = await application.tasks.create_task(project.id, "Measure", pipeline={"steps": steps})
            await (await application.workflows()).create_workflow_from_task(task.id)
        environment = {**os.environ, "TASK_MANAGER_DATA_DIR": str(Path(name) / "data"), "PYTHONPATH": os.getcwd()}  # noqa: PTH109
        yield environment, _Call("get_workflow_status", {"task_id": task.id})


BENCHMARKS: Final[Mapping[str, Callable[[Counts], Awaitable[Figure]]]] = {
    "mcp-stdio": status_over_stdio,
    "mcp-http": status_over_http,
    "mcp-clients": status_for_many,
    "mcp-launch": launch,
    "mcp-first-answer": first_answer,
}

"""Benchmarks of whole processes: imports, start-up, memory, and what a finished task costs an agent."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, Final

from mcp import Client, StdioServerParameters
from mcp_types import TextContent
from rs_bpe.bpe import openai

from benchmarks.engine import Counts
from benchmarks.figures import Bound, Figure, Goal
from benchmarks.runs import working
from benchmarks.store import opened_store
from task_manager.config import Settings

_FIRST_RUNS: Final = 500
_ROUNDS: Final = 5
_THOUSAND: Final = 1000
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
_ON_HOST: Final = {"TASK_MANAGER_ENGINE": "embedded", "TASK_MANAGER_IMAGES": "host"}


async def imports(counts: Counts) -> Figure:
    """Measure importing the package and its command line, beyond what Python takes by itself, in turns."""
    bare, package, command = [], [], []
    for _ in range(counts.connections):
        bare.append(_seconds("-c", "pass"))
        package.append(_seconds("-c", "import task_manager"))
        command.append(_seconds("-c", "import task_manager.cli"))
    floor = statistics.median(bare)
    parts = {"package ms": (statistics.median(package) - floor) * 1000, "Python ms": floor * 1000}
    value = (statistics.median(command) - floor) * 1000
    return Figure("import task_manager.cli - Python's own start", value, "ms", Goal(Bound.AT_MOST, 200), parts)


async def start_up(counts: Counts) -> Figure:
    """Measure a command that reads the store, from its start to its end."""
    with tempfile.TemporaryDirectory(prefix="task-manager-benchmarks-") as name:
        command = ("-m", "task_manager", "task", "list", "--data-dir", name)
        first = _seconds(*command)
        samples = [_seconds(*command) for _ in range(counts.connections)]
        versions = [_seconds("-m", "task_manager", "--version") for _ in range(counts.connections)]
    parts = {"--version s": statistics.median(versions), "first, making the store s": first}
    return Figure("task list, from start to end", statistics.median(samples), "s", Goal(Bound.AT_MOST, 1.0), parts)


def _seconds(*arguments: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


async def memory(counts: Counts) -> Figure:
    """Measure by how much a worker grows with each thousand runs, for ever: the median of several rounds.

    What it keeps once, such as statements, threads and their connections, is not counted: it has it after some runs,
    or grows in one round, but not in most. The worker has a new process, where no memory lies idle that it could take.
    """
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        before, grown = await asyncio.get_running_loop().run_in_executor(process, _grown, counts)
    parts = {"resident MB": before, "smallest MB": min(grown), "largest MB": max(grown)}
    value = max(0.0, statistics.median(grown))
    return Figure("memory that a worker keeps per 1,000 runs", value, "MB", Goal(Bound.AT_MOST, 10), parts)


def _grown(counts: Counts) -> tuple[float, list[float]]:
    """The megabytes of this process after a worker's first runs, and by how many it grows in each round."""
    return asyncio.run(_rounds(counts))


async def _rounds(counts: Counts) -> tuple[float, list[float]]:
    grown = []
    with opened_store() as store:
        async with working(store) as run_all:
            await run_all(min(_FIRST_RUNS, 10 * counts.queued))
            before = _resident()
            for _ in range(_ROUNDS):
                start = _resident()
                await run_all(counts.queued)
                grown.append((_resident() - start) / counts.queued * _THOUSAND)
    return before, grown


def _resident() -> float:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_BYTES / 1e6


async def agent_task(counts: Counts) -> Figure:
    """Measure what a model reads and writes for a task from the wish to the checked result, with the list of tools."""
    del counts  # every time the same
    written: list[object] = []
    async with _agent() as client:
        tools = (await client.list_tools()).tools
        listed = _tokens([[one.name, one.title, one.description, one.input_schema] for one in tools])

        async def call(tool: str, **arguments: object) -> dict[str, Any]:
            answer = await client.call_tool(tool, arguments)
            text = "".join(part.text for part in answer.content if isinstance(part, TextContent))
            if answer.is_error:
                raise RuntimeError(text)
            written.append([tool, arguments, text])
            content: dict[str, Any] = json.loads(text)
            return content

        inputs = {"script": "echo done", "image": "busybox"}
        task = await call("create_task", title="Say done", template_id="shell-command", parameters=inputs)
        run = await call("execute_task_workflow", task_id=task["id"])
        while not run.get("over"):
            run = await call("wait_for_run", run_id=run["id"])
        await call("get_run_result", run_id=run["id"])
    spoken = _tokens(written)
    parts = {"tools listed": float(listed), "calls and answers": float(spoken), "calls": float(len(written))}
    title = "tokens of a finished task, tools included"
    return Figure(title, listed + spoken, "tok.", Goal(Bound.AT_MOST, 5000), parts)


def _tokens(data: Sequence[object]) -> int:
    return len(openai.o200k_base().encode(json.dumps(data, ensure_ascii=False, separators=(",", ":"))))


@contextlib.asynccontextmanager
async def _agent() -> AsyncIterator[Client]:
    """A client of a server in a repository of its own; its worker is ended."""
    with tempfile.TemporaryDirectory(prefix="task-manager-benchmarks-") as name:
        subprocess.run(["git", "init", "--quiet", f"{name}/source"], check=True)  # noqa: ASYNC221
        settings = Settings(data_dir=Path(name, "data"))
        environment = {**os.environ, **_ON_HOST, "TASK_MANAGER_DATA_DIR": str(settings.data_dir)}
        command = ["-m", "task_manager"]
        server = StdioServerParameters(
            command=sys.executable, args=[*command, "mcp"], env=environment, cwd=f"{name}/source"
        )
        try:
            async with Client(server) as client:
                yield client
        finally:
            stop = [sys.executable, *command, "worker", "stop"]
            subprocess.run(stop, check=True, env=environment, stdout=subprocess.DEVNULL)  # noqa: ASYNC221


BENCHMARKS: Final[Mapping[str, Callable[[Counts], Awaitable[Figure]]]] = {
    "imports": imports,
    "start-up": start_up,
    "memory": memory,
    "agent-task": agent_task,
}

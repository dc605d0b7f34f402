"""The benchmark of what a killed worker costs: how soon its run goes on, against how soon a run begins at all."""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final

from tests.orchestration.service import Service, service

from benchmarks.engine import Counts
from benchmarks.figures import Bound, Figure, Goal
from task_manager.worker_process import stop_worker
from task_manager.workflow_status import WorkflowStatus

_SLEPT_SECONDS: Final = 1.0
_LONGEST_SECONDS: Final = 120.0
_STEP: Final = {"id": "only", "image": "busybox", "command": ["sleep", f"{_SLEPT_SECONDS:g}"], "network": False}


async def recovery(counts: Counts) -> Figure:
    """Measure from `kill -9` of the only worker until its run is `running` again, in a new worker and a new engine.

    In turns with that: from starting a run where there is no worker until it is `running`. The new worker is started by
    whoever waits for the run.
    """
    begun, recovered, ended = [], [], []
    with tempfile.TemporaryDirectory(prefix="task-manager-benchmarks-") as name:
        async with service(Path(name), images="host") as shop:
            task = await shop.task("Interrupted", _STEP)
            for _ in range(counts.connections):
                start = time.perf_counter()
                run = await shop.integration.execute_task_workflow(task, skip_cache=True)
                begun.append(await _until_running(shop, run.id, 1) - start)
                killed = time.perf_counter()
                await shop.kill_worker()
                recovered.append(await _until_running(shop, run.id, 2) - killed)
                over = await shop.integration.wait_for_run(run.id)
                ended.append(time.perf_counter() - killed)
                if over.status is not WorkflowStatus.SUCCEEDED or not over.recoveries:
                    raise RuntimeError(f"run {run.id} was not taken up again: {over.status}, {over.reason}")
                await stop_worker(shop.store, shop.integration.settings)
    parts = {
        "recovery s": statistics.median(recovered),
        "slowest s": max(recovered),
        "start s": statistics.median(begun),
        f"to the end of {_SLEPT_SECONDS:g} s of work s": statistics.median(ended),
    }
    ratio = parts["recovery s"] / parts["start s"]
    return Figure("kill -9 to the run's going on / a first start", ratio, "x", Goal(Bound.AT_MOST, 1.5), parts)


async def _until_running(shop: Service, run_id: str, times: int) -> float:
    """Wait until a run has become `running` so many times; return when.

    Raises:
        TimeoutError: It did not.
    """

    async def told() -> float:
        left = times
        async with contextlib.aclosing(shop.store.feed.subscribe(run_id=run_id)) as events:
            async for event in events:
                left -= event.status is WorkflowStatus.RUNNING
                if not left:
                    break
        return time.perf_counter()

    async with asyncio.timeout(_LONGEST_SECONDS):
        return await shop.integration.while_executing(told())


BENCHMARKS: Final[Mapping[str, Callable[[Counts], Awaitable[Figure]]]] = {"recovery": recovery}

"""The benchmark of a run that the cache answers, against the same steps through the SDK."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from benchmarks.engine import SHORT_CHAIN, Counts
from benchmarks.figures import Bound, Figure, Goal
from benchmarks.laboratory import Laboratory, connected, seconds
from task_manager.config import CacheSettings, Settings
from task_manager.dagger_integration import TaskWorkflowIntegration
from task_manager.store import Store
from task_manager.task_service import TaskService
from task_manager.testing import FakeCall, FakeCommunicationManager, FakeEngine, FakeExec

_OUTPUT: Final = "/task/out.txt"


async def cached_execute(place: Laboratory, counts: Counts) -> Figure:
    """Measure a whole run that the cache answers against an SDK program's connection and three cached steps, in turns.

    The run is asked for, gets its row, its events, its result and its artifact, whose content is looked for, and ends.
    The program connects to a session that is there.
    """
    tag = place.fresh()
    await place.chain(SHORT_CHAIN, tag).stdout()

    async def program() -> None:
        async with connected(place.running) as client:
            container = client.container().from_(place.image)
            await place.chain(SHORT_CHAIN, tag, container).stdout()

    ours, programs = [], []
    async with _kept_result() as execute:
        for _ in range(counts.connections):
            programs.append(await seconds(program))
            ours.append(await seconds(execute))
    ratio = statistics.median(programs) / statistics.median(ours)
    parts = {"run ms": statistics.median(ours) * 1000, "program ms": statistics.median(programs) * 1000}
    return Figure("SDK program of three cached steps / cached run", ratio, "x", Goal(Bound.AT_LEAST, 5), parts)


@asynccontextmanager
async def _kept_result() -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """What executes a task of three steps and an artifact, whose result the cache has."""
    with tempfile.TemporaryDirectory(prefix="task-manager-benchmarks-") as name:
        settings = Settings(data_dir=Path(name), cache=CacheSettings(enabled=True))
        with Store.open(settings.data_dir) as store:
            communication = FakeCommunicationManager(settings, FakeEngine(_leaves_a_file))
            async with TaskWorkflowIntegration(
                store=store, communication=communication, settings=settings
            ) as workflows:
                task = await _task(TaskService(store))

                async def execute() -> None:
                    run = await workflows.execute_task_workflow(task)
                    ended = await workflows.wait_for_run(run.id)
                    if ended.reason is None or ended.reason.code != "cached":
                        raise LookupError(f"what was kept is not found: {ended.reason}")

                await workflows.wait_for_run((await workflows.execute_task_workflow(task)).id)
                await execute()
                yield execute


def _leaves_a_file(_call: FakeCall) -> FakeExec:
    return FakeExec(files={_OUTPUT: "out\n"})


async def _task(service: TaskService) -> str:
    steps: list[dict[str, Any]] = [
        {"id": f"step-{number}", "image": "busybox", "command": ["work"], "needs": [f"step-{number - 1}"][:number]}
        for number in range(SHORT_CHAIN)
    ]
    steps[-1]["outputs"] = [{"name": "file", "path": _OUTPUT}]
    project = await service.create_project("benchmark")
    return (await service.create_task(project.id, "Work", pipeline={"steps": steps})).id


BENCHMARKS: Final[Mapping[str, Callable[[Laboratory, Counts], Awaitable[Figure]]]] = {"cached-execute": cached_execute}

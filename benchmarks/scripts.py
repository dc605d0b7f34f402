"""Benchmarks of whole runs against a script of the Python SDK that has the same steps done by the same engine."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from benchmarks.engine import Counts
from benchmarks.figures import Bound, Figure, Goal
from benchmarks.laboratory import Laboratory, environment, seconds
from task_manager.config import Settings
from task_manager.dagger_integration import TaskWorkflowIntegration
from task_manager.models import Project
from task_manager.task_service import TaskService
from task_manager.worker_process import stop_worker
from task_manager.workflow_status import WorkflowStatus

_MOST_AT_ONCE: Final = 8


async def uncached(place: Laboratory, counts: Counts) -> Figure:
    """Measure runs whose steps never ran before against scripts of as many such steps, in turns.

    A run has its row, events, step records, logs and result in the end, and is executed by a worker's process; the
    script asks the engine for the output of each step and keeps nothing.
    """

    async def round_of(product: _Product, case: tuple[int, int]) -> _Taken:
        length, at_once = case
        commands = [_commands(place.fresh(), length) for _ in range(at_once)]
        script = await seconds(lambda: _all(_script(place, one) for one in commands))
        tasks = [await product.task(_commands(place.fresh(), length)) for _ in range(at_once)]
        return _Taken(script, await seconds(lambda: _all(product.run(task) for task in tasks)))

    title = "runs of uncached steps / the same by a script"
    return await _figure(place, counts, title, Goal(Bound.AT_MOST, 5), round_of)


async def cached(place: Laboratory, counts: Counts) -> Figure:
    """Measure runs that the cache of results answers against scripts whose steps the engine has, in turns."""
    known: dict[tuple[int, int], tuple[list[_Commands], list[str]]] = {}

    async def round_of(product: _Product, case: tuple[int, int]) -> _Taken:
        length, at_once = case
        if case not in known:
            commands = [_commands(place.fresh(), length) for _ in range(at_once)]
            known[case] = commands, [await product.task(one) for one in commands]
            await _all(product.run(task) for task in known[case][1])
            await _all(_script(place, one) for one in commands)
        commands, tasks = known[case]
        script = await seconds(lambda: _all(_script(place, one) for one in commands))
        return _Taken(script, await seconds(lambda: _all(product.run(task) for task in tasks)))

    title = "runs that the cache answers / the same by a script"
    return await _figure(place, counts, title, Goal(Bound.AT_MOST, 2), round_of)


_Commands = Sequence[Sequence[str]]


@dataclass(frozen=True)
class _Taken:
    """The seconds of one round."""

    script: float
    product: float


@dataclass(frozen=True)
class _Product:
    """A service whose worker uses the laboratory's session."""

    integration: TaskWorkflowIntegration
    project: Project
    image: str

    async def task(self, commands: _Commands) -> str:
        """Write down a task of these steps, one after the other; return its id."""
        common: dict[str, Any] = {"image": self.image, "network": False}
        steps = [
            {**common, "id": f"step-{number}", "command": [*command], "needs": [f"step-{number - 1}"][:number]}
            for number, command in enumerate(commands)
        ]
        tasks = TaskService(self.integration.store)
        return (await tasks.create_task(self.project.id, "Measured", pipeline={"steps": steps})).id

    async def run(self, task: str) -> None:
        """Run a task to its end."""
        run = await self.integration.execute_task_workflow(task)
        ended = await self.integration.wait_for_run(run.id)
        if ended.status is not WorkflowStatus.SUCCEEDED:
            raise RuntimeError(f"run {run.id} ended as {ended.status}: {ended.reason}")


async def _figure(
    place: Laboratory,
    counts: Counts,
    title: str,
    goal: Goal,
    round_of: Callable[[_Product, tuple[int, int]], Awaitable[_Taken]],
) -> Figure:
    """Measure each case several times; the figure is the median of the cases' ratios."""
    async with _product(place) as product:
        taken = {case: [await round_of(product, case) for _ in range(counts.rounds)] for case in counts.scripts}
    ratios, added = {}, {}
    for (length, at_once), rounds in taken.items():
        script = statistics.median(one.script for one in rounds)
        ours = statistics.median(one.product for one in rounds)
        name = f"{length} step{'s' * (length > 1)} {at_once} at once"
        ratios[f"{name} x"] = ours / script
        if at_once == 1:
            added[f"{name.removesuffix(' 1 at once')} adds ms"] = (ours - script) * 1000
    return Figure(title, statistics.median(ratios.values()), "x", goal, {**ratios, **added})


@asynccontextmanager
async def _product(place: Laboratory) -> AsyncIterator[_Product]:
    """Open a service whose worker has executed a run already; end the worker."""
    with tempfile.TemporaryDirectory(prefix="task-manager-benchmarks-") as name, environment(place.running):
        settings = Settings.model_validate({"data_dir": name, "run_parallelism": _MOST_AT_ONCE})
        async with TaskWorkflowIntegration(settings=settings) as integration:
            project = await TaskService(integration.store).create_project("Measured")
            product = _Product(integration, project, place.image)
            try:
                await product.run(await product.task(_commands(place.fresh(), 1)))
                yield product
            finally:
                await stop_worker(integration.store, settings)


def _commands(tag: str, length: int) -> _Commands:
    return [["sh", "-c", f"echo {tag} {number}"] for number in range(length)]


async def _script(place: Laboratory, commands: _Commands) -> None:
    for command in commands:
        await place.base.with_exec([*command]).stdout()


async def _all(work: Iterable[Coroutine[Any, Any, None]]) -> None:
    async with asyncio.TaskGroup() as group:
        for one in work:
            group.create_task(one)


BENCHMARKS: Final[Mapping[str, Callable[[Laboratory, Counts], Awaitable[Figure]]]] = {
    "script-uncached": uncached,
    "script-cached": cached,
}

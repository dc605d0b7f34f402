"""A worker over a faked engine: which runs it begins, and what it tidies up."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

from task_manager.config import Settings
from task_manager.models import Workflow, WorkflowRun, utc_now
from task_manager.orchestration import InProcessOrchestrator
from task_manager.pipeline import Pipeline
from task_manager.run_executor import RunExecutor
from task_manager.snapshots import Snapshots
from task_manager.store import Store, artifacts, queue, runs
from task_manager.testing import FakeCommunicationManager, FakeEngine
from task_manager.worker import Worker
from task_manager.workflow_status import Reason, WorkflowStatus
from tests.environment.processes import until
from tests.store.builders import NOW, a_run, an_artifact, stored_project, stored_task, stored_workflow

ONE_STEP = Pipeline.model_validate({"steps": [{"id": "only", "image": "busybox", "command": ["true"]}]})


class RememberingOrchestrator(InProcessOrchestrator):
    """Remembers what it was asked to forget."""

    def __init__(self) -> None:
        super().__init__()
        self.forgotten: list[datetime] = []

    async def forget_ended(self, before: datetime) -> int:
        self.forgotten.append(before)
        return await super().forget_ended(before)


class Clock:
    """A time that passes, and can be moved on."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def __call__(self) -> datetime:
        return utc_now() + self.ahead


class Place:
    """A worker with all that it needs."""

    def __init__(self, store: Store, engine: FakeEngine, name: str, **settings: object) -> None:
        self.store = store
        self.engine = engine
        self.clock = Clock()
        self.orchestrator = RememberingOrchestrator()
        configured = Settings.model_validate({"data_dir": store.data_dir, **settings})
        communication = FakeCommunicationManager(configured, engine)
        executor = RunExecutor(store, communication, configured, worker_id=name, clock=self.clock)
        self.worker = Worker(store, executor, self.orchestrator, configured, worker_id=name, clock=self.clock)

    async def start(self, workflow: Workflow, **fields: object) -> WorkflowRun:
        return await self.store.run(queue.start, a_run(workflow, **fields), now=self.clock())

    async def ended(self, run: WorkflowRun) -> WorkflowRun:
        async for _ in self.store.feed.subscribe(run_id=run.id):
            found = await self.store.run(runs.get, run.id)
            if found.status.is_terminal:
                return found
        raise AssertionError("the feed goes on until it is left")


@asynccontextmanager
async def place_in(folder: Path, **settings: object) -> AsyncIterator[Place]:
    """A worker that has not begun."""
    with Store.open(folder) as store:
        place = Place(store, FakeEngine(), "w", **settings)
        try:
            async with asyncio.timeout(60):
                yield place
        finally:
            await place.worker.stop()


async def test_a_run_begins_though_many_before_it_are_held(tmp_path: Path) -> None:
    """The worker looks at the first runs of the queue; where limits hold all of them, at the others too."""
    go_on = asyncio.Event()
    async with place_in(tmp_path, run_parallelism=2, project_parallelism=1) as place:
        place.engine.hold = go_on.wait
        held, free = stored_workflow(place.store, pipeline=ONE_STEP), stored_workflow(place.store, pipeline=ONE_STEP)
        before = [await place.start(held) for _ in range(40)]
        last = await place.start(free)
        await place.worker.start()
        async for event in place.store.feed.subscribe(run_id=last.id):
            if event.status is WorkflowStatus.RUNNING:
                break
        under_way = await place.store.run(queue.handed_over)
        assert {run.id for run in under_way} == {before[0].id, last.id}
        go_on.set()
        assert (await place.ended(last)).status is WorkflowStatus.SUCCEEDED


async def test_at_a_quiet_time_attempts_and_snapshots_that_nobody_needs_are_removed(tmp_path: Path) -> None:
    """What a run that is not over needs stays, whatever its age."""
    async with place_in(tmp_path / "data", attempt_hours=3, snapshot_days=2) as place:
        source, snapshots = tmp_path / "source", Snapshots(place.store.data_dir)
        source.mkdir()
        kept = []
        for number in range(3):
            (source / "file").write_text(str(number))
            kept.append(snapshots.take(source, ignored=False))
        needed, unused, fresh = map(snapshots.path, kept)
        old = (place.clock() - timedelta(days=3)).timestamp()
        for folder in (needed, unused):
            os.utime(folder, (old, old))
        paused = stored_task(place.store, stored_project(place.store, paused_at=NOW))
        await place.start(stored_workflow(place.store, paused, pipeline=ONE_STEP), snapshot=kept[0])
        place.clock.ahead = timedelta(minutes=2)
        await place.worker.start()
        await until(lambda: not unused.exists())
        assert needed.is_dir()
        assert fresh.is_dir()
        (before,) = place.orchestrator.forgotten
        assert timedelta(0) <= place.clock() - before - timedelta(hours=3) < timedelta(minutes=1)


def places_taken(store: Store) -> Counter[str | None]:
    """How many runs each worker has."""
    return Counter(run.worker_id for run in store.run_sync(queue.handed_over))


async def test_workers_that_share_a_database_begin_as_many_runs_as_each_has_places(tmp_path: Path) -> None:
    go_on = asyncio.Event()
    async with place_in(tmp_path, run_parallelism=2) as place:
        other = Place(place.store, place.engine, "other", run_parallelism=3)
        place.engine.hold = go_on.wait
        workflow = stored_workflow(place.store, pipeline=ONE_STEP)
        started = [await place.start(workflow) for _ in range(8)]
        await place.worker.start()
        await other.worker.start()
        try:
            await until(lambda: places_taken(place.store) == {"w": 2, "other": 3})
            go_on.set()
            ended = [await place.ended(run) for run in started]
            assert {run.status for run in ended} == {WorkflowStatus.SUCCEEDED}
            assert len(place.engine.calls) == len(started)
        finally:
            await other.worker.stop()


async def test_at_a_quiet_time_artifacts_beyond_their_limits_are_removed(tmp_path: Path) -> None:
    async with place_in(tmp_path / "data", artifacts={"max_age": "1d"}) as place:
        workflow = stored_workflow(place.store, pipeline=ONE_STEP)
        old, fresh = await place.start(workflow), await place.start(workflow)
        why = Reason(code="cancelled", text="Not needed.")
        for run, ended in ((old, NOW), (fresh, place.clock())):
            await place.store.run(queue.wish_cancelled, run.id, reason=why, actor="ada", now=ended)
            await place.store.run(artifacts.put, an_artifact(run))
        place.clock.ahead = timedelta(minutes=2)
        await place.worker.start()
        while [one.run_id for one in await place.store.run(artifacts.kept)] != [fresh.id]:  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.02)

"""Servers and workers start what was due while nobody was there, once, whatever is killed in between."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from task_manager.application import Application
from task_manager.config import Settings
from task_manager.models import WorkflowRun, utc_now
from task_manager.schedule_records import Occurrence, OccurrenceState, Schedule
from task_manager.scheduler import LEASE, Scheduler
from task_manager.schedules import Schedules
from task_manager.store import Store, run_queries
from task_manager.store import schedules as kept
from task_manager.workflow_status import WorkflowStatus

STEPS = {"steps": [{"id": "only", "image": "busybox", "command": ["true"]}]}

BEGINNER = """
import asyncio, sys
from pathlib import Path
from task_manager.application import Application
from task_manager.config import Settings
from task_manager.scheduler import Scheduler

async def main():
    settings = Settings.model_validate({"data_dir": Path(sys.argv[1]), "worker": "elsewhere"})
    async with Application(settings) as application:
        async def start(occurrence):
            if sys.argv[2] == "started":
                await application.schedules.start(occurrence)
            print("begun", flush=True)
            await asyncio.Future()
        async with Scheduler(application.store, start).running():
            await asyncio.Future()

asyncio.run(main())
"""
"""A process that begins with what is due, and never ends with it."""


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


def settings_of(data_dir: Path) -> Settings:
    return Settings.model_validate({"data_dir": data_dir, "worker": "elsewhere"})


def a_missed_schedule(data_dir: Path) -> Schedule:
    """One that was made two days ago, and due twice since: at a time of day that is far from now."""
    due = utc_now() - timedelta(hours=12)

    async def make() -> Schedule:
        async with Application(settings_of(data_dir)) as application:
            project = await application.tasks.create_project("site")
            task = await application.tasks.create_task(project.id, "Deploy", pipeline=STEPS)
            made_at = utc_now() - timedelta(days=2)
            schedules = Schedules(application.store, targets=application.targets, clock=lambda: made_at)
            return await schedules.add(
                {"name": "nightly", "cron": f"{due.minute} {due.hour} * * *", "task_id": task.id}
            )

    return asyncio.run(make())


@contextmanager
def started(*command: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """A process that is killed at the end."""
    given = {**os.environ, "TASK_MANAGER_ENGINE": "embedded", "TASK_MANAGER_IMAGES": "host", **environment}
    with subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE, text=True, env=given) as process:
        try:
            yield process
        finally:
            process.kill()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - other processes tell nobody
            await asyncio.sleep(0.05)


def runs_of(store: Store) -> tuple[WorkflowRun, ...]:
    return store.run_sync(run_queries.list_, limit=50).items


def occurrences_of(store: Store) -> tuple[Occurrence, ...]:
    return store.run_sync(kept.occurrences).items


@pytest.mark.parametrize("command", [("server", "--port", "0"), ("worker", "run")])
def test_what_was_missed_is_run_once_by_whoever_is_started(data_dir: Path, command: tuple[str, ...]) -> None:
    schedule = a_missed_schedule(data_dir)
    with Store.open(data_dir) as store:
        with started("-m", "task_manager", *command):
            asyncio.run(until(lambda: [run.status for run in runs_of(store)] == [WorkflowStatus.SUCCEEDED]))
            asyncio.run(until(lambda: occurrences_of(store)[0].state is OccurrenceState.STARTED))
        (noted,), (run,) = occurrences_of(store), runs_of(store)
        assert (noted.run_ids, noted.missed_since) == ((run.id,), schedule.next_due_at)
        now = store.run_sync(kept.get, schedule.id)
        assert now.last_run_ids == (run.id,)
        assert now.next_due_at is not None
        assert now.next_due_at > utc_now()


@pytest.mark.parametrize("killed", ["begun", "started"])
async def test_what_was_begun_by_a_process_that_was_killed_is_started_once(data_dir: Path, killed: str) -> None:
    """Killed before the run was there, and after that but before it was noted."""
    await asyncio.to_thread(a_missed_schedule, data_dir)
    with started("-c", BEGINNER, str(data_dir), killed) as process:
        assert process.stdout is not None
        assert await asyncio.to_thread(process.stdout.readline) == "begun\n"
        process.kill()
    async with Application(settings_of(data_dir)) as application:
        store = application.store
        assert len(runs_of(store)) == (1 if killed == "started" else 0)
        later = Scheduler(store, application.schedules.start, clock=lambda: utc_now() + 2 * LEASE)
        async with later.running():
            await until(lambda: [one.state for one in occurrences_of(store)] == [OccurrenceState.STARTED])
        assert [run.id for run in runs_of(store)] == list(occurrences_of(store)[0].run_ids)

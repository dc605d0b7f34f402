"""A data folder whose runs worker processes execute, and what must hold of its event log."""

from __future__ import annotations

import itertools
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from task_manager.config import Settings
from task_manager.dagger_integration import TaskWorkflowIntegration
from task_manager.models import Event, EventKind, Project, WorkflowRun
from task_manager.store import Store, events, runs, workers
from task_manager.task_service import TaskService
from task_manager.worker_process import stop_worker
from task_manager.workflow_status import TRANSITIONS
from tests.environment.processes import processes_with


@dataclass
class Service:
    """An open integration over workers of their own processes."""

    integration: TaskWorkflowIntegration
    project: Project

    @property
    def store(self) -> Store:
        return self.integration.store

    async def task(self, title: str, *steps: dict[str, object], **fields: Any) -> str:
        tasks = TaskService(self.store)
        created = await tasks.create_task(self.project.id, title, pipeline={"steps": list(steps)}, **fields)
        return created.id

    async def worker_pids(self) -> list[int]:
        """The processes of the workers that are registered and alive."""
        found = [worker.pid for worker in await self.store.run(workers.all_)]
        return [pid for pid in found if pid in processes_with("task_manager")]

    async def kill_worker(self) -> None:
        """Kills a worker, if one is there."""
        for pid in (await self.worker_pids())[:1]:
            kill(pid)

    async def kill_engine(self) -> None:
        """Kills the engine session of a worker, if one is there."""
        for pid in await self.worker_pids():
            for child in children(pid):
                kill(child)

    async def run(self, run_id: str) -> WorkflowRun:
        return await self.store.run(runs.get, run_id)

    async def log(self, run_id: str) -> tuple[Event, ...]:
        return await self.store.run(events.after, 0, run_id=run_id)


@asynccontextmanager
async def service(data_dir: Path, **settings: object) -> AsyncIterator[Service]:
    """Opens a service; its worker is ended at the end."""
    given = {
        "engine": "embedded",
        "idle_seconds": 120,
        "recoveries": 1000,
        "shutdown_seconds": 0,
        "cache": {"enabled": False},
        **settings,
    }
    configured = Settings.model_validate({"data_dir": data_dir, **given})
    async with TaskWorkflowIntegration(settings=configured) as integration:
        project = await TaskService(integration.store).create_project("p")
        try:
            yield Service(integration, project)
        finally:
            await stop_worker(integration.store, configured)


def children(pid: int) -> list[int]:
    """The engine sessions that a worker started."""
    found = []
    for entry in processes_with("embedded_engine"):
        with suppress(OSError, ValueError):
            stat = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
            if int(stat[1]) == pid:
                found.append(entry)
    return found


def kill(pid: int) -> None:
    """Kills a process, if it is still there."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def check_log(log: Sequence[Event]) -> None:
    """Holds a run's events against what they promise: nothing lost, nothing doubled, one end."""
    assert [event.run_sequence for event in log] == list(range(1, len(log) + 1))
    states = [event for event in log if event.kind is EventKind.RUN_STATUS]
    for before, after in itertools.pairwise(states):
        assert before.status is not None
        assert after.status is not None
        assert after.previous is before.status
        assert after.status in TRANSITIONS[before.status]
    ends = [event for event in states if event.status is not None and event.status.is_terminal]
    assert ends == states[-1:]
    steps = Counter(
        (event.step_id, event.step_status, event.attempt) for event in log if event.kind is EventKind.STEP_STATUS
    )
    assert set(steps.values()) <= {1}, steps

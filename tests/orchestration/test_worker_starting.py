"""Who waits for a run whose worker cannot start is told so, and the run stays queued."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from task_manager.errors import WorkerError
from task_manager.models import WorkflowRun
from task_manager.worker_starting import MOST_STARTS
from task_manager.workflow_status import WorkflowStatus
from tests.orchestration.service import Service, service

_MISSING = "raise ModuleNotFoundError('No module named dbos')"
_KILLED = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"


@asynccontextmanager
async def service_whose_worker(does: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Service]:
    """Opens a service whose worker process does something as soon as it loads what it needs alone, and notes that."""
    module = tmp_path / "modules" / "dbos.py"
    module.parent.mkdir()
    module.write_text(f"open({str(tmp_path / 'starts')!r}, 'a').write('x')\n{does}\n")
    monkeypatch.setenv("PYTHONPATH", str(module.parent))
    async with service(tmp_path / "data") as shop:
        yield shop


async def queued(shop: Service) -> WorkflowRun:
    task = await shop.task("T", {"id": "only", "image": "task-manager.invalid/host-toolchain", "command": ["true"]})
    return await shop.integration.execute_task_workflow(task)


def test_who_looks_for_a_worker_loads_nothing_of_what_a_worker_needs(tmp_path: Path) -> None:
    program = """
import asyncio, pathlib, sys
from task_manager.config import Settings
from task_manager.execution import ExecutionByWorker
from task_manager.store import Store
settings = Settings(data_dir=pathlib.Path(sys.argv[1]))
with Store.open(settings.data_dir) as store:
    asyncio.run(ExecutionByWorker(store, settings).prepare())
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""
    command = [sys.executable, "-c", program, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    loaded = set(done.stdout.split())
    assert "task_manager" in loaded
    assert loaded & {"dagger", "dbos", "prometheus_client", "purgatory", "redis"} == set()


async def test_a_worker_that_ends_with_an_error_ends_the_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with service_whose_worker(_MISSING, tmp_path, monkeypatch) as shop:
        runs = [await queued(shop) for _ in range(3)]
        waits = (shop.integration.wait_for_run(run.id, timeout=100) for run in runs)
        errors = await asyncio.gather(*waits, return_exceptions=True)
        for error in errors:
            assert isinstance(error, WorkerError), error
            assert "code 1" in str(error)
            assert "No module named dbos" in str(error)
            assert "worker.log" in (error.remedy or "")
        assert (tmp_path / "starts").read_text() == "x"
        for run in runs:
            assert (await shop.run(run.id)).status is WorkflowStatus.QUEUED
            why = (await shop.integration.why_waiting(run.id)).reason
            assert why is not None
            assert why.code == "no_worker"


async def test_a_worker_that_is_killed_at_each_start_is_not_started_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with service_whose_worker(_KILLED, tmp_path, monkeypatch) as shop:
        run = await queued(shop)
        with pytest.raises(WorkerError, match="signal 9"):
            await shop.integration.wait_for_run(run.id, timeout=100)
        assert (tmp_path / "starts").read_text() == "x" * MOST_STARTS
        assert (await shop.run(run.id)).status is WorkflowStatus.QUEUED

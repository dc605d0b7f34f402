"""The API over a data folder of the test's own; runs are executed here, on the real engine or a faked one."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from task_manager.application import Application
from task_manager.config import Settings
from task_manager.dagger_integration import TaskWorkflowIntegration
from task_manager.store import Store
from task_manager.testing import FakeCommunicationManager, FakeEngine
from tests.rest_api.server import RunningApi, serving


class FakedApplication(Application):
    """An application whose runs are executed in this process by an engine that runs nothing."""

    def __init__(self, settings: Settings, engine: FakeEngine) -> None:
        super().__init__(settings)
        self.engine = engine

    def _make_workflows(self) -> TaskWorkflowIntegration:
        communication = FakeCommunicationManager(self.settings, self.engine)
        return TaskWorkflowIntegration(store=self.store, settings=self.settings, communication=communication)


def settings_of(data_dir: Path, **changes: object) -> Settings:
    given = {"data_dir": data_dir, "engine": "dagger", "retry": {"strategy": "none"}, "worker": "here", **changes}
    return Settings.model_validate(given)


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with an empty store; copied, it need not be made anew for every test."""
    folder = tmp_path_factory.mktemp("empty") / "data"
    Store.open(folder).close()
    return folder


@pytest.fixture
def data_dir(tmp_path: Path, empty_store: Path) -> Path:
    """A data folder of the test's own."""
    return Path(shutil.copytree(empty_store, tmp_path / "data"))


@pytest.fixture
def engine() -> FakeEngine:
    """What executes the runs of `api`; by default everything succeeds at once."""
    return FakeEngine()


@pytest.fixture
def api(data_dir: Path, engine: FakeEngine) -> Iterator[RunningApi]:
    """A running API with a faked engine."""
    with serving(lambda: FakedApplication(settings_of(data_dir), engine)) as running:
        yield running


@pytest.fixture
def client(api: RunningApi) -> Iterator[httpx.Client]:
    """A client of `api`."""
    with httpx.Client(base_url=api.url, timeout=60, trust_env=False) as client:
        yield client


@pytest.fixture(scope="module")
def shared_client(empty_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of an API that several tests share, which must leave nothing in it."""
    data_dir = Path(shutil.copytree(empty_store, tmp_path_factory.mktemp("shared") / "data"))
    with (
        serving(lambda: FakedApplication(settings_of(data_dir), FakeEngine())) as running,
        httpx.Client(base_url=running.url, timeout=60, trust_env=False) as client,
    ):
        yield client


def until(client: httpx.Client, run_id: str, is_so: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The status of a run, once something is so."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        status: dict[str, Any] = client.get(f"/runs/{run_id}/status").json()
        if is_so(status):
            return status
        time.sleep(0.02)
    raise AssertionError(f"it never became so: {status}")


def ended(client: httpx.Client, run_id: str) -> dict[str, Any]:
    return until(client, run_id, lambda status: bool(status["over"]))


@pytest.fixture
def held(api: RunningApi, engine: FakeEngine) -> Callable[[], object]:
    """Commands of the engine do not end before this is called."""
    released = asyncio.Event()
    engine.hold = released.wait
    return lambda: api.loop.call_soon_threadsafe(released.set)

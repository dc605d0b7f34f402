"""The API over a data folder of the test's own; runs are executed here, on the real engine or a faked one."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

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

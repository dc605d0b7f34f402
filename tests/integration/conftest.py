"""A project on the embedded engine, over a folder of layers that all tests of a process share."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from task_manager.communication import DaggerCommunicationManager
from task_manager.config import Settings
from task_manager.dagger_integration import RunState, TaskWorkflowIntegration
from task_manager.models import Project, Task
from task_manager.pipeline import Pipeline
from task_manager.pipeline_trial import PipelineTrial
from task_manager.task_service import TaskService
from tests.environment.go_image import COMPILED
from tests.environment.registry import Registry


class Workshop:
    """An open integration with one project."""

    def __init__(self, integration: TaskWorkflowIntegration, project: Project) -> None:
        self.integration = integration
        self.project = project
        self.tasks = TaskService(integration.store)

    async def task(self, title: str, *steps: dict[str, object], **fields: Any) -> Task:
        if steps:
            fields["pipeline"] = {"steps": list(steps), **fields.pop("definition", {})}
        return await self.tasks.create_task(self.project.id, title, **fields)

    async def run(self, task: Task, **arguments: Any) -> RunState:
        started = await self.integration.execute_task_workflow(task.id, **arguments)
        await self.integration.wait_for_run(started.id)
        return await self.integration.get_run(started.id)

    async def run_steps(self, *steps: dict[str, object], title: str = "Task", **fields: Any) -> RunState:
        return await self.run(await self.task(title, *steps, **fields))


OpenWorkshop = Callable[..., AbstractAsyncContextManager[Workshop]]


@pytest.fixture(scope="session")
def engine_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder whose engine keeps its layers from test to test."""
    return tmp_path_factory.mktemp("engine-data")


@pytest.fixture(scope="session")
def mirrored(registry: Registry, busybox_layout: Path, python_layout: Path) -> dict[str, object]:
    """Settings under which Docker Hub's names come from the local registry."""
    for name, tag in (("library/python", "3.12-slim"), ("library/debian", "13-slim")):
        registry.push(python_layout, name, tag)
    registry.push(busybox_layout, "library/busybox", "latest")
    return {"registries": {"mirrors": {"docker.io": [f"http://{registry.host}"]}}, "images": "pull"}


@pytest.fixture
def workshop(engine_data: Path, tmp_path: Path) -> OpenWorkshop:
    """Opens a project whose source folder is `tmp_path / "source"`, with settings of the test's own."""
    source = tmp_path / "source"
    source.mkdir()
    numbers = itertools.count(1)

    @asynccontextmanager
    async def open_workshop(
        communication: DaggerCommunicationManager | None = None, **changes: object
    ) -> AsyncIterator[Workshop]:
        given = {
            "data_dir": engine_data,
            "engine": "embedded",
            "connect_timeout": 5,
            "retry": {"strategy": "none"},
            "cache": {"enabled": False},
            **changes,
        }
        settings = Settings.model_validate(given)
        async with TaskWorkflowIntegration(
            settings=settings, communication=communication, execute_here=True
        ) as integration:
            service = TaskService(integration.store)
            project = await service.create_project(f"{tmp_path.name} {next(numbers)}", source_folder=str(source))
            yield Workshop(integration, project)

    return open_workshop


def settings(engine_data: Path, mirrored: dict[str, object], **changes: object) -> Settings:
    return Settings.model_validate({"data_dir": engine_data, "engine": "embedded", **mirrored, **changes})


@pytest.fixture(scope="session")
def node_in_registry(registry: Registry, node_layout: Path) -> str:
    return registry.push(node_layout, "library/node", "22-slim")


@pytest.fixture(scope="session")
def go_compiled(
    registry: Registry,
    go_layout: Path,
    engine_data: Path,
    mirrored: dict[str, object],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Go's image, and its standard library compiled in the volume that the template's steps share."""
    registry.push(go_layout, "library/golang", "1.26")
    step = {
        "id": "fill",
        "image": "golang:1.26",
        "command": ["cp", "-a", f"/{COMPILED}/.", "/cache"],
        "caches": [{"name": "go-build", "target": "/cache"}],
    }
    filling = Pipeline.model_validate({"steps": [step]})

    async def fill() -> Mapping[str, Any]:
        async with PipelineTrial(settings(engine_data, mirrored)) as trial:
            return await trial.run(filling, tmp_path_factory.mktemp("nothing"))

    assert asyncio.run(fill())["status"] == "succeeded"

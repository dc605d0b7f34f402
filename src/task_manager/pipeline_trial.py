"""Trying a pipeline out on a source folder, without leaving anything in the store."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from pydantic import JsonValue

from task_manager.config import CacheSettings, Settings
from task_manager.dagger_integration import TaskWorkflowIntegration
from task_manager.errors import StepError
from task_manager.models import Project, Task, new_id, utc_now
from task_manager.pipeline import Pipeline
from task_manager.store import Store, projects, tasks


class PipelineTrial:
    """Runs pipelines in a store of its own, which is removed in the end; the engine and its layers are the usual ones.

    An async context manager.

    Args:
        settings: Which engine to use, and how.
    """

    def __init__(self, settings: Settings) -> None:
        # A trial asks what a pipeline does now, not what it did before.
        self._settings = settings.model_copy(update={"cache": CacheSettings(enabled=False)})
        self._stack = AsyncExitStack()
        self._opened: tuple[TaskWorkflowIntegration, Store, Path] | None = None

    async def __aenter__(self) -> Self:
        """Make ready; the engine starts with the first pipeline."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Remove everything."""
        await self._stack.aclose()

    async def run(self, pipeline: Pipeline, source: Path) -> Mapping[str, JsonValue]:
        """Run a pipeline on a copy of a folder.

        Args:
            pipeline: What to run.
            source: The source folder; what the pipeline does cannot change it.

        Returns:
            The result, JSON-like.

        Raises:
            StepError: The run ended without a result.
            EngineError: No engine could run it.
        """
        integration, store, folder = await self._open()
        task = await self._task(store, pipeline, await asyncio.to_thread(_copy, source, folder))
        run = await integration.execute_task_workflow(task.id, actor="trial")
        run = await integration.wait_for_run(run.id)
        state = await integration.get_run(run.id)
        if state.result is None:
            raise StepError(run.reason.text if run.reason else f"The run ended {run.status}, without a result.")
        return state.result

    async def _open(self) -> tuple[TaskWorkflowIntegration, Store, Path]:
        if self._opened is None:
            folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="task-manager-trial-")))
            store = await asyncio.to_thread(Store.open, folder / "data")
            self._stack.callback(store.close)
            integration = TaskWorkflowIntegration(store=store, settings=self._settings, execute_here=True)
            self._opened = await self._stack.enter_async_context(integration), store, folder
        return self._opened

    async def _task(self, store: Store, pipeline: Pipeline, source: Path) -> Task:
        now = utc_now()
        stamps = {"created_at": now, "updated_at": now}
        project = Project(id=new_id("project"), name=source.parent.name, source_folder=str(source), **stamps)
        await store.run(projects.insert, project)
        task = Task(
            id=new_id("task"),
            project_id=project.id,
            title=pipeline.name,
            pipeline=pipeline.model_dump(mode="json"),
            **stamps,
        )
        return await store.run(tasks.insert, task)


def _copy(source: Path, folder: Path) -> Path:
    copy = Path(tempfile.mkdtemp(dir=folder)) / "source"
    shutil.copytree(source, copy, symlinks=True)
    return copy

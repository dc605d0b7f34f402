"""Artifacts and results of the tasks that a task depends on, as files for its steps."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

from task_manager.artifacts import artifacts_called
from task_manager.errors import NotFound, SourceNotFound
from task_manager.models import Task, WorkflowRun
from task_manager.pipeline import Pipeline, TaskSource
from task_manager.store import Store, artifacts, results, runs, tasks
from task_manager.workflow_status import WorkflowStatus

TaskSources = dict[tuple[str, str | None], Path]


async def resolve_task_sources(store: Store, task: Task, pipeline: Pipeline, folder: Path) -> TaskSources:
    """Find what a pipeline's steps take from other tasks.

    Args:
        store: Where the other tasks' runs are.
        task: The task whose pipeline it is; only tasks that it depends on may be named.
        pipeline: The pipeline.
        folder: Where results are written as JSON files.

    Returns:
        For each `(task, artifact)` as the pipeline names it, the file or folder. Optional ones that are missing are
        left out.

    Raises:
        SourceNotFound: A task is none of the dependencies, has not succeeded, or has no such artifact.
    """
    named = {(s.task, s.artifact): s for step in pipeline.steps for s in step.sources if isinstance(s, TaskSource)}
    if not named:
        return {}
    dependencies = [await store.run(tasks.get, dependency) for dependency in task.dependencies]
    found: TaskSources = {}
    for key, source in named.items():
        path = await _resolve(store, source, dependencies, folder)
        if path is not None:
            found[key] = path
    return found


async def _resolve(store: Store, source: TaskSource, dependencies: Sequence[Task], folder: Path) -> Path | None:
    upstream = _named_task(source, dependencies)
    run = await store.run(runs.latest, upstream.id, status=WorkflowStatus.SUCCEEDED)
    if run is None:
        _refuse_unless_optional(source, f"Task {upstream.title!r} has no successful run.")
        return None
    if source.artifact is None:
        return await _result_file(store, run, folder)
    called = artifacts_called(source.artifact, await store.run(artifacts.of_run, run.id))
    if len(called) != 1:
        left = f"The run {run.id} of task {upstream.title!r} left no artifact {source.artifact!r}."
        _refuse_unless_optional(source, left)
        return None
    return store.data_dir / called[0].path


def _named_task(source: TaskSource, dependencies: Sequence[Task]) -> Task:
    for task in dependencies:
        if source.task in (task.id, task.title):
            return task
    known = NotFound("task", source.task, known=[task.title for task in dependencies])
    raise SourceNotFound(
        f"The pipeline takes something from task {source.task!r}, which is none of the task's dependencies.",
        remedy=known.remedy or "Add it to the task's dependencies.",
        details={"task": source.task, "dependencies": [task.title for task in dependencies]},
    )


def _refuse_unless_optional(source: TaskSource, message: str) -> None:
    if not source.optional:
        raise SourceNotFound(message, details={"task": source.task, "artifact": source.artifact})


async def _result_file(store: Store, run: WorkflowRun, folder: Path) -> Path:
    data = await store.run(results.get, run.id)
    path = folder / f"{run.id}.json"
    await asyncio.to_thread(_write, path, json.dumps(data, ensure_ascii=False, indent=1))
    return path


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)

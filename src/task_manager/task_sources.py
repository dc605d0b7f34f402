"""Artifacts and results of the tasks that a task depends on, as files for its steps."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

from task_manager.artifacts import ArtifactStore, artifact_called
from task_manager.errors import InvalidInput, NotFound, SourceNotFound
from task_manager.models import Artifact, Task, WorkflowRun
from task_manager.pipeline import Pipeline, TaskSource
from task_manager.store import Store, artifacts, results, runs, tasks
from task_manager.workflow_status import WorkflowStatus

TaskSources = dict[tuple[str, str | None], Path]


async def resolve_task_sources(
    store: Store, kept: ArtifactStore, task: Task, pipeline: Pipeline, folder: Path
) -> TaskSources:
    """Find what a pipeline's steps take from other tasks.

    Args:
        store: Where the other tasks' runs are.
        kept: Where their artifacts are.
        task: The task whose pipeline it is; only tasks that it depends on may be named.
        pipeline: The pipeline.
        folder: Where artifacts are written as files, and results as JSON files.

    Returns:
        For each `(task, artifact)` as the pipeline names it, the file or folder. Optional ones that are missing are
        left out.

    Raises:
        SourceNotFound: A task is none of the dependencies, has not succeeded, or has no such artifact or several.
        ArtifactError: An artifact cannot be read.
    """
    named = {(s.task, s.artifact): s for step in pipeline.steps for s in step.sources if isinstance(s, TaskSource)}
    if not named:
        return {}
    dependencies = [await store.run(tasks.get, dependency) for dependency in task.dependencies]
    found: TaskSources = {}
    for key, source in named.items():
        path = await _resolve(store, kept, source, dependencies, folder)
        if path is not None:
            found[key] = path
    return found


async def _resolve(
    store: Store, kept: ArtifactStore, source: TaskSource, dependencies: Sequence[Task], folder: Path
) -> Path | None:
    upstream = _named_task(source, dependencies)
    run = await store.run(runs.latest, upstream.id, status=WorkflowStatus.SUCCEEDED)
    if run is None:
        _refuse_unless_optional(source, f"Task {upstream.title!r} has no successful run.")
        return None
    if source.artifact is None:
        return await _result_file(store, run, folder)
    try:
        artifact = artifact_called(source.artifact, await store.run(artifacts.of_run, run.id))
    except NotFound as error:
        left = f"The run {run.id} of task {upstream.title!r} left no artifact {source.artifact!r}."
        _refuse_unless_optional(source, left, error.remedy)
        return None
    except InvalidInput as error:
        raise _ambiguous(source, upstream, run, error) from error
    return await _written_out(kept, artifact, folder)


async def _written_out(kept: ArtifactStore, artifact: Artifact, folder: Path) -> Path:
    """The artifact as a file or folder, under its digest: an earlier attempt may have written it already."""
    target = folder / artifact.digest.removeprefix("sha256:") / Path(artifact.path).name
    return target if target.exists() else await kept.export(artifact, target)


def _ambiguous(source: TaskSource, upstream: Task, run: WorkflowRun, error: InvalidInput) -> SourceNotFound:
    return SourceNotFound(
        f"The run {run.id} of task {upstream.title!r} left several artifacts called {source.artifact!r}: "
        f"{', '.join(map(str, _candidates(error)))}.",
        remedy="Name one of them, as STEP/OUTPUT.",
        details={"task": source.task, **error.details},
    )


def _candidates(error: InvalidInput) -> Sequence[object]:
    candidates = error.details.get("candidates")
    return candidates if isinstance(candidates, list) else []


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


def _refuse_unless_optional(source: TaskSource, message: str, remedy: str = "") -> None:
    if not source.optional:
        raise SourceNotFound(message, remedy=remedy, details={"task": source.task, "artifact": source.artifact})


async def _result_file(store: Store, run: WorkflowRun, folder: Path) -> Path:
    data = await store.run(results.get, run.id)
    path = folder / f"{run.id}.json"
    await asyncio.to_thread(_write, path, json.dumps(data, ensure_ascii=False, indent=1))
    return path


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)

"""Runs with the names that people know them by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from task_manager.application import Application
from task_manager.models import WorkflowRun
from task_manager.store import projects, tasks


@dataclass(frozen=True)
class NamedRun:
    """A run with the names that belong to it."""

    run: WorkflowRun
    task: str
    project: str


async def named(application: Application, runs: Sequence[WorkflowRun]) -> list[NamedRun]:
    """The runs with the names of their tasks and projects, in their order."""
    store = application.store
    titles = await store.run(tasks.titles, {run.task_id for run in runs})
    names = await store.run(projects.names, {run.project_id for run in runs})
    return [NamedRun(run, titles.get(run.task_id, run.task_id), names.get(run.project_id, "")) for run in runs]

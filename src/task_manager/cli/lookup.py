"""Finding what people name in more than one way."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from task_manager.errors import NotFound
from task_manager.store import projects, runs, tasks

if TYPE_CHECKING:
    from task_manager.models import WorkflowRun
    from task_manager.store import Store

_RUN = "run-"


class Scope(TypedDict):
    """What a list is limited to, by ids; None: not limited."""

    project_id: str | None
    task_id: str | None


async def find_scope(store: Store, project: str | None, task: str | None) -> Scope:
    """The ids of a project and of a task, where they are named; the task is one of the project's.

    Raises:
        NotFound: There is no such project or task.
        InvalidInput: Several tasks have that title.
    """
    project_id = (await store.run(projects.find, project)).id if project else None
    task_id = (await store.run(tasks.find, task, project_id)).id if task else None
    return Scope(project_id=project_id, task_id=task_id)


async def find_run(store: Store, name: str) -> WorkflowRun:
    """The run of that id, or the latest one of the task of that id or title.

    Raises:
        NotFound: There is no such run or task, or the task has no run.
        InvalidInput: Several tasks have that title.
    """
    if name.startswith(_RUN):
        return await store.run(runs.get, name)
    task = await store.run(tasks.find, name)
    latest = await store.run(runs.latest, task.id)
    if latest is None:
        raise NotFound("run of task", task.title, remedy=f"Start one: task-manager run start {task.id}")
    return latest

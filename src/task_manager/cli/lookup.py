"""Finding what people name in more than one way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from task_manager.errors import NotFound
from task_manager.store import runs, tasks

if TYPE_CHECKING:
    from task_manager.models import WorkflowRun
    from task_manager.store import Store

_RUN = "run-"


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

"""The queue, and who executes what is in it."""

from __future__ import annotations

from task_manager.errors import NotFound
from task_manager.rest_api import schemas
from task_manager.rest_api.problems import documented
from task_manager.rest_api.requests import FIRST_PAGE, App, Limit, Word
from task_manager.rest_api.routing import router
from task_manager.store import workers
from task_manager.store.run_queries import RunFilter

routes = router("queue", "Which runs wait, what for, and who executes them.")


@routes.get("/queue", response_model=schemas.QueueView, responses=documented(NotFound))
async def get_queue(app: App, project_id: Word = None, limit: Limit = FIRST_PAGE) -> schemas.QueueView:
    """List the runs that are not over, in the order in which they start, each with what it waits for."""
    project = None if project_id is None else (await app.tasks.get_project(project_id)).id
    waits = await (await app.workflows()).list_queue(project, limit=limit)
    counts = await app.runs.count_by_status(RunFilter(project_id=project))
    active = {status: count for status, count in counts.items() if count and not status.is_terminal}
    return schemas.QueueView(items=tuple(schemas.waiting(wait) for wait in waits), by_status=active)


@routes.get("/workers", response_model=schemas.WorkerList)
async def list_workers(app: App) -> schemas.WorkerList:
    """List the processes that execute runs, with their last sign of life."""
    return schemas.WorkerList(items=await app.store.run(workers.all_))

"""Workflows: what tasks are run as."""

from __future__ import annotations

from fastapi import Response

from task_manager.errors import NotFound
from task_manager.models import Workflow
from task_manager.rest_api import schemas
from task_manager.rest_api.problems import documented
from task_manager.rest_api.requests import FIRST_PAGE, App, Cursor, Fields, Identifier, Limit, Word
from task_manager.rest_api.revisions import IfNoneMatch
from task_manager.rest_api.routing import router
from task_manager.rest_api.views import partial_view, shown, shown_page
from task_manager.store import workflows

routes = router("workflows", "What tasks are run as; making one again makes a new version.")


@routes.get("/workflows", response_model=schemas.WorkflowPage, responses=partial_view())
async def list_workflows(
    app: App,
    *,
    task_id: Word = None,
    project_id: Word = None,
    limit: Limit = FIRST_PAGE,
    cursor: Cursor = None,
    fields: Fields = None,
) -> Response:
    """List workflows, all versions, newest first: of a task, of a project (each by its id)."""
    page = await app.store.run(workflows.list_, task_id=task_id, project_id=project_id, limit=limit, cursor=cursor)
    return shown_page(schemas.WorkflowPage(items=page.items, next_cursor=page.next_cursor), fields, Workflow)


@routes.get(
    "/workflows/{workflow_id}", response_model=Workflow, responses=partial_view(tagged=True) | documented(NotFound)
)
async def get_workflow(
    app: App, workflow_id: Identifier, fields: Fields = None, if_none_match: IfNoneMatch = None
) -> Response:
    """Read a workflow with its pipeline; it never changes."""
    workflow = await app.store.run(workflows.get, workflow_id)
    return shown(workflow, fields, tag=workflow.version, known=if_none_match)

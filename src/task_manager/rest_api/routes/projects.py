"""Projects: made, read, changed, removed; run, paused, resumed and cancelled as a whole."""

from __future__ import annotations

from fastapi import Response

from task_manager.errors import Conflict, DependenciesNotMet, DependencyCycle, NameTaken, NotFound, WorkflowTypeConflict
from task_manager.models import Project
from task_manager.rest_api import schemas
from task_manager.rest_api.problems import RevisionMismatch, RevisionRequired, documented
from task_manager.rest_api.requests import FIRST_PAGE, Actor, App, Cursor, Fields, IdempotencyKey, Identifier, Limit
from task_manager.rest_api.revisions import TAGGED, IfMatch, IfNoneMatch, changing, expected_revision
from task_manager.rest_api.routing import router
from task_manager.rest_api.views import created, partial_view, shown, shown_page

routes = router("projects", "Bodies of work, each with a source folder of its own.")


@routes.get("/projects", response_model=schemas.ProjectPage, responses=partial_view())
async def list_projects(app: App, limit: Limit = FIRST_PAGE, cursor: Cursor = None, fields: Fields = None) -> Response:
    """List projects, oldest first."""
    page = await app.tasks.list_projects(limit=limit, cursor=cursor)
    return shown_page(schemas.ProjectPage(items=page.items, next_cursor=page.next_cursor), fields, Project)


@routes.post("/projects", status_code=201, response_model=Project, responses=documented(Conflict, NameTaken))
async def create_project(app: App, body: schemas.NewProject, idempotency_key: IdempotencyKey = None) -> Response:
    """Create a project."""
    return created(await app.tasks.create_project(**body.given(), idempotency_key=idempotency_key), "projects")


@routes.get(
    "/projects/{project_id}", response_model=Project, responses=partial_view(tagged=True) | documented(NotFound)
)
async def get_project(
    app: App, project_id: Identifier, fields: Fields = None, if_none_match: IfNoneMatch = None
) -> Response:
    """Read a project."""
    project = await app.tasks.get_project(project_id)
    return shown(project, fields, tag=project.revision, known=if_none_match)


@routes.patch(
    "/projects/{project_id}",
    response_model=Project,
    responses=TAGGED | documented(NotFound, NameTaken, RevisionMismatch, RevisionRequired),
)
async def update_project(
    app: App, project_id: Identifier, body: schemas.ProjectChanges, if_match: IfMatch = None
) -> Response:
    """Change a project that was read before."""
    found = await app.tasks.get_project(project_id)
    expected = expected_revision(found, if_match)
    with changing(if_match):
        project = await app.tasks.update_project(found.id, body.given(), expected)
    return shown(project, None, tag=project.revision)


@routes.delete(
    "/projects/{project_id}", response_model=schemas.Removed, responses=documented(NotFound, Conflict, RevisionMismatch)
)
async def delete_project(app: App, project_id: Identifier, if_match: IfMatch = None) -> schemas.Removed:
    """Remove a project with its phases, tasks, workflows and runs; none of these may be under way."""
    found = await app.tasks.get_project(project_id)
    expected = expected_revision(found, if_match, required=False)
    with changing(if_match):
        return schemas.Removed(runs=await app.tasks.delete_project(found.id, expected_revision=expected))


@routes.post(
    "/projects/{project_id}/workflows",
    status_code=201,
    response_model=schemas.WorkflowList,
    responses=documented(NotFound, Conflict, WorkflowTypeConflict),
)
async def create_project_workflows(
    app: App, project_id: Identifier, body: schemas.Selection, idempotency_key: IdempotencyKey = None
) -> schemas.WorkflowList:
    """Make a workflow for each task of a project, all or none."""
    made = await (await app.workflows()).create_workflows_for_project(
        project_id, **body.given(), idempotency_key=idempotency_key
    )
    return schemas.WorkflowList(items=made)


@routes.post(
    "/projects/{project_id}/runs",
    status_code=201,
    response_model=schemas.RunList,
    responses=documented(NotFound, Conflict, DependenciesNotMet, DependencyCycle, WorkflowTypeConflict),
)
async def run_project(
    app: App, actor: Actor, project_id: Identifier, body: schemas.NewRuns, idempotency_key: IdempotencyKey = None
) -> schemas.RunList:
    """Start the workflows of a project's tasks, in parallel as far as their dependencies allow."""
    started = await (await app.workflows()).execute_workflows_for_project(
        project_id, **body.given(), actor=actor, idempotency_key=idempotency_key
    )
    return schemas.RunList(items=started)


@routes.post("/projects/{project_id}/cancel", response_model=schemas.RunList, responses=documented(NotFound))
async def cancel_project(app: App, actor: Actor, project_id: Identifier) -> schemas.RunList:
    """Stop all runs of a project."""
    return schemas.RunList(items=await (await app.workflows()).cancel_project(project_id, actor=actor))


@routes.post("/projects/{project_id}/pause", response_model=Project, responses=TAGGED | documented(NotFound))
async def pause_project(app: App, project_id: Identifier) -> Response:
    """Start no more runs of a project until it is resumed."""
    project = await (await app.workflows()).pause_project(project_id)
    return shown(project, None, tag=project.revision)


@routes.post("/projects/{project_id}/resume", response_model=Project, responses=TAGGED | documented(NotFound))
async def resume_project(app: App, project_id: Identifier) -> Response:
    """Let a project's runs start again."""
    project = await (await app.workflows()).resume_project(project_id)
    return shown(project, None, tag=project.revision)

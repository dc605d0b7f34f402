"""Tasks: made, read, changed, removed; their workflows made and run."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Response

from task_manager.errors import (
    Conflict,
    DependenciesNotMet,
    DependencyCycle,
    InvalidInput,
    NotFound,
    WorkflowTypeConflict,
)
from task_manager.models import Task, Workflow, WorkflowRun
from task_manager.rest_api import schemas
from task_manager.rest_api.problems import RevisionMismatch, RevisionRequired, documented
from task_manager.rest_api.requests import (
    FIRST_PAGE,
    Actor,
    App,
    Cursor,
    Fields,
    IdempotencyKey,
    Identifier,
    Limit,
    Word,
)
from task_manager.rest_api.revisions import TAGGED, IfMatch, IfNoneMatch, changing, expected_revision
from task_manager.rest_api.routing import router
from task_manager.rest_api.views import created, partial_view, shown, shown_page
from task_manager.workflow_status import TaskStatus

routes = router("tasks", "What is to be done.")


@routes.get("/tasks", response_model=schemas.TaskPage, responses=partial_view() | documented(NotFound))
async def list_tasks(
    app: App,
    *,
    project_id: Word = None,
    phase_id: Word = None,
    status: Annotated[TaskStatus | None, Query()] = None,
    limit: Limit = FIRST_PAGE,
    cursor: Cursor = None,
    fields: Fields = None,
) -> Response:
    """List tasks, oldest first: of a project, of a phase (each by id or name), in a status."""
    page = await app.tasks.list_tasks(project_id, phase_id=phase_id, status=status, limit=limit, cursor=cursor)
    return shown_page(schemas.TaskPage(items=page.items, next_cursor=page.next_cursor), fields, Task)


@routes.post("/tasks", status_code=201, response_model=Task, responses=documented(NotFound, Conflict))
async def create_task(app: App, body: schemas.NewTask, idempotency_key: IdempotencyKey = None) -> Response:
    """Create a task."""
    return created(await app.tasks.create_task(**body.given(), idempotency_key=idempotency_key), "tasks")


@routes.get("/tasks/{task_id}", response_model=Task, responses=partial_view(tagged=True) | documented(NotFound))
async def get_task(app: App, task_id: Identifier, fields: Fields = None, if_none_match: IfNoneMatch = None) -> Response:
    """Read a task."""
    task = await app.tasks.get_task(task_id)
    return shown(task, fields, tag=task.revision, known=if_none_match)


@routes.patch(
    "/tasks/{task_id}",
    response_model=Task,
    responses=TAGGED | documented(NotFound, DependencyCycle, RevisionMismatch, RevisionRequired),
)
async def update_task(app: App, task_id: Identifier, body: schemas.TaskChanges, if_match: IfMatch = None) -> Response:
    """Change a task that was read before."""
    found = await app.tasks.get_task(task_id)
    expected = expected_revision(found, if_match)
    with changing(if_match):
        task = await app.tasks.update_task(found.id, body.given(), expected)
    return shown(task, None, tag=task.revision)


@routes.delete(
    "/tasks/{task_id}", response_model=schemas.Removed, responses=documented(NotFound, Conflict, RevisionMismatch)
)
async def delete_task(app: App, task_id: Identifier, if_match: IfMatch = None) -> schemas.Removed:
    """Remove a task with its workflows and runs; none of these may be under way, and no task may depend on it."""
    found = await app.tasks.get_task(task_id)
    expected = expected_revision(found, if_match, required=False)
    with changing(if_match):
        return schemas.Removed(runs=await app.tasks.delete_task(found.id, expected_revision=expected))


@routes.get(
    "/tasks/{task_id}/status", response_model=schemas.TaskState, responses=partial_view() | documented(NotFound)
)
async def get_task_status(app: App, task_id: Identifier, fields: Fields = None) -> Response:
    """Tell how a task is: its status, its current workflow, and its latest run with progress, steps and result."""
    return shown(schemas.task_state(await app.runs.task_overview(task_id)), fields)


@routes.post(
    "/tasks/{task_id}/workflows",
    status_code=201,
    response_model=Workflow,
    responses=documented(NotFound, Conflict, WorkflowTypeConflict),
)
async def create_workflow(
    app: App, task_id: Identifier, body: schemas.NewWorkflow, idempotency_key: IdempotencyKey = None
) -> Response:
    """Make a workflow for a task, which is its current one from now on."""
    workflows, key = await app.workflows(), idempotency_key
    match body:
        case schemas.NewWorkflow(definition=None, template_id=None):
            workflow = await workflows.create_workflow_from_task(
                task_id, body.name, body.parameters or None, idempotency_key=key
            )
        case schemas.NewWorkflow(definition=None, template_id=str(template), name=None):
            workflow = await workflows.create_workflow_from_template(
                task_id, template, body.parameters, idempotency_key=key
            )
        case schemas.NewWorkflow(definition=dict(definition), template_id=None, parameters={}) if not body.parameters:
            workflow = await workflows.create_workflow_from_definition(
                task_id, definition, body.name, idempotency_key=key
            )
        case _:
            raise InvalidInput(
                "A workflow is made from a template, with parameters and without a name, or from a definition.",
                remedy="Give a template_id and parameters, or a definition and a name, or neither.",
            )
    return created(workflow, "workflows")


@routes.post(
    "/tasks/{task_id}/runs",
    status_code=201,
    response_model=WorkflowRun,
    responses=documented(NotFound, Conflict, DependenciesNotMet, WorkflowTypeConflict),
)
async def run_task(
    app: App, actor: Actor, task_id: Identifier, body: schemas.NewRun, idempotency_key: IdempotencyKey = None
) -> Response:
    """Start a task's workflow; one is made when the task has none, or has changed since."""
    run = await (await app.workflows()).execute_task_workflow(
        task_id,
        body.workflow_type,
        body.parameters or None,
        body.skip_cache,
        actor=actor,
        idempotency_key=idempotency_key,
    )
    return created(run, "runs")

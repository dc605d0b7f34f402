"""Runs: found, read, watched; cancelled and repeated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import Query, Response
from pydantic import AwareDatetime, BeforeValidator

from task_manager.errors import Conflict, NotFound, TaskManagerError
from task_manager.models import StepRecord, WorkflowRun, WorkflowType
from task_manager.rest_api import schemas
from task_manager.rest_api.problems import documented, problem_of
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
from task_manager.rest_api.revisions import IfNoneMatch
from task_manager.rest_api.routing import router
from task_manager.rest_api.views import created, partial_view, shown, shown_page
from task_manager.store import artifacts, steps
from task_manager.store.run_queries import RunFilter
from task_manager.workflow_status import WorkflowStatus

routes = router("runs", "Executions of workflows.")

Statuses = Annotated[list[WorkflowStatus], Query(description="In one of these; repeatable.")]


def _written_out(given: object) -> object:
    """A moment as it was given, unless that is a number, which is no moment but seconds since nobody knows when."""
    if isinstance(given, str) and "-" not in given[1:]:
        raise ValueError("a moment is written as 2026-11-22T09:30:00Z")
    return given


Moment = Annotated[AwareDatetime | None, BeforeValidator(_written_out), Query()]


@routes.get("/runs", response_model=schemas.RunPage, responses=partial_view() | documented(NotFound))
async def list_runs(
    app: App,
    *,
    status: Statuses = [],  # noqa: B006 - the framework copies it
    project_id: Word = None,
    task_id: Word = None,
    template_id: Word = None,
    workflow_type: Annotated[WorkflowType | None, Query()] = None,
    actor: Word = None,
    since: Moment = None,
    until: Moment = None,
    text: Word = None,
    limit: Limit = FIRST_PAGE,
    cursor: Cursor = None,
    fields: Fields = None,
) -> Response:
    """List runs, newest first.

    `since` and `until` are about when they were created; `text` is looked for in the task's title and the workflow's
    name. Project and task are named by their ids.
    """
    where = RunFilter(
        statuses=frozenset(status),
        template_id=template_id,
        workflow_type=workflow_type,
        project_id=project_id,
        task_id=task_id,
        actor=actor,
        since=since,
        until=until,
        text=text,
    )
    page = await app.runs.list(where, limit=limit, cursor=cursor)
    return shown_page(schemas.RunPage(items=page.items, next_cursor=page.next_cursor), fields, WorkflowRun)


@routes.get("/runs/{run_id}", response_model=WorkflowRun, responses=partial_view(tagged=True) | documented(NotFound))
async def get_run(app: App, run_id: Identifier, fields: Fields = None, if_none_match: IfNoneMatch = None) -> Response:
    """Read a run."""
    run = await app.runs.get(run_id)
    return shown(run, fields, tag=run.revision, known=if_none_match)


@routes.get("/runs/{run_id}/status", response_model=schemas.RunStatus, responses=partial_view() | documented(NotFound))
async def get_run_status(app: App, run_id: Identifier, fields: Fields = None) -> Response:
    """Tell how a run is: its status with the reason, progress and estimate, steps, and the result once there is one."""
    return shown(schemas.run_status(await app.runs.overview(run_id)), fields)


@routes.post("/runs/{run_id}/cancel", response_model=WorkflowRun, responses=documented(NotFound))
async def cancel_run(app: App, actor: Actor, run_id: Identifier) -> Response:
    """Stop a run, and wait up to ten seconds until its containers are gone; one that is over stays as it is."""
    return shown(await (await app.workflows()).cancel_run(run_id, actor=actor), None)


@routes.post(
    "/runs/{run_id}/rerun", status_code=201, response_model=WorkflowRun, responses=documented(NotFound, Conflict)
)
async def rerun(
    app: App, actor: Actor, run_id: Identifier, body: schemas.Repetition, idempotency_key: IdempotencyKey = None
) -> Response:
    """Start a run that is over again, with the same workflow, inputs and sources; or from one of its steps on."""
    run = await (await app.workflows()).rerun(
        run_id, from_step=body.from_step, actor=actor, idempotency_key=idempotency_key
    )
    return created(run, "runs")


@routes.post("/bulk/cancel", response_model=schemas.RunOutcomes)
async def cancel_runs(app: App, actor: Actor, body: schemas.RunSelection) -> schemas.RunOutcomes:
    """Stop several runs, each as if it were the only one; those that are not there are told of beside the others."""
    return _outcomes(body, await (await app.workflows()).cancel_runs(body.run_ids, actor=actor))


@routes.post("/bulk/rerun", status_code=201, response_model=schemas.RunOutcomes, responses=documented(Conflict))
async def rerun_runs(
    app: App, actor: Actor, body: schemas.RunSelection, idempotency_key: IdempotencyKey = None
) -> schemas.RunOutcomes:
    """Start several runs that are over again, each as if it were the only one; others are told of beside them."""
    workflows = await app.workflows()
    return _outcomes(body, await workflows.rerun_all(body.run_ids, actor=actor, idempotency_key=idempotency_key))


@routes.get("/runs/{run_id}/wait", response_model=schemas.Waiting, responses=documented(NotFound))
async def explain_wait(app: App, run_id: Identifier) -> schemas.Waiting:
    """Say what a run waits for: tasks by name, its place in the queue, a limit, a worker; and about how long."""
    return schemas.waiting(await (await app.workflows()).why_waiting(run_id))


@routes.get("/runs/{run_id}/steps", response_model=schemas.StepList, responses=documented(NotFound))
async def list_steps(app: App, run_id: Identifier) -> schemas.StepList:
    """List the steps of a run, in their order."""
    run = await app.runs.get(run_id)
    return schemas.StepList(items=await app.store.run(steps.of_run, run.id))


@routes.get("/runs/{run_id}/steps/{step_id}", response_model=StepRecord, responses=documented(NotFound))
async def get_step(app: App, run_id: Identifier, step_id: Identifier) -> Response:
    """Read what is known of a step, with the last lines that it wrote."""
    found = {step.step_id: step for step in (await list_steps(app, run_id)).items}
    if step_id not in found:
        raise NotFound("step", step_id, known=found)
    return shown(found[step_id], None)


@routes.get("/runs/{run_id}/artifacts", response_model=schemas.ArtifactList, responses=documented(NotFound))
async def list_artifacts(app: App, run_id: Identifier) -> schemas.ArtifactList:
    """List what a run left behind."""
    run = await app.runs.get(run_id)
    return schemas.ArtifactList(items=await app.store.run(artifacts.of_run, run.id))


def _outcomes(body: schemas.RunSelection, found: Sequence[WorkflowRun | TaskManagerError]) -> schemas.RunOutcomes:
    items = [
        schemas.RunOutcome(run_id=run_id, run=one, problem=None)
        if isinstance(one, WorkflowRun)
        else schemas.RunOutcome(run_id=run_id, run=None, problem=problem_of(one))
        for run_id, one in zip(body.run_ids, found, strict=True)
    ]
    return schemas.RunOutcomes(items=tuple(items))

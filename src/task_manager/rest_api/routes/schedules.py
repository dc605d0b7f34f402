"""Schedules: what is started at which times, and what became of these."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Query, Response

from task_manager.errors import Conflict, NameTaken, NotFound
from task_manager.rest_api import schemas
from task_manager.rest_api.problems import RevisionMismatch, RevisionRequired, documented
from task_manager.rest_api.requests import (
    FIRST_PAGE,
    Actor,
    App,
    Cursor,
    IdempotencyKey,
    Identifier,
    Limit,
    Word,
    check_admin,
)
from task_manager.rest_api.revisions import KEPT_BY_READERS, TAGGED, IfMatch, IfNoneMatch, changing, expected_revision
from task_manager.rest_api.routing import router
from task_manager.rest_api.views import created, shown
from task_manager.schedule_records import Schedule
from task_manager.schedules import MOST_TIMES

routes = router("schedules", "What is started at which times.")


@routes.get("/schedules", response_model=schemas.ScheduleList)
async def list_schedules(app: App) -> schemas.ScheduleList:
    """List schedules, oldest first."""
    return schemas.ScheduleList(items=await app.schedules.list())


@routes.post(
    "/schedules",
    status_code=201,
    response_model=Schedule,
    responses=documented(NotFound, NameTaken, Conflict),
    dependencies=[Depends(check_admin)],
)
async def create_schedule(
    app: App, actor: Actor, body: schemas.NewSchedule, idempotency_key: IdempotencyKey = None
) -> Response:
    """Create a schedule; it needs a token of scope admin."""
    return created(await app.schedules.add(body.given(), actor=actor, idempotency_key=idempotency_key), "schedules")


@routes.post("/schedules/times", response_model=schemas.DueTimes)
async def tell_times(app: App, body: schemas.Times) -> schemas.DueTimes:
    """Tell the next due times of an expression; nothing is kept."""
    return schemas.DueTimes(items=app.schedules.upcoming(body.cron, body.timezone, body.count))


@routes.get(
    "/schedules/{schedule_id}",
    response_model=Schedule,
    responses=KEPT_BY_READERS | documented(NotFound),
)
async def get_schedule(app: App, schedule_id: Identifier, if_none_match: IfNoneMatch = None) -> Response:
    """Read a schedule."""
    schedule = await app.schedules.get(schedule_id)
    return shown(schedule, None, tag=schedule.revision, known=if_none_match)


@routes.get("/schedules/{schedule_id}/times", response_model=schemas.DueTimes, responses=documented(NotFound))
async def list_times(
    app: App, schedule_id: Identifier, count: Annotated[int, Query(ge=1, le=MOST_TIMES)] = 5
) -> schemas.DueTimes:
    """Tell the next due times of a schedule, also while it is paused."""
    schedule = await app.schedules.get(schedule_id)
    return schemas.DueTimes(items=app.schedules.upcoming(schedule.cron, schedule.timezone, count))


@routes.patch(
    "/schedules/{schedule_id}",
    response_model=Schedule,
    responses=TAGGED | documented(NotFound, NameTaken, RevisionMismatch, RevisionRequired),
    dependencies=[Depends(check_admin)],
)
async def update_schedule(
    app: App, schedule_id: Identifier, body: schemas.ScheduleChanges, if_match: IfMatch = None
) -> Response:
    """Change a schedule that was read before; it needs a token of scope admin."""
    found = await app.schedules.get(schedule_id)
    expected = expected_revision(found, if_match)
    with changing(if_match):
        schedule = await app.schedules.update(found.id, body.given(), expected)
    return shown(schedule, None, tag=schedule.revision)


@routes.post("/schedules/{schedule_id}/pause", response_model=Schedule, responses=TAGGED | documented(NotFound))
async def pause_schedule(app: App, schedule_id: Identifier) -> Response:
    """Start nothing until it is resumed."""
    schedule = await app.schedules.pause(schedule_id)
    return shown(schedule, None, tag=schedule.revision)


@routes.post("/schedules/{schedule_id}/resume", response_model=Schedule, responses=TAGGED | documented(NotFound))
async def resume_schedule(app: App, schedule_id: Identifier) -> Response:
    """Let it start again, from its next due time on."""
    schedule = await app.schedules.resume(schedule_id)
    return shown(schedule, None, tag=schedule.revision)


@routes.delete("/schedules/{schedule_id}", response_model=Schedule, responses=documented(NotFound, RevisionMismatch))
async def delete_schedule(app: App, schedule_id: Identifier, if_match: IfMatch = None) -> Schedule:
    """Remove a schedule; what it started stays."""
    found = await app.schedules.get(schedule_id)
    expected = expected_revision(found, if_match, required=False)
    with changing(if_match):
        return await app.schedules.remove(found.id, expected_revision=expected)


@routes.get("/occurrences", response_model=schemas.OccurrencePage, responses=documented(NotFound))
async def list_occurrences(
    app: App, schedule_id: Word = None, limit: Limit = FIRST_PAGE, cursor: Cursor = None
) -> schemas.OccurrencePage:
    """List the due times that came, newest first: what was started, and why not where nothing was."""
    page = await app.schedules.occurrences(schedule_id, limit=limit, cursor=cursor)
    return schemas.OccurrencePage(items=page.items, next_cursor=page.next_cursor)

"""Triggers: what webhooks start."""

from __future__ import annotations

from fastapi import Depends, Response

from task_manager.errors import Conflict, NameTaken, NotFound
from task_manager.rest_api import schemas
from task_manager.rest_api.problems import documented
from task_manager.rest_api.requests import FIRST_PAGE, App, Cursor, IdempotencyKey, Identifier, Limit, Word, check_admin
from task_manager.rest_api.routing import router
from task_manager.rest_api.views import created
from task_manager.trigger_records import Trigger

routes = router("triggers", "Rules: which webhooks start which tasks.")


@routes.get("/triggers", response_model=schemas.TriggerList)
async def list_triggers(app: App) -> schemas.TriggerList:
    """List triggers, oldest first; of a secret only where it is."""
    return schemas.TriggerList(items=await app.triggers.list())


@routes.post(
    "/triggers",
    status_code=201,
    response_model=Trigger,
    responses=documented(NotFound, NameTaken, Conflict),
    dependencies=[Depends(check_admin)],
)
async def create_trigger(app: App, body: schemas.NewTrigger, idempotency_key: IdempotencyKey = None) -> Response:
    """Create a trigger; it needs a token of scope admin."""
    return created(await app.triggers.add(body.given(), idempotency_key=idempotency_key), "triggers")


@routes.post("/triggers/test", response_model=schemas.MatchList)
async def test_triggers(app: App, body: schemas.SamplePayload) -> schemas.MatchList:
    """Tell which triggers a payload would match, and what the others lack; nothing is started."""
    found = await app.triggers.test(body.source, body.event, body.payload)
    return schemas.MatchList(items=tuple(schemas.match_view(match) for match in found))


@routes.get("/triggers/{trigger_id}", response_model=Trigger, responses=documented(NotFound))
async def get_trigger(app: App, trigger_id: Identifier) -> Trigger:
    """Read a trigger."""
    return await app.triggers.get(trigger_id)


@routes.delete("/triggers/{trigger_id}", response_model=Trigger, responses=documented(NotFound))
async def delete_trigger(app: App, trigger_id: Identifier) -> Trigger:
    """Remove a trigger; what it started stays."""
    return await app.triggers.remove(trigger_id)


@routes.get("/firings", response_model=schemas.FiringPage, responses=documented(NotFound))
async def list_firings(
    app: App, trigger_id: Word = None, limit: Limit = FIRST_PAGE, cursor: Cursor = None
) -> schemas.FiringPage:
    """List the webhooks that matched triggers, newest first, and what they started."""
    page = await app.triggers.firings(trigger_id, limit=limit, cursor=cursor)
    return schemas.FiringPage(items=page.items, next_cursor=page.next_cursor)

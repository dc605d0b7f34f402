"""Hooks: who is told of changes of runs, and what became of the messages."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Query, Response

from task_manager.errors import Conflict, NameTaken, NotFound
from task_manager.hook_records import DeliveryState, Hook, HookDelivery
from task_manager.rest_api import schemas
from task_manager.rest_api.problems import documented
from task_manager.rest_api.requests import FIRST_PAGE, App, Cursor, IdempotencyKey, Identifier, Limit, Word, check_admin
from task_manager.rest_api.routing import router
from task_manager.rest_api.views import created

routes = router("hooks", "Who is told of changes of runs.")


@routes.get("/hooks", response_model=schemas.HookList)
async def list_hooks(app: App) -> schemas.HookList:
    """List hooks, oldest first; of a secret only where it is."""
    return schemas.HookList(items=await app.hooks.list())


@routes.post(
    "/hooks",
    status_code=201,
    response_model=Hook,
    responses=documented(NotFound, NameTaken, Conflict),
    dependencies=[Depends(check_admin)],
)
async def create_hook(app: App, body: schemas.NewHook, idempotency_key: IdempotencyKey = None) -> Response:
    """Create a hook, which tells of what happens from now on; it needs a token of scope admin."""
    return created(await app.hooks.add(body.given(), idempotency_key=idempotency_key), "hooks")


@routes.get("/hooks/{hook_id}", response_model=Hook, responses=documented(NotFound))
async def get_hook(app: App, hook_id: Identifier) -> Hook:
    """Read a hook."""
    return await app.hooks.get(hook_id)


@routes.delete("/hooks/{hook_id}", response_model=Hook, responses=documented(NotFound))
async def delete_hook(app: App, hook_id: Identifier) -> Hook:
    """Remove a hook with its messages."""
    return await app.hooks.remove(hook_id)


@routes.get("/deliveries", response_model=schemas.DeliveryPage, responses=documented(NotFound))
async def list_deliveries(
    app: App,
    *,
    hook_id: Word = None,
    state: Annotated[DeliveryState | None, Query()] = None,
    limit: Limit = FIRST_PAGE,
    cursor: Cursor = None,
) -> schemas.DeliveryPage:
    """List the messages of hooks, newest first: pending, delivered, dead."""
    page = await app.hooks.deliveries(hook_id, state, limit=limit, cursor=cursor)
    return schemas.DeliveryPage(items=page.items, next_cursor=page.next_cursor)


@routes.post("/deliveries/{delivery_id}/redeliver", response_model=HookDelivery, responses=documented(NotFound))
async def redeliver(app: App, delivery_id: Identifier) -> HookDelivery:
    """Have a message sent again, with the same id."""
    return await app.hooks.send_again(delivery_id)

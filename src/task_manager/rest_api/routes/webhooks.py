"""Webhooks: what other systems send, signed."""

from __future__ import annotations

from typing import Any, Final

from fastapi import Request

from task_manager.errors import Conflict, DependenciesNotMet, InvalidSignature, NotFound
from task_manager.rest_api import schemas
from task_manager.rest_api.problems import documented
from task_manager.rest_api.requests import App, body_of
from task_manager.rest_api.routing import router
from task_manager.trigger_records import WebhookSource

routes = router("webhooks", "What other systems send: signed, instead of with a token.", is_signed=True)

_BODY: Final[dict[str, Any]] = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}
}


@routes.post(
    "/webhooks/{source}",
    status_code=202,
    response_model=schemas.Received,
    responses=documented(InvalidSignature, NotFound, Conflict, DependenciesNotMet),
    openapi_extra=_BODY,
)
async def receive_webhook(app: App, request: Request, source: WebhookSource) -> schemas.Received:
    """Take a webhook in, and start what the triggers say whose secret it is signed with; sent again, nothing again."""
    body = await body_of(request, app.settings.webhooks.max_bytes)
    delivery, firings = await app.triggers.receive(source, request.headers, body)
    return schemas.Received(source=source, delivery_id=delivery.id, event=delivery.event, firings=firings)

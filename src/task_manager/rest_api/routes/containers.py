"""Containers: those of runs, and those that somebody holds."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from fastapi import Response
from fastapi.responses import PlainTextResponse

from task_manager.communication import ContainerRecord
from task_manager.errors import (
    Conflict,
    ImageUnavailable,
    InvalidTransition,
    NotFound,
    RegistryUnreachable,
    SourceNotFound,
)
from task_manager.rest_api import schemas
from task_manager.rest_api.problems import documented
from task_manager.rest_api.requests import App, IdempotencyKey, Identifier, Word
from task_manager.rest_api.routing import router
from task_manager.rest_api.views import created, shown

routes = router("containers", "The containers of runs that are not over, and those that somebody holds.")

PLAIN_TEXT: dict[int | str, dict[str, Any]] = {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}


@routes.get("/containers", response_model=schemas.ContainerList)
async def list_containers(app: App, run_id: Word = None, capability: Word = None) -> schemas.ContainerList:
    """List containers: of a run, with a capability such as `service:db` or `port:80`, or all."""
    found = await (await app.workflows()).list_containers(run_id=run_id, capability=capability)
    return schemas.ContainerList(items=found)


@routes.post(
    "/containers",
    status_code=201,
    response_model=ContainerRecord,
    responses=documented(SourceNotFound) | documented(Conflict),
)
async def create_container(app: App, body: schemas.NewContainer, idempotency_key: IdempotencyKey = None) -> Response:
    """Write a container down that somebody wants to hold; nothing is started."""
    record = await (await app.workflows()).create_container(body, idempotency_key=idempotency_key)
    return created(record, "containers")


@routes.post(
    "/containers/{container_id}/start",
    response_model=ContainerRecord,
    responses=documented(NotFound, InvalidTransition, ImageUnavailable, RegistryUnreachable),
)
async def start_container(app: App, container_id: Identifier) -> Response:
    """Start a held container, and answer when its ports accept connections; the server holds it."""
    return shown(await (await app.workflows()).start_container(container_id), None)


@routes.post(
    "/containers/{container_id}/stop",
    response_model=ContainerRecord,
    responses=documented(NotFound, InvalidTransition),
)
async def stop_container(app: App, container_id: Identifier) -> Response:
    """Stop a held container, whichever process holds it, and answer when it has ended."""
    return shown(await (await app.workflows()).stop_container(container_id), None)


@routes.get(
    "/containers/{container_id}/log",
    response_class=PlainTextResponse,
    response_model=None,
    responses=PLAIN_TEXT | documented(NotFound),
)
async def get_container_log(app: App, container_id: Identifier) -> Response:
    """Read what a held container wrote since it was started last."""
    path = (await app.workflows()).communication.container_log(container_id)
    return PlainTextResponse(await asyncio.to_thread(_text, path))


@routes.get("/containers/{container_id:text}", response_model=ContainerRecord, responses=documented(NotFound))
async def get_container(app: App, container_id: Identifier) -> Response:
    """Read how a container is, whichever process has it."""
    return shown(await (await app.workflows()).get_container_status(container_id), None)


@routes.delete(
    "/containers/{container_id}",
    status_code=204,
    response_model=None,
    responses=documented(NotFound, InvalidTransition),
)
async def delete_container(app: App, container_id: Identifier) -> None:
    """Forget a held container that does not run, with its log."""
    await (await app.workflows()).delete_container(container_id)


def _text(path: Path) -> str:
    return path.read_text(errors="replace") if path.exists() else ""

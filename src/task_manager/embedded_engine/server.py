"""The session's HTTP face: POST /query on loopback, with the session's token."""

import asyncio
import base64
import binascii
import hmac
import json
from contextlib import suppress
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import Route

from task_manager.embedded_engine.answering import Answerer, Request

# What a request may be: a file's contents travel inside it.
_LARGEST_REQUEST = 256 << 20


def application(answerer: Answerer, token: str) -> Starlette:
    """Return the ASGI application."""

    async def query(request: HttpRequest) -> Response:
        if not _authorised(request.headers.get("authorization", ""), token):
            return Response("unauthorized", 401, {"www-authenticate": 'Basic realm="session"'})
        body = await _body(request)
        if body is None:
            return Response("the request is too large", 413)
        return await _answered(request, answerer, body)

    return Starlette(routes=[Route("/query", query, methods=["POST"])])


def server(app: Starlette) -> uvicorn.Server:
    """Return a server for the application, which leaves signals and logs alone."""
    config = uvicorn.Config(
        app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=1, ws="none"
    )
    return _QuietServer(config)


class _QuietServer(uvicorn.Server):
    def install_signal_handlers(self) -> None:
        """Do nothing: the session handles signals."""


def _authorised(header: str, token: str) -> bool:
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return False
    try:
        name = base64.b64decode(encoded, validate=True).partition(b":")[0]
    except (binascii.Error, ValueError):
        return False
    return hmac.compare_digest(name, token.encode())


async def _body(request: HttpRequest) -> bytes | None:
    data = bytearray()
    async for piece in request.stream():
        data += piece
        if len(data) > _LARGEST_REQUEST:
            return None
    return bytes(data)


async def _answered(request: HttpRequest, answerer: Answerer, body: bytes) -> Response:
    parsed = _parsed(body)
    if isinstance(parsed, str):
        return _json({"data": None, "errors": [{"message": parsed}]})
    answering = asyncio.ensure_future(answerer.answer(parsed))
    leaving = asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait([answering, leaving], return_when=asyncio.FIRST_COMPLETED)
        if answering.done():
            return _json(answering.result())
        # Nobody reads the answer any more: what nobody else waits for is stopped.
        return Response(status_code=499)
    finally:
        for task in (answering, leaving):
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(answering, leaving, return_exceptions=True)


async def _left(request: HttpRequest) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _parsed(body: bytes) -> Request | str:
    try:
        content = json.loads(body)
        query = content["query"]
        variables = content.get("variables")
        operation = content.get("operationName")
    except (ValueError, TypeError, KeyError, AttributeError):
        return "the request is not a JSON object with a query"
    if not isinstance(query, str) or not isinstance(variables, dict | None) or not isinstance(operation, str | None):
        return "the request's query, variables or operationName is of the wrong type"
    return Request(query, variables, operation)


def _json(content: dict[str, Any]) -> Response:
    return Response(json.dumps(content, ensure_ascii=False), media_type="application/json")

"""The session's HTTP face on loopback, with the session's token: POST /query, and GET /events beside the API."""

import asyncio
import base64
import binascii
import hmac
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, cast

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request as HttpRequest
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from uvicorn.protocols.http.h11_impl import H11Protocol

from task_manager.embedded_engine.answering import Answerer, Request
from task_manager.embedded_engine.events import Events

# What a request may be: a file's contents travel inside it.
_LARGEST_REQUEST = 256 << 20


def application(answerer: Answerer, events: Events, token: str) -> Starlette:
    """Return the ASGI application."""

    def protected(endpoint: Callable[[HttpRequest], Awaitable[Response]]) -> Callable[..., Awaitable[Response]]:
        async def answer(request: HttpRequest) -> Response:
            if not _authorised(request.headers.get("authorization", ""), token):
                return Response("unauthorized", 401, {"www-authenticate": 'Basic realm="session"'})
            return await endpoint(request)

        return answer

    async def query(request: HttpRequest) -> Response:
        body = await _body(request)
        if body is None:
            return Response("the request is too large", 413)
        return await _answered(request, answerer, body)

    async def read_events(_: HttpRequest) -> Response:
        return StreamingResponse(_told(events), media_type="application/x-ndjson")

    return Starlette(
        routes=[
            Route("/query", protected(query), methods=["POST"]),
            Route("/events", protected(read_events), methods=["GET"]),
        ]
    )


def server(app: Starlette) -> uvicorn.Server:
    """Return a server for the application, which leaves signals and logs alone."""
    config = uvicorn.Config(
        app,
        http=_Connection,
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=1,
        ws="none",
    )
    return _QuietServer(config)


class _Connection(H11Protocol):
    """Sends an answer's head and body together, which would otherwise wake the client twice."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to serve a client."""
        super().connection_made(cast("asyncio.Transport", _Gathering(transport)))


class _Gathering:
    """A transport that writes at once what it is given in one turn of the event loop."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._pieces: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Write something, soon."""
        if not self._pieces:
            asyncio.get_running_loop().call_soon(self._flush)
        self._pieces.append(data)

    def close(self) -> None:
        """Close the connection once everything is written."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._pieces:
            self._transport.write(b"".join(self._pieces))
            self._pieces.clear()


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


async def _told(events: Events) -> AsyncIterator[bytes]:
    """Give events, one JSON object a line, until the session ends or the reader goes; the first says that it reads."""
    with events.reading() as reader:
        yield b'{"event": "reading"}\n'
        while told := await reader.read():
            yield told


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
    # When nobody reads the answer any more, what nobody else waits for is stopped.
    leaving.add_done_callback(lambda _: answering.cancel())
    try:
        return _json(await answering)
    except asyncio.CancelledError:
        if leaving.cancelled() or not leaving.done():
            raise
        return Response(status_code=499)
    finally:
        leaving.cancel()


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
    # Clients in Go send an empty name for none.
    return Request(query, variables, operation or None)


def _json(content: dict[str, Any]) -> Response:
    return Response(json.dumps(content, ensure_ascii=False), media_type="application/json")

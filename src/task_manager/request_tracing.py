"""Requests over HTTP as spans, and as parts of the traces that their `traceparent` headers name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from task_manager import tracing
from task_manager.metrics import route_of

_TRACED: Final = ("/api/", "/mcp")
_HEADERS: Final = {b"traceparent": "traceparent", b"tracestate": "tracestate"}
_SERVER_ERROR: Final = 500
_OF_FASTAPI: Final = "fastapi.telemetry"
"""FastAPI leaves requests alone that have this in their scope already."""


def traced(app: ASGIApp) -> ASGIApp:
    """An application whose requests of agents and other systems are recorded; those of pages are not."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        # FastAPI would record every request once more, those of pages too, with what was searched for.
        scope.setdefault(_OF_FASTAPI, None)
        passed_on = _passed_on(scope)
        if scope["type"] != "http" or not scope["path"].startswith(_TRACED) or not (passed_on or tracing.is_on()):
            await app(scope, receive, send)
            return
        method = scope["method"]
        with (
            tracing.continued(passed_on),
            tracing.span(method, {"http.request.method": method}, server=True) as span,
        ):

            async def tell(message: Message) -> None:
                if message["type"] == "http.response.start":
                    _tell(span, scope, message["status"])
                await send(message)

            await app(scope, receive, tell)

    return answer


def _passed_on(scope: Scope) -> Mapping[str, str]:
    return {_HEADERS[name]: value.decode("latin-1") for name, value in scope.get("headers", ()) if name in _HEADERS}


def _tell(span: tracing.SpanHandle, scope: Scope, status: int) -> None:
    route = route_of(scope)
    span.rename(f"{scope['method']} {route}")
    span.set({"http.route": route, "http.response.status_code": status})
    if status >= _SERVER_ERROR:
        span.failed(str(status))

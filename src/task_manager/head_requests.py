"""Requests for nothing but the head of an answer: answered as those for the whole of it, without its body."""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send


def answering_heads(app: ASGIApp) -> ASGIApp:
    """An application that answers HEAD wherever it answers GET (RFC 9110, section 9.3.2).

    Args:
        app: The application; of HEAD it knows nothing.
    """

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await app(scope, receive, send)
            return
        await _answer_head(app, scope, receive, send)

    return answer


async def _answer_head(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    asked = {**scope, "method": "GET"}
    is_told = asyncio.Event()

    async def send_head(message: Message) -> None:
        if message["type"] == "http.response.start":
            # Whoever counts requests around this wants to know which route it was.
            scope.update({**asked, "method": "HEAD"})
            await send(message)
            await send({"type": "http.response.body", "body": b""})
            is_told.set()

    answering = asyncio.ensure_future(app(asked, receive, send_head))
    told = asyncio.ensure_future(is_told.wait())
    try:
        await asyncio.wait((answering, told), return_when=asyncio.FIRST_COMPLETED)
    finally:
        # The body is wanted by nobody, and that of a stream has no end.
        told.cancel()
        answering.cancel()
        await asyncio.wait((answering,))
    if not answering.cancelled():
        answering.result()

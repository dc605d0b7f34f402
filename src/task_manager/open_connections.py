"""Connections that stay open: each ends when what it was let in with is accepted no more, and all with the server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from typing import Final

from starlette.types import Message, Receive, Scope, Send

from task_manager.errors import TaskManagerError
from task_manager.structured_log import get_logger

log = get_logger(__name__)

LOOK_SECONDS: Final = 1.0
"""How often it is looked whether what connections were let in with is still accepted."""

# RFC 6455, section 7.4.1, and what is registered since.
_POLICY_VIOLATION: Final = 1008
_SERVICE_RESTART: Final = 1012


class OpenConnections:
    """The connections that wait for their clients to go.

    It looks at the store only while there are any that were let in with a token or a session.

    Attributes:
        closing: Whether all have to end.

    Args:
        accepted: Tells which of these digests, of tokens or of sessions, are accepted still.
        look_seconds: How often it is asked.
    """

    def __init__(
        self, accepted: Callable[[Collection[str]], Awaitable[frozenset[str]]], look_seconds: float = LOOK_SECONDS
    ) -> None:
        self._accepted = accepted
        self._look_seconds = look_seconds
        self._ends: dict[str | None, set[asyncio.Event]] = {}
        self._watching: asyncio.Task[None] | None = None
        self.closing = False

    def __len__(self) -> int:
        """How many are open."""
        return sum(map(len, self._ends.values()))

    def add(self, digest: str | None) -> asyncio.Event:
        """Watch a connection; what is returned is set once it has to end.

        Args:
            digest: Of what it was let in with; none: nothing was needed.
        """
        end = asyncio.Event()
        self._ends.setdefault(digest, set()).add(end)
        if self.closing:
            end.set()
        elif digest is not None and self._watching is None:
            self._watching = asyncio.create_task(self._watch(), name="open connections")
        return end

    def remove(self, digest: str | None, end: asyncio.Event) -> None:
        """Watch a connection no more."""
        ends = self._ends.get(digest, set())
        ends.discard(end)
        if not ends:
            self._ends.pop(digest, None)
        if self._watching is not None and not self._digests():
            self._watching.cancel()
            self._watching = None

    def end_all(self) -> None:
        """Let all end, and all that come."""
        self.closing = True
        for ends in self._ends.values():
            for end in ends:
                end.set()

    def _digests(self) -> list[str]:
        return [digest for digest in self._ends if digest is not None]

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._look_seconds)
            try:
                accepted = await self._accepted(self._digests())
            except TaskManagerError as error:
                log.warning("open_connections_not_checked", error=str(error))
                continue
            for digest in set(self._digests()) - accepted:
                for end in self._ends[digest]:
                    end.set()


class OpenConnection:
    """One connection; it hears that its client has gone when it has to end itself.

    A request that is answered at once is not watched: only what waits for the client to go is.

    Args:
        scope: The connection.
        receive: What it receives.
        send: What it sends.
        connections: Watches it.
        digest: Of what it was let in with; none: nothing was needed.
    """

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, connections: OpenConnections, digest: str | None
    ) -> None:
        self._receive = receive
        self._send = send
        self._connections = connections
        self._digest = digest
        self._is_websocket = scope["type"] == "websocket"
        self._waits = self._is_websocket
        self._is_answering = False
        self._end: asyncio.Event | None = None

    async def receive(self) -> Message:
        """The next message."""
        if not self._waits:
            message = await self._receive()
            self._waits = not message.get("more_body", False)
            return message
        if self._end is None:
            self._end = self._connections.add(self._digest)
        return self._gone() if self._end.is_set() else await self._next(self._end)

    async def send(self, message: Message) -> None:
        """Send a message."""
        if message["type"] == "http.response.start":
            self._is_answering = True
        elif message["type"] == "http.response.body":
            self._is_answering = message.get("more_body", False)
        await self._send(message)

    async def close(self) -> None:
        """Watch the connection no more; what it has begun to answer has its end."""
        if self._end is None:
            return
        self._connections.remove(self._digest, self._end)
        if self._end.is_set() and self._is_answering:
            await self._send({"type": "http.response.body", "body": b""})

    async def _next(self, end: asyncio.Event) -> Message:
        message = asyncio.ensure_future(self._receive())
        ending = asyncio.ensure_future(end.wait())
        try:
            await asyncio.wait((message, ending), return_when=asyncio.FIRST_COMPLETED)
            return message.result() if message.done() else self._gone()
        finally:
            message.cancel()
            ending.cancel()

    def _gone(self) -> Message:
        if not self._is_websocket:
            return {"type": "http.disconnect"}
        if self._connections.closing:
            return {"type": "websocket.disconnect", "code": _SERVICE_RESTART, "reason": "The server ends."}
        return {
            "type": "websocket.disconnect",
            "code": _POLICY_VIOLATION,
            "reason": "The token is accepted no more.",
        }

"""Connections that stay open: each ends when what it was let in with is accepted no more."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from typing import Final

from starlette.types import Message, Receive, Scope

from task_manager.errors import TaskManagerError
from task_manager.structured_log import get_logger

log = get_logger(__name__)

LOOK_SECONDS: Final = 1.0
"""How often it is looked whether what connections were let in with is still accepted."""

_POLICY_VIOLATION: Final = 1008  # RFC 6455, section 7.4.1


class OpenConnections:
    """The connections of those who were let in with a token or a session.

    It looks at the store only while there are any.

    Args:
        accepted: Tells which of these digests, of tokens or of sessions, are accepted still.
        look_seconds: How often it is asked.
    """

    def __init__(
        self, accepted: Callable[[Collection[str]], Awaitable[frozenset[str]]], look_seconds: float = LOOK_SECONDS
    ) -> None:
        self._accepted = accepted
        self._look_seconds = look_seconds
        self._ends: dict[str, set[asyncio.Event]] = {}
        self._watching: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        """How many are open."""
        return sum(map(len, self._ends.values()))

    def add(self, digest: str) -> asyncio.Event:
        """Watch a connection; what is returned is set once it has to end."""
        end = asyncio.Event()
        self._ends.setdefault(digest, set()).add(end)
        if self._watching is None:
            self._watching = asyncio.create_task(self._watch(), name="open connections")
        return end

    def remove(self, digest: str, end: asyncio.Event) -> None:
        """Watch a connection no more."""
        ends = self._ends.get(digest, set())
        ends.discard(end)
        if not ends:
            self._ends.pop(digest, None)
        if not self._ends and self._watching is not None:
            self._watching.cancel()
            self._watching = None

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._look_seconds)
            try:
                accepted = await self._accepted(tuple(self._ends))
            except TaskManagerError as error:
                log.warning("open_connections_not_checked", error=str(error))
                continue
            for digest in self._ends.keys() - accepted:
                for end in self._ends[digest]:
                    end.set()


class EndingReceive:
    """What a connection receives; it hears of its client's end when it has to end itself.

    A request that is answered at once is not watched: only what waits for the client to go is.

    Args:
        scope: The connection.
        receive: What it receives.
        connections: Watches it.
        digest: What it was let in with.
    """

    def __init__(self, scope: Scope, receive: Receive, connections: OpenConnections, digest: str) -> None:
        self._receive = receive
        self._connections = connections
        self._digest = digest
        self._waits = scope["type"] == "websocket"
        self._end: asyncio.Event | None = None
        self._gone: Message = (
            {"type": "websocket.disconnect", "code": _POLICY_VIOLATION, "reason": "The token is accepted no more."}
            if scope["type"] == "websocket"
            else {"type": "http.disconnect"}
        )

    async def __call__(self) -> Message:
        """The next message."""
        if not self._waits:
            message = await self._receive()
            self._waits = not message.get("more_body", False)
            return message
        if self._end is None:
            self._end = self._connections.add(self._digest)
        return self._gone if self._end.is_set() else await self._next(self._end)

    async def _next(self, end: asyncio.Event) -> Message:
        message = asyncio.ensure_future(self._receive())
        ending = asyncio.ensure_future(end.wait())
        try:
            await asyncio.wait((message, ending), return_when=asyncio.FIRST_COMPLETED)
            return message.result() if message.done() else self._gone
        finally:
            message.cancel()
            ending.cancel()

    def close(self) -> None:
        """Watch the connection no more."""
        if self._end is not None:
            self._connections.remove(self._digest, self._end)

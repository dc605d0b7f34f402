"""Changes of runs, told to those who subscribed to resources, in both eras of the protocol."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from typing import Any, Final

from mcp.server.context import ServerRequestContext
from mcp.server.subscriptions import InMemorySubscriptionBus, ResourceUpdated, ServerEvent

from task_manager.mcp_server.backend import Backend
from task_manager.mcp_server.resources import ROOT
from task_manager.models import Event
from task_manager.structured_log import get_logger

log = get_logger(__name__)

_MOST_SUBSCRIPTIONS: Final = 1000
_RETRY_SECONDS: Final = 1.0


class EventBus(InMemorySubscriptionBus):
    """Follows the event log of the store while somebody listens, whichever process writes it.

    Args:
        backend: Where the log is.
    """

    def __init__(self, backend: Backend) -> None:
        super().__init__()
        self._backend = backend
        self._count = 0
        self._following: asyncio.Task[None] | None = None

    def subscribe(self, listener: Callable[[ServerEvent], None]) -> Callable[[], None]:
        """Register a listener; returns what ends that, which may be called again."""
        end = super().subscribe(listener)
        self._count += 1
        if self._following is None:
            self._following = asyncio.get_running_loop().create_task(self._follow(), name="resource updates")
        live = [True]

        def unsubscribe() -> None:
            end()
            if live.pop() if live else False:
                self._count -= 1
                self._stop_unless_needed()

        return unsubscribe

    def _stop_unless_needed(self) -> None:
        if self._count == 0 and self._following is not None:
            self._following.cancel()
            self._following = None

    async def _follow(self) -> None:
        from task_manager.store import events

        store = (await self._backend.application()).store
        last = await store.run(events.last_sequence)
        while True:
            try:
                async with contextlib.aclosing(store.feed.pages(after=last)) as pages:
                    async for page in pages:
                        last = page[-1].sequence
                        for uri in updated_by(page):
                            await self.publish(ResourceUpdated(uri=uri))
            except Exception as error:  # noqa: BLE001 - who listens is not to be left alone for one failed look
                log.warning("resource_updates_interrupted", error=str(error))
                await asyncio.sleep(_RETRY_SECONDS)


class LegacySubscriptions:
    """Those of clients that subscribe to one resource at a time.

    Args:
        bus: Where updates come from.
    """

    def __init__(self, bus: EventBus) -> None:
        self._bus = bus
        self._ends: dict[tuple[int, str], Callable[[], None]] = {}
        self._clients: dict[tuple[int, str], object] = {}
        self._sending: set[asyncio.Task[None]] = set()

    def subscribe(self, ctx: ServerRequestContext[Any, Any], uri: str) -> None:
        """Notify this client of updates of a resource from now on; again does nothing."""
        key = self._key(ctx, uri)
        if key in self._ends:
            return
        while len(self._ends) >= _MOST_SUBSCRIPTIONS:
            self._end(next(iter(self._ends)))
        session = ctx.session

        async def send() -> None:
            try:
                await session.send_resource_updated(uri)
            except Exception:  # noqa: BLE001 - the client is gone
                self._end(key)

        def deliver(event: ServerEvent) -> None:
            if isinstance(event, ResourceUpdated) and event.uri == uri:
                task = asyncio.get_running_loop().create_task(send())
                self._sending.add(task)
                task.add_done_callback(self._sending.discard)

        # What the client said of itself is one object for as long as it is connected.
        self._clients[key] = ctx.session.client_params
        self._ends[key] = self._bus.subscribe(deliver)

    def unsubscribe(self, ctx: ServerRequestContext[Any, Any], uri: str) -> None:
        """Notify this client of that resource no more."""
        self._end(self._key(ctx, uri))

    def _key(self, ctx: ServerRequestContext[Any, Any], uri: str) -> tuple[int, str]:
        return id(ctx.session.client_params), uri

    def _end(self, key: tuple[int, str]) -> None:
        self._clients.pop(key, None)
        end = self._ends.pop(key, None)
        if end is not None:
            end()


def updated_by(events: Iterable[Event]) -> list[str]:
    """The addresses of what changed with these events, each once."""
    found = (
        ROOT + path
        for event in events
        for path in (
            f"runs/{event.run_id}",
            f"tasks/{event.task_id}",
            f"dagger/workflows/{event.task_id}",
            f"dagger/projects/{event.project_id}/workflows",
            f"projects/{event.project_id}",
            "dagger/stats",
            *(["inbox"] if event.status is not None and event.status.is_terminal else []),
        )
    )
    return list(dict.fromkeys(found))

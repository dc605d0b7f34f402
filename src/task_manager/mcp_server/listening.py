"""Listening in the newer era: one request's stream tells of changed resources and of tasks, on any server.

The server's own handler answers `subscriptions/listen`; beside it, on the same stream, goes what the store's event log
tells. See the specification of `io.modelcontextprotocol/tasks`, "Task Status Notifications".
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, cast

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.session import ServerSession
from mcp.server.subscriptions import SUBSCRIPTION_ID_META_KEY, ResourceUpdated, ServerEvent
from mcp.shared.subscriptions import event_to_notification
from mcp_types import Notification, RequestId, ServerNotification, SubscriptionsAcknowledgedNotification

from task_manager.mcp_server.resources import ROOT
from task_manager.mcp_server.subscriptions import EventBus

METHOD: Final = "subscriptions/listen"
_MOST_TASKS: Final = 1000

TaskOf = Callable[[ServerRequestContext[Any, Any], str], Awaitable[dict[str, Any] | None]]
"""What is told of a task at the moment; None when there is none."""


class TaskNotification(Notification[dict[str, Any], str]):
    """`notifications/tasks`: all that `tasks/get` would answer now."""

    method: str = "notifications/tasks"


class Listening:
    """Answers requests to listen.

    Args:
        bus: Where changes are told.
        task_of: Finds what is told of a task.
    """

    def __init__(self, bus: EventBus, task_of: TaskOf | None) -> None:
        self._bus = bus
        self._task_of = task_of

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Serve one stream until its client leaves or the server ends it."""
        tasks = await self._tasks(ctx)
        session = _Session(ctx.session, list(tasks))
        changes = _Changes({*_wanted(ctx, "resourceSubscriptions"), *map(_address, tasks)})
        end = self._bus.subscribe(changes.notice)
        telling = asyncio.create_task(self._tell(ctx, session, changes, tasks))
        try:
            return await call_next(dataclasses.replace(ctx, session=cast("ServerSession", session)))
        finally:
            end()
            telling.cancel()

    async def _tasks(self, ctx: ServerRequestContext[Any, Any]) -> dict[str, dict[str, Any]]:
        """The tasks that the client wants to hear of and that exist, as they are."""
        if self._task_of is None:
            return {}
        found = {one: await self._task_of(ctx, one) for one in _wanted(ctx, "taskIds")[:_MOST_TASKS]}
        return {task_id: task for task_id, task in found.items() if task is not None}

    async def _tell(
        self,
        ctx: ServerRequestContext[Any, Any],
        session: _Session,
        changes: _Changes,
        tasks: dict[str, dict[str, Any]],
    ) -> None:
        """Tell how the tasks are, then every change: whoever asks late hears of an end all the same."""
        meta = {SUBSCRIPTION_ID_META_KEY: ctx.request_id}
        uris = frozenset(_wanted(ctx, "resourceSubscriptions"))
        await session.acknowledged.wait()
        for task in tasks.values():
            await session.send_notification(TaskNotification(params={**task, "_meta": meta}), ctx.request_id)
        while True:
            uri = await changes.next()
            task_id = uri.removeprefix(_address(""))
            if self._task_of is not None and task_id in tasks:
                task = await self._task_of(ctx, task_id) or {}
                await session.send_notification(TaskNotification(params={**task, "_meta": meta}), ctx.request_id)
            if uri in uris:
                await session.send_notification(event_to_notification(ResourceUpdated(uri=uri), meta), ctx.request_id)


class _Session:
    """A request's session that names the tasks in the acknowledgement, and knows when that was sent."""

    def __init__(self, session: ServerSession, task_ids: Sequence[str]) -> None:
        self._session = session
        self._task_ids = task_ids
        self.acknowledged = asyncio.Event()

    def __getattr__(self, name: str) -> object:
        return getattr(self._session, name)

    async def send_notification(
        self, notification: ServerNotification | TaskNotification, related_request_id: RequestId | None = None
    ) -> None:
        """Send a notification on the request's stream."""
        if isinstance(notification, SubscriptionsAcknowledgedNotification):
            notification = self._with_tasks(notification)
            await self._session.send_notification(notification, related_request_id)
            self.acknowledged.set()
            return
        await self._session.send_notification(cast("ServerNotification", notification), related_request_id)

    def _with_tasks(self, told: SubscriptionsAcknowledgedNotification) -> SubscriptionsAcknowledgedNotification:
        if not self._task_ids:
            return told
        agreed = told.params.notifications.model_copy(update={"taskIds": list(self._task_ids)})
        return told.model_copy(update={"params": told.params.model_copy(update={"notifications": agreed})})


class _Changes:
    """Addresses that changed and were not told yet, each once, in the order of their changes."""

    def __init__(self, wanted: set[str]) -> None:
        self._wanted = wanted
        self._changed: dict[str, None] = {}
        self._some = asyncio.Event()

    def notice(self, event: ServerEvent) -> None:
        """Remember a change, if it is wanted."""
        if isinstance(event, ResourceUpdated) and event.uri in self._wanted:
            self._changed[event.uri] = None
            self._some.set()

    async def next(self) -> str:
        """The next address; waits for one."""
        while not self._changed:
            self._some.clear()
            await self._some.wait()
        uri = next(iter(self._changed))
        del self._changed[uri]
        return uri


def _address(task_id: str) -> str:
    """The address of the run that is this task."""
    return f"{ROOT}runs/{task_id}"


def _wanted(ctx: ServerRequestContext[Any, Any], name: str) -> list[str]:
    asked = (ctx.params or {}).get("notifications")
    listed = asked.get(name) if isinstance(asked, dict) else None
    return [one for one in listed if isinstance(one, str)] if isinstance(listed, list) else []

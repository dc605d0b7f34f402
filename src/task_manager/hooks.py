"""Use cases on hooks: `Hooks` keeps who is told of changes of runs, and shows what became of the messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from task_manager.hook_records import GITHUB_API, DeliveryState, Hook, HookDelivery, HookForm
from task_manager.models import new_id, utc_now
from task_manager.repeated_calls import once
from task_manager.store import Page, Store, hooks, projects
from task_manager.store.idempotency import Call
from task_manager.store.paging import DEFAULT_LIMIT
from task_manager.task_rules import checked
from task_manager.workflow_status import WorkflowStatus

_TOLD_TO_GITHUB = (
    WorkflowStatus.QUEUED,
    WorkflowStatus.RUNNING,
    *(status for status in WorkflowStatus if status.is_terminal),
)


class Hooks:
    """Keeps hooks; `HookSender` sends their messages.

    Args:
        store: Where they are kept.
        clock: The time, in UTC.
    """

    def __init__(self, store: Store, clock: Callable[[], datetime] = utc_now) -> None:
        self._store = store
        self._clock = clock

    async def add(self, fields: Mapping[str, object], *, idempotency_key: str | None = None) -> Hook:
        """Keep a hook; it tells of what happens from now on.

        Args:
            fields: Those of `Hook` but `id`, `position` and `created_at`; the project by id or name.
            idempotency_key: Names this call: made again with the same key, it returns the same hook.

        Raises:
            InvalidInput: A value does not fit, or the name is taken.
            NotFound: There is no such project.
            Conflict: The key was used with other arguments.
        """
        now = self._clock()
        given = dict(fields)
        if isinstance(given.get("project_id"), str):
            given["project_id"] = (await self._store.run(projects.find, str(given["project_id"]))).id
        if given.get("form") == HookForm.GITHUB_STATUS:
            given = {"url": GITHUB_API, "statuses": _TOLD_TO_GITHUB, **{n: v for n, v in given.items() if v}}
        hook = checked(Hook, {**given, "id": new_id("hook"), "created_at": now})
        arguments = hook.model_dump(mode="json", exclude={"id", "position", "created_at"})
        call = Call("add_hook", idempotency_key, arguments)
        return await once(self._store, call, hooks.get, lambda c: hooks.add(c, hook), now=now)

    async def list(self) -> tuple[Hook, ...]:
        """All hooks, oldest first."""
        return await self._store.run(hooks.all_)

    async def get(self, name: str) -> Hook:
        """The hook of that id or name.

        Raises:
            NotFound: There is none.
        """
        return await self._store.run(hooks.find, name)

    async def remove(self, name: str) -> Hook:
        """Remove the hook of that id or name, with its messages.

        Raises:
            NotFound: There is none.
        """
        return await self._store.run(hooks.remove, name)

    async def deliveries(
        self,
        name: str | None = None,
        state: DeliveryState | None = None,
        *,
        limit: int = DEFAULT_LIMIT,
        cursor: str | None = None,
    ) -> Page[HookDelivery]:
        """A page of messages, of a hook or of all, in a state or in any, newest first.

        Raises:
            InvalidInput: The limit or the cursor cannot be used.
            NotFound: There is no such hook.
        """
        hook_id = None if name is None else (await self.get(name)).id
        return await self._store.run(hooks.deliveries, hook_id, state, limit=limit, cursor=cursor)

    async def send_again(self, delivery_id: str) -> HookDelivery:
        """Have a message sent again, with the same id.

        Raises:
            NotFound: There is none of that id.
        """
        return await self._store.run(hooks.send_again, delivery_id, now=self._clock())

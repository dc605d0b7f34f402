"""Use cases on triggers: `Triggers` keeps the rules, takes webhooks in, and starts what these ask for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from pydantic import JsonValue

from task_manager.errors import InvalidInput, InvalidSignature, TaskManagerError
from task_manager.models import new_id, utc_now
from task_manager.repeated_calls import once
from task_manager.run_targets import RunTargets
from task_manager.running.secret_values import read_secret
from task_manager.store import Page, Store, triggers
from task_manager.store.idempotency import Call
from task_manager.store.paging import DEFAULT_LIMIT
from task_manager.structured_log import get_logger
from task_manager.task_rules import checked
from task_manager.trigger_records import Firing, Trigger, WebhookSource
from task_manager.trigger_rules import mismatches, parameters_of
from task_manager.webhook_deliveries import Delivery, described, is_authentic, read_delivery

if TYPE_CHECKING:
    from task_manager.config.settings import WebhookSettings

log = get_logger(__name__)


@dataclass(frozen=True)
class Match:
    """Whether a payload matches a trigger.

    Attributes:
        trigger: The trigger.
        mismatches: Why it does not, one sentence each; none: it does.
        parameters: What would be given to what it starts.
    """

    trigger: Trigger
    mismatches: tuple[str, ...]
    parameters: dict[str, JsonValue]


class Triggers:
    """Keeps triggers, takes webhooks in, and starts what these ask for.

    Args:
        store: Where they are kept.
        targets: Finds and starts what they name.
        settings: How webhooks are taken in.
        clock: The time, in UTC.
    """

    def __init__(
        self,
        store: Store,
        *,
        targets: RunTargets,
        settings: WebhookSettings,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._store = store
        self._targets = targets
        self._settings = settings
        self._clock = clock

    async def add(self, fields: Mapping[str, object], *, idempotency_key: str | None = None) -> Trigger:
        """Keep a trigger.

        Args:
            fields: Those of `Trigger` but `id` and `created_at`; task and project by id, title or name.
            idempotency_key: Names this call: made again with the same key, it returns the same trigger.

        Raises:
            InvalidInput: A value does not fit, or the name is taken.
            NotFound: There is no such task, project or template.
            Conflict: The key was used with other arguments.
        """
        now = self._clock()
        given = await self._targets.identified(fields)
        trigger = checked(Trigger, {**given, "id": new_id("trigger"), "created_at": now})
        arguments = trigger.model_dump(mode="json", exclude={"id", "created_at"})
        call = Call("add_trigger", idempotency_key, arguments)
        return await once(self._store, call, triggers.get, lambda c: triggers.insert(c, trigger), now=now)

    async def list(self) -> tuple[Trigger, ...]:
        """All triggers, oldest first."""
        return await self._store.run(triggers.all_)

    async def get(self, name: str) -> Trigger:
        """The trigger of that id or name.

        Raises:
            NotFound: There is none.
        """
        return await self._store.run(triggers.find, name)

    async def remove(self, name: str) -> Trigger:
        """Remove the trigger of that id or name; what it started stays.

        Raises:
            NotFound: There is none.
        """
        return await self._store.run(triggers.remove, name)

    async def firings(
        self, name: str | None = None, *, limit: int = DEFAULT_LIMIT, cursor: str | None = None
    ) -> Page[Firing]:
        """A page of what became of deliveries, of a trigger or of all, newest first.

        Raises:
            InvalidInput: The limit or the cursor cannot be used.
            NotFound: There is no such trigger.
        """
        trigger_id = None if name is None else (await self.get(name)).id
        return await self._store.run(triggers.firings, trigger_id, limit=limit, cursor=cursor)

    async def test(self, source: WebhookSource, event: str, payload: JsonValue) -> tuple[Match, ...]:
        """Which triggers of a source a payload would match, and with which parameters; nothing is started.

        Raises:
            InvalidInput: The payload is no object.
        """
        delivery = described(source, event, payload)
        return tuple(_match(trigger, delivery) for trigger in await self._store.run(triggers.all_, source))

    async def receive(
        self, source: WebhookSource, headers: Mapping[str, str], body: bytes
    ) -> tuple[Delivery, tuple[Firing, ...]]:
        """Take a webhook in, and start what the triggers that it matches say.

        Those whose secret it was signed with are asked alone. A delivery that comes again starts nothing again.

        Args:
            source: Who sent it.
            headers: The request's, by their names in lower case.
            body: The request's.

        Returns:
            What it told, and what became of it, for each trigger that it matches.

        Raises:
            InvalidSignature: It was signed with no trigger's secret, or too long ago.
            InvalidInput: It cannot be read.
            TaskManagerError: Something could not be started; sent again, only that is tried again.
        """
        trusting = [
            trigger
            for trigger in await self._store.run(triggers.all_, source)
            if await self._is_authentic(trigger, headers, body)
        ]
        if not trusting:
            raise InvalidSignature(
                f"The webhook is not signed with the secret of any trigger for {source}, or too long ago.",
                remedy="Let sender and trigger use the same secret: task-manager trigger list.",
            )
        delivery = read_delivery(source, headers, body)
        matching = [trigger for trigger in trusting if not mismatches(trigger, delivery)]
        outcomes = [await self._fire(trigger, delivery) for trigger in matching]
        failed = [one for one in outcomes if isinstance(one, TaskManagerError)]
        if failed:
            raise failed[0]
        return delivery, tuple(one for one in outcomes if isinstance(one, Firing))

    async def _is_authentic(self, trigger: Trigger, headers: Mapping[str, str], body: bytes) -> bool:
        try:
            secret = await asyncio.to_thread(read_secret, trigger.secret)
        except (KeyError, OSError, UnicodeDecodeError, ValueError):
            log.warning("trigger_without_secret", trigger=trigger.name, secret=trigger.secret)
            return False
        now, tolerance = self._clock().timestamp(), self._settings.tolerance
        return is_authentic(trigger.source, secret, headers, body, now=now, tolerance=tolerance)

    async def _fire(self, trigger: Trigger, delivery: Delivery) -> Firing | TaskManagerError:
        known = await self._store.run(triggers.firing, trigger.id, delivery.id)
        if known is not None and not known.error:
            return known
        # It is there before its runs are: those who tell of these look up the commit.
        begun = await self._store.run(triggers.note, _begun(trigger, delivery, self._clock()))
        try:
            run_ids = await self._start(trigger, delivery)
        except TaskManagerError as error:
            log.warning("trigger_failed", trigger=trigger.name, delivery=delivery.id, code=error.code)
            await self._store.run(triggers.note, begun.evolve(error=error.message))
            return error
        return await self._store.run(triggers.note, begun.evolve(error="", run_ids=tuple(run_ids)))

    async def _start(self, trigger: Trigger, delivery: Delivery) -> Sequence[str]:
        return await self._targets.start(
            trigger,
            parameters_of(trigger, delivery),
            title=f"{trigger.name}: {delivery.event or 'webhook'} {delivery.id}",
            actor=f"webhook:{trigger.source}",
            key=f"{trigger.id}:{delivery.id}",
        )


def _begun(trigger: Trigger, delivery: Delivery, now: datetime) -> Firing:
    return Firing(
        trigger_id=trigger.id,
        delivery_id=delivery.id,
        event=delivery.event,
        repository=delivery.repository,
        branch=delivery.branch,
        commit=delivery.commit,
        error="It was interrupted while it was started; let it be sent again.",
        received_at=now,
    )


def _match(trigger: Trigger, delivery: Delivery) -> Match:
    found = mismatches(trigger, delivery)
    if found:
        return Match(trigger, tuple(found), {})
    try:
        return Match(trigger, (), parameters_of(trigger, delivery))
    except InvalidInput as error:
        return Match(trigger, (error.message,), {})

"""Sends the messages of hooks: in order, at least once, again after failures; whatever receivers do, runs go on."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import httpx

from task_manager.background_loops import running_beside
from task_manager.errors import NotFound, TaskManagerError
from task_manager.hook_messages import Change, Commit, Message, message_of
from task_manager.hook_records import DeliveryState, Hook, HookDelivery
from task_manager.models import Event, WorkflowRun, new_id, utc_now
from task_manager.running.secret_values import read_secret
from task_manager.store import Store, hooks
from task_manager.structured_log import get_logger
from task_manager.trigger_records import Firing

if TYPE_CHECKING:
    from task_manager.config import Settings
    from task_manager.config.settings import HookSettings

log = get_logger(__name__)

LOOK_SECONDS: Final = 5.0
"""After this long the hooks are looked at again, for messages to send again and leases that ran out."""

_LEASE: Final = timedelta(seconds=60)
_SOURCE: Final = "urn:task-manager"
_LONGEST_ERROR: Final = 500


@dataclass(frozen=True)
class _Outcome:
    """How an attempt went.

    Attributes:
        response: The HTTP status; none: there was no answer.
        error: What was wrong; empty: nothing.
        wait: Seconds that the receiver wants to be left alone.
    """

    response: int | None = None
    error: str = ""
    wait: float = 0.0


class HookSender:
    """Sends the messages of all hooks as long as it is open; of several processes, one sends for each hook.

    Args:
        store: Where hooks and their outbox are.
        settings: How often, and how long.
        clock: The time, in UTC.
        look_seconds: After how many seconds hooks are looked at again.
    """

    def __init__(
        self,
        store: Store,
        settings: Settings,
        *,
        clock: Callable[[], datetime] = utc_now,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        self._store = store
        self._settings: HookSettings = settings.hooks
        self._public_url = settings.public_url
        self._clock = clock
        self._look_seconds = look_seconds
        self._holder = new_id("sender")
        self._at_work: dict[str, asyncio.Task[None]] = {}
        self._changed = asyncio.Event()

    @contextlib.asynccontextmanager
    async def sending(self) -> AsyncIterator[None]:
        """Send as long as this is entered."""
        # Environment variables name no proxies here: nothing but the hook's own address is spoken to.
        async with httpx.AsyncClient(timeout=self._settings.timeout, follow_redirects=False, trust_env=False) as client:
            looking_for_events = self._store.feed.wake(self._changed)
            try:
                async with running_beside(looking_for_events, self._look(client), begun=self._at_work):
                    yield
            finally:
                with contextlib.suppress(TaskManagerError):
                    await self._store.run(hooks.release, self._holder)

    async def _look(self, client: httpx.AsyncClient) -> None:
        """Work for each hook in a task of its own, so that a slow receiver keeps no other one waiting."""
        while True:
            self._changed.clear()
            try:
                for hook in await self._store.run(hooks.all_):
                    if hook.id not in self._at_work:
                        self._at_work[hook.id] = asyncio.create_task(self._serve(hook, client), name=f"hook {hook.id}")
            except TaskManagerError as error:
                log.warning("hooks_not_served", error=str(error))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._look_seconds):
                    await self._changed.wait()

    async def _serve(self, hook: Hook, client: httpx.AsyncClient) -> None:
        """Send what is due for a hook, if nobody else does and its secret is known here."""
        try:
            secret = await self._secret(hook)
            while await self._lease(hook):
                gathered = await self._store.run(hooks.gather, hook.id, now=self._clock())
                delivery = await self._store.run(hooks.next_pending, hook.id)
                if delivery is not None and (delivery.due_at is None or delivery.due_at <= self._clock()):
                    await self._send(hook, delivery, secret, client)
                elif not gathered:
                    break
        except NotFound:
            pass  # it was removed
        except (KeyError, OSError, UnicodeDecodeError, ValueError):
            log.warning("hook_without_secret", hook=hook.name, secret=hook.secret)
        except TaskManagerError as error:
            log.warning("hook_not_served", hook=hook.name, error=str(error))
        finally:
            del self._at_work[hook.id]

    async def _secret(self, hook: Hook) -> str | None:
        return None if hook.secret is None else await asyncio.to_thread(read_secret, hook.secret)

    async def _lease(self, hook: Hook) -> bool:
        now = self._clock()
        until = now + _LEASE + timedelta(seconds=self._settings.timeout)
        return await self._store.run(hooks.lease, hook.id, self._holder, now=now, until=until)

    async def _send(self, hook: Hook, delivery: HookDelivery, secret: str | None, client: httpx.AsyncClient) -> None:
        try:
            told = await self._store.run(hooks.told, delivery)
        except NotFound:
            return  # removed meanwhile, and the message with it
        change = _change(hook, told, self._public_url)
        source, now = self._public_url or _SOURCE, self._clock()
        message = message_of(hook, delivery, change, secret=secret, source=source, now=now)
        if message is None:
            outcome = _Outcome(error="It is not known which commit the run is about.")
            await self._store.run(hooks.put, _ended(delivery, outcome, DeliveryState.DEAD, now))
            return
        outcome = await self._post(message, client)
        await self._store.run(hooks.put, self._after(delivery, outcome))

    async def _post(self, message: Message, client: httpx.AsyncClient) -> _Outcome:
        try:
            # The time-out of the client counts for each part of the answer; this one for all of it.
            async with asyncio.timeout(self._settings.timeout):
                request = client.build_request("POST", message.url, headers=dict(message.headers), content=message.body)
                answer = await client.send(request, stream=True)
                await answer.aclose()  # nobody reads what is in it
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, OSError) as error:
            return _Outcome(error=f"{type(error).__name__}: {error}"[:_LONGEST_ERROR].rstrip(": "))
        if answer.is_success:
            return _Outcome(answer.status_code)
        wait = answer.headers.get("retry-after", "")
        seconds = float(wait[:6]) if wait.isascii() and wait.isdigit() else 0.0
        return _Outcome(answer.status_code, f"The receiver answered {answer.status_code}.", seconds)

    def _after(self, delivery: HookDelivery, outcome: _Outcome) -> HookDelivery:
        now, attempts = self._clock(), delivery.attempts + 1
        tried = delivery.evolve(attempts=attempts)
        if not outcome.error:
            return _ended(tried, outcome, DeliveryState.DELIVERED, now)
        if attempts >= self._settings.attempts:
            log.warning("hook_message_dead", delivery=delivery.id, hook=delivery.hook_id, error=outcome.error)
            return _ended(tried, outcome, DeliveryState.DEAD, now)
        delay = max(self._delay(attempts), min(outcome.wait, self._settings.maximum))
        due = now + timedelta(seconds=delay)
        return tried.evolve(response=outcome.response, error=outcome.error, due_at=due)

    def _delay(self, attempts: int) -> float:
        longest = min(self._settings.delay * 2.0 ** (attempts - 1), self._settings.maximum)
        return longest * (1 - random.random() / 2)  # noqa: S311 - keeps senders apart, hides nothing


def _ended(delivery: HookDelivery, outcome: _Outcome, state: DeliveryState, now: datetime) -> HookDelivery:
    end = {"state": state, "due_at": None, "finished_at": now}
    return delivery.evolve(response=outcome.response, error=outcome.error, **end)


def _change(hook: Hook, told: tuple[Event, WorkflowRun, str, str, Firing | None], public_url: str | None) -> Change:
    event, run, task, project, cause = told
    url = f"{public_url.rstrip('/')}/runs/{run.id}" if public_url else None
    return Change(event, run, task, project, url, _commit(hook, run, cause))


def _commit(hook: Hook, run: WorkflowRun, cause: Firing | None) -> Commit | None:
    """The commit that a run is about: that of the webhook that started it, else the one among its parameters."""
    repository = hook.repository or (cause.repository if cause else None)
    sha = (cause.commit if cause else None) or run.parameters.get("commit")
    return Commit(repository, sha) if repository and isinstance(sha, str) and sha else None

"""`DaggerCommunicationManager`: chooses, owns and guards the session that runs are executed in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from purgatory import AsyncCircuitBreakerFactory
from purgatory.domain.model import OpenedState

from task_manager.communication.containers import ContainerRegistry
from task_manager.communication.sessions import EngineSession, choose_engine, open_session
from task_manager.communication.translation import engine_errors
from task_manager.config import Settings
from task_manager.errors import EngineCircuitOpen, EngineLost, EngineUnavailable, InvalidInput
from task_manager.structured_log import get_logger

if TYPE_CHECKING:
    from task_manager.models import Event
    from task_manager.store import EventFeed

log = get_logger(__name__)

_BREAKER = "engine"
FAILURES_TO_OPEN = 3
SECONDS_OPEN = 15.0


def _is_not_connection_failure(error: BaseException) -> bool:
    return not isinstance(error, EngineLost | EngineUnavailable)


class DaggerCommunicationManager:
    """One engine session, shared by all runs of this process, started when first needed and again when it is lost.

    Every call goes through a circuit breaker that opens after repeated connection failures, never because of a
    user's failing command.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        feed: EventFeed | None = None,
        failures_to_open: int = FAILURES_TO_OPEN,
        seconds_open: float = SECONDS_OPEN,
    ) -> None:
        """Take the settings; nothing is started.

        Args:
            settings: Which engine to use, and how.
            feed: The event log that `subscribe` follows, `Store.feed`; an integration that opens a store sets it.
            failures_to_open: Connection failures in a row after which calls are held back.
            seconds_open: How long they are held back before one is tried.
        """
        self.settings = settings
        self.feed = feed
        self.containers = ContainerRegistry()
        self._breakers = AsyncCircuitBreakerFactory(
            default_threshold=failures_to_open,
            default_ttl=seconds_open,
            exclude=[(BaseException, _is_not_connection_failure)],
        )
        self._seconds_open = seconds_open
        self._session: EngineSession | None = None
        self._lock = asyncio.Lock()

    async def initialize(self) -> None:
        """Open the session now instead of with the first run; a second call does nothing.

        Raises:
            EngineUnavailable: No engine can be had.
        """
        async with self.guard():
            pass

    async def shutdown(self) -> None:
        """Close the session; a second call does nothing."""
        async with self._lock:
            session, self._session = self._session, None
            if session is not None:
                await session.close()

    @asynccontextmanager
    async def guard(self) -> AsyncIterator[EngineSession]:
        """The session for one or more calls, behind the circuit breaker; the SDK's errors come out as ours.

        Raises:
            EngineCircuitOpen: Calls are held back after repeated failures.
            EngineUnavailable: No engine can be had.
            EngineLost: The session went away during the calls.
            TaskManagerError: Any other error of the engine's side, translated.
        """
        breaker = await self._breakers.get_breaker(_BREAKER)
        session: EngineSession | None = None
        try:
            async with breaker:
                session = await self._open()
                with engine_errors():
                    yield session
        except OpenedState as error:
            raise EngineCircuitOpen(
                "The engine failed repeatedly; calls are held back for a while.",
                remedy=f"Try again in {self._seconds_open:g} s, or see `task-manager engine doctor`.",
            ) from error
        except EngineLost:
            if session is not None:
                await self._forget(session)
            raise

    def subscribe(
        self, *, run_id: str | None = None, project_id: str | None = None, after: int = 0
    ) -> AsyncGenerator[Event]:
        """What happens to a run, to the runs of a project, or to all, whichever process executes them.

        The events are read from the log, so a subscriber misses nothing, wherever it begins, and gets none twice. It
        goes on until it is closed; `contextlib.aclosing` does so at once when a loop over it is left.

        Args:
            run_id: Of this run alone.
            project_id: Of this project alone.
            after: The last sequence number that the subscriber has; 0 for the log's beginning.

        Raises:
            InvalidInput: There is no log to follow yet.
        """
        if self.feed is None:
            raise InvalidInput(
                "There is no store whose events could be followed.",
                remedy="Open an integration with this manager first, or make it with feed=store.feed.",
            )
        return self.feed.subscribe(after=after, run_id=run_id, project_id=project_id)

    async def breaker_state(self) -> str:
        """`closed` (calls pass), `opened` (calls are held back) or `half-opened` (one is tried)."""
        breaker = await self._breakers.get_breaker(_BREAKER)
        return str(breaker.context.state)

    async def _open(self) -> EngineSession:
        async with self._lock:
            if self._session is not None and not self._session.alive:
                log.warning("engine_session_died", engine=self._session.description, pid=self._session.pid)
                await self._close_current()
            if self._session is None:
                choice = await choose_engine(self.settings)
                self._session = await open_session(choice, self.settings)
                log.info("engine_session_opened", engine=self._session.description, reason=choice.reason)
            return self._session

    async def _forget(self, session: EngineSession) -> None:
        async with self._lock:
            if self._session is session:
                await self._close_current()

    async def _close_current(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

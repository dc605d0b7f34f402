"""The one session that all calls of a process share."""

from __future__ import annotations

import asyncio

from task_manager.communication.breaker import CircuitBreaker
from task_manager.communication.sessions import EngineSession, choose_engine, open_session
from task_manager.config import Settings
from task_manager.errors import EngineLost, EngineUnavailable
from task_manager.structured_log import get_logger

log = get_logger(__name__)


class SharedSession:
    """Opened when first needed, by one opening for all who wait, and again after a loss.

    Attributes:
        current: The open session, which may have died unnoticed.
        opened: How many were opened.
    """

    def __init__(self, settings: Settings, breaker: CircuitBreaker) -> None:
        """Take the settings; nothing is opened.

        Args:
            settings: Which engine to use, and how.
            breaker: Told of each opening, and of each session that is lost.
        """
        self._settings = settings
        self._breaker = breaker
        self._opening: asyncio.Task[EngineSession] | None = None
        self.current: EngineSession | None = None
        self.opened = 0

    async def get(self) -> EngineSession:
        """The open session, or a new one.

        Raises:
            EngineUnavailable: No engine can be had, or the session was closed while it was opened.
            EngineLost: The engine was killed at its start.
        """
        if self.current is not None and self.current.alive:
            return self.current
        if self._opening is None:
            self._opening = asyncio.create_task(self._open(), name="open engine session")
            self._opening.add_done_callback(_see_error)
        opening = self._opening
        try:
            return await asyncio.shield(opening)  # whoever stops waiting does not stop it for the others
        except asyncio.CancelledError:
            if opening.cancelled():
                raise EngineUnavailable("The engine was shut down while it was being started.") from None
            raise

    async def lost(self, session: EngineSession, error: EngineLost) -> None:
        """Give up a session that failed in a call; only the first such call counts as a failure."""
        if self.current is session:
            self.current = None
            self._breaker.failed(error)
            log.warning("engine_session_lost", engine=session.description, pid=session.pid, error=error.message)
            await session.discard()

    async def close(self, seconds: float) -> None:
        """Close the session, or stop opening it.

        Args:
            seconds: How long the engine's process may take to end before it is killed.
        """
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.wait([self._opening])
        session, self.current = self.current, None
        if session is not None:
            await session.close(seconds)

    async def _open(self) -> EngineSession:
        try:
            await self._discard_dead()
            choice = await choose_engine(self._settings)
            session = await open_session(choice, self._settings)
        except (EngineLost, EngineUnavailable) as error:
            self._breaker.failed(error)
            raise
        finally:
            self._opening = None
        self.current = session
        self.opened += 1
        self._breaker.opened_session()
        log.info("engine_session_opened", engine=session.description, reason=choice.reason)
        return session

    async def _discard_dead(self) -> None:
        session, self.current = self.current, None
        if session is not None:
            log.warning("engine_session_died", engine=session.description, pid=session.pid)
            await session.discard()


def _see_error(opening: asyncio.Task[EngineSession]) -> None:
    """Those who wait raise it; there may be nobody left who does."""
    if not opening.cancelled():
        opening.exception()

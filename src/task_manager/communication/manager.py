"""`DaggerCommunicationManager`: chooses, owns and guards the session that runs are executed in."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import AwareDatetime

from task_manager.communication.breaker import BreakerState, CircuitBreaker
from task_manager.communication.containers import ContainerRecord, ContainerRegistry
from task_manager.communication.engine_identity import EngineIdentity, identify_engine
from task_manager.communication.held_containers import HeldContainers
from task_manager.communication.held_files import ContainerSpec
from task_manager.communication.image_digests import ask_for_digests, known_digest
from task_manager.communication.sessions import EngineKind, EngineSession
from task_manager.communication.shared_session import SharedSession
from task_manager.communication.translation import engine_errors
from task_manager.config import Settings
from task_manager.errors import EngineError, EngineLost, InvalidInput
from task_manager.models import Record, utc_now

if TYPE_CHECKING:
    from task_manager.models import Event
    from task_manager.store import EventFeed

FAILURES_TO_OPEN = 3
SECONDS_OPEN = 15.0
SECONDS_TO_STOP = 10.0


class EngineStatus(Record):
    """How the engine's side of a process is at a moment.

    Attributes:
        kind: What answers; None while no session is open.
        engine: Kind and version, such as `embedded v0.21.8`; empty while no session is open.
        reason: Why this engine was chosen.
        pid: The session's process, where it is ours.
        alive: Whether a session is open and its process runs.
        breaker: What the circuit breaker does with calls.
        sessions_opened: How many sessions were opened since the manager was made.
        calls_in_flight: How many calls use the session, or wait for it.
        containers: How many containers the registry has.
        last_error: What the engine's side failed with last; never a user's failing command.
    """

    kind: EngineKind | None = None
    engine: str = ""
    reason: str = ""
    pid: int | None = None
    alive: bool = False
    breaker: BreakerState = BreakerState.CLOSED
    sessions_opened: int = 0
    calls_in_flight: int = 0
    containers: int = 0
    last_error: str | None = None
    last_error_at: AwareDatetime | None = None


class DaggerCommunicationManager:
    """One engine session, shared by all runs of this process, started when first needed and again when it is lost.

    Every call goes through a circuit breaker that opens after repeated connection failures, never because of a
    user's failing command. A session that is lost counts as one failure, however many calls it takes with it.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        feed: EventFeed | None = None,
        failures_to_open: int = FAILURES_TO_OPEN,
        seconds_open: float = SECONDS_OPEN,
        seconds_to_stop: float = SECONDS_TO_STOP,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        """Take the settings; nothing is started.

        Args:
            settings: Which engine to use, and how.
            feed: The event log that `subscribe` follows, `Store.feed`; an integration that opens a store sets it.
            failures_to_open: Connection failures in a row after which calls are held back.
            seconds_open: How long they are held back before one is tried.
            seconds_to_stop: How long an engine's process may take to end before it is killed.
            clock: The time, in UTC.
        """
        self.settings = settings
        self.feed = feed
        self.containers = ContainerRegistry()
        self._breaker = CircuitBreaker(failures_to_open=failures_to_open, seconds_open=seconds_open)
        self._session = SharedSession(settings, self._breaker)
        self._held = HeldContainers(settings, self.containers, self.guard, clock)
        self._seconds_to_stop = seconds_to_stop
        self._clock = clock
        self._calls = 0
        self._last_error: tuple[str, datetime] | None = None
        self._identity: EngineIdentity | None = None

    async def initialize(self) -> None:
        """Open the session now instead of with the first call; a second call does nothing.

        Raises:
            EngineUnavailable: No engine can be had; one that does not answer in time is ended.
            EngineLost: The engine was killed at its start.
        """
        async with self.guard():
            pass

    async def shutdown(self) -> None:
        """Stop the containers that are held here and close the session; a second call does nothing.

        It is bounded in time: an engine that does not end is killed. A later call opens a new session.
        """
        await self._held.close()
        await self._session.close(self._seconds_to_stop)

    async def renew_session(self) -> None:
        """Close the session, so that the next call gets a new one; what is under way in it is lost and done again."""
        await self._session.close(self._seconds_to_stop)

    @asynccontextmanager
    async def guard(self) -> AsyncIterator[EngineSession]:
        """The session for one or more calls, behind the circuit breaker; the SDK's errors come out as ours.

        Raises:
            EngineCircuitOpen: Calls are held back after repeated failures.
            EngineUnavailable: No engine can be had.
            EngineLost: The engine was killed at its start, or the session went away during the calls; the next call
                gets a new one.
            TaskManagerError: Any other error of the engine's side, translated.
        """
        self._breaker.admit()
        self._calls += 1
        session: EngineSession | None = None
        try:
            session = await self._session.get()
            with engine_errors():
                yield session
            self._breaker.succeeded()
        except EngineError as error:
            self._last_error = (error.message, self._clock())
            if session is not None and isinstance(error, EngineLost):
                await self._session.lost(session, error)
            raise
        finally:
            self._calls -= 1

    def status(self) -> EngineStatus:
        """How the engine's side is now, for status, metrics and health; it asks the engine nothing."""
        session = self._session.current
        error, at = self._last_error or (None, None)
        status = EngineStatus(
            breaker=self._breaker.state,
            sessions_opened=self._session.opened,
            calls_in_flight=self._calls,
            containers=len(self.containers.list()),
            last_error=error,
            last_error_at=at,
        )
        if session is None:
            return status
        return status.evolve(
            kind=session.kind,
            engine=session.description,
            reason=session.choice.reason,
            pid=session.pid,
            alive=session.alive,
        )

    async def identity(self) -> EngineIdentity:
        """Kind and version of the engine that would be used; no session is opened.

        Raises:
            EngineUnavailable: The configured kind cannot be had.
        """
        if self._identity is None:
            self._identity = await identify_engine(self.settings)
        return self._identity

    def known_digest(self, reference: str) -> str | None:
        """The digest of an image for which no registry has to be asked; None for any other."""
        return known_digest(reference, self.settings)

    async def ask_for_digests(self, references: Collection[str]) -> dict[str, str | None]:
        """Ask the registries which images references name now; no session is opened.

        Returns:
            For each its form with a digest; the host toolchain's reserved reference where that would stand in; None
            where no answer was had.

        Raises:
            EngineUnavailable: The configured kind of engine cannot be had.
        """
        return dict(await ask_for_digests(references, self.settings, (await self.identity()).kind))

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

    async def create_container(self, spec: ContainerSpec) -> ContainerRecord:
        """Write down a container that somebody wants to hold; nothing is pulled or started.

        Raises:
            SourceNotFound: A mount's source is not there.
            StoreUnwritable: The data folder cannot be written.
        """
        return self._held.create(spec)

    async def start_container(self, container_id: str) -> ContainerRecord:
        """Start a container in this process's session, and return when its ports accept connections.

        It runs until it is stopped, its command ends, or this manager is shut down.

        Raises:
            NotFound: There is no such container.
            InvalidTransition: It runs already, here or in another process.
            SourceNotFound: A mount's source is not there any more.
            ImageUnavailable: Its image cannot be had.
            StepFailed: Its command ended before it was up.
            EngineError: No engine, or it cannot be started there.
        """
        return await self._held.start(container_id)

    async def stop_container(self, container_id: str) -> ContainerRecord:
        """Stop a container, whichever process holds it, and return when it has ended.

        Raises:
            NotFound: There is no such container.
            InvalidTransition: It does not run.
            EngineError: The process that holds it did not stop it in time.
        """
        return await self._held.stop(container_id)

    async def delete_container(self, container_id: str) -> None:
        """Forget a container that does not run, with its log.

        Raises:
            NotFound: There is no such container.
            InvalidTransition: It runs; stop it first.
        """
        self._held.delete(container_id)

    async def get_container_status(self, container_id: str) -> ContainerRecord:
        """How a container is: a held one of any process, or one of a run that this process executes.

        Raises:
            NotFound: There is no such container.
        """
        own = [record for record in self.containers.list() if record.id == container_id]
        return own[0] if own else self._held.status(container_id)

    def held_containers(self) -> tuple[ContainerRecord, ...]:
        """The containers that anybody holds or held on this data folder and has not deleted, oldest first."""
        return self._held.list()

    def container_log(self, container_id: str) -> Path:
        """The file of what a held container wrote since it was started last; there is none before that.

        Raises:
            NotFound: There is no such container.
        """
        return self._held.log(container_id)

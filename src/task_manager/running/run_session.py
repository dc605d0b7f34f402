"""What a run has in an engine, had anew when the engine dies under it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from task_manager.communication import DaggerCommunicationManager, EngineSession
from task_manager.communication.images import ResolvedImage, resolve_again
from task_manager.errors import EngineCircuitOpen, EngineError, EngineLost, EngineUnavailable
from task_manager.running.containers import StepContainers
from task_manager.structured_log import get_logger

log = get_logger(__name__)

T = TypeVar("T")

_NO_ENGINE = (EngineLost, EngineUnavailable, EngineCircuitOpen)


@dataclass(frozen=True)
class ReconnectPolicy:
    """How often something is tried again after the engine died, and how long is waited before.

    Attributes:
        times: How often; 0 gives up at once.
        first_pause: Seconds before the first time; each later pause is twice as long.
        longest_pause: Seconds that no pause exceeds, except that calls which are held back are waited for.
    """

    times: int = 3
    first_pause: float = 0.5
    longest_pause: float = 10.0

    def pause(self, failures: int, error: EngineError) -> float:
        """Seconds to wait after so many failures, from 1, of which this is the last."""
        backoff: float = min(self.longest_pause, self.first_pause * 2 ** (failures - 1))
        retry_in = error.details.get("retry_in")
        return max(backoff, retry_in) if isinstance(retry_in, float) else backoff


async def reconnecting(
    work: Callable[[], Awaitable[T]], policy: ReconnectPolicy, *, retried: tuple[type[EngineError], ...] = _NO_ENGINE
) -> T:
    """Do something that needs the engine, again when the engine dies meanwhile or cannot be had.

    Args:
        work: What is done; each time it takes the session anew.
        policy: How often, and after which pauses.
        retried: The errors after which it is tried again.

    Raises:
        EngineError: The last time failed too.
    """
    for failures in range(1, policy.times + 1):
        try:
            return await work()
        except retried as error:
            pause = policy.pause(failures, error)
            log.warning("engine_reconnecting", failures=failures, pause=pause, error=error.message)
            await asyncio.sleep(pause)
    return await work()


class RunSession:
    """The session of a run with the images and containers that the run has in it.

    Args:
        communication: Hands out the session.
        session: The one that the run begins in.
        images: The images there, by the references in the pipeline.
        containers: The containers there.
        moved: Called when the run goes on in another session, before anything is done there.
    """

    def __init__(
        self,
        communication: DaggerCommunicationManager,
        session: EngineSession,
        images: Mapping[str, ResolvedImage],
        containers: StepContainers,
        *,
        moved: Callable[[EngineSession], Awaitable[None]],
    ) -> None:
        self._communication = communication
        self._session = session
        self._images = images
        self._containers = containers
        self._moved = moved
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def use(self) -> AsyncIterator[StepContainers]:
        """The run's containers, in the session that is open; in a new one they come from the engine's layers.

        Raises:
            EngineError: As from `DaggerCommunicationManager.guard`; or an image cannot be had again.
        """
        async with self._communication.guard() as session:
            async with self._lock:
                if session is not self._session:
                    await self._move(session)
            yield self._containers

    async def _move(self, session: EngineSession) -> None:
        found = await asyncio.gather(*(resolve_again(session, image) for image in self._images.values()))
        self._images = dict(zip(self._images, found, strict=True))
        self._containers = self._containers.in_session(session.client, self._images, session.live_output)
        self._session = session
        await self._moved(session)

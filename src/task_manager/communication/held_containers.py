"""Containers that a person or an agent holds: made, started, stopped and deleted by hand."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from task_manager.communication.containers import ContainerKind, ContainerRecord, ContainerRegistry, ContainerState
from task_manager.communication.held_files import ContainerSpec, HeldContainer, HeldFiles
from task_manager.communication.images import resolve_image
from task_manager.communication.live_output import RUN_LABEL, STEP_LABEL
from task_manager.communication.sessions import EngineSession
from task_manager.config import Settings
from task_manager.errors import EngineError, InvalidTransition, SourceNotFound, StepFailed
from task_manager.models import new_id
from task_manager.structured_log import get_logger

if TYPE_CHECKING:
    import dagger

log = get_logger(__name__)

_LOOK_SECONDS = 0.2
_GRACE_SECONDS = 3.0
_STOP_SECONDS = 20.0
_IDENTITY_VARIABLE = "TASK_MANAGER_CONTAINER"
"""Tells containers of equal descriptions apart: an engine runs equal services once."""


@dataclass
class _Holding:
    """A container that runs in this process's session."""

    session: EngineSession
    service: dagger.Service
    lock: int
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None


class HeldContainers:
    """Containers that live until they are stopped, in the engine session of the process that started them.

    Every process of the data folder knows them; one that another process holds ends there when its end is wished for
    here.

    Args:
        settings: The data folder, and what images may be replaced by.
        registry: Has those that run here.
        guard: Hands out the session.
        clock: The time, in UTC.
    """

    def __init__(
        self,
        settings: Settings,
        registry: ContainerRegistry,
        guard: Callable[[], AbstractAsyncContextManager[EngineSession]],
        clock: Callable[[], datetime],
    ) -> None:
        self._settings = settings
        self._registry = registry
        self._guard = guard
        self._clock = clock
        self._files = HeldFiles(settings.data_dir / "containers")
        self._running: dict[str, _Holding] = {}

    def create(self, spec: ContainerSpec) -> ContainerRecord:
        """Write down a container; nothing is pulled or started.

        Raises:
            SourceNotFound: A mount's source is not there.
            StoreUnwritable: The data folder cannot be written.
        """
        _require_mounts(spec)
        record = ContainerRecord(
            id=new_id("container"),
            kind=ContainerKind.HELD,
            name=spec.name,
            image=spec.image,
            capabilities=spec.capabilities | {"network", *(f"port:{port}" for port in spec.ports)},
        )
        return self._files.write(HeldContainer(spec=spec, record=record)).record

    def status(self, container_id: str) -> ContainerRecord:
        """How a container is, whichever process holds it.

        Raises:
            NotFound: There is no such container.
        """
        held = self._files.read(container_id)
        if held.record.state is not ContainerState.RUNNING or container_id in self._running:
            return held.record
        with self._files.taken(container_id) as nobody_holds_it:
            if not nobody_holds_it:
                return held.record
            held = self._files.read(container_id)
            if held.record.state is not ContainerState.RUNNING:
                return held.record
            return self._ended(held, ContainerState.STOPPED, None, "The process that held it ended.")

    def list(self) -> tuple[ContainerRecord, ...]:
        """All containers that are held or were, oldest first."""
        return tuple(self.status(container_id) for container_id in self._files.ids())

    def log(self, container_id: str) -> Path:
        """The file of what a container wrote; there is none before it has written.

        Raises:
            NotFound: There is no such container.
        """
        self._files.read(container_id)
        return self._files.log(container_id)

    async def start(self, container_id: str) -> ContainerRecord:
        """Start a container in this process's session, and return when its ports accept connections.

        Raises:
            NotFound: There is no such container.
            InvalidTransition: It runs already.
            SourceNotFound: A mount's source is not there any more.
            ImageUnavailable: Its image cannot be had.
            StepFailed: Its command ended before it was up.
            EngineError: No engine, or it cannot be started there.
        """
        held = self._files.read(container_id)
        _require_mounts(held.spec)
        lock = self._files.take(container_id)
        if lock is None:
            raise _wrong_state(held.record, ContainerState.RUNNING, "started", "Stop it first.")
        try:
            self._files.forget_wish(container_id)
            self._files.log(container_id).write_bytes(b"")
            return await self._start(held, lock)
        except StepFailed as error:
            code = error.details.get("exit_code")
            self._ended(held, ContainerState.EXITED, code if isinstance(code, int) else None, error.message)
            raise
        finally:
            if container_id not in self._running:
                os.close(lock)

    async def stop(self, container_id: str) -> ContainerRecord:
        """Stop a running container, whichever process holds it, and return when it has ended.

        Raises:
            NotFound: There is no such container.
            InvalidTransition: It does not run.
            EngineError: The process that holds it did not stop it in time.
        """
        record = self.status(container_id)
        if record.state is not ContainerState.RUNNING:
            raise _wrong_state(record, record.state, "stopped", "Only a running container can be stopped.")
        if container_id in self._running:
            await self._stop(container_id)
        else:
            await self._stop_elsewhere(container_id)
        return self.status(container_id)

    def delete(self, container_id: str) -> None:
        """Forget a container that does not run, with its log.

        Raises:
            NotFound: There is no such container.
            InvalidTransition: It runs.
        """
        record = self.status(container_id)
        if record.state is ContainerState.RUNNING:
            raise _wrong_state(record, record.state, "deleted", "Stop it first.")
        self._files.remove(container_id)

    async def close(self) -> None:
        """Stop all that run in this process."""
        for container_id in tuple(self._running):
            await self._stop(container_id)

    async def _start(self, held: HeldContainer, lock: int) -> ContainerRecord:
        container_id = held.record.id
        async with self._guard() as session:
            # What the command needs is not checked: the engine says what is missing when it starts.
            image = await resolve_image(session, held.spec.image, {}, self._settings.images)
            connected = asyncio.Event()
            reading = asyncio.create_task(self._read(container_id, session, connected))
            try:
                await connected.wait()
                with session.live_output.telling(container_id, container_id) if session.live_output else nullcontext():
                    service = await _described(session, held, image.container).start()
                endpoint = await service.endpoint() if held.spec.ports else ""
            except BaseException:
                reading.cancel()
                raise
        record = held.record.evolve(
            state=ContainerState.RUNNING,
            image=image.reference,
            started_at=self._clock(),
            finished_at=None,
            exit_code=None,
            reason=image.warning.text if image.warning else "",
            endpoint=endpoint,
        )
        self._files.write(held.evolve(record=record))
        self._registry.register(record)
        holding = self._running[container_id] = _Holding(session, service, lock)
        holding.task = asyncio.create_task(self._hold(held.evolve(record=record), holding, reading))
        return record

    async def _hold(self, held: HeldContainer, holding: _Holding, reading: asyncio.Task[int | None]) -> None:
        """Keep the log until the container ends, by itself, by a wish, or with the engine."""
        container_id = held.record.id
        wished = asyncio.create_task(self._wished(container_id, holding))
        await asyncio.wait([reading, wished], return_when=asyncio.FIRST_COMPLETED)
        state, code, reason = ContainerState.STOPPED, None, ""
        if reading.done() and (code := reading.result()) is not None:
            state = ContainerState.EXITED
        elif wished.done() and holding.session.alive:
            await self._end_service(holding)
        else:
            reason = "The engine ended."
        wished.cancel()
        reading.cancel()
        await asyncio.wait([reading, wished])
        self._ended(held, state, code, reason)
        self._files.forget_wish(container_id)
        del self._running[container_id]
        os.close(holding.lock)

    async def _read(self, container_id: str, session: EngineSession, connected: asyncio.Event) -> int | None:
        """Write what comes to the log, until the command or the engine ends; tells the command's exit code."""
        path = self._files.log(container_id)
        if session.live_output is not None:
            async for output in session.live_output.output(container_id, connected):
                if output.ended:
                    return output.exit_code
                with path.open("a") as file:
                    file.write(output.text)
        connected.set()
        if session.live_output is None:
            await asyncio.Event().wait()  # nobody tells; the engine's end is seen elsewhere
        return None

    async def _wished(self, container_id: str, holding: _Holding) -> None:
        """Return when its end is wished for, or the engine has died."""
        # Another process writes the wish as a file, and nobody tells of a death; so both are looked for.
        while holding.session.alive and not (holding.stop.is_set() or self._files.is_stop_wished(container_id)):
            try:
                await asyncio.wait_for(holding.stop.wait(), _LOOK_SECONDS)
            except TimeoutError:
                continue

    async def _end_service(self, holding: _Holding) -> None:
        """Ask the command to end, and kill it when it does not."""
        try:
            async with asyncio.timeout(_STOP_SECONDS), self._guard() as session:
                if session is not holding.session:
                    return
                try:
                    await asyncio.wait_for(holding.service.stop(), _GRACE_SECONDS)
                except TimeoutError:
                    await holding.service.stop(kill=True)
        except (EngineError, TimeoutError) as error:
            log.warning("container_not_stopped", error=str(error))

    async def _stop(self, container_id: str) -> None:
        holding = self._running[container_id]
        holding.stop.set()
        if holding.task is not None:
            await asyncio.wait([holding.task])

    async def _stop_elsewhere(self, container_id: str) -> None:
        self._files.wish_stop(container_id)
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                while self.status(container_id).state is ContainerState.RUNNING:  # noqa: ASYNC110
                    await asyncio.sleep(_LOOK_SECONDS)
        except TimeoutError as error:
            raise EngineError(
                f"The process that holds container {container_id} has not stopped it within {_STOP_SECONDS:g} s.",
                remedy="The wish stands; ask for its status later, or end that process.",
            ) from error

    def _ended(self, held: HeldContainer, state: ContainerState, code: int | None, reason: str) -> ContainerRecord:
        record = held.record.evolve(state=state, exit_code=code, reason=reason, endpoint="", finished_at=self._clock())
        self._registry.unregister(record.id)
        return self._files.write(held.evolve(record=record)).record


def _described(session: EngineSession, held: HeldContainer, container: dagger.Container) -> dagger.Service:
    spec, container_id = held.spec, held.record.id
    container = container.with_label(RUN_LABEL, container_id).with_label(STEP_LABEL, container_id)
    for name, value in {**spec.environment, _IDENTITY_VARIABLE: container_id}.items():
        container = container.with_env_variable(name, value)
    host = session.client.host()
    for mount in spec.mounts:
        if mount.source.is_dir():
            tree = host.directory(str(mount.source), no_cache=True)
            container = container.with_mounted_directory(mount.target, tree)
        else:
            file = host.file(str(mount.source), no_cache=True)
            container = container.with_mounted_file(mount.target, file)
    for port in spec.ports:
        container = container.with_exposed_port(port)
    if spec.command:
        return container.as_service(args=list(spec.command))
    return container.as_service(use_entrypoint=True)


def _require_mounts(spec: ContainerSpec) -> None:
    for mount in spec.mounts:
        if not mount.source.is_absolute() or not os.path.exists(mount.source):  # noqa: PTH110 - it raises for no path
            raise SourceNotFound(
                f"There is no {mount.source} to mount at {mount.target}.",
                remedy="Name a file or folder of this machine by its absolute path.",
                details={"source": str(mount.source), "target": mount.target},
            )


def _wrong_state(record: ContainerRecord, state: ContainerState, wish: str, remedy: str) -> InvalidTransition:
    return InvalidTransition(
        f"Container {record.id} is {state}; it cannot be {wish}.",
        remedy=remedy,
        details={"container": record.id, "state": state.value},
    )

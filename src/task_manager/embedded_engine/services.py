"""Services: commands that run while others need them."""

import asyncio
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING

from task_manager.embedded_engine import model
from task_manager.embedded_engine.errors import ApiError, ExecError
from task_manager.embedded_engine.execution import Addresses, BoundService, Executor, StartedService
from task_manager.embedded_engine.sandbox.launcher import Launcher

if TYPE_CHECKING:
    from task_manager.embedded_engine.evaluator import Evaluator

# How long an unused service goes on, for the next command that needs it, and how long it has to end when asked to.
_IDLE_SECONDS = 10.0
_END_SECONDS = 10.0
_HOSTNAME_LENGTH = 13


def hostname_of(command: model.ServiceCommand) -> str:
    """Return the name that a service is reached by where it is bound."""
    return command.hostname or command.digest[:_HOSTNAME_LENGTH]


class _Running:
    """A service under way."""

    def __init__(self, started: StartedService, task: asyncio.Task[None]) -> None:
        self.started = started
        self.task = task
        self.users = 0
        self.kept = False


class Services:
    """Starts services on first need, each once, and stops them when nobody needs them any more."""

    def __init__(self, launcher: Launcher, executor: Executor, addresses: Addresses) -> None:
        self._launcher = launcher
        self._executor = executor
        self._addresses = addresses
        self._running: dict[str, _Running] = {}
        self._starting: dict[str, asyncio.Lock] = {}
        self._evaluator: Evaluator | None = None

    def attach(self, evaluator: "Evaluator") -> None:
        """Say who makes the trees that services run in."""
        self._evaluator = evaluator

    @asynccontextmanager
    async def bound(self, bindings: Sequence[model.Binding]) -> AsyncIterator[list[BoundService]]:
        """Keep some services running, started where they are not, for the time of the block.

        Raises:
            ExecError: A service ended before it was up.
            ApiError: A service cannot be started.
        """
        async with AsyncExitStack() as held:
            known = []
            for binding in bindings:
                try:
                    running = await held.enter_async_context(self._used(binding.service))
                except ExecError as error:
                    hostname = hostname_of(binding.service)
                    raise error.within(f"start {hostname} (aliased as {binding.alias})") from error
                known.append(BoundService(binding.alias, running.started.hostname, running.started.address))
            yield known

    async def start(self, command: model.ServiceCommand) -> None:
        """Start a service that goes on until it is stopped or the session ends.

        Raises:
            ExecError: It ended before it was up.
            ApiError: It cannot be started.
        """
        async with self._used(command) as running:
            running.kept = True

    async def stop(self, command: model.ServiceCommand, *, kill: bool = False) -> None:
        """Stop a service, if it runs; with `kill`, without letting it end by itself."""
        running = self._running.get(command.digest)
        if running is None:
            return
        number = running.started.number
        if not kill:
            self._launcher.signal(number, signal.SIGTERM)
            await asyncio.wait([running.task], timeout=_END_SECONDS)
        running.task.cancel()
        await asyncio.wait([running.task])
        self._forget(command.digest, running)

    async def close(self) -> None:
        """Stop every service at once."""
        tasks = [running.task for running in self._running.values()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        self._running.clear()

    @asynccontextmanager
    async def _used(self, command: model.ServiceCommand) -> AsyncIterator[_Running]:
        async with self._starting.setdefault(command.digest, asyncio.Lock()):
            running = self._running.get(command.digest) or await self._start(command)
            running.users += 1
        try:
            yield running
        finally:
            running.users -= 1
            if not running.users and not running.kept:
                asyncio.get_running_loop().call_later(_IDLE_SECONDS, self._stop_idle, command.digest, running)

    def _stop_idle(self, digest: str, running: _Running) -> None:
        if not running.users and not running.kept:
            running.task.cancel()
            self._forget(digest, running)

    async def _start(self, command: model.ServiceCommand) -> _Running:
        if self._evaluator is None:
            raise ApiError("services cannot be started yet")
        root, *mounted = await self._evaluator.inputs(command.execution)
        number, address = self._launcher.next_number(), self._addresses.take()
        held = AsyncExitStack()
        known = await held.enter_async_context(self.bound(command.execution.services))
        started = StartedService(command, hostname_of(command), address, number, tuple(known))

        async def serve() -> None:
            async with held:
                await self._executor.serve(started, root, mounted)

        running = _Running(started, asyncio.ensure_future(serve()))
        running.task.add_done_callback(lambda _: self._forget(command.digest, running))
        await self._up(command, running)
        self._running[command.digest] = running
        return running

    async def _up(self, command: model.ServiceCommand, running: _Running) -> None:
        """Wait until every checked port accepts connections, or the service ends.

        Raises:
            ExecError: It ended first.
        """
        ports = [port.number for port in command.ports if port.checked and port.protocol == "TCP"]
        probing = asyncio.ensure_future(self._launcher.wait_for_ports(running.started.address, ports))
        try:
            await asyncio.wait([probing, running.task], return_when=asyncio.FIRST_COMPLETED)
            if running.task.done():
                await running.task
            await probing
        except BaseException:
            running.task.cancel()
            raise
        finally:
            probing.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.gather(probing, return_exceptions=True)

    def _forget(self, digest: str, running: _Running) -> None:
        if not running.task.cancelled() and running.task.done():
            # Whoever waits for it has the error; here it only counts as seen.
            running.task.exception()
        if self._running.get(digest) is running:
            del self._running[digest]

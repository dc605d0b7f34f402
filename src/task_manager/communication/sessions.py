"""Sessions: where the Dagger API answers, and how each kind of session comes to be."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from task_manager.communication.live_output import EventStream, LiveOutputSource
from task_manager.communication.otlp import ENDPOINTS, OtlpReceiver
from task_manager.communication.process import SessionProcess
from task_manager.communication.translation import engine_errors
from task_manager.config import EngineChoice, Settings
from task_manager.errors import EngineUnavailable
from task_manager.whole_files import write_whole

if TYPE_CHECKING:
    import dagger

_PORT, _TOKEN = "DAGGER_SESSION_PORT", "DAGGER_SESSION_TOKEN"
_CLI = "_EXPERIMENTAL_DAGGER_CLI_BIN"
_RUNNER_HOST = "_EXPERIMENTAL_DAGGER_RUNNER_HOST"
_RUNTIMES = ("docker", "podman", "nerdctl")
_RUNTIME_SECONDS = 5.0
_CLOSE_SECONDS = 5.0
_START_SECONDS = 60.0
_ANSWER_SECONDS = 60.0
_PROVISION_SECONDS = 600.0  # a first `dagger session` pulls the engine's image

_environment_lock = asyncio.Lock()


class EngineKind(StrEnum):
    """What answers the Dagger API."""

    EMBEDDED = "embedded"
    """The engine that comes with this package."""
    DAGGER = "dagger"
    """A real Dagger engine, started or reached through the Dagger command line."""
    SESSION = "session"
    """A session that was there already, named by the environment."""


@dataclass(frozen=True)
class SessionChoice:
    """Which kind of session to open, and why.

    Attributes:
        reason: One sentence for `engine info`.
        runner_host: Where the engine listens, for a configured one.
    """

    kind: EngineKind
    reason: str
    runner_host: str | None = None


class EngineSession:
    """An open session: the SDK's client, and the process behind it if we started one."""

    def __init__(
        self,
        choice: SessionChoice,
        connection: dagger.Connection,
        client: dagger.Client,
        process: SessionProcess | None,
        telemetry: OtlpReceiver | None = None,
    ) -> None:
        self.choice = choice
        self.client = client
        self.version = ""
        self._connection = connection
        self._process = process
        self._telemetry = telemetry

    @property
    def kind(self) -> EngineKind:
        """What answers."""
        return self.choice.kind

    @property
    def live_output(self) -> LiveOutputSource | None:
        """What steps write while they run; none where the engine does not tell before their ends."""
        if self.kind is EngineKind.EMBEDDED and self._process is not None:
            return EventStream(self._process.port, self._process.token)
        return self._telemetry

    @property
    def description(self) -> str:
        """Kind and version, such as `embedded v0.21.8`."""
        return f"{self.kind} {self.version}".strip()

    @property
    def pid(self) -> int | None:
        """The id of the process we started; none when somebody else did."""
        return self._process.pid if self._process else None

    @property
    def alive(self) -> bool:
        """Whether the process behind the session still runs; true where it is not ours."""
        return self._process is None or self._process.alive

    async def close(self, seconds: float) -> None:
        """Close the connection and end the process; a session that is gone is no error.

        Args:
            seconds: How long the process may take before it is killed.
        """
        await self._disconnect(_CLOSE_SECONDS)
        if self._process is not None:
            await self._process.stop(seconds)
        await self._stop_receiving()

    async def discard(self) -> None:
        """End a session that is not to be used any more, at once."""
        if self._process is not None:
            await self._process.kill()
        await self._disconnect(_CLOSE_SECONDS)
        await self._stop_receiving()

    async def _stop_receiving(self) -> None:
        if self._telemetry is not None:
            await self._telemetry.close()

    async def _disconnect(self, seconds: float) -> None:
        with contextlib.suppress(Exception):
            await asyncio.wait_for(self._connection.close(), seconds)  # type: ignore[no-untyped-call]


async def choose_engine(settings: Settings, environment: Mapping[str, str] = os.environ) -> SessionChoice:
    """Decide which engine to use.

    `auto` takes the session named by the environment, else a configured runner host, else `dagger` with a container
    runtime that answers, else the embedded engine.

    Raises:
        EngineUnavailable: The configured kind cannot be had.
    """
    if settings.engine is EngineChoice.EMBEDDED:
        return SessionChoice(EngineKind.EMBEDDED, "configured: engine = embedded")
    if environment.get(_PORT) and environment.get(_TOKEN):
        return SessionChoice(EngineKind.SESSION, f"{_PORT} and {_TOKEN} are set")
    program = dagger_program(environment)
    if settings.runner_host:
        if program is None:
            raise _no_program(f"runner_host = {settings.runner_host}")
        return SessionChoice(
            EngineKind.DAGGER, f"configured: runner_host = {settings.runner_host}", settings.runner_host
        )
    if settings.engine is EngineChoice.DAGGER:
        if program is None:
            raise _no_program("engine = dagger")
        return SessionChoice(EngineKind.DAGGER, "configured: engine = dagger")
    runtime = await _answering_runtime() if program else None
    if runtime:
        return SessionChoice(EngineKind.DAGGER, f"found the dagger command and {runtime}, which answers")
    return SessionChoice(EngineKind.EMBEDDED, "no session, runner host, or dagger with a container runtime was found")


async def open_session(choice: SessionChoice, settings: Settings) -> EngineSession:
    """Open a session of the chosen kind.

    Raises:
        EngineUnavailable: It did not start or answer.
        EngineLost: It was killed at its start.
    """
    process: SessionProcess | None = None
    telemetry = await _receiver(choice)
    try:
        process = await _start_process(choice, settings, telemetry.environment if telemetry else {})
        return await _connect(choice, process, telemetry)
    except BaseException:
        if process is not None:
            await process.kill()
        if telemetry is not None:
            await telemetry.close()
        raise


def embedded_command(*arguments: str) -> tuple[str, ...]:
    """The embedded engine's command line, run by this Python."""
    return (sys.executable, "-m", "task_manager.embedded_engine", *arguments)


def write_engine_configuration(settings: Settings) -> Path:
    """Write the embedded engine's configuration file and return its path.

    Raises:
        EngineUnavailable: The data folder cannot be written.
    """
    folder = engine_folder(settings)
    path = folder / "engine.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(_engine_configuration(settings), indent=1, sort_keys=True))
    except OSError as error:
        raise EngineUnavailable(
            f"The engine's folder {folder} cannot be written: {error.strerror}.",
            remedy="Name another data folder with --data-dir or TASK_MANAGER_DATA_DIR.",
        ) from error
    return path


def engine_folder(settings: Settings) -> Path:
    """Where the embedded engine keeps its layers."""
    return settings.data_dir / "engine"


def _engine_configuration(settings: Settings) -> dict[str, object]:
    return {
        "mirrors": {host: list(urls) for host, urls in settings.registries.mirrors.items()},
        "insecure": list(settings.registries.insecure),
        "parallelism": settings.parallelism,
        "connect_timeout": settings.connect_timeout,
        "network": settings.network.value,
        "max_bytes": settings.engine_cache.max_bytes,
        "max_age": settings.engine_cache.max_age,
        "max_processes": settings.engine_limits.processes,
        "max_memory": settings.engine_limits.memory,
        "max_output": settings.engine_limits.output,
    }


def _configured(settings: Settings) -> str:
    if settings.runner_host:
        return f"runner_host = {settings.runner_host}"
    return "engine = dagger" if settings.engine is EngineChoice.DAGGER else ""


def dagger_program(environment: Mapping[str, str]) -> str | None:
    """The dagger command line; none where there is none."""
    return environment.get(_CLI) or shutil.which("dagger")


def _no_program(wanted: str) -> EngineUnavailable:
    return EngineUnavailable(
        f"{wanted} needs the dagger command line, which is not on the PATH.",
        remedy="Install Dagger's command line, or set engine = embedded.",
    )


async def _answering_runtime() -> str | None:
    for runtime in _RUNTIMES:
        program = shutil.which(runtime)
        if program and await _answers(program):
            return runtime
    return None


async def _answers(program: str) -> bool:
    null = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(program, "info", stdin=null, stdout=null, stderr=null)
    try:
        return await asyncio.wait_for(process.wait(), _RUNTIME_SECONDS) == 0
    except TimeoutError:
        process.kill()
        await process.wait()
        return False


async def _receiver(choice: SessionChoice, environment: Mapping[str, str] = os.environ) -> OtlpReceiver | None:
    """What receives a real engine's telemetry; none where it is no session of ours, or somebody else receives it."""
    if choice.kind is not EngineKind.DAGGER or any(environment.get(name) for name in ENDPOINTS):
        return None
    receiver = OtlpReceiver()
    await receiver.start()
    return receiver


async def _start_process(
    choice: SessionChoice, settings: Settings, telemetry: Mapping[str, str]
) -> SessionProcess | None:
    if choice.kind is EngineKind.SESSION:
        return None
    if choice.kind is EngineKind.EMBEDDED:
        configuration = await asyncio.to_thread(write_engine_configuration, settings)
        command = embedded_command(
            "session", "--state-dir", str(engine_folder(settings)), "--config", str(configuration)
        )
        return await SessionProcess.start(command, environment={}, timeout=_START_SECONDS)
    program = dagger_program(os.environ)
    if program is None:
        raise _no_program("engine = dagger")
    environment = {**telemetry, **({_RUNNER_HOST: choice.runner_host} if choice.runner_host else {})}
    return await SessionProcess.start((program, "session"), environment=environment, timeout=_PROVISION_SECONDS)


async def _connect(
    choice: SessionChoice, process: SessionProcess | None, telemetry: OtlpReceiver | None
) -> EngineSession:
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            with engine_errors():
                connection, client = await _open_connection(process)
                session = EngineSession(choice, connection, client, process, telemetry)
                session.version = await client.version()
    except TimeoutError as error:
        raise EngineUnavailable(
            f"The engine started, but did not answer within {_ANSWER_SECONDS:g} s.",
            remedy="See `task-manager engine doctor`.",
        ) from error
    return session


async def _open_connection(process: SessionProcess | None) -> tuple[dagger.Connection, dagger.Client]:
    dagger = await asyncio.to_thread(importlib.import_module, "dagger")  # it takes seconds
    # Without retries of its own: a session that went away is noticed at once, and the circuit breaker counts it.
    connection = dagger.Connection(dagger.Config(retry=None))
    async with _environment_lock:
        with _session_environment(process):
            return connection, await connection.__aenter__()


@contextlib.contextmanager
def _session_environment(process: SessionProcess | None) -> Iterator[None]:
    """Name the session in the environment, which is how the SDK is told, while a connection is opened."""
    if process is None:
        yield
        return
    before = {name: os.environ.get(name) for name in (_PORT, _TOKEN)}
    os.environ.update({_PORT: str(process.port), _TOKEN: process.token})
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value

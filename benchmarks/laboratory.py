"""Where engine benchmarks run: a session on a state folder of its own, the Python SDK, an image without a registry."""

import asyncio
import contextlib
import itertools
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import dagger
from tests.environment.busybox_image import busybox_layout

from benchmarks.other_containers import make_root, programs, real_engine

FLOOR: Final = ("unshare", "--mount", "--pid", "--fork", "--net", "--uts", "--ipc", "/bin/true")
_ENGINE_COMMAND: Final = (sys.executable, "-m", "task_manager.embedded_engine")
_SESSION_VARIABLES: Final = ("DAGGER_SESSION_PORT", "DAGGER_SESSION_TOKEN")
_COMMAND_VARIABLE: Final = "_EXPERIMENTAL_DAGGER_CLI_BIN"
_STATE_VARIABLE: Final = "TASK_MANAGER_ENGINE_STATE_DIR"


@dataclass(frozen=True)
class Laboratory:
    """A connected client and what its chains start from.

    Attributes:
        client: The SDK's client, connected to a running session.
        image: The reference of the busybox image.
        base: A container of that image, unpacked already.
        running: The variables by which SDK programs find that session.
        starting: The variables by which SDK programs start a session of their own.
        programs: The commands of other programs that run `true` in a new container.
        other: A container of busybox alone in the engine that the product would take, if that is not the embedded one.
    """

    client: dagger.Client
    image: str
    base: dagger.Container
    running: Mapping[str, str]
    starting: Mapping[str, str]
    programs: Mapping[str, Sequence[str]]
    other: dagger.Container | None
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def fresh(self) -> str:
        """Return a text that no step of this laboratory had yet, so that no result of it is stored."""
        return f"{os.getpid()}-{next(self._numbers)}"

    def chain(self, length: int, tag: str, base: dagger.Container | None = None) -> dagger.Container:
        """Return a container after some steps, each of which writes a file; another client has a base of its own."""
        container = base or self.base
        for number in range(length):
            container = container.with_exec(["sh", "-c", f"echo {tag} > file-{number}"])
        return container


@contextlib.asynccontextmanager
async def laboratory() -> AsyncIterator[Laboratory]:
    """Set up a laboratory and clear it away."""
    layout = await asyncio.to_thread(busybox_layout)
    with tempfile.TemporaryDirectory(prefix="task-manager-benchmarks-") as name:
        starting = _starting(Path(name))
        root = make_root(Path(name))
        # First, for the environment names no session but the laboratory's as long as that is connected.
        async with real_engine(root) as other, _running(starting) as running, connected(running) as client:
            image = f"oci-layout://{layout}"
            base = await client.container().from_(image).sync()
            yield Laboratory(client, image, base, running, starting, programs(root), other)


def _starting(folder: Path) -> dict[str, str]:
    """Return the variables by which SDK programs start an engine session whose state folder is inside `folder`."""
    command = folder / "engine"
    command.write_text(f'#!/bin/sh\nexec {shlex.join(_ENGINE_COMMAND)} "$@"\n', encoding="utf-8")
    command.chmod(0o700)
    return {_COMMAND_VARIABLE: str(command), _STATE_VARIABLE: str(folder / "state")}


@contextlib.asynccontextmanager
async def connected(variables: Mapping[str, str]) -> AsyncIterator[dagger.Client]:
    """Connect as an SDK program does that has these variables, and no others of a session."""
    with environment(variables):
        async with dagger.Connection(dagger.Config()) as client:
            yield client


async def seconds(work: Callable[[], Awaitable[object]]) -> float:
    """Return how long some work takes."""
    start = time.perf_counter()
    await work()
    return time.perf_counter() - start


def floor_command() -> tuple[str, ...]:
    """Return what runs a command in new namespaces with nothing else: the least that any container engine has to do."""
    return FLOOR if os.geteuid() == 0 else (FLOOR[0], "--map-root-user", *FLOOR[1:])


@contextlib.asynccontextmanager
async def _running(variables: Mapping[str, str]) -> AsyncIterator[dict[str, str]]:
    """Run a session until the block ends; give the variables by which SDK programs find it."""
    command = (variables[_COMMAND_VARIABLE], "session")
    log = Path(variables[_STATE_VARIABLE]).with_name("log")
    with log.open("wb") as errors:
        session = await asyncio.create_subprocess_exec(
            *command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, env={**os.environ, **variables}
        )
    if session.stdin is None or session.stdout is None:
        raise RuntimeError("a process was started without pipes")
    try:
        announced = json.loads(await session.stdout.readline() or "{}")
        if not announced:
            raise RuntimeError(f"{' '.join(command)} did not start: {log.read_text(errors='replace')}")
        yield dict(zip(_SESSION_VARIABLES, (str(announced["port"]), announced["session_token"]), strict=True))
    finally:
        session.stdin.close()
        await session.wait()


@contextlib.contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Let this process have some variables, and no others that name a session, until the block ends."""
    names = {*_SESSION_VARIABLES, _COMMAND_VARIABLE, _STATE_VARIABLE}
    before = {name: os.environ.pop(name) for name in names if name in os.environ}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name in variables:
            del os.environ[name]
        os.environ.update(before)

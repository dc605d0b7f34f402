"""What else on this machine runs a command in a container of its own: bubblewrap, podman, a real Dagger engine."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import dagger

from task_manager.communication.sessions import EngineKind, choose_engine, open_session
from task_manager.config import load_settings
from task_manager.errors import TaskManagerError

_CLOSE_SECONDS: Final = 10.0


def make_root(folder: Path) -> Path:
    """Make a root folder with busybox alone, as the program `true`; return it."""
    program = folder / "root" / "bin" / "true"
    program.parent.mkdir(parents=True)
    shutil.copy(shutil.which("busybox") or "", program)
    return folder / "root"


def programs(root: Path) -> Mapping[str, Sequence[str]]:
    """Return the commands that run `true` in a new container, of the programs that are installed and allowed here."""
    known = {
        "bwrap": ("bwrap", "--unshare-all", "--die-with-parent", "--ro-bind", str(root), "/", "/bin/true"),
        "podman": ("podman", "run", "--rm", "--network", "none", "--rootfs", str(root), "/bin/true"),
    }
    return {name: command for name, command in known.items() if shutil.which(name) and _works(name, command)}


def seconds_of(command: Sequence[str]) -> float:
    """Run a command; return the seconds that it took.

    Raises:
        subprocess.CalledProcessError: It failed.
    """
    start = time.perf_counter()
    subprocess.run(command, check=True)
    return time.perf_counter() - start


@contextlib.asynccontextmanager
async def real_engine(root: Path) -> AsyncIterator[dagger.Container | None]:
    """Give a container of that root folder in the engine that the product would take, unless that is the embedded one.

    Which engine it would take is what its settings and the environment say, such as inside of `dagger run`.
    """
    settings, _ = load_settings({})
    async with contextlib.AsyncExitStack() as stack:
        container = None
        try:
            choice = await choose_engine(settings)
            if choice.kind is not EngineKind.EMBEDDED:
                session = await open_session(choice, settings)
                stack.push_async_callback(session.close, _CLOSE_SECONDS)
                client = session.client
                container = await client.container().with_rootfs(client.host().directory(str(root))).sync()
        except (TaskManagerError, dagger.DaggerError) as error:
            _left_out("the Dagger engine", error)
        yield container


def _works(name: str, command: Sequence[str]) -> bool:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        _left_out(name, done.stderr.strip())
    return not done.returncode


def _left_out(name: str, why: object) -> None:
    sys.stderr.write(f"benchmarks: {name} is left out: {why}\n")

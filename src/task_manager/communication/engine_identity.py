"""Kind and version of the engine that would be used, told without opening a session."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from importlib.metadata import version

from task_manager.communication.sessions import EngineKind, choose_engine, dagger_program
from task_manager.config import Settings
from task_manager.errors import EngineUnavailable

_VERSION_SECONDS = 10.0


@dataclass(frozen=True)
class EngineIdentity:
    """What would execute.

    Attributes:
        version: Of this package for the embedded engine, of the `dagger` command for an engine that it starts or
            reaches; empty for a session that was there already.
    """

    kind: EngineKind
    version: str


async def identify_engine(settings: Settings) -> EngineIdentity:
    """Which engine the settings and the environment choose.

    Raises:
        EngineUnavailable: The configured kind cannot be had.
    """
    choice = await choose_engine(settings)
    if choice.kind is EngineKind.EMBEDDED:
        return EngineIdentity(choice.kind, version("task-manager-dagger"))
    program = dagger_program(os.environ) if choice.kind is EngineKind.DAGGER else None
    return EngineIdentity(choice.kind, await _version(program) if program else "")


async def _version(program: str) -> str:
    """The second word of what `dagger version` prints, such as `v0.21.8`."""
    null = asyncio.subprocess.DEVNULL
    try:
        process = await asyncio.create_subprocess_exec(
            program, "version", stdin=null, stdout=asyncio.subprocess.PIPE, stderr=null
        )
    except OSError as error:
        raise EngineUnavailable(
            f"{program} cannot be started: {error.strerror}.", remedy="Name a dagger command, or use engine = embedded."
        ) from error
    try:
        async with asyncio.timeout(_VERSION_SECONDS):
            output, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return ""
    words = output.decode(errors="replace").split()
    return words[1] if len(words) > 1 else ""

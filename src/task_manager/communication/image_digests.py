"""Which images references name now, told without an engine session, so that a look-up in the cache starts none."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import platform
import sys
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from task_manager.communication.sessions import EngineKind, embedded_command, engine_folder, write_engine_configuration
from task_manager.config import ImagePolicy, Settings
from task_manager.errors import EngineUnavailable
from task_manager.pipeline import HOST_TOOLCHAIN

_PACKAGE_DATABASES: Final = ("/var/lib/dpkg/status", "/var/lib/rpm/rpmdb.sqlite", "/lib/apk/db/installed")
_PROGRAM_FOLDERS: Final = ("/usr/bin", "/usr/lib", "/usr/local/bin", "/usr/local/lib")
_SECONDS_TO_START: Final = 30.0


def known_digest(reference: str, settings: Settings) -> str | None:
    """The digest of an image for which nobody has to be asked: the host's toolchain, or one that is named by it.

    Returns:
        None where its registry has to be asked.
    """
    if reference == HOST_TOOLCHAIN or settings.images is ImagePolicy.HOST:
        return toolchain_digest()
    return reference if "@sha256:" in reference else None


async def ask_for_digests(
    references: Collection[str], settings: Settings, kind: EngineKind
) -> Mapping[str, str | None]:
    """Ask the images' registries, as the embedded engine would.

    Args:
        references: The images.
        settings: Mirrors, time limits, and whether the host's toolchain may stand in.
        kind: The engine that would pull them.

    Returns:
        For each reference its form with a digest; the reserved reference of the host's toolchain, without a digest,
        where that stands in; None where no answer was had.
    """
    if not references:
        return {}
    try:
        answers = await _ask(settings, sorted(references))
    except (OSError, EngineUnavailable, TimeoutError, ValueError):
        return dict.fromkeys(references)
    stands_in = settings.images is ImagePolicy.AUTO and kind is EngineKind.EMBEDDED
    return {reference: _digest(answers.get(reference, {}), stands_in=stands_in) for reference in references}


def toolchain_digest() -> str:
    """What changes when the host's programs or packages are changed, as a reference with a digest."""
    facts = [platform.machine(), sys.version, sys.prefix]
    prefixes = dict.fromkeys(map(Path, (sys.prefix, sys.base_prefix)))
    packages = [place for one in prefixes for place in (one / "bin", *sorted(one.glob("lib*/python*/site-packages")))]
    # An installer adds, removes or renames something in these folders, which gives them another time.
    facts += map(_mark, [*_PROGRAM_FOLDERS, *_PACKAGE_DATABASES, *map(str, packages)])
    return f"{HOST_TOOLCHAIN}@sha256:{hashlib.sha256(chr(10).join(facts).encode()).hexdigest()}"


def _mark(place: str) -> str:
    try:
        status = Path(place).stat()
    except OSError:
        return f"{place} absent"
    return f"{place} {status.st_ino} {status.st_size} {status.st_mtime_ns}"


def _digest(answer: Mapping[str, Any], *, stands_in: bool) -> str | None:
    if "digest" in answer:
        return str(answer["digest"])
    return HOST_TOOLCHAIN if stands_in and answer.get("error") == "unreachable" else None


async def _ask(settings: Settings, references: Collection[str]) -> dict[str, Any]:
    configuration = await asyncio.to_thread(write_engine_configuration, settings)
    command = embedded_command(
        "image-digest", "--state-dir", str(engine_folder(settings)), "--config", str(configuration), *references
    )
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=os.environ,
    )
    try:
        async with asyncio.timeout(_SECONDS_TO_START + settings.connect_timeout):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    answers: dict[str, Any] = json.loads(output)
    return answers

"""The embedded engine's store: what it holds, whether it is whole, and making it smaller."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from pydantic import BaseModel, ConfigDict

from task_manager.communication.sessions import embedded_command, engine_folder, write_engine_configuration
from task_manager.config import Settings
from task_manager.errors import EngineUnavailable, InvalidInput

_DAMAGED, _BAD_INPUT = 1, 2


class _Answer(BaseModel):
    model_config = ConfigDict(defer_build=True, frozen=True, extra="ignore")


class KindUsage(_Answer):
    """How much of one kind is stored: how many, and their bytes on the disk."""

    entries: int
    bytes: int


class CacheStatistics(_Answer):
    """What is stored.

    Attributes:
        state_dir: Where.
        entries: How many results and cache volumes.
        bytes: What they take of the disk.
        kinds: The same per kind.
        oldest_use: When the one that was not used for longest was used, in seconds since the epoch.
        newest_use: When one was last used.
        reclaimable: Bytes that no running session uses.
        sessions: How many sessions are running.
    """

    state_dir: str
    entries: int
    bytes: int
    kinds: dict[str, KindUsage]
    oldest_use: float | None
    newest_use: float | None
    reclaimable: int
    sessions: int


class Pruned(_Answer):
    """What was removed, or would be.

    Attributes:
        removed: How many results and cache volumes.
        freed: Their bytes.
        kept: How many are left.
        kept_bytes: Their bytes.
        in_use: How many would have gone but are used by a running session.
        max_bytes: The limit in bytes, if any.
        max_age: The limit in seconds, if any.
        dry_run: Whether nothing was removed.
    """

    state_dir: str
    removed: int
    freed: int
    kept: int
    kept_bytes: int
    in_use: int
    max_bytes: int | None
    max_age: float | None
    dry_run: bool


class Damage(_Answer):
    """Something that is not what was stored, why, and whether it was removed."""

    key: str
    kind: str
    path: str
    reason: str
    dropped: bool


class Verified(_Answer):
    """What a verification found.

    Attributes:
        checked: How many results and answers were compared with what was noted of them.
        recorded: How many of them for the first time.
        lost: How many did not survive a loss of power.
        damaged: What is damaged.
        dependents: How many sound results build on something damaged.
        dropped: How many were removed.
        sound: Whether nothing damaged is left.
    """

    state_dir: str
    checked: int
    recorded: int
    lost: int
    damaged: tuple[Damage, ...]
    dependents: int
    dropped: int
    sound: bool


async def cache_statistics(settings: Settings) -> CacheStatistics:
    """What the embedded engine's store holds.

    Raises:
        EngineUnavailable: The store cannot be used.
    """
    return CacheStatistics.model_validate(await _ask(settings, "stats"))


async def prune_cache(settings: Settings, *, max_bytes: str | None, max_age: str | None, dry_run: bool) -> Pruned:
    """Remove the least recently used until the limits hold; without any, those of the settings.

    Args:
        settings: Whose store.
        max_bytes: A size such as 5GiB.
        max_age: An age such as 30d.
        dry_run: Whether it is only told what would go.

    Raises:
        InvalidInput: A limit cannot be used.
        EngineUnavailable: The store cannot be used.
    """
    limits = [f"--max-bytes={max_bytes}"] if max_bytes is not None else []
    limits += [f"--max-age={max_age}"] if max_age is not None else []
    limits = limits or [f"--config={await asyncio.to_thread(write_engine_configuration, settings)}"]
    return Pruned.model_validate(await _ask(settings, "prune", *limits, *(["--dry-run"] if dry_run else [])))


async def verify_cache(settings: Settings, *, repair: bool) -> Verified:
    """Compare everything stored with what was noted of it; with `repair`, remove what is damaged.

    Raises:
        EngineUnavailable: The store cannot be used.
    """
    return Verified.model_validate(await _ask(settings, "verify", *(["--repair"] if repair else [])))


async def _ask(settings: Settings, action: str, *options: str) -> dict[str, Any]:
    """Call the engine's command; it answers with one JSON document."""
    command = embedded_command("cache", action, "--json", "--state-dir", str(engine_folder(settings)), *options)
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe)
    try:
        stdout, stderr = await process.communicate()
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise
    if process.returncode not in (0, _DAMAGED) or not stdout:
        raise _failure(process.returncode, stderr.decode(errors="replace"))
    answer: dict[str, Any] = json.loads(stdout)
    return answer


def _failure(code: int | None, stderr: str) -> InvalidInput | EngineUnavailable:
    lines = stderr.strip().splitlines() or [f"The engine's command ended with {code} and told nothing."]
    message = lines[-1].partition("error: ")[2] or lines[-1].removeprefix("task-manager-engine: ")
    if code == _BAD_INPUT:
        return InvalidInput(message)
    return EngineUnavailable(message)

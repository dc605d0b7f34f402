"""The cache of results: `WorkflowCache`, over tiers from memory to a store that machines share.

It keeps what runs gave under the digests of everything that went into them. How it is asked while runs are executed is
in `cached_runs`; compiled pipelines have a cache of their own, `PipelineCache`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import Final

from task_manager.caching.compiled import CacheStatistics, PipelineCache
from task_manager.caching.entries import CacheEntry, RemovedEntry, UnreadableEntry, decoded, decoded_removal, encoded
from task_manager.caching.metrics import CacheMetrics
from task_manager.caching.tiers import Tier, disk_tier, memory_tier, shared_tier
from task_manager.config import Settings
from task_manager.errors import InvalidConfiguration
from task_manager.models import utc_now
from task_manager.pipeline import content_digest
from task_manager.structured_log import get_logger

__all__ = ["CacheStatistics", "Found", "Missing", "PipelineCache", "Selection", "WorkflowCache", "open_cache"]

log = get_logger(__name__)

RESULTS: Final = "results-v1"
REMOVED: Final = "removed-v1"
IMAGES: Final = "images-v1"
_REMEMBERED: Final = timedelta(days=30)
_GENERATION_FILE: Final = "generation"


@dataclass(frozen=True)
class Found:
    """An entry, and the tier that had it."""

    entry: CacheEntry
    tier: str


@dataclass(frozen=True)
class Missing:
    """Why there is no entry.

    Attributes:
        reason: `not_stored`, or why the entry that there was is gone: `expired`, `cleared`, or else `gone`.
        text: The same in a sentence.
        removed: What is remembered of the entry that there was.
    """

    reason: str
    text: str
    removed: RemovedEntry | None = None


@dataclass(frozen=True)
class Selection:
    """Which entries are meant: those to which all of this applies; without anything, every one.

    Attributes:
        task: Of a task, by id or title.
        project: By id.
        template: By id.
        tag: Of the policy of its workflow.
        run: The run that gave the result.
        key: Or how it begins.
        component: `NAME`, `NAME=DIGEST`, `NAME/PART` or `NAME/PART=VALUE`, such as `images/python:3.12-slim`.
        older_than: Seconds since the result was made.
        predicate: Any other condition.
    """

    task: str | None = None
    project: str | None = None
    template: str | None = None
    tag: str | None = None
    run: str | None = None
    key: str | None = None
    component: str | None = None
    older_than: float | None = None
    predicate: Callable[[CacheEntry], bool] | None = field(default=None, compare=False)

    @classmethod
    def of(cls, named: Mapping[str, str | None], *, project: str | None, older_than: float | None) -> Selection:
        """The selection of texts by field: `task`, `template`, `tag`, `run`, `key`, `component`."""
        return cls(
            task=named.get("task"),
            project=project,
            template=named.get("template"),
            tag=named.get("tag"),
            run=named.get("run"),
            key=named.get("key"),
            component=named.get("component"),
            older_than=older_than,
        )

    def covers(self, entry: CacheEntry, now: datetime) -> bool:
        """Whether an entry is meant."""
        wanted = (
            self.task in (None, entry.task_id, entry.task_title),
            self.project in (None, entry.project_id),
            self.template in (None, entry.template_id),
            self.tag is None or self.tag in entry.tags,
            self.run in (None, entry.run_id),
            self.key is None or _name(entry.key).startswith(_name(self.key)),
            self.component is None or _has_component(entry, self.component),
            self.older_than is None or (now - entry.created_at).total_seconds() > self.older_than,
            self.predicate is None or self.predicate(entry),
        )
        return all(wanted)


@dataclass(frozen=True)
class TierState:
    """How a tier is.

    Attributes:
        name: Such as `memory`.
        is_open: Whether it is used; false while it is left out after failures.
        entries: How many results it has; none where its store cannot list them.
        bytes: What it takes; none where only its store knows.
        limit: What it may take; none where its store decides.
    """

    name: str
    is_open: bool
    entries: int | None
    bytes: int | None
    limit: int | None


@dataclass(frozen=True)
class Verification:
    """What was found when every entry was read.

    Attributes:
        checked: How many entries were read, each in each tier that has it.
        damaged: Keys of entries that could not be read, and were removed.
    """

    checked: int
    damaged: tuple[str, ...]


class WorkflowCache:
    """Results of runs, in tiers.

    Args:
        tiers: The fastest first; what a later one has is written to those before it.
        metrics: Where is counted what happens.
        folder: Where it is noted for other processes that entries were removed; none: nobody else is told.
        clock: The time, in UTC.
    """

    def __init__(
        self,
        tiers: Sequence[Tier],
        metrics: CacheMetrics,
        *,
        folder: Path | None = None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self.tiers = tuple(tiers)
        self.metrics = metrics
        self._clock = clock
        self._generation_file = folder / _GENERATION_FILE if folder else None
        self._generation = self._current_generation()
        self._reported: set[tuple[str, str]] = set()

    async def get(self, key: str) -> Found | Missing:
        """The entry of a key, or why there is none."""
        start = perf_counter()
        try:
            return await self._get(key)
        finally:
            self.metrics.seconds.observe(perf_counter() - start)

    async def put(self, entry: CacheEntry) -> bool:
        """Keep an entry in every tier; false when none took it."""
        ttl, data, name = self._ttl(entry), encoded(entry), _name(entry.key)
        stored = [await tier.put(RESULTS, name, data, ttl) for tier in self.tiers]
        if any(stored):
            for tier in self.tiers:
                await tier.delete(REMOVED, name)
        return any(stored)

    async def remove(self, entry: CacheEntry, reason: str, text: str) -> None:
        """Take an entry out of every tier, and remember what it was."""
        removed = RemovedEntry(
            key=entry.key,
            run_id=entry.run_id,
            components=entry.components,
            reason=reason,
            text=text,
            removed_at=self._clock(),
        )
        for tier in self.tiers:
            await tier.delete(RESULTS, _name(entry.key))
            await tier.put(REMOVED, _name(entry.key), encoded(removed), _REMEMBERED.total_seconds())
        self._tell_others()

    async def removed(self, key: str) -> RemovedEntry | None:
        """What is remembered of an entry that was removed."""
        for tier in self.tiers:
            found = decoded_removal(await tier.get(REMOVED, _name(key)))
            if found is not None:
                return found
        return None

    async def entries(self, known: Collection[str] = ()) -> AsyncIterator[tuple[CacheEntry, tuple[str, ...]]]:
        """All entries, each with the tiers that have it; damaged ones are removed.

        Args:
            known: Keys that may be in tiers which cannot list theirs.
        """
        names = {_name(key) for key in known}
        for tier in self.tiers:
            names.update(await tier.keys(RESULTS))
        for name in sorted(names):
            held = [(tier.name, entry) for tier in self.tiers if (entry := await self._read(tier, f"sha256:{name}"))]
            if held:
                yield held[0][1], tuple(tier for tier, _ in held)

    async def clear(
        self, selection: Selection, *, dry_run: bool = False, known: Collection[str] = ()
    ) -> tuple[CacheEntry, ...]:
        """Remove the entries that are meant.

        Args:
            selection: Which.
            dry_run: Whether they are only told.
            known: Keys that may be in tiers which cannot list theirs.

        Returns:
            What was removed, or would be.
        """
        now = self._clock()
        chosen = [entry async for entry, _ in self.entries(known) if selection.covers(entry, now)]
        if not dry_run:
            for entry in chosen:
                await self.remove(entry, "cleared", f"It was removed on {now:%Y-%m-%d at %H:%M:%S} UTC.")
        return tuple(chosen)

    async def remove_expired(self, known: Collection[str] = ()) -> int:
        """Remove the entries that count no more; returns how many.

        Args:
            known: Keys that may be in tiers which cannot list theirs.
        """
        now = self._clock()
        expired = [entry async for entry, _ in self.entries(known) if entry.is_expired(now)]
        for entry in expired:
            await self.remove(entry, "expired", _expired_text(entry))
        return len(expired)

    async def verify(self, known: Collection[str] = ()) -> Verification:
        """Read every entry of every tier; remove those that are damaged or not of this form."""
        checked, damaged = 0, set()
        for tier in self.tiers:
            for name in {*(await tier.keys(RESULTS)), *map(_name, known)}:
                data = await tier.get(RESULTS, name)
                if data is None:
                    continue
                checked += 1
                if await self._decoded(tier, f"sha256:{name}", data) is None:
                    damaged.add(f"sha256:{name}")
        return Verification(checked, tuple(sorted(damaged)))

    async def states(self) -> tuple[TierState, ...]:
        """How the tiers are."""
        return tuple(
            [
                TierState(
                    tier.name,
                    tier.is_open,
                    len(await tier.keys(RESULTS)) if tier.can_list else None,
                    tier.size(),
                    tier.limit,
                )
                for tier in self.tiers
            ]
        )

    async def remember_image(self, reference: str, digest: str, seconds: float) -> None:
        """Note what an image's tag named, in the tiers of this machine."""
        until = (self._clock() + timedelta(seconds=seconds)).isoformat()
        for tier in self.tiers:
            if not tier.is_shared:
                await tier.put(IMAGES, _name(content_digest(reference)), {"digest": digest, "until": until}, seconds)

    async def remembered_image(self, reference: str) -> str | None:
        """What an image's tag named, as long as that is believed."""
        for tier in self.tiers:
            data = None if tier.is_shared else await tier.get(IMAGES, _name(content_digest(reference)))
            if isinstance(data, dict) and datetime.fromisoformat(data["until"]) > self._clock():
                return str(data["digest"])
        return None

    async def close(self) -> None:
        """End the tiers' connections."""
        for tier in self.tiers:
            await tier.close()

    async def _get(self, key: str) -> Found | Missing:
        await self._heed_others()
        for number, tier in enumerate(self.tiers):
            entry = await self._read(tier, key)
            if entry is None:
                continue
            if entry.is_expired(self._clock()):
                text = _expired_text(entry)
                await self.remove(entry, "expired", text)
                return Missing("expired", text, await self.removed(key))
            self.metrics.hits.labels(tier.name).inc()
            for faster in self.tiers[:number]:
                await faster.put(RESULTS, _name(key), encoded(entry), self._ttl(entry))
            return Found(entry, tier.name)
        removed = await self.removed(key)
        if removed is not None:
            return Missing(removed.reason, removed.text, removed)
        return Missing("not_stored", "No equal run has left a result.")

    async def _read(self, tier: Tier, key: str) -> CacheEntry | None:
        data = await tier.get(RESULTS, _name(key))
        return None if data is None else await self._decoded(tier, key, data)

    async def _decoded(self, tier: Tier, key: str, data: object) -> CacheEntry | None:
        """The entry; none when it is damaged, which is reported once, and it is removed."""
        try:
            return decoded(data, key)
        except UnreadableEntry as error:
            self.metrics.damaged.labels(tier.name).inc()
            if (tier.name, key) not in self._reported:
                self._reported.add((tier.name, key))
                log.warning("cache_entry_damaged", tier=tier.name, key=key, reason=str(error))
            await tier.delete(RESULTS, _name(key))
            return None

    def _ttl(self, entry: CacheEntry) -> float | None:
        """Seconds for which stores keep an entry: longer than it counts, so that it can be told that it is too old."""
        if entry.expires_at is None:
            return None
        return max((entry.expires_at - self._clock() + _REMEMBERED).total_seconds(), 1.0)

    async def _heed_others(self) -> None:
        """Forget what is in this process's memory after another process removed entries."""
        generation = self._current_generation()
        if generation == self._generation:
            return
        self._generation = generation
        for tier in self.tiers:
            if tier.name == "memory":
                for name in await tier.keys(RESULTS):
                    await tier.delete(RESULTS, name)

    def _tell_others(self) -> None:
        if self._generation_file is not None:
            with suppress(OSError):
                self._generation_file.touch()
            self._generation = self._current_generation()

    def _current_generation(self) -> int:
        if self._generation_file is None:
            return 0
        try:
            return self._generation_file.stat().st_mtime_ns
        except OSError:
            return 0


def open_cache(settings: Settings, data_dir: Path, clock: Callable[[], datetime] = utc_now) -> WorkflowCache:
    """The cache as the settings say.

    Raises:
        InvalidConfiguration: The library for the shared tier's address is not installed.
    """
    chosen, metrics, folder = settings.cache, CacheMetrics(), data_dir / "cache"
    tiers = [memory_tier(int(chosen.memory_bytes), metrics)]
    with suppress(OSError):  # without the folder, there is no such tier
        tiers.append(disk_tier(folder, int(chosen.disk_bytes), chosen.timeout, metrics))
    if chosen.url is not None:
        try:
            tiers.append(shared_tier(chosen.url, chosen.timeout, metrics))
        except ImportError as error:
            scheme = chosen.url.partition("://")[0]
            extra = "redis" if scheme.startswith(("redis", "valkey")) else scheme
            raise InvalidConfiguration(
                f"The cache's address cannot be used: {error}.",
                remedy=f"Install task-manager-dagger with the extra {extra!r}, or leave cache.url out.",
            ) from error
    return WorkflowCache(tiers, metrics, folder=folder, clock=clock)


def _expired_text(entry: CacheEntry) -> str:
    return f"The result of run {entry.run_id} counted until {entry.expires_at:%Y-%m-%d %H:%M} UTC."


def _has_component(entry: CacheEntry, wanted: str) -> bool:
    place, _, value = wanted.partition("=")
    name, _, part = place.partition("/")
    found = entry.component(name)
    if found is None:
        return False
    if not part:
        return value in ("", found.digest)
    return part in found.parts and value in ("", found.parts[part])


def _name(key: str) -> str:
    return key.removeprefix("sha256:")

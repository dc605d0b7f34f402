"""The cache's tiers: stores of py-key-value-aio, each bounded, with a time limit and a circuit breaker.

A tier never raises: one that is slow, down or full is left out and counted, and a call that it could not answer is as
if there were nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import warnings
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from purgatory.domain.model import Context, OpenedState

from task_manager.caching.metrics import CacheMetrics
from task_manager.errors import InvalidConfiguration
from task_manager.structured_log import get_logger

if TYPE_CHECKING:
    from key_value.aio.protocols.key_value import AsyncKeyValueProtocol

log = get_logger(__name__)
T = TypeVar("T")

_FAILURES_TO_OPEN: Final = 3
_SECONDS_OPEN: Final = 30.0

DAMAGED: Final = object()
"""What `Tier.get` returns for an entry that its store cannot even read."""


class Usage(Protocol):
    """Knows what a tier's entries take, and which was used the longest ago."""

    def used(self, collection: str, key: str, size: int | None) -> None:
        """Note that an entry was read, or written with so many bytes."""

    def forgotten(self, collection: str, key: str) -> None:
        """Note that an entry is gone."""

    def total(self) -> int:
        """Bytes of all entries."""

    def oldest(self) -> list[tuple[str, str, int]]:
        """All entries as collection, key and bytes, the one unused the longest first."""


class Tier:
    """One store of entries.

    Args:
        name: Such as `memory`, `disk`, `redis`.
        store: Where entries are.
        metrics: Where is counted what happens.
        timeout: Seconds that a call may take.
        keys: Lists a collection's keys; none where the store cannot.
        usage: Watches over the bytes; none where the store does that itself.
        limit: How many bytes it may take; none: whatever comes.
        close: Ends connections that were made for it.
        seconds_open: For how long it is left out after repeated failures.
    """

    def __init__(
        self,
        name: str,
        store: AsyncKeyValueProtocol,
        metrics: CacheMetrics,
        *,
        timeout: float,
        keys: Callable[[str], Awaitable[list[str]]] | None = None,
        usage: Usage | None = None,
        limit: int | None = None,
        close: Callable[[], Awaitable[object]] | None = None,
        seconds_open: float = _SECONDS_OPEN,
    ) -> None:
        self.name = name
        self._store = store
        self._metrics = metrics
        self._timeout = timeout
        self._keys = keys
        self._usage = usage
        self._limit = limit
        self._close = close
        # Only here: it takes a second, and most commands use no cache.
        from key_value.aio.errors import DeserializationError

        self._unreadable = (DeserializationError, ValueError)
        self._breaker = Context(name, _FAILURES_TO_OPEN, seconds_open)

    @property
    def is_open(self) -> bool:
        """Whether it is used; false while it is left out after failures."""
        return self._breaker.state != "opened"

    @property
    def is_shared(self) -> bool:
        """Whether other machines see what is written."""
        return self._usage is None

    @property
    def limit(self) -> int | None:
        """How many bytes it may take; none where its store decides."""
        return self._limit

    async def get(self, collection: str, key: str) -> object | None:
        """What is stored under a key; `DAMAGED` when it cannot be read; none where there is nothing or no answer."""
        found = await self._call(lambda: self._read(collection, key), None)
        if found is not None and self._usage is not None:
            self._usage.used(collection, key, None)
        return found

    async def _read(self, collection: str, key: str) -> object | None:
        try:
            return await self._store.get(key, collection=collection)
        except self._unreadable:
            return DAMAGED

    async def put(self, collection: str, key: str, value: Mapping[str, Any], ttl: float | None) -> bool:
        """Store a value; false when that was not possible.

        Args:
            collection: A group of keys.
            key: Its name.
            value: JSON-like.
            ttl: Seconds after which the store may drop it; none: never.
        """
        size = len(str(value.get("body", value)))
        if self._limit is not None and size > self._limit:
            self._metrics.skips.labels(self.name, "too_large").inc()
            return False

        async def put() -> bool:
            await self._store.put(key, value, collection=collection, ttl=ttl)
            return True

        stored = await self._call(put, False)
        if stored and self._usage is not None:
            self._usage.used(collection, key, size)
            await self._make_room(collection, key)
        return stored

    async def delete(self, collection: str, key: str) -> bool:
        """Remove a value; false when there was none, or the tier is left out."""
        deleted = await self._call(lambda: self._store.delete(key, collection=collection), False)
        if self._usage is not None:
            self._usage.forgotten(collection, key)
        return deleted

    @property
    def can_list(self) -> bool:
        """Whether it can tell the keys that it has."""
        return self._keys is not None

    async def keys(self, collection: str) -> list[str]:
        """The keys of a collection, as far as the tier can tell them."""
        listing = self._keys
        return [] if listing is None else await self._call(lambda: listing(collection), [])

    def size(self) -> int | None:
        """What it takes, in bytes; none where only its store knows."""
        return None if self._usage is None else self._usage.total()

    async def close(self) -> None:
        """End its connections."""
        if self._close is not None:
            try:
                async with asyncio.timeout(self._timeout):
                    await self._close()
            except Exception as error:  # noqa: BLE001 - it is gone either way
                log.debug("cache_tier_not_closed", tier=self.name, error=str(error))

    async def _make_room(self, collection: str, key: str) -> None:
        """Let the entries go that were unused the longest, but not the one that was just written."""
        if self._usage is None or self._limit is None:
            return
        total = self._usage.total()
        if total > self._limit:
            for other_collection, other, size in self._usage.oldest():
                if total <= self._limit:
                    break
                if (other_collection, other) != (collection, key):
                    await self.delete(other_collection, other)
                    self._metrics.evictions.labels(self.name).inc()
                    total -= size
        self._metrics.size.labels(self.name).set(total)

    async def _call(self, call: Callable[[], Awaitable[T]], otherwise: T) -> T:
        try:
            self._breaker.handle_new_request()
        except OpenedState:
            self._metrics.skips.labels(self.name, "left_out").inc()
            return otherwise
        try:
            async with asyncio.timeout(self._timeout):
                answered = await call()
        except Exception as error:  # noqa: BLE001 - each store has errors of its own
            self._failed(error)
            return otherwise
        self._breaker.handle_end_request()
        self._breaker.messages.clear()
        return answered

    def _failed(self, error: Exception) -> None:
        why = "timeout" if isinstance(error, TimeoutError) else "error"
        self._metrics.skips.labels(self.name, why).inc()
        before = self.is_open
        self._breaker.handle_exception(error)
        self._breaker.messages.clear()
        level = log.warning if before and not self.is_open else log.debug
        level("cache_tier_failed", tier=self.name, error=f"{type(error).__name__}: {error}")


class MemoryUsage:
    """The bytes of entries of this process."""

    def __init__(self) -> None:
        self._sizes: OrderedDict[tuple[str, str], int] = OrderedDict()
        self._total = 0

    def used(self, collection: str, key: str, size: int | None) -> None:
        """Note that an entry was read, or written with so many bytes."""
        place = (collection, key)
        if size is not None:
            self._total += size - self._sizes.get(place, 0)
            self._sizes[place] = size
        if place in self._sizes:
            self._sizes.move_to_end(place)

    def forgotten(self, collection: str, key: str) -> None:
        """Note that an entry is gone."""
        self._total -= self._sizes.pop((collection, key), 0)

    def total(self) -> int:
        """Bytes of all entries."""
        return self._total

    def oldest(self) -> list[tuple[str, str, int]]:
        """All entries, the one unused the longest first."""
        return [(collection, key, size) for (collection, key), size in self._sizes.items()]


class FolderUsage:
    """The bytes of the files of a `FileTreeStore`, which several processes use; a file's time is its last use."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def used(self, collection: str, key: str, size: int | None) -> None:
        """Note that an entry was read; writing it gave its file the time already."""
        if size is None:
            with suppress(OSError):
                os.utime(self._folder / collection / f"{key}.json")

    def forgotten(self, collection: str, key: str) -> None:
        """The file's absence says it."""

    def total(self) -> int:
        """Bytes of all entries."""
        return sum(size for _, _, size in self.oldest())

    def oldest(self) -> list[tuple[str, str, int]]:
        """All entries, the one unused the longest first."""
        found = []
        for file in self._folder.glob("*/*.json"):
            try:
                status = file.stat()
            except FileNotFoundError:
                continue
            found.append((status.st_mtime, file.parent.name, file.stem, status.st_size))
        return [(collection, key, size) for _, collection, key, size in sorted(found)]

    def keys(self, collection: str) -> list[str]:
        """The keys of a collection."""
        return sorted(file.stem for file in (self._folder / collection).glob("*.json"))


def memory_tier(limit: int, metrics: CacheMetrics) -> Tier:
    """A tier in this process's memory."""
    from key_value.aio.stores.memory import MemoryStore

    store = MemoryStore()
    usage = MemoryUsage()

    async def keys(collection: str) -> list[str]:
        return [key for found, key, _ in usage.oldest() if found == collection]

    return Tier("memory", store, metrics, timeout=1.0, keys=keys, usage=usage, limit=limit)


def disk_tier(folder: Path, limit: int, timeout: float, metrics: CacheMetrics) -> Tier:
    """A tier of files, which all processes that use the data folder share."""
    from key_value.aio.stores.filetree import FileTreeStore

    entries = folder / "entries"
    entries.mkdir(mode=0o700, parents=True, exist_ok=True)
    # The library notes there where the entries are; after the folder was moved or copied, that is elsewhere.
    about = folder / "collections" / hashlib.sha256(bytes(entries.resolve())).hexdigest()[:16]
    about.mkdir(mode=0o700, parents=True, exist_ok=True)
    store = FileTreeStore(data_directory=entries, metadata_directory=about)
    usage = FolderUsage(entries)

    async def keys(collection: str) -> list[str]:
        return await asyncio.to_thread(usage.keys, collection)

    return Tier("disk", store, metrics, timeout=timeout, keys=keys, usage=usage, limit=limit)


def shared_tier(url: str, timeout: float, metrics: CacheMetrics) -> Tier:
    """A tier that several machines share.

    Args:
        url: `redis://…`, `rediss://…`, `valkey://…`, `valkeys://…`, `postgresql://…` or `s3://BUCKET[/PREFIX]`.
        timeout: Seconds that a call may take.
        metrics: Where is counted what happens.

    Raises:
        ImportError: The library for such addresses is not installed.
        InvalidConfiguration: The address names no bucket, or more than a bucket and a prefix.
    """
    scheme = url.partition("://")[0]
    if scheme in ("redis", "rediss", "valkey", "valkeys"):
        return _redis_tier(url.replace("valkey", "redis", 1), timeout, metrics)
    if scheme == "postgresql":
        return _postgresql_tier(url, timeout, metrics)
    place = url.partition("://")[2]
    bucket, _, prefix = place.partition("/")
    if not bucket or set(place) & set("?#@"):
        raise InvalidConfiguration(
            "The cache's address has another form than s3://BUCKET/PREFIX: it names no bucket, or more than that.",
            remedy="Say the store's address, region and credentials as AWS's tools read them: AWS_ENDPOINT_URL, ….",
        )
    return _s3_tier(bucket, prefix.strip("/"), timeout, metrics)


def _redis_tier(url: str, timeout: float, metrics: CacheMetrics) -> Tier:
    from key_value.aio.stores.redis import RedisStore
    from redis.asyncio import Redis

    client = Redis.from_url(url, decode_responses=True, socket_connect_timeout=timeout)
    store = RedisStore(client=client)
    return Tier("redis", store, metrics, timeout=timeout, keys=store.keys, close=client.aclose)


def _postgresql_tier(url: str, timeout: float, metrics: CacheMetrics) -> Tier:
    from key_value.aio.stores.postgresql import PostgreSQLStore

    # It warns that its interface may change, which the pinned version does not.
    with warnings.catch_warnings(action="ignore", category=UserWarning):
        store = PostgreSQLStore(url=url, table_name="task_manager_cache")
    return Tier("postgresql", store, metrics, timeout=timeout, close=store.close)


def _s3_tier(bucket: str, prefix: str, timeout: float, metrics: CacheMetrics) -> Tier:
    from key_value.aio.stores.s3 import S3Store
    from key_value.aio.wrappers.prefix_collections import PrefixCollectionsWrapper

    with warnings.catch_warnings(action="ignore", category=UserWarning):  # as above
        store = S3Store(bucket_name=bucket)
    # Collections are the folders of a bucket.
    placed: AsyncKeyValueProtocol = PrefixCollectionsWrapper(store, f"{prefix}/") if prefix else store
    return Tier("s3", placed, metrics, timeout=timeout, close=store.close)

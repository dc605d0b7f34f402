"""The pipeline cache: a task that is converted again gets what was compiled before, by content."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class CacheStatistics:
    """How a cache has done since it was made.

    Attributes:
        hits: Look-ups that found an entry.
        misses: Look-ups that had to compile.
        evictions: Entries that had to go for newer ones.
        entries: How many entries there are now.
    """

    hits: int
    misses: int
    evictions: int
    entries: int


class PipelineCache(Generic[T]):
    """Compiled pipelines by the digest of what they were compiled from; those unused the longest go first.

    It may be used from several threads. Two that compile the same at the same time both do it, since compiling is
    short and pure; both get the value that was stored first.
    """

    def __init__(self, capacity: int = 256) -> None:
        """Make an empty cache.

        Args:
            capacity: How many entries it keeps, at least 1.

        Raises:
            ValueError: The capacity is below 1.
        """
        if capacity < 1:
            raise ValueError(f"A cache needs room for at least one entry, not {capacity}.")
        self._capacity = capacity
        self._entries: OrderedDict[str, T] = OrderedDict()
        self._lock = Lock()
        self._hits = self._misses = self._evictions = 0

    def get_or_compile(self, key: str, compile_: Callable[[], T]) -> T:
        """The entry of that key, compiled now when there is none.

        Args:
            key: The digest of everything that the value depends on.
            compile_: Makes the value; what it raises passes through, and nothing is stored.
        """
        with self._lock:
            if key in self._entries:
                self._hits += 1
                self._entries.move_to_end(key)
                return self._entries[key]
            self._misses += 1
        return self._store(key, compile_())

    def _store(self, key: str, value: T) -> T:
        with self._lock:
            stored = self._entries.setdefault(key, value)
            self._entries.move_to_end(key)
            while len(self._entries) > self._capacity:
                self._entries.popitem(last=False)
                self._evictions += 1
            return stored

    def clear(self) -> None:
        """Forget every entry; the statistics go on."""
        with self._lock:
            self._entries.clear()

    @property
    def statistics(self) -> CacheStatistics:
        """Hits, misses, evictions and entries, all of one moment."""
        with self._lock:
            return CacheStatistics(self._hits, self._misses, self._evictions, len(self._entries))

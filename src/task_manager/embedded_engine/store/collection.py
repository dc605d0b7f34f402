"""Garbage collection: by size and age, least recently used first, nothing that a session uses.

What builds on something is always removed before it, each by one rename, so a collection that is killed anywhere leaves
a whole store; what it had moved aside is swept like any dead session's work.
"""

import fcntl
import secrets
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from task_manager.embedded_engine.store.inventory import (
    Inventory,
    Item,
    building_on,
    dependents_first,
    foundations,
    last_uses,
)
from task_manager.embedded_engine.store.layers import LayerStore
from task_manager.embedded_engine.store.leases import Leases
from task_manager.embedded_engine.store.trees import remove_tree

_BATCH = 64


@dataclass(frozen=True)
class Limits:
    """How much a store may hold.

    Attributes:
        max_bytes: What its results and volumes may take of the disk; None for no limit.
        max_age: Seconds since the last use after which something goes; None for no limit.
    """

    max_bytes: int | None = None
    max_age: float | None = None


@dataclass(frozen=True)
class Collected:
    """What a collection did, or would do.

    Attributes:
        removed: How many results and volumes went.
        freed: How many bytes these took.
        kept: How many are left.
        kept_bytes: How many bytes these take.
        in_use: How many would have gone but are used by a session.
    """

    removed: int
    freed: int
    kept: int
    kept_bytes: int
    in_use: int


@dataclass(frozen=True)
class Statistics:
    """What a store holds.

    Attributes:
        entries: How many results and volumes there are.
        bytes: What they take of the disk; files that squashed layers share with others count at both.
        kinds: Per kind, how many `entries` and `bytes`.
        oldest_use: When the one that was not asked for longest was last used, in seconds since the epoch.
        newest_use: When one was last used.
        reclaimable: Bytes that no running session uses.
        sessions: How many sessions are running.
    """

    entries: int
    bytes: int
    kinds: dict[str, dict[str, int]]
    oldest_use: float | None
    newest_use: float | None
    reclaimable: int
    sessions: int

    @classmethod
    def of_nothing(cls) -> "Statistics":
        """Return those of a store that was never used."""
        return cls(0, 0, {}, None, None, 0, 0)


class Removal:
    """Removes items of an inventory, unless they are in use."""

    def __init__(self, store: LayerStore, inventory: Inventory, *, dry_run: bool = False) -> None:
        self.freed = 0
        self.removed: list[Item] = []
        self.in_use: set[str] = set()
        self._store = store
        self._inventory = inventory
        self._dry_run = dry_run
        self._protected: set[str] = set()

    def remove(self, ordered: Iterable[Item], wanted: Callable[[Item], bool]) -> None:
        """Remove items.

        Args:
            ordered: Candidates, each before what it builds on.
            wanted: Asked for each, after those before it have been dealt with, whether it is to go.
        """
        leases = Leases(self._store.root / "in-use")
        try:
            taken: list[Item] = []
            for item in ordered:
                if wanted(item) and self._take(leases, item):
                    taken.append(item)
                if len(taken) == _BATCH:
                    self._finish(leases, taken)
                    taken = []
            self._finish(leases, taken)
        finally:
            leases.release_all()

    def _take(self, leases: Leases, item: Item) -> bool:
        if item.key not in self._protected and leases.take(item.key):
            self.freed += item.bytes
            return True
        self.in_use.add(item.key)
        self._protected |= foundations(self._inventory.items, item.key)
        return False

    def _finish(self, leases: Leases, taken: list[Item]) -> None:
        # A session that is over may have built on these since they were chosen; none can do so from here on.
        for new in self._inventory.refresh() if taken else ():
            self._protected |= foundations(self._inventory.items, new.key)
        graves = [self._bury(item) for item in taken]
        for item in taken:
            leases.release(item.key)
        for grave in graves:
            if grave is not None:
                remove_tree(grave)

    def _bury(self, item: Item) -> Path | None:
        if item.key in self._protected:
            self.freed -= item.bytes
            self.in_use.add(item.key)
            return None
        self.removed.append(item)
        if self._dry_run:
            return None
        grave = self._store.session_folder / f"grave-{secrets.token_hex(8)}"
        with suppress(FileNotFoundError):
            item.path.rename(grave)
        self._inventory.items.pop(item.key, None)
        return grave


def collect(store: LayerStore, limits: Limits, now: float, *, dry_run: bool = False) -> Collected:
    """Remove what is of no use any more, then what is too old, then the least recently used until the rest fits.

    Args:
        store: An open store.
        limits: How much it may hold.
        now: The time, in seconds since the epoch.
        dry_run: Whether nothing is removed, only told.

    Raises:
        OSError: The file system failed.
    """
    inventory = Inventory(store)
    items = dict(inventory.items)
    total = sum(item.bytes for item in items.values())
    useless = building_on(items, (key for key, item in items.items() if item.fault))
    uses = last_uses(items)
    removal = Removal(store, inventory, dry_run=dry_run)

    def wanted(item: Item) -> bool:
        if item.key in useless:
            return True
        if limits.max_age is not None and uses[item.key] < now - limits.max_age:
            return True
        return limits.max_bytes is not None and total - removal.freed > limits.max_bytes

    # Sorting keeps the order of equals: what builds on something goes before it, however equally old they are.
    ordered = sorted(dependents_first(items), key=lambda item: (item.key not in useless, uses[item.key]))
    removal.remove(ordered, wanted)
    removed = len(removal.removed)
    return Collected(removed, removal.freed, len(items) - removed, total - removal.freed, len(removal.in_use))


def take_statistics(store: LayerStore, now: float) -> Statistics:
    """Return what an open store holds.

    Raises:
        OSError: The file system failed.
    """
    items = Inventory(store).items.values()
    kinds: dict[str, dict[str, int]] = {}
    for item in sorted(items, key=lambda item: item.kind):
        of_kind: dict[str, Any] = kinds.setdefault(item.kind, {"entries": 0, "bytes": 0})
        of_kind["entries"] += 1
        of_kind["bytes"] += item.bytes
    uses = [item.used for item in items]
    return Statistics(
        entries=len(items),
        bytes=sum(item.bytes for item in items),
        kinds=kinds,
        oldest_use=min(uses, default=None),
        newest_use=max(uses, default=None),
        reclaimable=collect(store, Limits(max_bytes=-1), now, dry_run=True).freed,
        sessions=_running_sessions(store),
    )


def _running_sessions(store: LayerStore) -> int:
    return sum(_is_held(lock) for lock in (store.root / "tmp").glob("*.lock")) - 1


def _is_held(lock: Path) -> bool:
    try:
        with lock.open("r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False

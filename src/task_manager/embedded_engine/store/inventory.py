"""What a store holds: every result and cache volume, what each builds on, its size and its last use."""

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from task_manager.embedded_engine.store.layers import LayerStore, layer_names, owner_of, volume_lease
from task_manager.embedded_engine.store.seals import SealError, measure, read_seal

CACHE_VOLUME, COMMAND, OTHER = "cache volume", "command", "other"


@dataclass(frozen=True)
class Item:
    """A result or a cache volume.

    Attributes:
        key: What it is leased by; a result's key in the store.
        kind: `command`, `image layer`, `host files`, `edit`, `difference`, `squashed layers`, `cache volume` or
            `other`.
        path: Its folder.
        layers: The layers of its outputs, its own included, as `KEY/INDEX`.
        bytes: What it takes of the disk.
        used: When it was last asked for, in seconds since the epoch.
        fault: Why it cannot count as a result any more; empty where it can.
        lost: Whether that is what a loss of power leaves rather than damage.
    """

    key: str
    kind: str
    path: Path
    layers: tuple[str, ...]
    bytes: int
    used: float
    fault: str = ""
    lost: bool = False

    @property
    def needs(self) -> frozenset[str]:
        """The keys of the results that it builds on."""
        return frozenset(map(owner_of, self.layers)) - {self.key}


class Inventory:
    """The items of a store; what sessions add or take away meanwhile comes in with `refresh`."""

    def __init__(self, store: LayerStore) -> None:
        self._store = store
        self.items: dict[str, Item] = {}
        self.refresh()

    def refresh(self) -> list[Item]:
        """Read what is new, forget what is gone, and return what is new."""
        found = {path.name: path for path in (self._store.root / "entries").glob("*/*")}
        volumes = {volume_lease(path.name): path for path in (self._store.root / "caches").glob("*")}
        self.items = {key: item for key, item in self.items.items() if key in found or key in volumes}
        new = [self._result(key, path) for key, path in found.items() if key not in self.items]
        new += [self._volume(key, path) for key, path in volumes.items() if key not in self.items]
        read = [item for item in new if item is not None]
        self.items.update({item.key: item for item in read})
        return read

    def _volume(self, key: str, path: Path) -> Item | None:
        with suppress(FileNotFoundError):
            return Item(key, CACHE_VOLUME, path, (), measure(path), path.stat().st_mtime)
        return None

    def _result(self, key: str, path: Path) -> Item | None:
        with suppress(FileNotFoundError):
            used = path.stat().st_mtime
            try:
                record = path / "record.json"
                data = json.loads(record.read_text(encoding="utf-8"))
                layers, lost = tuple(layer_names(data)), not self._store.is_durable(data)
                used = record.stat().st_mtime
            except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
                return Item(key, OTHER, path, (), measure(path), used, f"its record cannot be read: {error}")
            fault = "it was not on the device when power was lost" if lost else self._missing(key, layers)
            return Item(key, _kind(data), path, layers, _bytes(path), used, fault, lost)
        return None

    def _missing(self, key: str, layers: Iterable[str]) -> str:
        for name in layers:
            if not Path(self._store.layer(name)).is_dir():
                own = owner_of(name) == key
                return f"its layer {name} is missing" if own else f"it builds on {name}, which is missing"
        return ""


def foundations_first(items: Mapping[str, Item]) -> list[Item]:
    """Return items so that each comes after all that it builds on."""
    order: dict[str, Item] = {}
    entered: set[str] = set()
    waiting = [(key, False) for key in items]
    while waiting:
        key, done = waiting.pop()
        if done:
            order[key] = items[key]
        elif key not in entered and key in items:
            entered.add(key)
            waiting.append((key, True))
            waiting.extend((need, False) for need in items[key].needs)
    return list(order.values())


def dependents_first(items: Mapping[str, Item]) -> list[Item]:
    """Return items so that each comes before all that it builds on."""
    return foundations_first(items)[::-1]


def last_uses(items: Mapping[str, Item]) -> dict[str, float]:
    """Return when each item was last used, itself or by what builds on it, in seconds since the epoch."""
    uses = {key: item.used for key, item in items.items()}
    for item in dependents_first(items):
        for need in item.needs & uses.keys():
            uses[need] = max(uses[need], uses[item.key])
    return uses


def building_on(items: Mapping[str, Item], keys: Iterable[str]) -> set[str]:
    """Return keys with those of everything that builds on them."""
    found = set(keys)
    for item in foundations_first(items):
        if item.needs & found:
            found.add(item.key)
    return found


def foundations(items: Mapping[str, Item], key: str) -> set[str]:
    """Return a key with those of everything that it builds on."""
    found: set[str] = set()
    waiting = [key]
    while waiting:
        if (next_key := waiting.pop()) not in found:
            found.add(next_key)
            waiting.extend(items[next_key].needs if next_key in items else ())
    return found


def _bytes(path: Path) -> int:
    with suppress(SealError):
        if (seal := read_seal(path)) is not None:
            return seal.bytes
    return measure(path)


def _kind(data: Mapping[str, Any]) -> str:
    return COMMAND if "exit_code" in data else str(data.get("kind", OTHER))

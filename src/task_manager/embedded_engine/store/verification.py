"""Verification: what is stored against what was noted when it was stored."""

import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from task_manager.embedded_engine.store.answers import is_whole
from task_manager.embedded_engine.store.collection import Removal
from task_manager.embedded_engine.store.inventory import (
    CACHE_VOLUME,
    Inventory,
    Item,
    building_on,
    dependents_first,
    foundations_first,
)
from task_manager.embedded_engine.store.layers import LayerStore
from task_manager.embedded_engine.store.leases import Leases
from task_manager.embedded_engine.store.seals import SealError, compute_seal, read_seal, write_seal

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Damage:
    """Something that is not what was stored.

    Attributes:
        key: The result's key, or the answer's.
        kind: What it is.
        path: Where it lies.
        reason: What is wrong.
        dropped: Whether it was removed; what is damaged but in use stays.
    """

    key: str
    kind: str
    path: str
    reason: str
    dropped: bool = False


@dataclass(frozen=True)
class Verification:
    """What a verification found.

    Attributes:
        checked: How many results and answers were compared with what was noted of them.
        recorded: How many results had no seal yet and have one now: their content is taken as it is.
        lost: How many results a loss of power made worthless; nothing uses them.
        damaged: What is not as it was stored.
        dependents: How many sound results build on something damaged.
        dropped: How many results and answers were removed, those that build on damaged ones included.
    """

    checked: int
    recorded: int
    lost: int
    damaged: tuple[Damage, ...]
    dependents: int
    dropped: int

    @property
    def sound(self) -> bool:
        """Whether nothing damaged is left."""
        return all(damage.dropped for damage in self.damaged)


def verify(store: LayerStore, *, repair: bool = False, progress: Progress = lambda _done, _all: None) -> Verification:
    """Compare everything in an open store with what was noted of it.

    Args:
        store: The store.
        repair: Whether damaged results, and all that builds on them, are removed.
        progress: Told how many of how many are done.

    Raises:
        OSError: The file system failed.
    """
    inventory = Inventory(store)
    results = [item for item in foundations_first(inventory.items) if item.kind != CACHE_VOLUME]
    answers = sorted((store.root / "answers").glob("*"))
    checker = _Checker(store)
    try:
        for done, item in enumerate(results, 1):
            checker.check(item)
            progress(done, len(results) + len(answers))
        for done, answer in enumerate(answers, len(results) + 1):
            checker.check_answer(answer)
            progress(done, len(results) + len(answers))
    finally:
        checker.close()
    return _concluded(store, inventory, checker, repair=repair)


def _concluded(store: LayerStore, inventory: Inventory, checker: "_Checker", *, repair: bool) -> Verification:
    broken = {damage.key for damage in checker.damaged}
    affected = building_on(inventory.items, broken)
    gone: set[str] = set()
    if repair:
        useless = building_on(inventory.items, broken | {key for key, item in inventory.items.items() if item.lost})
        removal = Removal(store, inventory)
        removal.remove(dependents_first(inventory.items), lambda item: item.key in useless)
        gone = {item.key for item in removal.removed}
        for answer in checker.broken_answers:
            answer.unlink(missing_ok=True)
            gone.add(answer.name)
    damaged = tuple(
        Damage(damage.key, damage.kind, damage.path, damage.reason, damage.key in gone) for damage in checker.damaged
    )
    dependents = len((affected & inventory.items.keys() | affected & gone) - broken)
    return Verification(checker.checked, checker.recorded, checker.lost, damaged, dependents, len(gone))


class _Checker:
    def __init__(self, store: LayerStore) -> None:
        self.checked = 0
        self.recorded = 0
        self.lost = 0
        self.damaged: list[Damage] = []
        self.broken_answers: list[Path] = []
        self._store = store
        self._leases = Leases(store.root / "in-use")

    def close(self) -> None:
        """Give up what it kept."""
        self._leases.release_all()

    def check(self, item: Item) -> None:
        """Check one result, kept from removal meanwhile."""
        self._leases.hold((item.key,))
        try:
            if item.path.is_dir():
                self._check(item)
        finally:
            self._leases.release_all()

    def check_answer(self, path: Path) -> None:
        """Check one kept answer."""
        with suppress(FileNotFoundError):
            self.checked += 1
            if not is_whole(path.read_bytes()):
                self.broken_answers.append(path)
                self.damaged.append(Damage(path.name, "answer", str(path), "its content is not what was stored"))

    def _check(self, item: Item) -> None:
        if item.lost:
            self.lost += 1
            return
        self.checked += 1
        if reason := item.fault or self._compare(item):
            self.damaged.append(Damage(item.key, item.kind, str(item.path), reason))

    def _compare(self, item: Item) -> str:
        """Return what is wrong with a result's content; note its seal where it has none."""
        try:
            noted, found = read_seal(item.path), compute_seal(item.path)
        except SealError as error:
            return str(error)
        except (OSError, RecursionError) as error:
            return f"it cannot be read: {error}"
        if noted is None and found is not None:
            write_seal(item.path, found, self._store.session_folder / f"seal-{secrets.token_hex(4)}")
            self.recorded += 1
        elif found is not None and noted is not None and found.digest != noted.digest:
            return f"its content has the digest {found.digest}, not {noted.digest}"
        return ""

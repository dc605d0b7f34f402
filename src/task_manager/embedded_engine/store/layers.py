"""The store of results, shared by several sessions at once.

    version                     the layout's number
    entries/ab/abcd…/           one result: record.json, its layers 0/, 1/ …, captured output; complete or absent;
                                later its seal.json; the record's time of change is when it was last asked for
    answers/KEY                 answers that are the same for every session
    in-use/                     what running sessions use is locked in its files
    synced/BOOT                 up to which moment of that boot everything is on the device
    caches/KEY/                 cache volumes
    empty/0, empty/1            what overlays of nothing are made of
    stub/                       folders and files that every sandbox mounts on
    points/                     where sandboxes attach what they are built of
    tmp/SESSION/                a session's unfinished work; `lock` beside it is held while the session lives

A result is written aside and renamed into place, so it is there whole or not at all, whichever process dies. What a
loss of
power could tear is flushed later, many results at a time: a result of an earlier boot counts only when that boot's
flush came after it.
"""

import errno
import fcntl
import json
import os
import secrets
import shutil
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from task_manager.embedded_engine import kernel
from task_manager.embedded_engine.errors import StorageError
from task_manager.embedded_engine.store.leases import Leases
from task_manager.embedded_engine.store.seals import compute_seal, write_seal
from task_manager.embedded_engine.store.trees import remove_tree

LAYOUT_VERSION = "1"
_STUB_FOLDERS = ("dev", "proc", "sys", "etc")
_STUB_FILES = ("etc/hosts", "etc/resolv.conf")
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_STORAGE_FAILURES = _FULL | {errno.EROFS, errno.EIO}


@dataclass(frozen=True)
class Record:
    """A stored result: its key and what was noted about it."""

    key: str
    data: dict[str, Any]


class Workspace:
    """A folder for one result in the making."""

    def __init__(self, entry: Path) -> None:
        self.entry = entry
        self._work: list[Path] = []
        self.entry.mkdir()

    def upper(self, index: int, like: Path | None) -> tuple[str, str]:
        """Make an upper and a work folder for an overlay.

        Args:
            index: The layer's number in the result.
            like: The layer whose root folder's mode and owner the new one takes over.
        """
        upper, work = self.entry / str(index), self.entry.with_name(f"{self.entry.name}.{index}")
        upper.mkdir(mode=0o755)
        work.mkdir()
        self._work.append(work)
        if like is not None:
            status = like.stat()
            if (status.st_uid, status.st_gid) != (os.getuid(), os.getgid()):
                os.chown(upper, status.st_uid, status.st_gid)
            upper.chmod(status.st_mode & 0o7777)
        return str(upper), str(work)

    def remove(self) -> None:
        """Remove what was not committed."""
        for folder in (*self._work, self.entry):
            remove_tree(folder)


class LayerStore:
    """Results by key, in a folder that several sessions share."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._entries = root / "entries"
        self._session = root / "tmp" / f"{os.getpid()}-{secrets.token_hex(4)}"
        self._boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        self._known: dict[str, Record] = {}
        self._synced: dict[str, float] = {}
        self._janitor = ThreadPoolExecutor(1, thread_name_prefix="engine-janitor")
        self._dirty = False
        self._grown = False
        self._lock = -1
        self._leases: Leases | None = None
        self._unsealed: deque[str] = deque()

    @property
    def empty(self) -> tuple[str, str]:
        """Two empty folders, lowest in every overlay: a read-only one needs two layers."""
        return str(self.root / "empty" / "0"), str(self.root / "empty" / "1")

    @property
    def stub(self) -> str:
        """The layer with the folders and files that every sandbox mounts on."""
        return str(self.root / "stub")

    @property
    def session_folder(self) -> Path:
        """This session's own folder; gone when the session is."""
        return self._session

    @property
    def grown(self) -> bool:
        """Whether this session may have made the store larger."""
        return self._grown

    @property
    def mount_points(self) -> str:
        """A folder with two empty ones, `root` and `part`: sandboxes are built on them, each in its own namespace."""
        return str(self.root / "points")

    def open(self) -> None:
        """Make the folder where it is missing, take this session's place in it and sweep up after dead sessions.

        Raises:
            StorageError: The folder cannot be used.
        """
        try:
            self._prepare()
        except OSError as error:
            raise storage_error(self.root, error) from error
        self._check_version()
        self._sweep()

    def close(self) -> None:
        """Flush, and leave no trace of this session's unfinished work."""
        with suppress(OSError):
            self.flush()
        self._janitor.shutdown()
        if self._leases is not None:
            self._leases.release_all()
        remove_tree(self._session)
        with suppress(OSError):
            self._lock_path(self._session).unlink()
        os.close(self._lock)

    def lookup(self, key: str) -> Record | None:
        """Return the result of `key`, if it is there with everything that it builds on; all of that is kept for us."""
        if (known := self._known.get(key)) is not None:
            return known
        self._hold((key,))
        folder = self.entry(key)
        try:
            data = json.loads((folder / "record.json").read_text(encoding="utf-8"))
            layers = layer_names(data)
            usable = self.is_durable(data)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            usable = False
        if usable:
            self._hold(owner_of(name) for name in layers)
        if not usable or not all(Path(self.layer(name)).is_dir() for name in layers):
            self._discard(key)
            return None
        with suppress(OSError):
            os.utime(folder / "record.json")
        record = self._known[key] = Record(key, data)
        return record

    def entry(self, key: str) -> Path:
        """Return the folder that a result has or would have."""
        return self._entries / key[:2] / key

    def layer(self, name: str) -> str:
        """Return the folder of a layer, named `KEY/INDEX`."""
        return str(self._entries / name[:2] / name)

    @contextmanager
    def workspace(self) -> Iterator[Workspace]:
        """Give a folder for one result; what is not committed from it is removed.

        Raises:
            StorageError: The file system is full or failed meanwhile.
        """
        with self.guarded():
            workspace = Workspace(self._session / secrets.token_hex(8))
            try:
                yield workspace
            finally:
                # Removing takes longer than all the rest of a small step, and nobody waits for it.
                self._janitor.submit(workspace.remove)

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Translate failures of the store's file system.

        Raises:
            StorageError: It is full or failed.
        """
        try:
            yield
        except OSError as error:
            if is_storage_failure(error):
                raise storage_error(self.root, error) from error
            raise

    def commit(self, workspace: Workspace, key: str, data: dict[str, Any]) -> Record:
        """Put a result in its place; where another session was first, take its result.

        Args:
            workspace: Where the result was made; nothing may be mounted there any more.
            key: What it is the result of.
            data: What to note; `outputs` lists, per output, the names of the layers it is merged from.

        Raises:
            OSError: The file system is full or failed.
        """
        stamped = {**data, "boot": self._boot, "time": time.clock_gettime(time.CLOCK_BOOTTIME)}
        (workspace.entry / "record.json").write_text(json.dumps(stamped), encoding="utf-8")
        target = self.entry(key)
        target.parent.mkdir(exist_ok=True)
        self._hold((key,))
        try:
            workspace.entry.rename(target)
        except OSError:
            if (theirs := self.lookup(key)) is not None:
                return theirs
            # What was there was of no use, and looking at it has removed it.
            workspace.entry.rename(target)
        self._dirty = self._grown = True
        self._unsealed.append(key)
        record = self._known[key] = Record(key, stamped)
        return record

    def cache_volume(self, key: str) -> Path:
        """Return a cache volume's folder, made where it is missing."""
        self._hold((volume_lease(key),))
        folder = self.root / "caches" / key
        folder.mkdir(parents=True, exist_ok=True)
        os.utime(folder)
        self._grown = True
        return folder

    def flush(self) -> None:
        """Bring every result so far to the device and note that.

        Raises:
            OSError: The file system is full or failed.
        """
        if not self._dirty:
            return
        self._dirty = False
        moment = time.clock_gettime(time.CLOCK_BOOTTIME)
        kernel.sync_file_system(self._lock)
        aside = self._session / "synced"
        aside.write_text(str(moment), encoding="ascii")
        aside.rename(self.root / "synced" / self._boot)

    def seal(self, seconds: float) -> None:
        """Note the seals of results that this session stored, for as long as there is time.

        Args:
            seconds: After that many, what is left keeps its turn.
        """
        end = time.monotonic() + seconds
        while self._unsealed and time.monotonic() < end:
            key = self._unsealed.popleft()
            if not self._sealed(key, lambda: time.monotonic() < end):
                self._unsealed.appendleft(key)
                return

    def _sealed(self, key: str, proceed: Callable[[], bool]) -> bool:
        """Seal a result; return whether there was time. One that cannot be sealed is left to `cache verify`."""
        with suppress(OSError):
            seal = compute_seal(self.entry(key), proceed)
            if seal is None:
                return False
            write_seal(self.entry(key), seal, self._session / f"seal-{secrets.token_hex(4)}")
        return True

    def release(self) -> None:
        """Give up everything that this session keeps for itself: it asks for no result any more."""
        if self._leases is not None:
            self._leases.release_all()

    def is_durable(self, data: dict[str, Any]) -> bool:
        """Return whether a record's result was on the device before any later loss of power."""
        boot = str(data.get("boot"))
        if boot == self._boot:
            return True
        if boot not in self._synced:
            try:
                self._synced[boot] = float((self.root / "synced" / boot).read_text(encoding="ascii"))
            except (OSError, ValueError):
                self._synced[boot] = 0.0
        return bool(data["time"] <= self._synced[boot])

    def _hold(self, keys: Iterable[str]) -> None:
        if self._leases is not None:
            self._leases.hold(keys)

    def _prepare(self) -> None:
        for name in (
            "entries",
            "synced",
            "caches",
            "in-use",
            "tmp",
            "empty/0",
            "empty/1",
            "stub",
            "points/root",
            "points/part",
        ):
            (self.root / name).mkdir(mode=0o755, parents=True, exist_ok=True)
        self.root.chmod(0o700)
        for name in _STUB_FOLDERS:
            (self.root / "stub" / name).mkdir(mode=0o755, exist_ok=True)
        for name in _STUB_FILES:
            (self.root / "stub" / name).touch(mode=0o644)
        self._leases = Leases(self.root / "in-use")
        self._take_place()

    def _take_place(self) -> None:
        path = self._lock_path(self._session)
        while True:
            self._lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            with suppress(FileNotFoundError):
                if path.stat().st_ino == os.fstat(self._lock).st_ino:
                    break
            # Another session swept the file away between its making and its locking.
            os.close(self._lock)
        self._session.mkdir(mode=0o700)

    def _check_version(self) -> None:
        path = self.root / "version"
        try:
            found = path.read_text(encoding="ascii").strip()
        except FileNotFoundError:
            path.write_text(LAYOUT_VERSION, encoding="ascii")
            return
        if found not in ("", LAYOUT_VERSION):
            raise StorageError(
                f"the state folder {self.root} has layout {found}, this engine uses {LAYOUT_VERSION}: "
                "name another with --state-dir or TASK_MANAGER_ENGINE_STATE_DIR, or delete it"
            )

    def _sweep(self) -> None:
        for lock in (self.root / "tmp").glob("*.lock"):
            if lock == self._lock_path(self._session):
                continue
            with suppress(OSError), lock.open("r+") as held:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                remove_tree(lock.with_suffix(""))
                lock.unlink()

    @staticmethod
    def _lock_path(session: Path) -> Path:
        return session.with_name(session.name + ".lock")

    def _discard(self, key: str) -> None:
        with suppress(OSError):
            grave = self._session / secrets.token_hex(8)
            self.entry(key).rename(grave)
            remove_tree(grave)


def layer_names(data: dict[str, Any]) -> list[str]:
    """Return the names of all layers that a record's outputs are merged from."""
    return [name for chain in data.get("outputs", ()) for name in chain["layers"]]


def owner_of(layer: str) -> str:
    """Return the key of the result that a layer is part of."""
    return layer.partition("/")[0]


def volume_lease(key: str) -> str:
    """Return what a cache volume is leased by."""
    return f"cache volume {key}"


def is_storage_failure(error: OSError) -> bool:
    """Return whether an error is about the store's file system rather than about what was asked for."""
    return error.errno in _STORAGE_FAILURES


def storage_error(root: Path, error: OSError) -> StorageError:
    """Return a clear error for a failure of the state folder."""
    reason = (error.strerror or str(error)).lower()
    if error.errno in _FULL:
        free = ""
        with suppress(OSError):
            free = f" ({shutil.disk_usage(root).free // (1 << 20)} MiB free)"
        return StorageError(
            f"the state folder {root} is full{free}: free space there, or name another with --state-dir"
        )
    return StorageError(f"the state folder {root} cannot be used: {reason}; name another with --state-dir")

"""Copying folders and files between roots: filters, modes, owners, times, links."""

import hashlib
import os
import posixpath
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Protocol

from task_manager.embedded_engine.patterns import Filter
from task_manager.embedded_engine.store.ignoring import IgnoreFiles
from task_manager.embedded_engine.store.trees import TreeRoot, copy_bytes, remove_at

_CHUNK = 1 << 20
_PERMISSIONS = 0o7777


class Digest(Protocol):
    """What takes bytes to a digest, as the objects of hashlib do."""

    def update(self, data: bytes, /) -> None:
        """Add bytes."""


@dataclass(frozen=True)
class CopyOptions:
    """How a copy is made.

    `mode` replaces the mode of everything copied, `owner` is its user and group id (None: as in the source, or, where
    that is not kept, the copying process's), `keep_owner` says whether the source's owner counts. `ignored_above` are
    the .gitignore files that count beside those in what is copied, where they count at all.
    """

    filter: Filter = field(default_factory=Filter)
    mode: int | None = None
    owner: tuple[int, int] | None = None
    keep_owner: bool = True
    ignored_above: IgnoreFiles = field(default_factory=IgnoreFiles)


def copy_folder(source: TreeRoot, path: str, target: TreeRoot, target_path: str, options: CopyOptions) -> None:
    """Copy what is in a folder into another, which is made where it is missing and keeps what it has.

    Raises:
        OSError: Reading or writing failed.
    """
    owner = options.owner
    target.make_folders(target_path, owner=owner)
    with source.folder(path) as reading, target.folder(target_path) as writing:
        if options.mode is not None:
            os.fchmod(writing, options.mode)
        if owner:
            os.fchown(writing, *owner)
        _Copier(options).copy(reading, _Target.opened(writing), "", _ignored(options, reading))


def copy_file(source: TreeRoot, path: str, target: TreeRoot, target_path: str, options: CopyOptions) -> None:
    """Copy one file, its links followed, over whatever is at the target; folders above it are made.

    Raises:
        OSError: Reading or writing failed.
    """
    target.make_folders(posixpath.dirname(target_path.rstrip("/")) or "/", owner=options.owner)
    reading = source.open(path)
    try:
        status = os.fstat(reading)
        with target.parent(target_path) as (folder, name):
            with suppress(FileNotFoundError):
                remove_at(folder, name)
            _write_file(reading, status, folder, name)
            _apply(folder, name, status, options)
    finally:
        os.close(reading)


def digest_folder(source: TreeRoot, path: str, options: CopyOptions) -> str:
    """Return the digest of what `copy_folder` would take: names, kinds, modes, contents; no times, no owners."""
    digest = hashlib.sha256()
    with source.folder(path) as reading:
        _Copier(options).digest(reading, digest, "", _ignored(options, reading))
    return digest.hexdigest()


class _Target:
    """A folder that is made only when something goes into it."""

    def __init__(self, parent: "_Target | None", name: str, status: os.stat_result | None) -> None:
        self._parent = parent
        self._name = name
        self._status = status
        self._descriptor: int | None = None
        self._borrowed = False

    @classmethod
    def opened(cls, descriptor: int) -> "_Target":
        target = cls(None, "", None)
        target._descriptor, target._borrowed = descriptor, True
        return target

    def ensure(self, options: CopyOptions) -> int:
        if self._descriptor is not None:
            return self._descriptor
        if self._parent is None or self._status is None:
            raise ValueError("a folder without parent was never opened")
        parent = self._parent.ensure(options)
        self._make(parent)
        self._descriptor = os.open(
            self._name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent
        )
        _own_and_mode(parent, self._name, self._status, options)
        return self._descriptor

    def _make(self, parent: int) -> None:
        with suppress(FileNotFoundError):
            if stat.S_ISDIR(os.lstat(self._name, dir_fd=parent).st_mode):
                return
            remove_at(parent, self._name)
        os.mkdir(self._name, 0o755, dir_fd=parent)

    def close(self, options: CopyOptions) -> None:
        """Close it, its times set last: writing into it changed them."""
        if self._descriptor is None or self._borrowed:
            return
        if self._parent is not None and self._status is not None:
            _set_times(self._parent.ensure(options), self._name, self._status)
        os.close(self._descriptor)


class _Copier:
    def __init__(self, options: CopyOptions) -> None:
        self._options = options

    def copy(self, reading: int, target: _Target, below: str, ignored: IgnoreFiles | None) -> None:
        for child in _children(reading, below):
            takes = self._takes(child, ignored)
            if child.is_folder:
                if takes or self._looks_into(child.path, ignored):
                    self._copy_subfolder(reading, target, child, ignored, takes=takes)
            elif takes:
                self._copy_entry(reading, target.ensure(self._options), child)

    def _copy_subfolder(
        self, reading: int, target: _Target, child: "_Child", ignored: IgnoreFiles | None, *, takes: bool
    ) -> None:
        inside = _Target(target, child.name, child.status)
        if takes:
            inside.ensure(self._options)
        with _subfolder(reading, child.name) as inner:
            self.copy(inner, inside, child.path, ignored.entered(inner, child.path) if ignored else None)
        inside.close(self._options)

    def _copy_entry(self, reading: int, writing: int, child: "_Child") -> None:
        name, mode = child.name, child.status.st_mode
        with suppress(FileNotFoundError):
            remove_at(writing, name)
        if stat.S_ISLNK(mode):
            os.symlink(os.readlink(name, dir_fd=reading), name, dir_fd=writing)
        elif stat.S_ISREG(mode):
            with _opened(reading, name) as descriptor:
                _write_file(descriptor, child.status, writing, name)
        elif stat.S_ISFIFO(mode):
            os.mkfifo(name, mode & _PERMISSIONS, dir_fd=writing)
        else:
            # Sockets and devices mean nothing outside the system that they came from.
            return
        _apply(writing, name, child.status, self._options)

    def digest(self, reading: int, digest: Digest, below: str, ignored: IgnoreFiles | None) -> None:
        for child in _children(reading, below):
            takes = self._takes(child, ignored)
            if takes:
                _digest_entry(reading, child, digest)
            if child.is_folder and (takes or self._looks_into(child.path, ignored)):
                with _subfolder(reading, child.name) as inner:
                    self.digest(inner, digest, child.path, ignored.entered(inner, child.path) if ignored else None)

    def _takes(self, child: "_Child", ignored: IgnoreFiles | None) -> bool:
        if ignored is not None and ignored.match(child.path, is_folder=child.is_folder):
            return False
        return self._options.filter.takes(child.path)

    def _looks_into(self, path: str, ignored: IgnoreFiles | None) -> bool:
        if ignored is not None and ignored.match(path, is_folder=True):
            return False
        return self._options.filter.looks_into(path)


def _ignored(options: CopyOptions, folder: int) -> IgnoreFiles | None:
    return options.ignored_above.entered(folder, "") if options.filter.gitignore else None


@dataclass(frozen=True)
class _Child:
    """Something in a folder: its name, its path below where the copy starts, its status."""

    name: str
    path: str
    status: os.stat_result

    @property
    def is_folder(self) -> bool:
        return stat.S_ISDIR(self.status.st_mode)


def _children(folder: int, below: str) -> Iterator[_Child]:
    for name in sorted(os.listdir(folder)):
        with suppress(FileNotFoundError):
            yield _Child(name, f"{below}/{name}" if below else name, os.lstat(name, dir_fd=folder))


@contextmanager
def _opened(folder: int, name: str, flags: int = 0) -> Iterator[int]:
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | flags, dir_fd=folder)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _subfolder(folder: int, name: str) -> AbstractContextManager[int]:
    return _opened(folder, name, os.O_DIRECTORY)


def _write_file(reading: int, status: os.stat_result, folder: int, name: str) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    writing = os.open(name, flags, status.st_mode & 0o777, dir_fd=folder)
    try:
        copy_bytes(reading, writing)
    finally:
        os.close(writing)


def _apply(folder: int, name: str, status: os.stat_result, options: CopyOptions) -> None:
    _own_and_mode(folder, name, status, options)
    _set_times(folder, name, status)


def _own_and_mode(folder: int, name: str, status: os.stat_result, options: CopyOptions) -> None:
    owner = options.owner or ((status.st_uid, status.st_gid) if options.keep_owner else None)
    if owner and owner != (os.geteuid(), os.getegid()):
        with suppress(*(() if options.owner else (OSError,))):
            # An owner that this namespace does not know cannot be kept; it is an error only where one was asked for.
            os.chown(name, *owner, dir_fd=folder, follow_symlinks=False)
    if not stat.S_ISLNK(status.st_mode):
        mode = options.mode if options.mode is not None else status.st_mode & _PERMISSIONS
        os.chmod(name, mode, dir_fd=folder)


def _set_times(folder: int, name: str, status: os.stat_result) -> None:
    times = (status.st_atime_ns, status.st_mtime_ns)
    os.utime(name, ns=times, dir_fd=folder, follow_symlinks=False)


def _digest_entry(folder: int, child: _Child, digest: Digest) -> None:
    status = child.status
    digest.update(f"{child.path}\0{status.st_mode:o}\0".encode("utf-8", "surrogateescape"))
    if stat.S_ISLNK(status.st_mode):
        digest.update(os.readlink(child.name, dir_fd=folder).encode("utf-8", "surrogateescape"))
    elif stat.S_ISREG(status.st_mode):
        digest.update(f"{status.st_size}\0".encode())
        with _opened(folder, child.name) as file:
            while data := os.read(file, _CHUNK):
                digest.update(data)
    digest.update(b"\n")

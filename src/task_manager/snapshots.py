"""Snapshots of source folders: what a run reads stays as it was when the run was started.

They lie below the data folder under the digest of their contents, so that an unchanged folder is kept once. What git
ignores is left out where no pipeline asks for it.
"""

from __future__ import annotations

import errno
import filecmp
import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from task_manager.errors import StoreError, StoreFull

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

_FOLDER: Final = "snapshots"


@dataclass(frozen=True)
class SourceDifferences:
    """Which files differ between two snapshots, by their paths in them, sorted."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]


class Snapshots:
    """The snapshots of a data folder.

    Args:
        data_dir: The data folder.
    """

    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir / _FOLDER

    def path(self, digest: str) -> Path:
        """Where a snapshot lies."""
        return self._folder / digest.removeprefix("sha256:")

    def take(self, source: Path, *, ignored: bool) -> str:
        """Keep a folder as it is now.

        Args:
            source: The folder.
            ignored: Whether files that git ignores are kept too.

        Returns:
            `sha256:…` over the paths, kinds, modes and contents.

        Raises:
            StoreFull: No space is left.
            StoreError: A file cannot be read or written.
        """
        try:
            digest = _digest(source, tuple(_files(source, ignored=ignored)))
            if self.path(digest).is_dir():
                self.path(digest).touch()
                return digest
            return self._copy(source, ignored=ignored)
        except OSError as error:
            kind = StoreFull if error.errno == errno.ENOSPC else StoreError
            raise kind(
                f"The source folder {source} cannot be kept for the run: {error.strerror or error} ({error.filename}).",
                remedy="Make its files readable, or leave them out by .gitignore.",
            ) from error

    def remove_except(self, digests: Collection[str]) -> int:
        """Remove all snapshots but these; return how many were removed."""
        kept = {self.path(digest).name for digest in digests}
        removed = 0
        for folder in self._folder.glob("*"):
            if folder.name not in kept and not folder.name.startswith("."):
                shutil.rmtree(folder, ignore_errors=True)
                removed += 1
        return removed

    def differences(self, before: str, after: str) -> SourceDifferences | None:
        """Which files differ between two snapshots; None when one of them is not kept any more.

        Raises:
            StoreError: A snapshot cannot be read.
        """
        earlier, later = self.path(before), self.path(after)
        if not (earlier.is_dir() and later.is_dir()):
            return None
        try:
            return _differences(earlier, later)
        except OSError as error:
            raise StoreError(f"A snapshot cannot be read: {error.strerror or error} ({error.filename}).") from error

    def _copy(self, source: Path, *, ignored: bool) -> str:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=".", dir=self._folder))
        try:
            aside.chmod(stat.S_IMODE(source.stat().st_mode) | stat.S_IRWXU)
            for name in _files(source, ignored=ignored):
                _copy_entry(source / name, aside / name)
            # The source may have changed since it was read first: what was copied is what counts.
            digest = _digest(aside, tuple(_files(aside, ignored=True)))
            with suppress(OSError):
                aside.rename(self.path(digest))
            return digest
        finally:
            shutil.rmtree(aside, ignore_errors=True)


def _differences(before: Path, after: Path) -> SourceDifferences:
    earlier, later = (set(_files(root, ignored=True)) for root in (before, after))
    return SourceDifferences(
        added=tuple(sorted(name for name in later - earlier if not (after / name).is_dir())),
        removed=tuple(sorted(name for name in earlier - later if not (before / name).is_dir())),
        changed=tuple(sorted(name for name in earlier & later if not _are_equal(before / name, after / name))),
    )


def _are_equal(first: Path, second: Path) -> bool:
    """Whether two files have the same kind, mode and content; copies keep size and time, so most are not read."""
    status, other = first.lstat(), second.lstat()
    if stat.S_IFMT(status.st_mode) != stat.S_IFMT(other.st_mode):
        return False
    if stat.S_ISDIR(status.st_mode):
        return True
    if stat.S_ISLNK(status.st_mode):
        return first.readlink() == second.readlink()
    return stat.S_IMODE(status.st_mode) == stat.S_IMODE(other.st_mode) and filecmp.cmp(first, second)


def _copy_entry(source: Path, target: Path) -> None:
    mode = source.lstat().st_mode
    if stat.S_ISDIR(mode):
        target.mkdir(exist_ok=True)
        target.chmod(stat.S_IMODE(mode) | stat.S_IRWXU)
    elif stat.S_ISLNK(mode):
        target.symlink_to(source.readlink())
    else:
        shutil.copy2(source, target)


def _digest(folder: Path, names: Collection[str]) -> str:
    digest = hashlib.sha256()
    for name in sorted(names):
        file = folder / name
        status = file.lstat()
        # What a folder may be read by is changed when it is copied, so that it can be written.
        mode = 0 if stat.S_ISDIR(status.st_mode) else stat.S_IMODE(status.st_mode)
        digest.update(f"{stat.S_IFMT(status.st_mode):o} {mode:o} {name}\0".encode("utf-8", "surrogateescape"))
        if stat.S_ISLNK(status.st_mode):
            digest.update(os.fsencode(file.readlink()))
        elif stat.S_ISREG(status.st_mode):
            with file.open("rb") as content:
                digest.update(hashlib.file_digest(content, "sha256").digest())
    return f"sha256:{digest.hexdigest()}"


def _files(root: Path, *, ignored: bool) -> Iterator[str]:
    """What is in a folder, relative to it, each folder before what is in it; sockets and devices are left out."""
    rules: dict[str, GitIgnoreSpec] = {}
    for folder, folders, names in os.walk(root):
        place = Path(folder).relative_to(root).as_posix()
        if not ignored:
            _read_rules(Path(folder), place, rules)
        kept = [name for name in sorted(folders) if ignored or not _is_ignored(f"{place}/{name}/", rules)]
        folders[:] = [name for name in kept if not Path(folder, name).is_symlink()]
        yield from (_joined(place, name) for name in kept)
        for name in sorted(names):
            if (ignored or not _is_ignored(f"{place}/{name}", rules)) and _is_kept(Path(folder, name)):
                yield _joined(place, name)


def _is_kept(file: Path) -> bool:
    mode = file.lstat().st_mode
    return stat.S_ISREG(mode) or stat.S_ISLNK(mode)


def _joined(place: str, name: str) -> str:
    return name if place == "." else f"{place}/{name}"


def _read_rules(folder: Path, place: str, rules: dict[str, GitIgnoreSpec]) -> None:
    file = folder / ".gitignore"
    if file.is_file():
        # Only here: most commands take no snapshot.
        from pathspec import GitIgnoreSpec

        rules[place] = GitIgnoreSpec.from_lines(file.read_text(errors="replace").splitlines())


def _is_ignored(path: str, rules: dict[str, GitIgnoreSpec]) -> bool:
    """Whether git ignores a path: the nearest .gitignore that says anything about it decides."""
    inner = path.removeprefix("./")
    for place in sorted(rules, key=len, reverse=True):
        below = inner if place == "." else inner.removeprefix(f"{place}/")
        if place == "." or below != inner:
            said = rules[place].check_file(below).include
            if said is not None:
                return bool(said)
    return False

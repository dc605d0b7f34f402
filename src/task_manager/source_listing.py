"""What is in a source folder: each file with its digest, read again only where its metadata changed.

What git ignores is left out where that is wanted. A folder whose metadata and ignore rules are as before has the names
that it had; a file whose metadata is as before has the content that it had. What was changed so recently that another
change could leave the same metadata is not trusted, as in git's index.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from task_manager.whole_files import write_whole

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

_VERSION: Final = 1
_SECOND: Final = 1_000_000_000
_COARSE_SECONDS: Final = 2.0
_FINE_SECONDS: Final = 0.05
FOLDER: Final = "40000 0"
"""What a listing says of a folder."""

Listing = dict[str, str]
"""Paths relative to the folder, each before what is in it, with `KIND MODE DIGEST`, the first two octal."""


def listing_digest(listing: Mapping[str, str]) -> str:
    """`sha256:…` over paths, kinds, modes and contents, whatever their order."""
    digest = hashlib.sha256()
    for path in sorted(listing):
        digest.update(f"{path}\0{listing[path]}\0".encode("utf-8", "surrogateescape"))
    return f"sha256:{digest.hexdigest()}"


def list_folder(root: Path, *, ignored: bool) -> Listing:
    """Read a folder without any memory.

    Args:
        root: The folder.
        ignored: Whether files that git ignores are listed too.

    Raises:
        OSError: Something in it cannot be read.
    """
    return _Scan(root, _Memory(), ignored=ignored).listing()


class SourceMemory:
    """Remembers the metadata of source folders from one reading to the next, one file for each folder.

    Args:
        folder: Where it is kept; created when it is needed. What is damaged there counts as not remembered.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def list(self, root: Path, *, ignored: bool) -> Listing:
        """Read a folder, as far as it changed since the last time.

        Raises:
            OSError: Something in it cannot be read, or what is remembered cannot be written.
        """
        place = self._place(root, ignored=ignored)
        before = _read(place)
        scan = _Scan(root, before, ignored=ignored)
        listing = scan.listing()
        if scan.found != before:
            _write(place, scan.found)
        return listing

    def _place(self, root: Path, *, ignored: bool) -> Path:
        name = hashlib.sha256(os.fsencode(root.resolve()) + (b"+" if ignored else b"-")).hexdigest()
        return self._folder / f"{name[:32]}.json"


@dataclass
class _Memory:
    """Of each folder its metadata, rules and kept names; of each file its metadata and value."""

    folders: dict[str, list[Any]] = field(default_factory=dict)
    files: dict[str, list[Any]] = field(default_factory=dict)


def _read(place: Path) -> _Memory:
    try:
        data = json.loads(place.read_bytes())
    except (OSError, ValueError):
        return _Memory()
    if not isinstance(data, dict) or data.get("version") != _VERSION:
        return _Memory()
    return _Memory(data["folders"], data["files"])


def _write(place: Path, memory: _Memory) -> None:
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    data = {"version": _VERSION, "folders": memory.folders, "files": memory.files}
    write_whole(place, json.dumps(data, separators=(",", ":")))


@dataclass(frozen=True)
class _Rules:
    """The .gitignore files that say something of a folder, the innermost first, and a digest of their texts."""

    specs: tuple[tuple[str, GitIgnoreSpec], ...] = ()
    digest: str = ""

    def with_file(self, place: str, text: str) -> _Rules:
        # Only here: most commands read no source folder.
        from pathspec import GitIgnoreSpec

        spec = GitIgnoreSpec.from_lines(text.splitlines())
        digest = hashlib.sha256(f"{self.digest}\0{place}\0{text}".encode("utf-8", "surrogateescape"))
        return _Rules(((place, spec), *self.specs), digest.hexdigest())

    def ignore(self, path: str) -> bool:
        """Whether git ignores a path, which ends in `/` for a folder: the nearest file that says anything decides."""
        for place, spec in self.specs:
            said = spec.check_file(path.removeprefix(f"{place}/") if place else path).include
            if said is not None:
                return bool(said)
        return False


class _Scan:
    def __init__(self, root: Path, before: _Memory, *, ignored: bool) -> None:
        self._root = os.fspath(root)
        self._before = before
        self._ignored = ignored
        self._now = time.time_ns()
        self.found = _Memory()

    def listing(self) -> Listing:
        listing: Listing = {}
        pending = [("", _Rules())]
        while pending:
            place, above = pending.pop()
            rules = self._rules(place, above)
            folders, files = self._names(place, rules)
            prefix = f"{place}/" if place else ""
            for name in folders:
                listing[prefix + name] = FOLDER
                pending.append((prefix + name, rules))
            self._read_files(place, prefix, files, listing)
        return listing

    def _rules(self, place: str, above: _Rules) -> _Rules:
        if self._ignored:
            return above
        try:
            text = Path(self._root, place, ".gitignore").read_text(errors="replace")
        except (FileNotFoundError, IsADirectoryError):
            return above
        return above.with_file(place, text)

    def _names(self, place: str, rules: _Rules) -> tuple[list[str], list[str]]:
        """The folders and the files and links that are kept of a folder."""
        path = os.path.join(self._root, place)  # noqa: PTH118 - for ten thousand files, it counts
        mark = _mark(os.lstat(path) if place else os.stat(path))  # noqa: PTH116
        known = self._before.folders.get(place)
        if known is None or known[0] != mark or known[1] != rules.digest:
            known = [mark, rules.digest, *self._listed(path, f"{place}/" if place else "", rules)]
        if self._is_settled(mark):
            self.found.folders[place] = known
        return known[2], known[3]

    def _listed(self, path: str, prefix: str, rules: _Rules) -> tuple[list[str], list[str]]:
        folders, files = [], []
        with os.scandir(path) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                if entry.is_dir(follow_symlinks=False):
                    if not rules.ignore(f"{prefix}{entry.name}/"):
                        folders.append(entry.name)
                elif (entry.is_symlink() or entry.is_file(follow_symlinks=False)) and not rules.ignore(
                    prefix + entry.name
                ):
                    files.append(entry.name)
        return folders, files

    def _read_files(self, place: str, prefix: str, names: list[str], listing: Listing) -> None:
        """List the files and links of one folder. Opened once, its files are found in half the time."""
        known_files, found_files = self._before.files, self.found.files
        folder = os.open(os.path.join(self._root, place), os.O_RDONLY | os.O_DIRECTORY)  # noqa: PTH118
        try:
            for name in names:
                path = prefix + name
                mark = _mark(os.stat(name, dir_fd=folder, follow_symlinks=False))
                known = known_files.get(path)
                if known is not None and known[0] == mark:
                    found_files[path] = known
                    listing[path] = known[1]
                    continue
                value = listing[path] = _digested(f"{self._root}/{path}", mark[4])
                if self._is_settled(mark):
                    found_files[path] = [mark, value]
        finally:
            os.close(folder)

    def _is_settled(self, mark: list[int]) -> bool:
        """Whether a change from now on would show in the metadata."""
        newest = max(mark[1], mark[2])
        seconds = _FINE_SECONDS if newest % _SECOND else _COARSE_SECONDS
        return self._now - newest > seconds * _SECOND


def _mark(status: os.stat_result) -> list[int]:
    """What changes with a file's content, kind or mode."""
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_mode]


def _digested(path: str, mode: int) -> str:
    kind = stat.S_IFMT(mode)
    if stat.S_ISLNK(kind):
        content = hashlib.sha256(os.fsencode(os.readlink(path))).hexdigest()  # noqa: PTH115
        return f"{kind:o} 0 {content}"
    with open(path, "rb") as file:  # noqa: PTH123
        content = hashlib.file_digest(file, "sha256").hexdigest()
    return f"{kind:o} {stat.S_IMODE(mode):o} {content}"


def changed_paths(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The paths that differ between two listings, in order, each with `added`, `removed` or `changed`."""
    for path in sorted(before.keys() | after.keys()):
        if path not in before:
            yield path, "added"
        elif path not in after:
            yield path, "removed"
        elif before[path] != after[path]:
            yield path, "changed"

"""Snapshots of source folders: what a run reads stays as it was when the run was started.

They lie below the data folder under the digest of their contents, so that an unchanged folder is kept once. What git
ignores is left out where no pipeline asks for it.
"""

from __future__ import annotations

import errno
import json
import shutil
import stat
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from task_manager.errors import StoreError, StoreFull
from task_manager.source_listing import FOLDER, Listing, SourceMemory, changed_paths, list_folder, listing_digest
from task_manager.whole_files import write_whole

_FOLDER: Final = "snapshots"
_LISTINGS: Final = "snapshot-listings"
_MEMORY: Final = "source-memory"
_KEPT_LISTINGS: Final = 500


@dataclass(frozen=True)
class SourceDifferences:
    """Which files differ between two snapshots, by their paths in them, sorted."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]


class Snapshots:
    """The snapshots of a data folder.

    What a snapshot held is told longer than it is kept, so that later runs can be compared with it.

    Args:
        data_dir: The data folder.
    """

    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir / _FOLDER
        self._listings = data_dir / _LISTINGS
        self._memory = SourceMemory(data_dir / _MEMORY)

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
        with _translated(source):
            listing = self._memory.list(source, ignored=ignored)
            digest = listing_digest(listing)
            if self.path(digest).is_dir():
                self.path(digest).touch()
                return digest
            return self._copy(source, listing)

    def read(self, source: Path, *, ignored: bool) -> Listing:
        """What a snapshot of a folder would hold now; nothing is kept but the files' metadata.

        Raises:
            StoreError: A file cannot be read.
        """
        with _translated(source):
            return self._memory.list(source, ignored=ignored)

    def listing(self, digest: str) -> Listing | None:
        """What a snapshot holds, or held; none when that is not known any more."""
        place = self._listing_place(digest)
        try:
            found: Listing = json.loads(place.read_bytes())
        except (OSError, ValueError):
            return self._list_again(digest)
        return found

    def remove_except(self, digests: Collection[str], *, unused_since: float) -> int:
        """Remove snapshots that no run was started with for a while.

        Args:
            digests: Those that stay in any case.
            unused_since: Since when, in seconds since 1970.

        Returns:
            How many were removed.
        """
        kept = {self.path(digest).name for digest in digests}
        removed = 0
        for folder in self._folder.glob("*"):
            is_used = folder.name in kept or folder.stat().st_mtime >= unused_since
            if not is_used and not folder.name.startswith("."):
                shutil.rmtree(folder, ignore_errors=True)
                removed += 1
        return removed

    def differences(self, before: str, after: str) -> SourceDifferences | None:
        """Which files differ between two snapshots; None when it is not known any more what one of them held."""
        earlier, later = self.listing(before), self.listing(after)
        return None if earlier is None or later is None else _differences(earlier, later)

    def _copy(self, source: Path, names: Collection[str]) -> str:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=".", dir=self._folder))
        try:
            aside.chmod(stat.S_IMODE(source.stat().st_mode) | stat.S_IRWXU)
            for name in names:
                _copy_entry(source / name, aside / name)
            # The source may have changed since it was read first: what was copied is what counts.
            listing = list_folder(aside, ignored=True)
            digest = listing_digest(listing)
            self._keep_listing(digest, listing)
            with suppress(OSError):
                aside.rename(self.path(digest))
            return digest
        finally:
            shutil.rmtree(aside, ignore_errors=True)

    def _list_again(self, digest: str) -> Listing | None:
        """Read a snapshot whose listing was lost."""
        if not self.path(digest).is_dir():
            return None
        try:
            listing = list_folder(self.path(digest), ignored=True)
            self._keep_listing(digest, listing)
        except OSError:
            return None
        return listing

    def _keep_listing(self, digest: str, listing: Listing) -> None:
        self._listings.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(self._listing_place(digest), json.dumps(listing, separators=(",", ":")))
        for file in sorted(self._listings.glob("*.json"), key=_changed_at)[:-_KEPT_LISTINGS]:
            file.unlink(missing_ok=True)

    def _listing_place(self, digest: str) -> Path:
        return self._listings / f"{digest.removeprefix('sha256:')}.json"


def _changed_at(file: Path) -> float:
    """When a file changed, in seconds since 1970; another process may have removed it meanwhile."""
    try:
        return file.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _differences(before: Listing, after: Listing) -> SourceDifferences:
    found: dict[str, list[str]] = {"added": [], "removed": [], "changed": []}
    for path, change in changed_paths(before, after):
        if FOLDER not in (before.get(path), after.get(path)):
            found[change].append(path)
    return SourceDifferences(**{change: tuple(paths) for change, paths in found.items()})


@contextmanager
def _translated(source: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        kind = StoreFull if error.errno == errno.ENOSPC else StoreError
        raise kind(
            f"The source folder {source} cannot be kept for the run: {error.strerror or error} ({error.filename}).",
            remedy="Make its files readable, or leave them out by .gitignore.",
        ) from error


def _copy_entry(source: Path, target: Path) -> None:
    mode = source.lstat().st_mode
    if stat.S_ISDIR(mode):
        target.mkdir(exist_ok=True)
        target.chmod(stat.S_IMODE(mode) | stat.S_IRWXU)
    elif stat.S_ISLNK(mode):
        target.symlink_to(source.readlink())
    else:
        shutil.copy2(source, target)

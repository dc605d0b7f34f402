"""The artifact store: content under its sha256 digest, stored once, verified whenever it is read."""

from __future__ import annotations

import asyncio
import hashlib
import re
import tempfile
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from task_manager.artifacts.compression import compressed, decompressed, pays
from task_manager.artifacts.objects import Objects
from task_manager.artifacts.trees import Entry, EntryKind, entries_of, manifest, parse_manifest
from task_manager.errors import ArtifactDamaged, ArtifactMissing
from task_manager.models import Artifact, utc_now

if TYPE_CHECKING:
    from task_manager.config import Settings

_CHUNK: Final = 1024 * 1024
_TREES, _FILES, _COMPRESSED = "folders", "files", ".zst"
_KEY: Final = re.compile(r"(folders|files)/[0-9a-f]{2}/([0-9a-f]{64})(\.zst)?")
_AT_ONCE: Final = 8

GRACE: Final = timedelta(hours=24)
"""How long content stays that nothing refers to: a run may be about to."""


@dataclass(frozen=True)
class StoredContent:
    """A file or folder that is in the store.

    Attributes:
        digest: `sha256:…` of the file's bytes, or of the list of what is in the folder.
        size: In bytes, before compression; of a folder, the sum of its files.
    """

    digest: str
    size: int
    is_directory: bool


@dataclass(frozen=True)
class Pruned:
    """What a clean-up removed, or would remove.

    Attributes:
        removed: How many stored files and lists.
        freed: Their bytes, as stored.
        kept: How many are left.
        kept_bytes: Their bytes, as stored.
        dry_run: Whether nothing was removed.
    """

    removed: int
    freed: int
    kept: int
    kept_bytes: int
    dry_run: bool


class ArtifactStore:
    """Content by its digest. What is read is compared with its digest before the last of it is handed out.

    A folder is stored as a list of what is in it, so that files that several folders have are stored once.

    Args:
        objects: Where it is kept.
        clock: The time, in UTC.
    """

    def __init__(self, objects: Objects, *, clock: Callable[[], datetime] = utc_now) -> None:
        self._objects = objects
        self._clock = clock

    @property
    def place(self) -> str:
        """Where it is kept: a folder or an address."""
        return self._objects.place

    async def put(self, path: Path) -> StoredContent:
        """Store a file or a folder; what is there already is not stored again.

        Raises:
            ArtifactStoreUnavailable: It cannot be stored.
            OSError: It cannot be read.
        """
        return await asyncio.to_thread(self._put, path)

    async def exists(self, digest: str) -> bool:
        """Whether content is there: a file, or a folder with all its files.

        Raises:
            ArtifactStoreUnavailable: The store does not answer.
        """
        return not await self.missing([digest])

    async def missing(self, digests: Iterable[str]) -> tuple[str, ...]:
        """Those of some digests whose content is not there; of folders, all files have to be.

        Raises:
            ArtifactStoreUnavailable: The store does not answer.
        """
        asked = tuple(dict.fromkeys(digests))
        return tuple(await asyncio.to_thread(lambda: [one for one in asked if not self._is_there(one)]))

    async def verify(self, digest: str) -> None:
        """Read content and compare it with its digest; of folders, that of all files.

        Raises:
            ArtifactMissing: It is not there.
            ArtifactDamaged: It is not what was stored.
            ArtifactStoreUnavailable: The store does not answer.
        """
        await asyncio.to_thread(self._verify, digest)

    async def entries(self, digest: str) -> tuple[Entry, ...]:
        """What is in a stored folder; raises as `verify` does."""
        return await asyncio.to_thread(self._entries, digest)

    async def read(self, digest: str, *, limit: int) -> bytes:
        """A stored file's bytes, at most so many.

        Nothing is compared where there are more: only the whole has a digest. Raises as `verify` does.
        """
        return await asyncio.to_thread(self._read, digest, limit)

    async def stream(self, digest: str) -> AsyncIterator[bytes]:
        """A stored file's bytes in chunks; damage is raised in place of the last one. Raises as `verify` does."""
        chunks = self._chunks(_FILES, digest)
        while (chunk := await asyncio.to_thread(next, chunks, None)) is not None:
            yield chunk

    async def export(self, artifact: Artifact, target: Path) -> Path:
        """Write an artifact to a file or folder that is not there yet, whole or not at all.

        Args:
            artifact: What to write.
            target: The file or folder itself.

        Raises:
            ArtifactMissing: Its content is not there.
            ArtifactDamaged: Its content is not what was stored.
            ArtifactStoreUnavailable: The store does not answer.
            OSError: The target cannot be written.
        """
        await asyncio.to_thread(self._export, artifact, target)
        return target

    async def remove(self, digest: str) -> None:
        """Remove a file, or a folder's list, so that it is stored anew the next time."""
        await asyncio.to_thread(self._objects.remove, [*_file_keys(digest), _tree_key(digest)])

    async def prune(self, keep: Collection[str], *, grace: timedelta = GRACE, dry_run: bool = False) -> Pruned:
        """Remove what nothing refers to.

        Args:
            keep: The digests that something refers to.
            grace: What was stored in this time stays too, for a run may be about to refer to it.
            dry_run: Only tell what would be removed.

        Raises:
            ArtifactStoreUnavailable: The store does not answer.
        """
        return await asyncio.to_thread(self._prune, frozenset(keep), grace, dry_run)

    def _put(self, path: Path) -> StoredContent:
        return self._put_folder(path) if path.is_dir() else self._put_file(path)

    def _put_file(self, path: Path) -> StoredContent:
        digest, size, sample = _digest(path)
        plain, packed = _file_keys(digest)
        if not self._is_fresh(plain) and not self._is_fresh(packed):
            chunks = _read_again(path, digest)
            if pays(sample):
                self._objects.write(packed, compressed(chunks))
            else:
                self._objects.write(plain, chunks)
        return StoredContent(digest, size, is_directory=False)

    def _put_folder(self, folder: Path) -> StoredContent:
        files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            stored = dict(zip(files, pool.map(self._put_file, files), strict=True))
        content = manifest(entries_of(folder, lambda path: stored[path].digest))
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        if not self._is_fresh(_tree_key(digest)):
            self._objects.write(_tree_key(digest), [content])
        return StoredContent(digest, sum(one.size for one in stored.values()), is_directory=True)

    def _is_fresh(self, key: str) -> bool:
        """Whether an object is there and will not be pruned soon; one that is old is written again, as if new."""
        found = self._objects.facts(key)
        return found is not None and self._clock() - found.modified_at < GRACE / 2

    def _is_there(self, digest: str) -> bool:
        if any(self._objects.facts(key) is not None for key in _file_keys(digest)):
            return True
        try:
            entries = self._entries(digest)
        except (ArtifactMissing, ArtifactDamaged):
            return False
        return all(self._is_there(one.content) for one in entries if one.kind is EntryKind.FILE)

    def _verify(self, digest: str) -> None:
        try:
            entries = self._entries(digest)
        except ArtifactMissing:
            entries = ()
            for _ in self._chunks(_FILES, digest):
                pass
        for entry in entries:
            if entry.kind is EntryKind.FILE:
                for _ in self._chunks(_FILES, entry.content):
                    pass

    def _entries(self, digest: str) -> tuple[Entry, ...]:
        return parse_manifest(b"".join(self._chunks(_TREES, digest)), digest)

    def _read(self, digest: str, limit: int) -> bytes:
        content = bytearray()
        for chunk in self._chunks(_FILES, digest):
            content += chunk
            if len(content) >= limit:
                break
        return bytes(content[:limit])

    def _chunks(self, kind: str, digest: str) -> Iterator[bytes]:
        """The bytes of a file or a list, the last of them when all are known to be right."""
        held, sum_so_far = b"", hashlib.sha256()
        for chunk in self._stored_bytes(kind, digest):
            sum_so_far.update(chunk)
            if held:
                yield held
            held = chunk
        if f"sha256:{sum_so_far.hexdigest()}" != digest:
            raise _damaged(digest, self.place)
        if held:
            yield held

    def _stored_bytes(self, kind: str, digest: str) -> Iterator[bytes]:
        plain, packed = _file_keys(digest) if kind == _FILES else (_tree_key(digest), None)
        key = plain if packed is None or self._objects.facts(plain) is not None else packed
        try:
            chunks = self._objects.read(key)
            yield from (decompressed(chunks, digest) if key == packed else chunks)
        except ArtifactMissing as error:
            raise ArtifactMissing(
                f"The content {digest} is not in the artifact store {self.place}.",
                remedy="Was it pruned? Run the task again.",
                details={"digest": digest},
            ) from error

    def _export(self, artifact: Artifact, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".task-manager-") as aside:
            made = Path(aside) / "content"
            if artifact.is_directory:
                self._export_folder(artifact.digest, made)
            else:
                self._export_file(artifact.digest, made)
            made.rename(target)

    def _export_file(self, digest: str, target: Path, *, executable: bool = False) -> None:
        with target.open("xb") as file:
            for chunk in self._chunks(_FILES, digest):
                file.write(chunk)
        if executable:
            target.chmod(0o755)

    def _export_folder(self, digest: str, target: Path) -> None:
        entries = self._entries(digest)
        target.mkdir()
        for entry in entries:
            if entry.kind is not EntryKind.LINK:
                (target / entry.path).parent.mkdir(parents=True, exist_ok=True)
            if entry.kind is EntryKind.FOLDER:
                (target / entry.path).mkdir(exist_ok=True)
            elif entry.kind is EntryKind.FILE:
                self._export_file(entry.content, target / entry.path, executable=entry.executable)
        # Links last: nothing is written through them.
        for entry in entries:
            if entry.kind is EntryKind.LINK:
                (target / entry.path).symlink_to(entry.content)

    def _prune(self, keep: frozenset[str], grace: timedelta, dry_run: bool) -> Pruned:
        kept_digests = keep | self._members(keep)
        oldest = self._clock() - grace
        going, kept, kept_bytes, freed = [], 0, 0, 0
        for one in self._objects.all():
            match = _KEY.fullmatch(one.key)
            if match and f"sha256:{match[2]}" not in kept_digests and one.modified_at < oldest:
                going.append(one.key)
                freed += one.size
            else:
                kept, kept_bytes = kept + 1, kept_bytes + one.size
        if not dry_run:
            self._objects.remove(going)
        return Pruned(len(going), freed, kept, kept_bytes, dry_run)

    def _members(self, keep: frozenset[str]) -> set[str]:
        """The files of folders that are kept; of a folder whose list is gone or damaged nothing can be told."""
        found: set[str] = set()
        for digest in keep:
            try:
                found.update(one.content for one in self._entries(digest) if one.kind is EntryKind.FILE)
            except (ArtifactMissing, ArtifactDamaged):
                continue
        return found


def open_artifacts(settings: Settings, data_dir: Path) -> ArtifactStore:
    """The artifact store of the settings: at `artifacts.url`, else in `artifacts` in the data folder.

    Raises:
        InvalidConfiguration: The address cannot be used.
        ArtifactStoreUnavailable: The folder cannot be made.
    """
    url = settings.artifacts.url
    return ArtifactStore(Objects.at(url) if url else Objects.in_folder(data_dir / "artifacts"))


def _file_keys(digest: str) -> tuple[str, str]:
    """A file's key as it is, and compressed."""
    plain = _key(_FILES, digest)
    return plain, plain + _COMPRESSED


def _tree_key(digest: str) -> str:
    return _key(_TREES, digest)


def _key(kind: str, digest: str) -> str:
    name = digest.removeprefix("sha256:")
    if not re.fullmatch(r"[0-9a-f]{64}", name):
        raise ArtifactMissing(f"{digest!r} is no sha256 digest.", details={"digest": digest})
    return f"{kind}/{name[:2]}/{name}"


def _digest(path: Path) -> tuple[str, int, bytes]:
    """A file's digest, its size, and how it begins."""
    with path.open("rb") as file:
        sample = file.read(_CHUNK // 4)
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return f"sha256:{digest}", file.tell(), sample


def _read_again(path: Path, digest: str) -> Iterator[bytes]:
    """A file's bytes, as long as they are still those of the digest."""
    again = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            again.update(chunk)
            yield chunk
    if f"sha256:{again.hexdigest()}" != digest:
        raise OSError(f"{path.name} was changed while it was stored")


def _damaged(digest: str, place: str) -> ArtifactDamaged:
    return ArtifactDamaged(
        f"The content stored as {digest} in {place} is damaged: its digest is another.",
        remedy="Remove it with: task-manager artifact verify --remove. Then run the task again.",
        details={"digest": digest},
    )

"""Seals: what a result weighs and the digest of all that it is, noted beside it after it was stored.

A seal covers the record, the captured output and every layer: names, kinds, modes, owners, files' sizes and times of
change, link targets, device numbers, the extended attributes that overlays and programs use (user.*), and contents,
down to folders 200 levels deep: each level takes a descriptor.
"""

import hashlib
import json
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

SEAL = "seal.json"
_CHUNK = 1 << 20
_DEEPEST = 200
_BLOCK = 512  # what st_blocks counts, stat(2)


class SealError(Exception):
    """A seal is there but is none."""


@dataclass(frozen=True)
class Seal:
    """What was noted about a result.

    Attributes:
        digest: Over everything in it.
        bytes: What it takes of the disk; a file with several names counts at each.
        files: How many files, folders and links it has.
    """

    digest: str
    bytes: int
    files: int


def read_seal(entry: Path) -> Seal | None:
    """Return a result's seal; None where none was noted, or a loss of power left it empty.

    Raises:
        SealError: What is there is no seal.
    """
    try:
        text = (entry / SEAL).read_bytes()
        return Seal(**json.loads(text)) if text.strip(b"\0") else None
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise SealError(f"its seal cannot be read: {error}") from error


def write_seal(entry: Path, seal: Seal, aside: Path) -> None:
    """Note a seal; `aside` is a path on the same file system for the unfinished file.

    Raises:
        OSError: It cannot be written.
    """
    aside.write_text(json.dumps(asdict(seal)), encoding="utf-8")
    aside.rename(entry / SEAL)


def compute_seal(entry: Path, proceed: Callable[[], bool] = lambda: True) -> Seal | None:
    """Return the seal of what is there now.

    Args:
        entry: The result's folder.
        proceed: Asked now and then; None is returned as soon as it says no.

    Raises:
        OSError: Something in it cannot be read.
    """
    reader = _Reader(hashlib.sha256(), proceed)
    folder = os.open(entry, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        reader.folder(folder, "", leave_out=SEAL)
    except _Stopped:
        return None
    finally:
        os.close(folder)
    return Seal(f"sha256:{reader.digest.hexdigest()}", reader.bytes, reader.files)


def measure(folder: Path, deepest: int = _DEEPEST) -> int:
    """Return the bytes that a folder takes of the disk; what vanishes meanwhile does not count."""
    total = 0
    if not deepest:
        return total
    with suppress(OSError), os.scandir(folder) as children:
        for child in children:
            with suppress(OSError):
                total += child.stat(follow_symlinks=False).st_blocks * _BLOCK
                if child.is_dir(follow_symlinks=False):
                    total += measure(Path(child.path), deepest - 1)
    return total


class _Stopped(Exception):
    """Whoever asked has no more time."""


class _Reader:
    def __init__(self, digest: "hashlib._Hash", proceed: Callable[[], bool]) -> None:
        self.digest = digest
        self.bytes = 0
        self.files = 0
        self._proceed = proceed

    def folder(self, descriptor: int, below: str, leave_out: str = "") -> None:
        for name in sorted(os.listdir(descriptor)):
            if name != leave_out:
                self._entry(descriptor, name, f"{below}/{name}")

    def _entry(self, parent: int, name: str, path: str) -> None:
        if not self._proceed():
            raise _Stopped
        status = os.lstat(name, dir_fd=parent)
        self.files += 1
        self.bytes += status.st_blocks * _BLOCK
        self._update(path, f"{status.st_mode:o} {status.st_uid} {status.st_gid} {status.st_rdev}")
        if stat.S_ISLNK(status.st_mode):
            self._update(os.readlink(name, dir_fd=parent))
        elif stat.S_ISDIR(status.st_mode) or stat.S_ISREG(status.st_mode):
            self._opened(parent, name, path, status)

    def _opened(self, parent: int, name: str, path: str, status: os.stat_result) -> None:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        try:
            for attribute in sorted(os.listxattr(descriptor)):
                if attribute.startswith("user."):
                    self._update(attribute, os.getxattr(descriptor, attribute))
            if not stat.S_ISDIR(status.st_mode):
                # A record's time is that of its last use.
                self._update("" if path == "/record.json" else str(status.st_mtime_ns))
                self._contents(descriptor, status.st_size)
            elif path.count("/") < _DEEPEST:
                self.folder(descriptor, path)
        finally:
            os.close(descriptor)

    def _contents(self, descriptor: int, size: int) -> None:
        self._update(str(size))
        while data := os.read(descriptor, _CHUNK):
            self.digest.update(data)
            if not self._proceed():
                raise _Stopped

    def _update(self, *values: str | bytes) -> None:
        for value in values:
            data = value if isinstance(value, bytes) else value.encode("utf-8", "surrogateescape")
            self.digest.update(b"%d:%b" % (len(data), data))

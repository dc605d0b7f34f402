"""Folders as content: a list of what is in them, whose digest is the folder's."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Final

from task_manager.errors import ArtifactDamaged

_VERSION: Final = 1


class EntryKind(StrEnum):
    """What an entry of a folder is."""

    FILE = "file"
    """A file, stored under its digest."""
    LINK = "link"
    """A symbolic link."""
    FOLDER = "folder"
    """A folder."""


@dataclass(frozen=True)
class Entry:
    """Something in a folder.

    Attributes:
        path: Relative to the folder, with `/`.
        content: A file's digest, or where a link points to; empty for a folder.
        size: A file's bytes.
        executable: Whether a file may be executed.
    """

    path: str
    kind: EntryKind
    content: str = ""
    size: int = 0
    executable: bool = False


def entries_of(folder: Path, digest_of: Callable[[Path], str]) -> Iterator[Entry]:
    """What is in a folder, in the order of paths; sockets and devices are left out.

    Args:
        folder: The folder.
        digest_of: Tells a file's digest.
    """
    for path in sorted(folder.rglob("*")):
        name, status = path.relative_to(folder).as_posix(), path.lstat()
        if stat.S_ISLNK(status.st_mode):
            yield Entry(name, EntryKind.LINK, os.fsdecode(path.readlink()))
        elif stat.S_ISDIR(status.st_mode):
            yield Entry(name, EntryKind.FOLDER)
        elif stat.S_ISREG(status.st_mode):
            executable = bool(status.st_mode & stat.S_IXUSR)
            yield Entry(name, EntryKind.FILE, digest_of(path), status.st_size, executable)


def manifest(entries: Iterable[Entry]) -> bytes:
    """The list as it is stored: equal folders have equal lists."""
    listed = [[one.path, one.kind.value, one.content, one.size, one.executable] for one in entries]
    return json.dumps({"version": _VERSION, "entries": listed}, separators=(",", ":"), sort_keys=True).encode()


def parse_manifest(content: bytes, digest: str) -> tuple[Entry, ...]:
    """A stored list.

    Args:
        content: As it was stored.
        digest: Its digest, for messages.

    Raises:
        ArtifactDamaged: It is no such list, or names something outside of the folder.
    """
    try:
        data = json.loads(content)
        _require(condition=data["version"] == _VERSION)
        return tuple(_entry(*one) for one in data["entries"])
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ArtifactDamaged(
            f"The list of the folder {digest} cannot be read.",
            remedy="Run the task again.",
            details={"digest": digest},
        ) from error


def _entry(path: str, kind: str, content: str, size: int, executable: bool) -> Entry:
    parts = PurePosixPath(path).parts
    _require(condition=bool(parts) and not path.startswith("/") and ".." not in parts)
    return Entry(path, EntryKind(kind), content, size, executable)


def _require(*, condition: bool) -> None:
    if not condition:
        raise ValueError

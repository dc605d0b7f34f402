"""Folders as roots: every path is resolved inside them, whatever links they contain."""

import errno
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from task_manager.embedded_engine import kernel

_CHUNK = 1 << 20


def remove_tree(path: Path) -> None:
    """Remove a folder with everything in it; nothing happens where it is missing."""
    with suppress(FileNotFoundError):
        shutil.rmtree(path)


@dataclass(frozen=True)
class Entry:
    """Something found by a walk: its path below the start, and its status, links not followed."""

    path: str
    status: os.stat_result

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder itself, not a link to one."""
        return stat.S_ISDIR(self.status.st_mode)


class TreeRoot:
    """A folder, given as a descriptor, seen as a root file system.

    Paths are absolute in it, with or without the leading slash; `..` and links never lead out.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def open(self, path: str, flags: int = os.O_RDONLY, mode: int = 0) -> int:
        """Return a descriptor of `path`.

        Raises:
            OSError: As from open(2).
        """
        return kernel.open_in_root(self.descriptor, path or "/", flags, mode)

    def status(self, path: str, *, follow: bool = True) -> os.stat_result:
        """Return the status of what is at `path`.

        Raises:
            OSError: It is not there.
        """
        descriptor = self.open(path, os.O_PATH | (0 if follow else os.O_NOFOLLOW))
        try:
            return os.fstat(descriptor)
        finally:
            os.close(descriptor)

    def exists(self, path: str, *, follow: bool = True) -> bool:
        """Return whether something is at `path`."""
        try:
            self.status(path, follow=follow)
        except OSError:
            return False
        return True

    def read(self, path: str) -> bytes:
        """Return a file's contents.

        Raises:
            OSError: It cannot be read.
        """
        with os.fdopen(self.open(path), "rb") as file:
            return file.read()

    def names(self, path: str) -> list[str]:
        """Return the names in a folder, sorted.

        Raises:
            OSError: It is not a folder.
        """
        with self.folder(path) as folder:
            return sorted(os.listdir(folder))  # noqa: PTH208 - a descriptor, not a path

    def link_target(self, path: str) -> str:
        """Return where the link at `path` points.

        Raises:
            OSError: It is not a link.
        """
        with self.parent(path) as (folder, name):
            return os.readlink(name, dir_fd=folder)

    @contextmanager
    def folder(self, path: str) -> Iterator[int]:
        """Give a descriptor of a folder."""
        descriptor = self.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    @contextmanager
    def parent(self, path: str) -> Iterator[tuple[int, str]]:
        """Give a descriptor of the folder that holds `path`, and the last name."""
        head, name = os.path.split(path.rstrip("/"))
        with self.folder(head) as folder:
            yield folder, name

    def walk(self, path: str = "/") -> Iterator[Entry]:
        """Yield everything below a folder, each folder before its content, names sorted; links are not followed."""
        yield from _walk(self, path.rstrip("/"), "")

    def make_folders(self, path: str, mode: int = 0o755, owner: tuple[int, int] | None = None) -> None:
        """Make a folder and the missing ones above it.

        Args:
            path: The folder.
            mode: The mode of those that are made.
            owner: User and group id of those that are made.

        Raises:
            OSError: Something that is no folder is in the way.
        """
        missing: list[str] = []
        path = "/" + path.strip("/")
        while path != "/" and not self.exists(path):
            missing.append(path)
            path = os.path.dirname(path)  # noqa: PTH120 - paths of another root
        if not stat.S_ISDIR(self.status(path).st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
        for folder in reversed(missing):
            with self.parent(folder) as (parent, name):
                os.mkdir(name, dir_fd=parent)
                os.chmod(name, mode, dir_fd=parent)
                if owner:
                    os.chown(name, *owner, dir_fd=parent)

    def remove(self, path: str) -> None:
        """Remove what is at `path` with everything in it, a link itself; nothing happens where it is missing."""
        with suppress(FileNotFoundError, NotADirectoryError), self.parent(path) as (folder, name):
            if name in ("", ".", ".."):
                return
            remove_at(folder, name)

    def write(self, path: str, data: bytes, mode: int) -> None:
        """Write a file, following a link at its end; an existing file keeps its mode.

        Raises:
            OSError: It cannot be written.
        """
        descriptor = self.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)


def remove_at(folder: int, name: str) -> None:
    """Remove an entry of a folder with everything in it."""
    if stat.S_ISDIR(os.lstat(name, dir_fd=folder).st_mode):
        shutil.rmtree(name, dir_fd=folder)
    else:
        os.unlink(name, dir_fd=folder)


def _walk(root: TreeRoot, start: str, below: str) -> Iterator[Entry]:
    for name in root.names(f"{start}/{below}"):
        path = f"{below}/{name}" if below else name
        status = root.status(f"{start}/{path}", follow=False)
        yield Entry(path, status)
        if stat.S_ISDIR(status.st_mode):
            yield from _walk(root, start, path)


def copy_bytes(source: int, target: int) -> None:
    """Copy what is left of one open file to another, sharing blocks where the file systems can.

    Raises:
        OSError: Reading or writing failed.
    """
    try:
        while os.copy_file_range(source, target, 1 << 30):
            pass
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
            raise
        while data := os.read(source, _CHUNK):
            while data:
                data = data[os.write(target, data) :]

"""Places for workers in a data folder: each is held by one process at a time, by a lock on a file."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from task_manager.errors import StoreUnwritable
from task_manager.file_locks import share_lock, try_lock

_MOST_PLACES: Final = 64
_FOLDER: Final = "workers"
_FIRST: Final = "1.lock"
_WANTED: Final = "wanted.lock"


@dataclass
class WorkerPlace:
    """A place that this process holds, until it is released or the process ends, however it ends.

    Attributes:
        id: Names the place wherever workers are listed; the same whenever it is held again.
    """

    id: str
    descriptor: int

    @classmethod
    def claim(cls, data_dir: Path, *, shared: bool) -> Self | None:
        """The first free place; None when all are held.

        Args:
            data_dir: The data folder.
            shared: Whether its runs are in a database that several workers share; otherwise it has one place.

        Raises:
            StoreUnwritable: The data folder cannot be written.
        """
        folder = data_dir / _FOLDER
        for number in range(1, _MOST_PLACES + 1 if shared else 2):
            descriptor = _lock(folder / f"{number}.lock")
            if descriptor is not None:
                return cls(f"{socket.gethostname()}-{number}" if shared else "worker", descriptor)
        return None

    def mark_served(self) -> None:
        """Note that this process has begun to take runs."""
        os.pwrite(self.descriptor, f"{os.getpid()}\n".encode(), 0)
        os.ftruncate(self.descriptor, len(f"{os.getpid()}\n"))

    def release(self) -> None:
        """Let others have it."""
        os.close(self.descriptor)


def is_held(data_dir: Path) -> bool:
    """Whether a process holds a data folder's first place."""
    return _is_locked(data_dir / _FOLDER / _FIRST)


@contextmanager
def wanted(data_dir: Path) -> Iterator[None]:
    """As long as it is entered, a data folder's worker does not leave for having nothing to do.

    Raises:
        StoreUnwritable: The data folder cannot be written.
    """
    with _writing(data_dir / _FOLDER / _WANTED) as file:
        # Others have it to themselves only for the moment in which they look whether anybody wants the worker.
        descriptor = share_lock(file)
    try:
        yield
    finally:
        os.close(descriptor)


def is_wanted(data_dir: Path) -> bool:
    """Whether a process wants a data folder's worker to stay."""
    return _is_locked(data_dir / _FOLDER / _WANTED)


def served_by(data_dir: Path) -> int | None:
    """The process that took runs in a data folder's first place most recently; it may have ended since."""
    try:
        return int((data_dir / _FOLDER / _FIRST).read_text())
    except (OSError, ValueError):
        return None


def _is_locked(file: Path) -> bool:
    if not file.exists():
        return False
    descriptor = _lock(file)
    if descriptor is None:
        return True
    os.close(descriptor)
    return False


def _lock(file: Path) -> int | None:
    with _writing(file):
        return try_lock(file)


@contextmanager
def _writing(file: Path) -> Iterator[Path]:
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        yield file
    except OSError as error:
        raise StoreUnwritable(
            f"{file} cannot be written: {error.strerror}.", remedy="Make it yours to write, or choose another folder."
        ) from error

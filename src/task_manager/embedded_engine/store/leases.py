"""Leases: what a session uses is not taken away from it.

A lease is a shared lock on one byte of a file, its place given by the key, on an open file description: fcntl(2), "Open
file description locks". It needs no space, holds for as long as the session's process lives, and is gone with it
however it ends. Who wants to remove something needs that byte's exclusive lock.
"""

import fcntl
import os
import struct
import threading
from collections.abc import Iterable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

_PLACES = 1 << 62


class Leases:
    """One holder's locks; other instances are other holders, in this process too.

    Args:
        path: The file; made where it is missing.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._held: set[str] = set()
        self._lock = threading.Lock()

    def hold(self, keys: Iterable[str]) -> None:
        """Hold keys until this is closed; waits while somebody removes one, which takes moments."""
        for key in keys:
            if key not in self._held:
                self._request(fcntl.F_OFD_SETLKW, fcntl.F_RDLCK, key)
                with self._lock:
                    self._held.add(key)

    def take(self, key: str) -> bool:
        """Take a key for oneself; return whether nobody else holds it."""
        with suppress(BlockingIOError, PermissionError):
            self._request(fcntl.F_OFD_SETLK, fcntl.F_WRLCK, key)
            return True
        return False

    def release(self, key: str) -> None:
        """Give up a key that was taken."""
        self._request(fcntl.F_OFD_SETLK, fcntl.F_UNLCK, key)

    def release_all(self) -> None:
        """Give up everything."""
        self._lock_range(fcntl.F_OFD_SETLK, fcntl.F_UNLCK, 0, 0)
        with self._lock:
            self._held.clear()

    def close(self) -> None:
        """Give up everything and close the file."""
        os.close(self._descriptor)

    def _request(self, command: int, kind: int, key: str) -> None:
        place = int.from_bytes(sha256(key.encode()).digest()[:8]) % _PLACES
        self._lock_range(command, kind, place, 1)

    def _lock_range(self, command: int, kind: int, start: int, length: int) -> None:
        fcntl.fcntl(self._descriptor, command, struct.pack("hhqqixxxx", kind, os.SEEK_SET, start, length, 0))

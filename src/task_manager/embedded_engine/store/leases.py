"""Leases: what a session uses is not taken away from it.

A lease is a shared lock on one byte of a file, file and place given by the key, on an open file description: fcntl(2),
"Open file description locks". It needs no space, holds for as long as the session's process lives, and is gone with it
however it ends. Who wants to remove something needs that byte's exclusive lock. The kernel looks through all locks of a
file for each new one, so there are several files.
"""

import fcntl
import os
import struct
import threading
from collections.abc import Iterable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

_PLACES = 1 << 56
_FILES = 32


class Leases:
    """One holder's locks; other instances are other holders, in this process too.

    Args:
        folder: Where the files are; they are made where they are missing.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[int, int] = {}
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
        with self._lock:
            for descriptor in self._files.values():
                os.close(descriptor)
            self._files.clear()
            self._held.clear()

    def _request(self, command: int, kind: int, key: str) -> None:
        digest = sha256(key.encode()).digest()
        place = int.from_bytes(digest[1:9]) % _PLACES
        lock = struct.pack("hhqqixxxx", kind, os.SEEK_SET, place, 1, 0)
        fcntl.fcntl(self._file(digest[0] % _FILES), command, lock)

    def _file(self, number: int) -> int:
        with self._lock:
            if number not in self._files:
                path = self._folder / str(number)
                self._files[number] = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            return self._files[number]

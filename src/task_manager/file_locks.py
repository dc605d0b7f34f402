"""Locks on files, which end with the process that holds them, however it ends."""

import fcntl
import os
from pathlib import Path


def try_lock(file: Path) -> int | None:
    """Lock a file, made for its owner alone if need be.

    Returns:
        A descriptor whose closing ends the lock; None while another one holds it.

    Raises:
        OSError: The file cannot be opened.
    """
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor

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
    descriptor = _open(file)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def share_lock(file: Path) -> int:
    """Lock a file together with others who share it, which keeps everybody else from locking it.

    It waits for one who has it alone.

    Returns:
        A descriptor whose closing ends this share.

    Raises:
        OSError: The file cannot be opened.
    """
    descriptor = _open(file)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    return descriptor


def _open(file: Path) -> int:
    return os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

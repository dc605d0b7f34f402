"""Finding the processes that a test started, by a word on their command lines."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path

_LOOK_AGAIN = 0.02


def processes_with(word: str) -> list[int]:
    """The ids of the processes, but this one, that have the word on their command line."""
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [pid for pid in pids if _says(pid, word)]


async def until(condition: Callable[[], bool], *, seconds: float = 60) -> None:
    """Wait until a condition of the machine holds, which nothing tells of.

    Raises:
        TimeoutError: It does not hold in that time.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds} s")
        await asyncio.sleep(_LOOK_AGAIN)


def _says(pid: int, word: str) -> bool:
    try:
        return pid != os.getpid() and word.encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False

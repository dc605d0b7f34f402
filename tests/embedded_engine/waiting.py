"""Waiting for conditions, and looking at processes."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

_POLL_SECONDS = 0.01


def wait_until(condition: Callable[[], bool], *, seconds: float, what: str = "the condition holds") -> None:
    """Returns as soon as a condition holds; fails, saying what was waited for, when it does not within some seconds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited in vain until {what}"
        time.sleep(_POLL_SECONDS)


async def until(condition: Callable[[], bool], *, seconds: float) -> None:
    """Does the same without stopping the event loop."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the condition never held"
        await asyncio.sleep(_POLL_SECONDS)


def runs(marker: str) -> bool:
    """Returns whether some process of this machine has a text among its arguments."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if marker.encode() in (folder / "cmdline").read_bytes():
                return True
        except OSError:
            continue
    return False

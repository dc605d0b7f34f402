"""Finding the processes that a test started, by a word on their command lines."""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from pathlib import Path

_LOOK_AGAIN = 0.02


def endless() -> str:
    """A number of seconds to sleep that nobody sees the end of, and that is on no other process's command line."""
    return str(1_000_000_000 + secrets.randbelow(1_000_000_000))


def processes_with(word: str) -> list[int]:
    """The ids of the processes, but this one, that have the word on their command line."""
    return [pid for pid in every_process() if _says(pid, word)]


def descendants(pid: int) -> frozenset[int]:
    """The processes that a process started, directly or by others, and itself."""
    parents = {child: _parent(child) for child in every_process()}
    found, new = {pid}, {pid}
    while new:
        new = {child for child, parent in parents.items() if parent in new} - found
        found |= new
    return frozenset(found)


def network_namespaces(pids: Iterable[int]) -> frozenset[str]:
    """The network namespaces of processes, as `net:[NUMBER]`; of one that is gone there is none."""
    found = set()
    for pid in pids:
        with suppress(OSError):
            found.add(str(Path(f"/proc/{pid}/ns/net").readlink()))
    return frozenset(found)


def processes_within(namespaces: Collection[str]) -> frozenset[int]:
    """The processes that are in one of these network namespaces.

    The kernel gives the name of a namespace that is gone to the next one: to see that one is gone, look whether the
    processes that were in it are, and not for its name.
    """
    return frozenset(pid for pid in every_process() if network_namespaces([pid]) & frozenset(namespaces))


def mounted_namespaces() -> list[str]:
    """The mounts that keep a namespace without a process in it."""
    return [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if " - nsfs " in line]


def are_gone(pids: Iterable[int]) -> bool:
    """Whether none of these processes is there."""
    return not any(Path(f"/proc/{pid}").exists() for pid in pids)


def mounts_below(folder: Path, pids: Iterable[int]) -> frozenset[str]:
    """The lines about a folder in the mount tables of processes."""
    found: set[str] = set()
    for pid in pids:
        with suppress(OSError):
            lines = Path(f"/proc/{pid}/mountinfo").read_text().splitlines()
            found.update(f"{pid} {line}" for line in lines if str(folder) in line)
    return frozenset(found)


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


def every_process() -> list[int]:
    """The ids of all processes."""
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _parent(pid: int) -> int | None:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None


def _says(pid: int, word: str) -> bool:
    try:
        return pid != os.getpid() and word.encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False

"""Benchmarks of logs: what is asked of a log of 200 MB."""

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from benchmarks.engine import Counts
from benchmarks.figures import Bound, Figure, Goal, milliseconds
from task_manager.logs import LinePattern, LogFile, read_part

_BYTES: Final = 200_000_000
_LAST: Final = b"2026-01-02T03:04:05 ERROR worker-7 step 4711 failed\n"
# One with a text that every match has, one that matches nothing and has none.
_PATTERNS: Final = (r"ERROR .* step \d+ failed", r"(?i)out of memory")


def log_search(counts: Counts) -> Figure:
    """Measure the search for a pattern whose only match is the last line: the whole log is looked at."""
    with _log() as path:
        read_part(path, tail=1)
        taken = {pattern: _search(counts, path, pattern) for pattern in _PATTERNS}
    parts = {f"{pattern} ms": value for pattern, value in taken.items()}
    goal = Goal(Bound.AT_MOST, 300)
    return Figure("search in a log of 200 MB", max(taken.values()), "ms", goal, parts)


def log_tail(counts: Counts) -> Figure:
    """Measure the last 40 lines."""
    with _log() as path:
        seconds = _median(counts, lambda: read_part(path, tail=40, max_bytes=8000))
        middle = _median(counts, lambda: read_part(path, start=1_000_000, end=1_000_100))
    goal = Goal(Bound.AT_MOST, 20)
    return Figure("the end of a log of 200 MB", seconds, "ms", goal, {"range ms": middle})


def _search(counts: Counts, path: Path, pattern: str) -> float:
    return _median(counts, lambda: read_part(path, pattern=LinePattern(pattern)))


def _median(counts: Counts, call: Callable[[], object]) -> float:
    taken = []
    for _ in range(counts.rounds + 2):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return milliseconds(taken)


@contextmanager
def _log() -> Iterator[Path]:
    lines = [
        f"2026-01-02T03:{number % 60:02}:05 INFO worker-{number % 17} step {number} processed batch {number * 7919}\n"
        for number in range(20_000)
    ]
    block = "".join(lines).encode()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "stdout.log"
        log = LogFile(path)
        for _ in range(_BYTES // len(block)):
            log.write(block)
        log.write(_LAST)
        log.end()
        yield path


BENCHMARKS: Final[Mapping[str, Callable[[Counts], Figure]]] = {"log-search": log_search, "log-tail": log_tail}

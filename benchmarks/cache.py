"""Benchmarks of the cache of results: look-ups, and keys of large source folders."""

import asyncio
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from benchmarks.engine import Counts
from benchmarks.figures import Bound, Figure, Goal, milliseconds
from task_manager.caching.entries import CacheEntry
from task_manager.caching.keys import component, key_of, selection_digest
from task_manager.config import Settings
from task_manager.pipeline import HostSource
from task_manager.snapshots import Snapshots
from task_manager.workflow_cache import Found, open_cache
from task_manager.workflow_status import WorkflowStatus

_FOLDERS: Final = 100
_FILES: Final = 100
_SETTLED_SECONDS: Final = 0.1
_SOURCE: Final = HostSource(target="/task/source", exclude=(".git", ".venv", "node_modules"))


def look_up(counts: Counts) -> Figure:
    """Measure a look-up with a known key, of a result with 200 tests."""
    # In a thread: the caller has a loop already.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(_look_up(counts))).result()


def source_key(counts: Counts) -> Figure:
    """Measure the digest of a source folder of 10,000 files in which nothing changed."""
    with tempfile.TemporaryDirectory(prefix="task-manager-benchmarks-") as name:
        source, data = Path(name) / "source", Path(name) / "data"
        _make_tree(source)
        Snapshots(data).take(source, ignored=False)
        samples = [_seconds(lambda: _digest(data, source)) for _ in range(max(counts.connections, 2) + 1)]
    parts = {"first ms": samples[0] * 1000}
    goal = Goal(Bound.AT_MOST, 150)
    return Figure(f"key of {_FOLDERS * _FILES:,} unchanged files", milliseconds(samples[1:]), "ms", goal, parts)


async def _look_up(counts: Counts) -> Figure:
    entry = _entry()
    with tempfile.TemporaryDirectory(prefix="task-manager-benchmarks-") as name:
        cache = open_cache(Settings(data_dir=Path(name)), Path(name))
        await cache.put(entry)
        samples = []
        for _ in range(counts.steps):
            start = time.perf_counter()
            found = await cache.get(entry.key)
            samples.append(time.perf_counter() - start)
            if not isinstance(found, Found):
                raise LookupError("what was kept is not found")  # noqa: TRY004
        await cache.close()
    parts = {"slowest ms": max(samples) * 1000}
    return Figure("look-up in the cache, key known", milliseconds(samples), "ms", Goal(Bound.AT_MOST, 1), parts)


def _entry() -> CacheEntry:
    components = (component("parameters", {"paths": "[]"}),)
    tests = [{"name": f"test_{number}", "status": "passed", "seconds": 0.01} for number in range(200)]
    return CacheEntry(
        key=key_of(components),
        components=components,
        run_id="run-1",
        task_id="task-1",
        project_id="project-1",
        status=WorkflowStatus.SUCCEEDED,
        seconds=1,
        created_at=datetime.now(UTC),
        result={"tests": tests},
    )


def _make_tree(source: Path) -> None:
    for folder in range(_FOLDERS):
        place = source / f"package{folder}" / "inner"
        place.mkdir(parents=True)
        for file in range(_FILES):
            (place / f"module{file}.py").write_text(f"value = {folder * file}\n")
    (source / ".gitignore").write_text("*.pyc\nbuild/\n")
    # What was written just now is not trusted to be unchanged.
    time.sleep(_SETTLED_SECONDS)


def _digest(data: Path, source: Path) -> str:
    """What a new process does: it remembers what is on the disk."""
    snapshots = Snapshots(data)
    listing = snapshots.listing(snapshots.take(source, ignored=False))
    if listing is None:
        raise LookupError("what was kept is not told")
    return selection_digest(listing, _SOURCE)


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


BENCHMARKS: Final[Mapping[str, Callable[[Counts], Figure]]] = {"cache-look-up": look_up, "source-key": source_key}

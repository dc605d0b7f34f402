"""Benchmarks of the cache of results: look-ups, and keys of large source folders."""

import asyncio
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from benchmarks.engine import Counts
from benchmarks.figures import Bound, Figure, Goal, milliseconds
from task_manager.cache_queries import CacheQueries
from task_manager.caching.entries import CacheEntry
from task_manager.caching.keys import component, key_of, selection_digest
from task_manager.config import CacheSettings, Settings
from task_manager.dagger_integration import TaskWorkflowIntegration
from task_manager.pipeline import HostSource
from task_manager.snapshots import Snapshots
from task_manager.store import Store
from task_manager.task_service import TaskService
from task_manager.testing import FakeCommunicationManager, FakeEngine
from task_manager.workflow_cache import Found, open_cache
from task_manager.workflow_status import WorkflowStatus
from task_manager.workflow_templates import WorkflowTemplateRegistry

_FILES: Final = 100
_EARLIER: Final = 5
_CHANGED: Final = "package7/inner/module7.py"
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
        _make_tree(source, counts.folders)
        Snapshots(data).take(source, ignored=False)
        samples = [_seconds(lambda: _digest(data, source)) for _ in range(max(counts.connections, 2) + 1)]
    parts = {"first ms": samples[0] * 1000}
    goal = Goal(Bound.AT_MOST, 150)
    return Figure(f"key of {counts.folders * _FILES:,} unchanged files", milliseconds(samples[1:]), "ms", goal, parts)


def explain(counts: Counts) -> Figure:
    """Measure what `cache explain` asks: why a run was not answered, of whose 10,000 source files one was changed.

    There are five earlier runs of its task to be compared with, each with another environment.
    """
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(_explain(counts))).result()


async def _explain(counts: Counts) -> Figure:
    with tempfile.TemporaryDirectory(prefix="task-manager-benchmarks-") as name:
        source = Path(name) / "source"
        _make_tree(source, counts.folders)
        settings = Settings(data_dir=Path(name) / "data", cache=CacheSettings(enabled=True))
        with Store.open(settings.data_dir) as store:
            communication = FakeCommunicationManager(settings, FakeEngine())
            run_id = await _missed_run(store, communication, settings, source)
            queries = CacheQueries(store, settings, communication, WorkflowTemplateRegistry())
            samples = []
            for _ in range(counts.steps):
                start = time.perf_counter()
                found = await queries.explain(run_id)
                samples.append(time.perf_counter() - start)
                if found.compared is None or [file.path for file in found.compared.files] != [_CHANGED]:
                    raise LookupError(f"the changed file is not told: {found.compared}")
            await queries.close()
    parts = {"first ms": samples[0] * 1000}
    title = f"cache explain, one of {counts.folders * _FILES:,} files changed"
    return Figure(title, milliseconds(samples), "ms", Goal(Bound.AT_MOST, 100), parts)


async def _missed_run(store: Store, communication: FakeCommunicationManager, settings: Settings, source: Path) -> str:
    """Run a task over and over, then with one file changed; return the id of that run."""
    async with TaskWorkflowIntegration(store=store, communication=communication, settings=settings) as workflows:
        service = TaskService(store)
        project = await service.create_project("Measured", source_folder=source)
        step: dict[str, Any] = {"id": "only", "image": "busybox", "command": ["work"]}
        step["sources"] = [{"type": "host", "target": "/task/source"}]
        task = await service.create_task(project.id, "Work", pipeline={"steps": [step]})
        for number in range(_EARLIER):
            steps = [{**step, "environment": {"NUMBER": str(number)}}]
            await service.update_task(task.id, {"pipeline": {"steps": steps}})
            await workflows.wait_for_run((await workflows.execute_task_workflow(task.id)).id)
        (source / _CHANGED).write_text("value = None\n")
        return (await workflows.wait_for_run((await workflows.execute_task_workflow(task.id)).id)).id


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


def _make_tree(source: Path, folders: int) -> None:
    for folder in range(folders):
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


BENCHMARKS: Final[Mapping[str, Callable[[Counts], Figure]]] = {
    "cache-look-up": look_up,
    "source-key": source_key,
    "explain": explain,
}

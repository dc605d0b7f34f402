"""What other processes do to one database in concurrency tests."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from types import ModuleType
from typing import Final

from task_manager.errors import Conflict
from task_manager.models import Project
from task_manager.store import Connection, Store, projects, runs, tasks
from task_manager.workflow_status import WorkflowStatus
from tests.store.builders import NOW, stored_run, stored_workflow

PROCESSES: Final = 5
THREADS: Final = 10

_start: list[Barrier] = []


def prepare(start: Barrier) -> None:
    """Runs once in each process."""
    _start.append(start)


def change_one_task(data_dir: Path, url: str | None, task_id: str) -> list[str]:
    """Every thread reads the task, then changes it, all from the same revision; returns what came of each."""
    return _all_at_once(data_dir, url, lambda store, name: _change_task(store, task_id, name))


def change_one_run(data_dir: Path, url: str | None, run_id: str) -> list[str]:
    """Every thread takes the run from its first revision to `queued`; returns what came of each."""
    return _all_at_once(data_dir, url, lambda store, _: _change_run(store, run_id))


def label_one_task(data_dir: Path, url: str | None, task_id: str, process: int) -> list[str]:
    """Every thread adds a label of its own to the task, reading anew after each conflict; returns the labels."""
    return _all_at_once(data_dir, url, lambda store, name: _add(store, tasks, task_id, "labels", f"{process}-{name}"))


def warn_of_one_run(data_dir: Path, url: str | None, run_id: str, process: int) -> list[str]:
    """Every thread adds a warning of its own to the run, reading anew after each conflict; returns the warnings."""
    return _all_at_once(data_dir, url, lambda store, name: _add(store, runs, run_id, "warnings", f"{process}-{name}"))


def count_up(data_dir: Path, url: str | None, project_id: str, times: int) -> int:
    """Adds one to the project's count again and again, reading anew after a conflict; returns the conflicts."""
    with Store.open(data_dir, url) as store:
        _start[0].wait()
        return sum(_add_one(store, project_id) for _ in range(times))


def create_runs(data_dir: Path, url: str | None, count: int) -> list[str]:
    """Creates runs, each with its event; returns their ids."""
    with Store.open(data_dir, url) as store:
        workflow = stored_workflow(store)
        _start[0].wait()
        return [stored_run(store, workflow).id for _ in range(count)]


def open_store(data_dir: Path, url: str | None) -> int:
    """Opens the store at the same time as the other processes; returns how many projects it sees."""
    _start[0].wait()
    with Store.open(data_dir, url) as store:
        return len(store.run_sync(projects.list_).items)


def _all_at_once(data_dir: Path, url: str | None, act: Callable[[Store, str], str]) -> list[str]:
    with Store.open(data_dir, url) as store, ThreadPoolExecutor(THREADS) as threads:
        _start[0].wait()
        return list(threads.map(lambda number: act(store, f"{number}"), range(THREADS)))


def _change_task(store: Store, task_id: str, description: str) -> str:
    try:
        task = store.run_sync(tasks.get, task_id).model_copy(update={"revision": 1, "description": description})
        store.run_sync(tasks.update, task)
    except Conflict as error:
        return error.message
    return "changed"


def _change_run(store: Store, run_id: str) -> str:
    try:
        store.run_sync(runs.transition, run_id, WorkflowStatus.QUEUED, now=NOW, expected_revision=1)
    except Conflict as error:
        return error.message
    return "changed"


def _add(store: Store, kind: ModuleType, record_id: str, field: str, text: str) -> str:
    while True:
        record = store.run_sync(kind.get, record_id)
        try:
            store.run_sync(kind.update, record.evolve(**{field: (*getattr(record, field), text)}))
        except Conflict:
            continue
        return text


def _add_one(store: Store, project_id: str) -> int:
    conflicts = 0
    while True:
        project = store.run_sync(projects.get, project_id)
        try:
            store.run_sync(_set_count, project)
        except Conflict:
            conflicts += 1
        else:
            return conflicts


def _set_count(c: Connection, project: Project) -> None:
    count = project.metadata["count"]
    assert isinstance(count, int)
    projects.update(c, project.evolve(metadata={"count": count + 1}))

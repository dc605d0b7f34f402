"""Benchmarks of the store, on SQLite in a folder of its own."""

import contextlib
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine, bindparam, create_engine, event, insert, text, update
from tests.store.builders import NOW, stored_run, stored_workflow

from benchmarks.engine import Counts
from benchmarks.figures import Bound, Figure, Goal, milliseconds
from task_manager.models import WorkflowRun
from task_manager.store import Store, run_queries, runs, tables
from task_manager.store.database import DATABASE_FILE
from task_manager.workflow_status import WorkflowStatus

_LIFE: Final = (
    WorkflowStatus.QUEUED,
    WorkflowStatus.PREPARING,
    WorkflowStatus.RUNNING,
    WorkflowStatus.PROCESSING,
    WorkflowStatus.SUCCEEDED,
)
_SERIES: Final = "WITH RECURSIVE series(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < :count)"
_OWN_VALUES: Final = {
    "id": "'run-' || printf('%09d', n)",
    "status": "CASE n % 10 WHEN 0 THEN 'failed' ELSE 'succeeded' END",
    "seconds": "n % 997 / 7.0",
    "steps_cached": "n % 3",
    "steps_counted": "3",
}

_columns = tables.runs.c
_bare_update = (
    update(tables.runs)
    .where(_columns.id == bindparam("known_id"), _columns.revision == bindparam("known_revision"))
    .values(status=bindparam("to"), updated_at=bindparam("now"), revision=bindparam("next_revision"))
)
_bare_insert = insert(tables.events)


def transitions(counts: Counts) -> Figure:
    """Measure runs that go from `created` to `succeeded` against bare transactions of SQLAlchemy, in turns.

    A bare one is an UPDATE of the run and an INSERT of an event, all values given: nothing is read, decided or checked,
    no task follows, no record is made.
    """
    lives, floors = [], []
    with opened_store() as store, _bare_engine(store) as engine:
        workflow = stored_workflow(store)
        for _ in range(counts.lives):
            one, other = stored_run(store, workflow), stored_run(store, workflow)
            floors.append(_seconds(partial(_bare_life, engine, one)))
            lives.append(_seconds(partial(_life, store, other)))
    rate, floor = len(_LIFE) / statistics.median(lives), len(_LIFE) / statistics.median(floors)
    goal = Goal(Bound.AT_LEAST, 0.67)
    parts = {"transitions /s": rate, "bare /s": floor}
    return Figure("stored transitions / bare transactions", rate / floor, "x", goal, parts)


def newest_runs(counts: Counts) -> Figure:
    """Measure the first page of all runs."""
    with filled_store(counts.stored_runs) as store:
        samples = [_seconds(lambda: store.run_sync(run_queries.list_)) for _ in range(counts.steps)]
    return Figure(
        f"newest 50 of {counts.stored_runs:,} runs",
        milliseconds(samples),
        "ms",
        Goal(Bound.AT_MOST, 10),
        {"slowest ms": max(samples) * 1000},
    )


def run_statistics(counts: Counts) -> Figure:
    """Measure the statistics of all runs."""
    with filled_store(counts.stored_runs) as store:
        samples = [_seconds(lambda: store.run_sync(run_queries.statistics)) for _ in range(counts.connections)]
    return Figure(
        f"statistics of {counts.stored_runs:,} runs",
        milliseconds(samples),
        "ms",
        Goal(Bound.AT_MOST, 300),
        {"slowest ms": max(samples) * 1000},
    )


def growth(counts: Counts) -> Figure:
    """Measure the first page and a run's state among 100, 10,000 and as many runs as there are at most."""
    pages, states = {}, {}
    for count in (100, 10_000, counts.stored_runs):
        with filled_store(count) as store:
            pages[count], states[count] = _page_and_run(store, counts.steps)
    parts = {f"{what} at {count:,} ms": of[count] for what, of in (("page", pages), ("run", states)) for count in of}
    few, many = 100, counts.stored_runs
    ratio = max(pages[many] / pages[few], states[many] / states[few])
    return Figure(f"page or run at {many:,} runs / at {few}", ratio, "x", Goal(Bound.AT_MOST, 2), parts)


def _page_and_run(store: Store, times: int) -> tuple[float, float]:
    """Milliseconds of the first page, and of a run's state."""
    last = store.run_sync(run_queries.list_).items[-1].id
    pages = [_seconds(lambda: store.run_sync(run_queries.list_)) for _ in range(times)]
    return milliseconds(pages), milliseconds([_seconds(lambda: store.run_sync(runs.get, last)) for _ in range(times)])


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _life(store: Store, run: WorkflowRun) -> None:
    for status in _LIFE:
        store.run_sync(runs.transition, run.id, status, now=NOW)


def _bare_life(engine: Engine, run: WorkflowRun) -> None:
    about = {"run_id": run.id, "task_id": run.task_id, "project_id": run.project_id, "time": NOW}
    told = {"kind": "run_status", "actor": "local", "attempt": 1, "previous": run.status.value, "reason": None}
    for revision, status in enumerate(_LIFE, start=1):
        key = {"known_id": run.id, "known_revision": revision}
        with engine.begin() as c:
            c.execute(_bare_update, {**key, "to": status.value, "now": NOW, "next_revision": revision + 1})
            c.execute(_bare_insert, {**about, **told, "status": status.value, "run_sequence": revision + 1})


@contextlib.contextmanager
def opened_store() -> Iterator[Store]:
    """An empty store in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="task-manager-benchmarks-") as name, Store.open(Path(name)) as store:
        yield store


@contextlib.contextmanager
def filled_store(count: int) -> Iterator[Store]:
    """A store with so many ended runs, copies of one."""
    with opened_store() as store:
        fill(store, count)
        yield store


def fill(store: Store, count: int) -> None:
    """Store so many ended runs, copies of one."""
    run = stored_run(store)
    _life(store, run)
    store.run_sync(_copy, run.id, count)


def _copy(c: Connection, run_id: str, count: int) -> None:
    names = [column.name for column in tables.runs.c]
    values = ", ".join(_OWN_VALUES.get(name, name) for name in names)
    copied = f"SELECT {values} FROM runs, series WHERE id = :run_id"  # noqa: S608 - all of it stands in this module
    c.execute(text(f"{_SERIES} INSERT INTO runs ({', '.join(names)}) {copied}"), {"run_id": run_id, "count": count - 1})


@contextlib.contextmanager
def _bare_engine(store: Store) -> Iterator[Engine]:
    """SQLAlchemy as it comes, on the same file, as safe and as fast on the disk as the store."""
    engine = create_engine(f"sqlite:///{store.data_dir / DATABASE_FILE}")
    event.listen(engine, "connect", lambda connection, _record: connection.execute("PRAGMA synchronous = NORMAL"))
    event.listen(engine, "connect", lambda connection, _record: connection.execute("PRAGMA foreign_keys = ON"))
    try:
        yield engine
    finally:
        engine.dispose()


BENCHMARKS: Final[Mapping[str, Callable[[Counts], Figure]]] = {
    "transitions": transitions,
    "newest-runs": newest_runs,
    "growth": growth,
    "statistics": run_statistics,
}

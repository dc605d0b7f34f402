"""Several processes and threads at one database: nothing is lost, nothing is missed, and who loses is told so."""

import multiprocessing
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import psycopg
import pytest
from psycopg import sql

from task_manager.errors import InvalidTransition
from task_manager.models import Event
from task_manager.store import Connection, Store, events, projects, runs, tasks
from task_manager.workflow_status import WorkflowStatus
from tests.environment.postgresql import PostgresqlServer
from tests.store import writers
from tests.store.builders import NOW, a_run, stored_project, stored_run, stored_task, stored_workflow
from tests.store.conftest import Database


@pytest.fixture(scope="module")
def processes() -> Iterator[ProcessPoolExecutor]:
    """Processes that share nothing with this one but the database; each takes one job at a time."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([writers.__name__])
    start = context.Barrier(writers.PROCESSES)
    with ProcessPoolExecutor(writers.PROCESSES, context, writers.prepare, (start,)) as pool:
        yield pool


@pytest.mark.parametrize("job", [writers.change_one_task, writers.change_one_run])
def test_of_fifty_writers_with_one_revision_exactly_one_wins(
    processes: ProcessPoolExecutor, database: Database, store: Store, job: Callable[..., list[str]]
) -> None:
    """Each of the others gets a conflict that names both revisions."""
    run = stored_run(store)
    of_task = job is writers.change_one_task
    record_id = run.task_id if of_task else run.id
    jobs = [processes.submit(job, database.data_dir, database.url, record_id) for _ in range(writers.PROCESSES)]
    outcomes = [outcome for future in jobs for outcome in future.result()]
    assert len(outcomes) == 50
    assert outcomes.count("changed") == 1
    assert sum("has revision 2, not 1" in outcome for outcome in outcomes) == 49
    changed = store.run_sync(tasks.get, record_id) if of_task else store.run_sync(runs.get, record_id)
    assert changed.revision == 2
    assert len(store.run_sync(events.after, 0, run_id=run.id)) == (1 if of_task else 2)


@pytest.mark.parametrize("job", [writers.label_one_task, writers.warn_of_one_run])
def test_fifty_writers_that_try_again_all_get_their_change_in(
    processes: ProcessPoolExecutor, database: Database, store: Store, job: Callable[..., list[str]]
) -> None:
    """No change of one undoes that of another, and each takes one revision."""
    run = stored_run(store)
    of_task = job is writers.label_one_task
    record_id = run.task_id if of_task else run.id
    jobs = [processes.submit(job, database.data_dir, database.url, record_id, n) for n in range(writers.PROCESSES)]
    added = [text for future in jobs for text in future.result()]
    assert len(set(added)) == 50
    task, changed = store.run_sync(tasks.get, run.task_id), store.run_sync(runs.get, run.id)
    assert sorted(task.labels if of_task else changed.warnings) == sorted(added)
    assert (task.revision, changed.revision) == ((51, 1) if of_task else (1, 51))


def test_no_update_is_lost(processes: ProcessPoolExecutor, database: Database, store: Store) -> None:
    """Writers that read anew after each conflict all get their changes in."""
    project = stored_project(store, metadata={"count": 0})
    arguments = (database.data_dir, database.url, project.id, 20)
    jobs = [processes.submit(writers.count_up, *arguments) for _ in range(writers.PROCESSES)]
    conflicts = sum(future.result() for future in jobs)
    counted = store.run_sync(projects.get, project.id)
    assert counted.metadata == {"count": 20 * writers.PROCESSES}
    assert counted.revision == 1 + 20 * writers.PROCESSES
    assert conflicts > 0


def test_a_reader_that_follows_the_log_misses_nothing(
    processes: ProcessPoolExecutor, database: Database, store: Store
) -> None:
    """It asks for what comes after the last number that it saw, while several processes append."""
    jobs = [
        processes.submit(writers.create_runs, database.data_dir, database.url, 40) for _ in range(writers.PROCESSES)
    ]
    seen: list[Event] = []
    over = False
    while not over:
        over = all(job.done() for job in jobs)
        while page := store.run_sync(events.after, seen[-1].sequence if seen else 0, limit=7):
            seen.extend(page)
    created = [run_id for job in jobs for run_id in job.result()]
    assert sorted(event.run_id for event in seen) == sorted(created)


def test_processes_that_open_an_empty_database_together_all_get_it(
    processes: ProcessPoolExecutor, database: Database, request: pytest.FixtureRequest
) -> None:
    url = database.url
    if url is not None:
        server: PostgresqlServer = request.getfixturevalue("postgresql")
        url = server.url(server.new_database())
    jobs = [processes.submit(writers.open_store, database.data_dir, url) for _ in range(writers.PROCESSES)]
    assert [job.result() for job in jobs] == [0] * writers.PROCESSES


def test_an_event_waits_for_earlier_numbers_to_be_committed(postgresql_database: Database) -> None:
    """On PostgreSQL a transaction that appends waits for the one that appended before, so no reader sees a gap."""
    first_appended, first_may_end = threading.Event(), threading.Event()

    def append_and_wait(c: Connection) -> None:
        runs.create(c, first)
        first_appended.set()
        assert first_may_end.wait(30)

    with postgresql_database.open() as store, ThreadPoolExecutor(2) as threads:
        workflow = stored_workflow(store)
        first, second = a_run(workflow), a_run(workflow)
        one = threads.submit(store.run_sync, append_and_wait)
        assert first_appended.wait(30)
        two = threads.submit(store.run_sync, runs.create, second)
        assert postgresql_database.url is not None
        wait_until_a_lock_is_wanted(postgresql_database.url)
        assert store.run_sync(events.after, 0) == ()
        first_may_end.set()
        one.result(30)
        two.result(30)
        assert [event.run_id for event in store.run_sync(events.after, 0)] == [first.id, second.id]


def test_a_deadlock_ends_with_both_transactions_done(postgresql_database: Database) -> None:
    """PostgreSQL ends one of two transactions that wait for each other; the store runs it again."""
    both_hold_one = threading.Barrier(2)
    begun: list[str] = []

    def lock_both(c: Connection, first: str, second: str) -> None:
        tasks.lock(c, first)
        begun.append(first)
        if begun.count(first) == 1:
            both_hold_one.wait(30)
        tasks.update(c, tasks.lock(c, second))

    with postgresql_database.open() as store, ThreadPoolExecutor(2) as threads:
        one, two = (stored_task(store).id for _ in range(2))
        there = threads.submit(store.run_sync, lock_both, one, two)
        back = threads.submit(store.run_sync, lock_both, two, one)
        there.result(30)
        back.result(30)
        assert [store.run_sync(tasks.get, task_id).revision for task_id in (one, two)] == [2, 2]
    assert len(begun) > 2, "no transaction was run again"


def test_a_reader_does_not_wait_for_a_writer(store: Store) -> None:
    """It sees what was committed before."""
    project = stored_project(store)
    changed, may_end = threading.Event(), threading.Event()

    def change_and_wait(c: Connection) -> None:
        projects.update(c, project.evolve(description="new"))
        changed.set()
        assert may_end.wait(30)

    with ThreadPoolExecutor(1) as threads:
        writer = threads.submit(store.run_sync, change_and_wait)
        assert changed.wait(30)
        assert store.run_sync(projects.get, project.id) == project
        may_end.set()
        writer.result(30)
    assert store.run_sync(projects.get, project.id).description == "new"


def test_a_change_that_several_want_at_once_happens_once(store: Store) -> None:
    """The table refuses it to all but the first."""
    run = stored_run(store)

    def queue() -> bool:
        try:
            store.run_sync(runs.transition, run.id, WorkflowStatus.QUEUED, now=NOW)
        except InvalidTransition:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        assert sum(job.result() for job in [threads.submit(queue) for _ in range(8)]) == 1
    assert len(store.run_sync(events.after, 0, run_id=run.id)) == 2


def wait_until_a_lock_is_wanted(url: str) -> None:
    """Returns when a transaction waits for an advisory lock."""
    waiting = sql.SQL("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
    with psycopg.connect(url, autocommit=True) as connection:
        while not (found := connection.execute(waiting).fetchone()) or not found[0]:
            pass

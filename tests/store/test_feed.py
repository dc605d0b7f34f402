"""Following the event log: nothing is missed or doubled, whoever writes, and nothing is left behind."""

import asyncio
import contextlib
import gc
import sqlite3
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import ProcessPoolExecutor

import psycopg
import pytest

from task_manager.errors import InvalidInput, NotFound
from task_manager.models import Event
from task_manager.store import EventFeed, Store, events, projects, runs
from task_manager.workflow_status import WorkflowStatus
from tests.environment.processes import until
from tests.store import writers
from tests.store.builders import NOW, stored_phase, stored_project, stored_run, stored_task, stored_workflow
from tests.store.conftest import Database
from tests.store.test_concurrency import processes

__all__ = ["processes"]

SECONDS = 20


async def take(subscription: AsyncGenerator[Event], count: int) -> list[Event]:
    """The next events, within a time in which even a busy machine delivers them."""
    async with asyncio.timeout(SECONDS):
        return [await anext(subscription) for _ in range(count)]


@pytest.fixture
def other_store(database: Database, store: Store) -> Iterator[Store]:
    """Another way to the same database, as another process has it: it gives this one's feed no hint."""
    with database.open() as opened:
        yield opened


async def test_followers_get_every_event_of_several_processes_once_and_in_order(
    processes: ProcessPoolExecutor, database: Database, store: Store
) -> None:
    """Each starts at another moment, one of them when everything is written."""
    expected = writers.PROCESSES * 40

    async def follow() -> list[Event]:
        async with contextlib.aclosing(store.feed.subscribe()) as subscription:
            return await take(subscription, expected)

    early = [asyncio.create_task(follow()) for _ in range(2)]
    jobs = [
        processes.submit(writers.create_runs, database.data_dir, database.url, 40) for _ in range(writers.PROCESSES)
    ]
    seen = await asyncio.gather(*early)
    created = [run_id for job in jobs for run_id in job.result()]
    seen.append(await follow())
    for one in seen:
        assert sorted(event.run_id for event in one) == sorted(created)
        assert [event.sequence for event in one] == sorted(event.sequence for event in one)


@pytest.mark.alone
async def test_what_another_process_writes_comes_soon(store: Store, other_store: Store) -> None:
    """Long before the log is read without a signal."""
    workflow = stored_workflow(store)
    stored_run(store, workflow)
    subscription = store.feed.subscribe()
    await take(subscription, 1)
    for _ in range(3):
        arriving = asyncio.create_task(take(subscription, 1))
        await asyncio.sleep(0)
        began = time.monotonic()
        written = await asyncio.to_thread(stored_run, other_store, workflow)
        (event,) = await arriving
        assert event.run_id == written.id
        assert time.monotonic() - began < 2
    await subscription.aclose()


async def test_what_this_process_writes_comes_without_the_signal(store: Store) -> None:
    feed = EventFeed(store, Silence(), latest=3600)
    store.feed = feed
    run = stored_run(store)
    subscription = feed.subscribe(run_id=run.id)
    await take(subscription, 1)
    arriving = asyncio.create_task(take(subscription, 1))
    await asyncio.sleep(0.05)
    await store.run(runs.transition, run.id, WorkflowStatus.QUEUED, now=NOW)
    (event,) = await arriving
    assert event.status is WorkflowStatus.QUEUED
    await subscription.aclose()


async def test_who_asks_for_changes_hears_of_those_that_append_no_event(store: Store, other_store: Store) -> None:
    """Of projects, phases and tasks, made, changed and removed in another process."""
    stored_run(store)
    project = stored_project(store)
    changes: tuple[Callable[[], object], ...] = (
        lambda: stored_phase(other_store, project),
        lambda: stored_task(other_store, project),
        lambda: other_store.run_sync(projects.pause, project.id, now=NOW),
        lambda: other_store.run_sync(projects.delete, project.id),
    )
    async with contextlib.aclosing(store.feed.pages(changes=True)) as pages:
        assert await anext(pages)
        for change in changes:
            arriving = asyncio.ensure_future(anext(pages))
            await asyncio.to_thread(change)
            async with asyncio.timeout(SECONDS):
                assert await arriving == ()


async def test_without_any_signal_the_log_is_read_after_a_while(store: Store, other_store: Store) -> None:
    feed = EventFeed(store, Silence(), latest=0.05)
    run = stored_run(other_store)
    subscription = feed.subscribe()
    await take(subscription, 1)
    await other_store.run(runs.transition, run.id, WorkflowStatus.QUEUED, now=NOW)
    assert (await take(subscription, 1))[0].status is WorkflowStatus.QUEUED
    await subscription.aclose()


async def test_a_follower_begins_after_any_number_and_gets_its_run_or_project_alone(store: Store) -> None:
    project = stored_project(store)
    mine = stored_run(store, stored_workflow(store, stored_task(store, project)))
    other = stored_run(store)
    for run in (mine, other):
        store.run_sync(runs.transition, run.id, WorkflowStatus.QUEUED, now=NOW)
    log = store.run_sync(events.after, 0)
    for after in range(len(log)):
        for chosen in ({}, {"run_id": mine.id}, {"project_id": project.id}):
            expected = [event for event in log if event.sequence > after and (not chosen or event.run_id == mine.id)]
            async with contextlib.aclosing(store.feed.subscribe(after=after, **chosen)) as subscription:
                assert await take(subscription, len(expected)) == expected


@pytest.mark.parametrize(
    ("arguments", "error"),
    [({"run_id": "run-0"}, NotFound), ({"project_id": "project-0"}, NotFound), ({"after": -1}, InvalidInput)],
)
async def test_what_cannot_be_followed_is_refused(
    store: Store, arguments: dict[str, object], error: type[Exception]
) -> None:
    with pytest.raises(error):
        await anext(store.feed.subscribe(**arguments))  # type: ignore[arg-type]


async def test_a_cancelled_follower_leaves_no_task_thread_or_connection_behind(
    database: Database, store: Store
) -> None:
    """Ten followers have one connection between them, which is closed with the last."""
    run = stored_run(store)
    tasks_before = len(asyncio.all_tasks())
    begun: list[str] = []

    async def follow() -> None:
        async for event in store.feed.subscribe(run_id=run.id):
            begun.append(event.run_id)  # noqa: PERF401 - it never ends

    followers = [asyncio.create_task(follow()) for _ in range(10)]
    await until(lambda: len(begun) == len(followers))
    following, threads = open_connections(database), threading.active_count()
    for follower in followers:
        follower.cancel()
    await asyncio.wait(followers)
    await until(lambda: open_connections(database) == following - 1)
    assert len(asyncio.all_tasks()) == tasks_before
    assert threading.active_count() <= threads


async def test_a_listener_whose_connection_was_ended_listens_again(
    postgresql_database: Database, shared_database: str
) -> None:
    with postgresql_database.open() as store, postgresql_database.open() as other:
        run = stored_run(store)
        subscription = store.feed.subscribe()
        await take(subscription, 1)
        with psycopg.connect(shared_database, autocommit=True) as administrator:
            ended = administrator.execute(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name LIKE '%feed'"
            ).fetchone()
        assert ended == (1,)
        await other.run(runs.transition, run.id, WorkflowStatus.QUEUED, now=NOW)
        assert (await take(subscription, 1))[0].status is WorkflowStatus.QUEUED
        await subscription.aclose()


class Silence:
    """A signal that never comes."""

    async def changes(self) -> AsyncGenerator[None]:
        yield
        await asyncio.Event().wait()


def open_connections(database: Database) -> int:
    """How many connections of this process to SQLite there are, or to PostgreSQL that wait for changes."""
    if database.url is None:
        # Its files tell nothing: SQLite keeps them open while another connection of the process has locks.
        return sum(isinstance(found, sqlite3.Connection) and _is_open(found) for found in gc.get_objects())
    with psycopg.connect(database.url) as connection:
        found = connection.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE '%feed'")
        row = found.fetchone()
    return int(row[0]) if row else 0


def _is_open(connection: sqlite3.Connection) -> bool:
    try:
        return connection.total_changes >= 0
    except sqlite3.ProgrammingError:
        return False

"""The store runs operations, each in one transaction, on threads of its own."""

import asyncio
import contextvars
import sqlite3
import threading
from pathlib import Path

import pytest

from task_manager.errors import Conflict, NotFound, StoreError, StoreUnwritable
from task_manager.models import Project
from task_manager.store import Connection, Store, projects, read_only
from task_manager.store.database import DATABASE_FILE
from tests.store.builders import a_project, stored_project

asked_by: contextvars.ContextVar[str] = contextvars.ContextVar("asked_by")


def insert_two(c: Connection, first: Project, second: Project) -> None:
    projects.insert(c, first)
    projects.insert(c, second)


@read_only
def insert_as_reader(c: Connection, project: Project) -> None:
    projects.insert(c, project)


async def test_an_operation_runs_on_a_thread_of_the_store_in_the_callers_context(store: Store) -> None:
    asked_by.set("ada")
    assert await store.run(lambda _: asked_by.get()) == "ada"
    assert await store.run(lambda _: threading.current_thread().name) != threading.current_thread().name


async def test_the_event_loop_goes_on_meanwhile(store: Store) -> None:
    """The operation ends only after something that the loop does."""
    released = threading.Event()
    waiting = asyncio.create_task(store.run(lambda _: released.wait(30)))
    await asyncio.sleep(0)
    assert not waiting.done()
    released.set()
    assert await waiting


async def test_its_errors_reach_the_caller_as_they_are(store: Store) -> None:
    with pytest.raises(NotFound):
        await store.run(projects.get, "project-none")
    with pytest.raises(ZeroDivisionError):
        await store.run(lambda _: 1 // 0)


def test_an_operation_is_done_whole_or_not_at_all(store: Store) -> None:
    first = a_project()
    with pytest.raises(Conflict):
        store.run_sync(insert_two, first, first.evolve(name="Another"))
    assert store.run_sync(projects.list_).items == ()


def test_what_says_that_it_only_reads_cannot_write(store: Store) -> None:
    with pytest.raises(StoreUnwritable):
        store.run_sync(insert_as_reader, a_project())
    stored_project(store)
    assert len(store.run_sync(projects.list_).items) == 1


async def test_a_closed_store_says_so(store: Store) -> None:
    store.close()
    store.close()
    with pytest.raises(StoreError, match="is closed"):
        await store.run(projects.list_)
    with pytest.raises(StoreError, match="is closed"):
        store.run_sync(projects.list_)


async def test_closing_waits_for_what_runs(store: Store) -> None:
    running = asyncio.create_task(store.run(projects.insert, a_project()))
    await asyncio.sleep(0)
    await asyncio.to_thread(store.close)
    assert (await running).revision == 1


def test_a_database_that_another_program_keeps_is_busy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("task_manager.store.database.BUSY_SECONDS", 0.1)
    with Store.open(tmp_path) as store:
        other = sqlite3.connect(tmp_path / DATABASE_FILE, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="is busy") as caught:
            stored_project(store)
        assert str(tmp_path) in caught.value.message
        assert store.run_sync(projects.list_).items == ()
        other.close()
        stored_project(store)


def setting(c: Connection, name: str) -> object:
    return c.exec_driver_sql(f"PRAGMA {name}").scalar()


def test_every_connection_keeps_references_and_the_write_ahead_log(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        names = ("journal_mode", "foreign_keys", "synchronous", "busy_timeout")
        settings = {name: store.run_sync(setting, name) for name in names}
    assert settings == {"journal_mode": "wal", "foreign_keys": 1, "synchronous": 1, "busy_timeout": 30_000}

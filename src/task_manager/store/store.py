"""The store: opens the database and runs operations on it, each in one transaction."""

import asyncio
import contextlib
import contextvars
import functools
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Concatenate, Final, ParamSpec, TypeVar

from sqlalchemy import URL, Connection
from sqlalchemy.exc import DBAPIError

from task_manager.errors import StoreError, StoreUnwritable
from task_manager.store.database import (
    DATABASE_FILE,
    Engines,
    create_sqlite,
    is_read_only,
    open_postgresql,
    open_sqlite,
    parse_url,
)
from task_manager.store.faults import is_deadlock, translated
from task_manager.store.feed import EventFeed
from task_manager.store.signals import PostgresqlSignal, SqliteSignal
from task_manager.store.upgrade import upgrade

P = ParamSpec("P")
T = TypeVar("T")

_THREADS: Final = 8
_ATTEMPTS: Final = 5


class Store:
    """Runs operations, which are functions whose first argument is the transaction's connection.

    Operations live in this package's modules, one for each subject; callers may write their own from them, so that
    changes that belong together are one transaction. On PostgreSQL an operation may be run again after a deadlock, so
    it must have no effect outside of the database.

    Attributes:
        data_dir: The data folder.
        place: The database, as people know it: a path, or an address without a password.
        feed: Follows the event log.
    """

    def __init__(self, data_dir: Path, place: str, engines: Engines) -> None:
        """Take a database that is up to date; use `Store.open`."""
        self.data_dir = data_dir
        self.place = place
        self._engines = engines
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="store")
        self._closed = False
        # SQLite has one writer at a time and makes the others poll; inside this process they queue here instead, and
        # so one connection is enough for them: it is kept, for to get one takes a tenth of a short transaction.
        self._turn = threading.Lock() if engines.writer.dialect.name == "sqlite" else None
        self._writer: Connection | None = None
        self.feed = EventFeed(self, _signal(engines.reader.url))

    @classmethod
    def open(cls, data_dir: Path, database_url: str | None = None) -> "Store":
        """Open the store, and create or upgrade its database where that is needed.

        Args:
            data_dir: The data folder; created, for its owner alone, when it is not there.
            database_url: The address of a PostgreSQL database; none: SQLite in the data folder.

        Raises:
            InvalidConfiguration: The address cannot be used.
            StoreUnwritable: The folder or the database cannot be written.
            StoreFull: The disk is full.
            StoreVersionMismatch: The database has a version that this software does not know.
            StoreError: The database cannot be reached, is damaged, or is none.
        """
        data_dir = data_dir.absolute()
        _prepare_folder(data_dir)
        place, engines = _open_database(data_dir, database_url)
        try:
            with translated(place):
                upgrade(engines, place)
        except BaseException:
            engines.dispose()
            raise
        return cls(data_dir, place, engines)

    async def run(self, operation: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run an operation in one transaction, on the store's own threads.

        When the waiting task is cancelled, the transaction is not: it may still be committed.

        Args:
            operation: What to do; its first argument is the connection.
            args: The operation's other arguments.
            kwargs: The operation's keyword arguments.

        Returns:
            What the operation returns.

        Raises:
            TaskManagerError: What the operation raises; nothing is changed then.
            StoreError: The database cannot do it, or the store is closed.
        """
        self._check_open()
        call = functools.partial(self.run_sync, operation, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._threads, contextvars.copy_context().run, call)

    def run_sync(self, operation: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run an operation in one transaction, in the calling thread; see `run`."""
        self._check_open()
        with translated(self.place):
            for attempt in range(1, _ATTEMPTS + 1):
                try:
                    with self._transaction(operation) as c:
                        return operation(c, *args, **kwargs)
                except DBAPIError as error:
                    if attempt == _ATTEMPTS or not is_deadlock(error):
                        raise
        raise AssertionError("the last attempt returns or raises")

    def close(self) -> None:
        """Wait for running operations and close all connections; again does nothing."""
        self._closed = True
        self._threads.shutdown()
        if self._turn is not None:
            with self._turn:
                if self._writer is not None:
                    self._writer.close()
                    self._writer = None
        self._engines.dispose()

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    @contextlib.contextmanager
    def _transaction(self, operation: Callable[..., object]) -> Iterator[Connection]:
        if is_read_only(operation):
            with self._engines.reader.begin() as c:
                yield c
        else:
            with self._writing() as c:
                yield c
            self.feed.notify()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[Connection]:
        if self._turn is None:
            with self._engines.writer.begin() as c:
                yield c
            return
        with self._turn:
            if self._writer is None:
                self._writer = self._engines.writer.connect()
            with self._writer.begin():
                yield self._writer

    def _check_open(self) -> None:
        if self._closed:
            raise StoreError(f"The store {self.place} is closed.", remedy="Open it again.")


def _signal(url: URL) -> SqliteSignal | PostgresqlSignal:
    return SqliteSignal(Path(url.database or "")) if url.drivername == "sqlite" else PostgresqlSignal(url)


def _prepare_folder(folder: Path) -> None:
    with translated(str(folder)):
        if folder.exists() and not folder.is_dir():
            raise StoreUnwritable(f"{folder} is not a folder.", remedy="Choose another data folder.")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise StoreUnwritable(
            f"The data folder {folder} cannot be written by this user.",
            remedy="Make it yours to write, or choose another data folder.",
            details={"place": str(folder)},
        )


def _open_database(data_dir: Path, database_url: str | None) -> tuple[str, Engines]:
    """The database's name for people, and its engines."""
    if database_url is not None:
        url = parse_url(database_url)
        return url.render_as_string(hide_password=True), open_postgresql(url)
    file = data_dir / DATABASE_FILE
    with translated(str(file)):
        create_sqlite(file)
    return str(file), open_sqlite(file)

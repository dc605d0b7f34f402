"""Connections to the database: SQLite in a data folder, or a PostgreSQL server."""

import functools
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError

from task_manager.errors import InvalidConfiguration
from task_manager.store.faults import BUSY_SECONDS

DATABASE_FILE: Final = "task-manager.db"
POSTGRESQL_SCHEMES: Final = ("postgresql", "postgres", "postgresql+psycopg")

_POOL_SIZE: Final = 8
_READS: Final = "task_manager_reads"

_to_json = functools.partial(json.dumps, allow_nan=False, separators=(",", ":"))

F = TypeVar("F", bound=Callable[..., Any])


def read_only(operation: F) -> F:
    """Mark an operation that writes nothing, so that it neither waits for writers nor keeps them waiting."""
    setattr(operation, _READS, True)
    return operation


def is_read_only(operation: Callable[..., Any]) -> bool:
    """Whether an operation was marked as one that writes nothing."""
    return getattr(operation, _READS, False) is True


def sqlite_engine(file: Path) -> Engine:
    """The engine for an SQLite file in WAL mode, with foreign keys, a busy time-out and our own BEGIN."""
    engine = create_engine(
        URL.create("sqlite", database=str(file)),
        connect_args={"timeout": BUSY_SECONDS, "isolation_level": None},
        pool_size=_POOL_SIZE,
        max_overflow=-1,
        json_serializer=_to_json,
    )
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def postgresql_engine(url: URL) -> Engine:
    """The engine for a PostgreSQL database, by psycopg.

    Raises:
        InvalidConfiguration: psycopg is not installed.
    """
    try:
        return create_engine(
            url.set(drivername="postgresql+psycopg"),
            connect_args={
                "connect_timeout": 10,
                "application_name": "task-manager",
                "options": f"-c lock_timeout={BUSY_SECONDS}s",
            },
            pool_size=_POOL_SIZE,
            max_overflow=-1,
            pool_pre_ping=True,
            json_serializer=_to_json,
        )
    except ModuleNotFoundError as error:
        raise InvalidConfiguration(
            "PostgreSQL needs the package psycopg, which is not installed.",
            remedy="Install task-manager-dagger[postgresql].",
        ) from error


def parse_url(text: str) -> URL:
    """The address of a PostgreSQL database.

    Raises:
        InvalidConfiguration: It is not one.
    """
    remedy = "Use postgresql://USER:PASSWORD@HOST:PORT/DATABASE, or no database URL for SQLite in the data folder."
    try:
        url = make_url(text)
    except (ArgumentError, ValueError) as error:
        raise InvalidConfiguration("The database URL cannot be understood.", remedy=remedy) from error
    if url.drivername not in POSTGRESQL_SCHEMES:
        raise InvalidConfiguration(f"Databases of the kind {url.drivername!r} are not supported.", remedy=remedy)
    return url


def reader(engine: Engine) -> Engine:
    """The same database and connections, for transactions that only read, each seeing one moment."""
    if engine.dialect.name == "sqlite":
        return engine.execution_options(**{_READS: True})
    return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA foreign_keys = ON")
    # With a write-ahead log this loses no integrity; a power cut may lose the newest transactions, a crash none.
    connection.execute("PRAGMA synchronous = NORMAL")


def _begin_sqlite(c: Connection) -> None:
    reads = c.get_execution_options().get(_READS, False)
    c.exec_driver_sql(f"PRAGMA query_only = {'ON' if reads else 'OFF'}")
    # A writer says so at once: one that had begun as a reader could only fail when somebody else wrote meanwhile.
    c.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")

"""Connections to the database: SQLite in a data folder, or a PostgreSQL server."""

import contextlib
import fcntl
import json
import os
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError

from task_manager.errors import InvalidConfiguration, InvalidInput
from task_manager.store.faults import BUSY_SECONDS

DATABASE_FILE: Final = "task-manager.db"
POSTGRESQL_SCHEMES: Final = ("postgresql", "postgres", "postgresql+psycopg")

_POOL_SIZE: Final = 8
# The bytes 18 and 19 of a database with a write-ahead log (sqlite.org/fileformat.html, section 1.3.3).
_WAL_VERSIONS: Final = b"\2\2"
_READS: Final = "task_manager_reads"

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Engines:
    """Two ways into one database.

    Attributes:
        writer: For transactions that write. On SQLite they say so when they begin: one that had begun as a reader could
            only fail when somebody else wrote meanwhile.
        reader: For transactions that only read; each sees one moment.
    """

    writer: Engine
    reader: Engine

    def dispose(self) -> None:
        """Close all connections."""
        self.writer.dispose()
        self.reader.dispose()


def read_only(operation: F) -> F:
    """Mark an operation that writes nothing, so that it neither waits for writers nor keeps them waiting."""
    setattr(operation, _READS, True)
    return operation


def is_read_only(operation: Callable[..., Any]) -> bool:
    """Whether an operation was marked as one that writes nothing."""
    return getattr(operation, _READS, False) is True


def create_sqlite(file: Path) -> None:
    """Make the file, for its owner alone, and turn its write-ahead log on for good, unless both were done before.

    Several processes may try at the same time. SQLite does not wait while it turns the log on: of two that try, one may
    fail at once. So they queue here, by a lock on the folder.
    """
    file.touch(mode=0o600)
    with file.open("rb") as content:
        if content.read(20)[18:] == _WAL_VERSIONS:
            return
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        with contextlib.closing(sqlite3.connect(file, timeout=BUSY_SECONDS)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
    finally:
        os.close(folder)


def open_sqlite(file: Path) -> Engines:
    """The engines for an SQLite file in WAL mode, with foreign keys, a busy time-out and our own BEGIN."""
    return Engines(
        _sqlite_engine(file, _prepare_writer, "BEGIN IMMEDIATE"), _sqlite_engine(file, _prepare_reader, "BEGIN")
    )


def open_postgresql(url: URL) -> Engines:
    """The engines for a PostgreSQL database, by psycopg; they share their connections.

    Raises:
        InvalidConfiguration: psycopg is not installed.
    """
    try:
        engine = create_engine(
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
    return Engines(engine, engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True))


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


def _to_json(value: object) -> str:
    try:
        return json.dumps(value, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"A value cannot be stored as JSON: {error}.") from error


def _sqlite_engine(file: Path, prepare: Callable[[sqlite3.Connection, object], None], begin: str) -> Engine:
    engine = create_engine(
        URL.create("sqlite", database=str(file)),
        connect_args={"timeout": BUSY_SECONDS, "isolation_level": None},
        pool_size=_POOL_SIZE,
        max_overflow=-1,
        json_serializer=_to_json,
    )
    event.listen(engine, "connect", prepare)

    def start(c: Connection) -> None:
        cast("sqlite3.Connection", c.connection.dbapi_connection).execute(begin)

    event.listen(engine, "begin", start)
    return engine


def _prepare_writer(connection: sqlite3.Connection, _record: object) -> None:
    connection.execute("PRAGMA foreign_keys = ON")
    # With a write-ahead log this loses no integrity; a power cut may lose the newest transactions, a crash none.
    connection.execute("PRAGMA synchronous = NORMAL")


def _prepare_reader(connection: sqlite3.Connection, _record: object) -> None:
    # SQLite's own function knows the letters of ASCII alone.
    connection.create_function("lower", 1, _lower, deterministic=True)
    connection.execute("PRAGMA query_only = ON")


def _lower(value: str | int | float | bytes | None) -> str | int | float | bytes | None:
    return value.lower() if isinstance(value, str) else value

"""How each kind of database tells that somebody wrote, in this process or another."""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Final

from sqlalchemy import URL, Connection, func, select

CHANNEL: Final = "task_manager_events"
"""PostgreSQL's channel on which the end of transactions is told that append to the log or change what people wrote."""

_tell = select(func.pg_notify(CHANNEL, ""))

LOOK_SECONDS: Final = 0.05
"""How often SQLite is asked whether its file has changed."""


def tell(c: Connection) -> None:
    """Have the end of a transaction told to those who listen, where the database does not do so by itself."""
    if c.dialect.name == "postgresql":
        c.execute(_tell)


class SqliteSignal:
    """Asks SQLite for its data version, which changes with every transaction of another connection.

    That reads a few bytes of shared memory (sqlite.org/pragma.html#pragma_data_version), so it is asked often, and in
    the event loop.

    Args:
        file: The database.
    """

    def __init__(self, file: Path) -> None:
        self._file = file

    async def changes(self) -> AsyncGenerator[None]:
        """Yield at first, then after every change."""
        # Versions are compared on one connection. It never waits: a database that is busy is taken for a changed one.
        with contextlib.closing(sqlite3.connect(self._file, timeout=0, isolation_level=None)) as connection:
            known = _data_version(connection)
            yield
            while True:
                await asyncio.sleep(LOOK_SECONDS)
                found = _data_version(connection)
                if found is None or found != known:
                    known = found
                    yield


class PostgresqlSignal:
    """Listens on a connection of its own.

    Args:
        url: The database.
    """

    def __init__(self, url: URL) -> None:
        self._address = url.set(drivername="postgresql").render_as_string(hide_password=False)

    async def changes(self) -> AsyncGenerator[None]:
        """Yield at first, then after every transaction that appended."""
        import psycopg  # an optional dependency

        connection = await psycopg.AsyncConnection.connect(
            self._address, autocommit=True, connect_timeout=10, application_name="task-manager feed"
        )
        try:
            await connection.execute(f"LISTEN {CHANNEL}")
            yield
            async for _ in connection.notifies():
                yield
        finally:
            await connection.close()


def _data_version(connection: sqlite3.Connection) -> int | None:
    try:
        (version,) = connection.execute("PRAGMA data_version").fetchone()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return None
        raise
    return int(version)

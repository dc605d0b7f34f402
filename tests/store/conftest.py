"""Databases of both kinds: what is tested with them holds for SQLite and for PostgreSQL."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from task_manager.store import Store
from tests.environment.postgresql import PostgresqlServer, running_postgresql


@dataclass(frozen=True)
class Database:
    """A data folder, and the address of a database in place of SQLite's file."""

    data_dir: Path
    url: str | None

    def open(self) -> Store:
        """Opens the store."""
        return Store.open(self.data_dir, self.url)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgresqlServer]:
    """A running PostgreSQL server."""
    with running_postgresql() as server:
        yield server


@pytest.fixture(scope="session")
def shared_database(postgresql: PostgresqlServer, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a database with the store's tables."""
    url = postgresql.url(postgresql.new_database())
    Store.open(tmp_path_factory.mktemp("shared"), url).close()
    return url


@pytest.fixture
def postgresql_database(shared_database: str, tmp_path: Path) -> Database:
    """An empty database on PostgreSQL. Emptying one takes a hundredth of the time of creating one."""
    with psycopg.connect(shared_database) as connection:
        for table in (b"projects", b"workers", b"idempotency_keys"):
            connection.execute(b"DELETE FROM " + table)
        connection.execute("ALTER SEQUENCE events_sequence_seq RESTART")
    return Database(tmp_path / "data", shared_database)


@pytest.fixture(scope="session")
def migrated_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with an empty, up-to-date SQLite database; copying it is faster than making each one anew."""
    folder = tmp_path_factory.mktemp("migrated")
    Store.open(folder).close()
    return folder


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, migrated_folder: Path, tmp_path: Path) -> Database:
    """An empty database, of each kind in turn."""
    if request.param == "sqlite":
        shutil.copytree(migrated_folder, tmp_path / "data")
        return Database(tmp_path / "data", None)
    found: Database = request.getfixturevalue("postgresql_database")
    return found


@pytest.fixture
def store(database: Database) -> Iterator[Store]:
    """An open store, on each kind of database in turn."""
    with database.open() as opened:
        yield opened

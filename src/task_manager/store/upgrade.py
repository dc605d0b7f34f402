"""Bringing a database to the version that this software knows."""

import functools
from collections.abc import Sequence
from operator import attrgetter
from pathlib import Path
from typing import Final

from sqlalchemy import Column, Connection, MetaData, PrimaryKeyConstraint, String, Table, func, inspect, select, text
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex, CreateTable, ExecutableDDLElement

from task_manager.errors import StoreVersionMismatch
from task_manager.store import migrations
from task_manager.store.database import Engines
from task_manager.store.tables import metadata

_UPGRADE_LOCK: Final = 0x7461736B_0001
"""The key of PostgreSQL's advisory lock under which one process upgrades."""

_VERSIONS: Final = Table(
    migrations.VERSION_TABLE,
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name=f"{migrations.VERSION_TABLE}_pkc"),
)
"""As Alembic makes it."""


def upgrade(engines: Engines, place: str) -> None:
    """Bring the database to the newest version; several processes may try at the same time.

    Args:
        engines: The database.
        place: The database, as people know it.

    Raises:
        StoreVersionMismatch: It has a version that this software does not know.
    """
    with engines.reader.connect() as c:
        if _version(c, place) == migrations.HEAD:
            return
    with engines.writer.begin() as c:
        if c.dialect.name == "postgresql":
            c.execute(select(func.pg_advisory_xact_lock(_UPGRADE_LOCK)))
        # Another process may have upgraded it while this one waited for the lock.
        if (version := _version(c, place)) is None and c.dialect.name == "sqlite":
            _create(c)
        elif version != migrations.HEAD:
            _apply(c, version, place)


def _version(c: Connection, place: str) -> str | None:
    """The database's version; None when it is empty."""
    tables = set(inspect(c).get_table_names())
    if migrations.VERSION_TABLE in tables:
        return str(c.scalar(text(f"SELECT version_num FROM {migrations.VERSION_TABLE}")))  # noqa: S608 - a constant
    ours = tables & set(metadata.tables)
    if ours:
        raise _mismatch(place, f"tables of unknown origin ({', '.join(sorted(ours))}) and no version")
    return None


def _create(c: Connection) -> None:
    """Make at once what all versions, one after the other, would make: most data folders are new ones."""
    for statement in _definitions():
        c.exec_driver_sql(statement)
    c.execute(_VERSIONS.insert().values(version_num=migrations.HEAD))


@functools.cache
def _definitions() -> Sequence[str]:
    """SQLite's statements that make all tables in an empty database."""
    dialect = sqlite.dialect()
    tables = [*metadata.sorted_tables, _VERSIONS]
    indexes = [index for table in tables for index in sorted(table.indexes, key=attrgetter("name"))]
    made: list[ExecutableDDLElement] = [*map(CreateTable, tables), *map(CreateIndex, indexes)]
    return [str(one.compile(dialect=dialect)) for one in made]


def _apply(c: Connection, version: str | None, place: str) -> None:
    # Only here, for a database that is up to date does not need it.
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    config.attributes["connection"] = c
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if version is not None and version not in known:
        raise _mismatch(place, f"version {version}")
    command.upgrade(config, migrations.HEAD)


def _mismatch(place: str, found: str) -> StoreVersionMismatch:
    return StoreVersionMismatch(
        f"The database {place} has {found}; this software knows versions up to {migrations.HEAD}.",
        remedy="Use the version of this software that wrote it or a newer one, or choose another data folder.",
        details={"place": place, "found": found, "known": migrations.HEAD},
    )

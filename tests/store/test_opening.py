"""Opening the store: where it cannot be, the error says what is wrong with which place, and nothing is changed."""

import contextlib
import json
import os
import re
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection as SqlConnection
from sqlalchemy import create_engine

from task_manager.errors import (
    InvalidConfiguration,
    StoreError,
    StoreUnwritable,
    StoreVersionMismatch,
)
from task_manager.results.conditions import MetricCondition
from task_manager.store import Store, migrations, projects, results, runs, steps
from task_manager.store.database import DATABASE_FILE
from task_manager.store.results import ResultFilter
from task_manager.store.tables import metadata
from task_manager.workflow_status import WorkflowStatus
from tests.environment.postgresql import PostgresqlServer
from tests.store import small_disk_programs
from tests.store.builders import LATER, NOW, a_step, stored_project, stored_run
from tests.store.conftest import Database

ENDED = (WorkflowStatus.QUEUED, WorkflowStatus.PREPARING, WorkflowStatus.FAILED)


class TestFolder:
    def test_it_is_made_for_its_owner_alone(self, tmp_path: Path) -> None:
        folder = tmp_path / "some" / "where"
        Store.open(folder).close()
        assert folder.stat().st_mode & 0o777 == 0o700
        assert (folder / DATABASE_FILE).stat().st_mode & 0o077 == 0

    def test_a_relative_one_counts_from_the_current_folder(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        with Store.open(Path("data")) as store:
            assert store.data_dir == tmp_path / "data"

    @pytest.mark.parametrize("inside", ["", "data"])
    def test_a_file_in_its_place_is_named(self, tmp_path: Path, inside: str) -> None:
        file = tmp_path / "file"
        file.write_text("mine")
        with pytest.raises(StoreUnwritable, match=str(file)):
            Store.open(file / inside)
        assert file.read_text() == "mine"

    def test_one_that_cannot_be_written_is_named(self, unwritable_folder: Path) -> None:
        with pytest.raises(StoreUnwritable, match=str(unwritable_folder)) as caught:
            Store.open(unwritable_folder)
        assert caught.value.remedy

    def test_one_that_cannot_be_made_is_named(self, unwritable_folder: Path) -> None:
        with pytest.raises(StoreUnwritable, match="data"):
            Store.open(unwritable_folder / "data")


@pytest.fixture
def unwritable_folder(small_disk: Path) -> Iterator[Path]:
    """A folder that even root cannot write to."""
    if os.geteuid() != 0:
        folder = small_disk / "folder"
        folder.mkdir(mode=0o500)
        yield folder
        return
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    yield small_disk


class TestFullDisk:
    def test_opening_on_one_says_so(self, small_disk: Path) -> None:
        error = on_disk(small_disk, "open_on_full")["error"]
        assert error["code"] == "store_full"
        assert "No space is left" in error["message"]
        assert "data" in error["message"]

    def test_what_does_not_fit_is_not_kept_and_nothing_else_is_lost(self, small_disk: Path) -> None:
        """Once there is space again, work goes on."""
        told = on_disk(small_disk, "write_until_full")
        assert told["error"]["code"] == "store_full"
        assert told["kept"] == told["found_on_full_disk"]
        assert told["kept_later"] == told["found_later"]
        assert len(told["found_later"]) == len(told["kept"]) + 1


def on_disk(disk: Path, program: str) -> dict[str, Any]:
    """Runs a program of `small_disk_programs` where the disk is mounted.

    An ordinary user's disk is in a mount namespace of its own, and SQLite resolves the path by which it can be reached
    from outside.
    """
    enter: list[str] = []
    match disk.parts:
        case ("/", "proc", process, "root", *inside):
            enter = ["nsenter", "--target", process, "--user", "--mount", "--preserve-credentials"]
            disk = Path("/", *inside)
    command = [*enter, sys.executable, "-m", small_disk_programs.__name__, program, str(disk)]
    # Entering a namespace forgets the current folder, where Python would look for the tests.
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    told: dict[str, Any] = json.loads(done.stdout)
    return told


class TestFile:
    def test_one_that_is_no_database_is_named_and_left_alone(self, tmp_path: Path) -> None:
        file = tmp_path / DATABASE_FILE
        file.write_text("These are my notes, and they are long enough. " * 30)
        before = file.read_bytes()
        with pytest.raises(StoreError, match=f"{file} is not a database") as caught:
            Store.open(tmp_path)
        assert caught.value.remedy
        assert file.read_bytes() == before

    def test_a_damaged_one_is_named(self, tmp_path: Path) -> None:
        with Store.open(tmp_path) as store:
            stored_project(store)
        file = tmp_path / DATABASE_FILE
        content = file.read_bytes()
        file.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
        with pytest.raises(StoreError, match=f"{file} is damaged"), Store.open(tmp_path) as store:
            store.run_sync(projects.list_)

    def test_a_folder_in_its_place_is_named(self, tmp_path: Path) -> None:
        (tmp_path / DATABASE_FILE).mkdir()
        with pytest.raises(StoreUnwritable, match=DATABASE_FILE):
            Store.open(tmp_path)

    def test_tables_of_somebody_else_are_left_alone(self, tmp_path: Path) -> None:
        with sqlite3.connect(tmp_path / DATABASE_FILE) as connection:
            connection.execute("CREATE TABLE projects (mine)")
        connection.close()
        with pytest.raises(StoreVersionMismatch, match="unknown origin"):
            Store.open(tmp_path)


class TestVersions:
    def test_what_was_stored_is_there_again(self, database: Database) -> None:
        with database.open() as store:
            project = stored_project(store)
        with database.open() as store:
            assert store.run_sync(projects.get, project.id) == project

    def test_a_newer_database_is_refused_and_both_versions_are_named(self, database: Database) -> None:
        with database.open() as store:
            store.run_sync(set_version, "0999")
        try:
            with pytest.raises(StoreVersionMismatch, match="version 0999.* up to " + migrations.HEAD) as caught:
                database.open()
            assert "newer" in caught.value.remedy
        finally:
            restore_version(database)

    def test_numbers_of_runs_that_ended_before_are_counted_when_it_is_opened(self, database: Database) -> None:
        """As if they had been counted at their end."""
        with database.open() as store:
            run, running = stored_run(store), stored_run(store)
            store.run_sync(
                steps.plan, [a_step(run, "a", cached=True), a_step(run, "b", cached=False), a_step(run, "c")]
            )
            for one, path in ((run, ENDED), (running, ENDED[:-1])):
                for status in path:
                    later = LATER if status is ENDED[-1] else NOW
                    store.run_sync(runs.transition, one.id, status, now=later)
            before = store.run_sync(runs.get, run.id), store.run_sync(runs.get, running.id)
            values = (("accuracy", 0.5), ("accuracy", 0.9), ("\0" * 300, 1))
            measured = [{"name": name, "value": value} for name, value in values]
            store.run_sync(results.put, run.id, {"run_id": run.id, "metrics": measured})
            store.run_sync(back_to_version_2)
        with database.open() as store:
            counted = store.run_sync(runs.get, run.id)
            assert counted.seconds == pytest.approx(2.5, abs=0.001)
            assert (counted.evolve(seconds=2.5), store.run_sync(runs.get, running.id)) == before
            for condition, runs_found in (("accuracy<0.9", 1), ("accuracy>=0.9", 0), ("\0" * 300, 1)):
                where = ResultFilter(metric=MetricCondition.parse(condition))
                assert len(store.run_sync(results.list_, where).items) == runs_found

    def test_all_migrations_make_what_the_tables_say(self, empty: Database) -> None:
        with empty.open() as store:
            assert store.run_sync(differences) == []

    def test_a_new_data_folder_gets_what_all_migrations_make(self, tmp_path: Path) -> None:
        Store.open(tmp_path).close()
        migrated = create_engine(f"sqlite:///{tmp_path / 'migrated'}")
        with migrated.begin() as c:
            config = Config()
            config.set_main_option("script_location", str(Path(migrations.__file__).parent))
            config.attributes["connection"] = c
            command.upgrade(config, "head")
            versions = c.exec_driver_sql(f"SELECT * FROM {migrations.VERSION_TABLE}").all()  # noqa: S608
            assert (versions, differences(c)) == ([(migrations.HEAD,)], [])
        assert definitions(tmp_path / DATABASE_FILE) == definitions(tmp_path / "migrated")

    def test_the_head_is_the_newest_script(self) -> None:
        assert scripts().get_current_head() == migrations.HEAD

    def test_there_is_no_way_back(self) -> None:
        for script in scripts().walk_revisions():
            with pytest.raises(StoreError, match="cannot go back") as caught:
                script.module.downgrade()
            assert "backup" in caught.value.remedy


@pytest.fixture
def empty(database: Database, request: pytest.FixtureRequest) -> Database:
    """A database without tables."""
    if database.url is None:
        return Database(database.data_dir / "empty", None)
    server: PostgresqlServer = request.getfixturevalue("postgresql")
    return Database(database.data_dir, server.url(server.new_database()))


def scripts() -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    return ScriptDirectory.from_config(config)


def differences(c: SqlConnection) -> list[object]:
    """What would have to be changed to make the database equal to the tables."""
    options = {"version_table": migrations.VERSION_TABLE, "compare_type": True}
    return list(compare_metadata(MigrationContext.configure(c, opts=options), metadata))


def definitions(file: Path) -> dict[str, list[str]]:
    """What a SQLite file has, by kind and name: of a table its columns and constraints in no order."""
    with contextlib.closing(sqlite3.connect(file)) as connection:
        found = connection.execute("SELECT type, name, coalesce(sql, '') FROM sqlite_master").fetchall()
    plain = [(kind, name, re.sub(r"\s+", " ", sql.replace('"', ""))) for kind, name, sql in found]
    return {f"{kind} {name}": sorted(parts(sql)) if kind == "table" else [sql] for kind, name, sql in plain}


def parts(definition: str) -> list[str]:
    """The head of a table's definition, and what its outer parentheses enclose."""
    head, _, inside = definition.partition("(")
    depth, found = 0, [""]
    for sign in inside.rstrip().removesuffix(")"):
        depth += {"(": 1, ")": -1}.get(sign, 0)
        if sign == "," and depth == 0:
            found.append("")
        else:
            found[-1] += sign
    return [head, *(part.strip() for part in found)]


def back_to_version_2(c: SqlConnection) -> None:
    """What later versions added is gone."""
    for table in (
        "task_claims",
        "read_results",
        "login_sessions",
        "access_tokens",
        "cache_records",
        "cache_counts",
        "result_metrics",
        "firings",
        "hook_deliveries",
        "hook_leases",
        "hooks",
        "triggers",
        "occurrences",
        "schedule_leases",
        "schedules",
    ):
        c.exec_driver_sql(f"DROP TABLE {table}")
    for index in ("ix_runs_flight", "ix_runs_statistics"):
        c.exec_driver_sql(f"DROP INDEX {index}")
    c.exec_driver_sql("DROP INDEX ix_idempotency_keys_record_id")
    added = ("seconds", "steps_cached", "steps_counted", "cache_key", "original_run_id", "flight")
    for column in (*added, "traceparent", "tracestate"):
        c.exec_driver_sql(f"ALTER TABLE runs DROP COLUMN {column}")
    c.exec_driver_sql("CREATE INDEX ix_runs_workflow_id ON runs (workflow_id)")
    set_version(c, "0002")


def set_version(c: SqlConnection, version: str) -> None:
    c.exec_driver_sql(f"UPDATE {migrations.VERSION_TABLE} SET version_num = '{version}'")  # noqa: S608


def restore_version(database: Database) -> None:
    """The database on PostgreSQL is used by other tests."""
    if database.url is not None:
        with psycopg.connect(database.url) as connection:
            connection.execute(f"UPDATE {migrations.VERSION_TABLE} SET version_num = '{migrations.HEAD}'")  # noqa: S608


class TestAddress:
    @pytest.mark.parametrize("url", ["mysql://localhost/x", "sqlite:///x.db", "nonsense", "", "postgresql://[::1/x"])
    def test_what_is_no_postgresql_address_is_refused(self, tmp_path: Path, url: str) -> None:
        with pytest.raises(InvalidConfiguration) as caught:
            Store.open(tmp_path, url)
        assert "postgresql://" in caught.value.remedy

    def test_the_short_scheme_is_accepted(self, postgresql: PostgresqlServer, tmp_path: Path) -> None:
        url = postgresql.url(postgresql.new_database(), scheme="postgres")
        with Store.open(tmp_path, url) as store:
            assert store.run_sync(projects.list_).items == ()

    def test_a_server_that_is_not_there_is_named_without_the_password(self, tmp_path: Path) -> None:
        with pytest.raises(StoreError, match="cannot be reached") as caught:
            Store.open(tmp_path, f"postgresql://ada:s3cret@/x?host={tmp_path}")
        assert "ada" in caught.value.message
        assert "s3cret" not in caught.value.message

    def test_a_database_that_is_not_there_is_named(self, postgresql: PostgresqlServer, tmp_path: Path) -> None:
        with pytest.raises(StoreError, match=r'cannot be reached.*"nowhere" does not exist'):
            Store.open(tmp_path, postgresql.url("nowhere"))

    def test_a_missing_driver_is_named(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "psycopg", None)
        with pytest.raises(InvalidConfiguration, match="psycopg") as caught:
            Store.open(tmp_path, "postgresql://localhost/x")
        assert "postgresql]" in caught.value.remedy

    def test_a_user_who_may_only_read_cannot_use_it(
        self, postgresql: PostgresqlServer, postgresql_database: Database, tmp_path: Path
    ) -> None:
        assert postgresql_database.url is not None
        with psycopg.connect(postgresql_database.url) as connection:
            connection.execute("CREATE ROLE reader LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader")
        url = postgresql_database.url.replace("postgres@", "reader@")
        with Store.open(tmp_path, url) as store, pytest.raises(StoreUnwritable, match="permission denied"):
            stored_project(store)


def test_opening_an_existing_database_does_not_load_alembic(tmp_path: Path) -> None:
    """It would cost more than all the rest."""
    Store.open(tmp_path).close()
    program = """
        import sys
        from pathlib import Path
        from task_manager.store import Store
        Store.open(Path(sys.argv[1])).close()
        print(*sorted({"alembic", "psycopg"} & set(sys.modules)))
    """
    command = [sys.executable, "-c", textwrap.dedent(program), str(tmp_path)]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip() == ""

"""Prepared statements do what SQLAlchemy does with the same statement, and fail in the same words."""

import pytest
from sqlalchemy import bindparam, insert, select, update

from task_manager.errors import Conflict, InvalidInput
from task_manager.models import EventKind
from task_manager.store import Connection, Store, events, runs, tables
from task_manager.store.prepared import Prepared
from tests.store.builders import LATER, NOW, a_project, a_run, stored_project, stored_run, stored_workflow

RUN_OF_ID = select(tables.runs).where(tables.runs.c.id == bindparam("wanted"))


def test_a_row_has_the_values_that_sqlalchemy_reads(store: Store) -> None:
    """Times in UTC, documents, truth values and empty columns included."""
    run = stored_run(store, parameters={"ü": [1.5, None]}, skip_cache=True, started_at=LATER)

    def both(c: Connection) -> tuple[object, object]:
        expected = c.execute(RUN_OF_ID, {"wanted": run.id}).mappings().one()
        return Prepared(RUN_OF_ID).first(c, {"wanted": run.id}), dict(expected)

    found, expected = store.run_sync(both)
    assert found == expected


def test_no_row_is_none(store: Store) -> None:
    assert store.run_sync(lambda c: Prepared(RUN_OF_ID).first(c, {"wanted": "run-none"})) is None


def test_a_change_tells_how_many_rows_it_touched(store: Store) -> None:
    """Values that stand in the statement are among its parameters."""
    project = stored_project(store)
    columns = tables.projects.c
    rename = Prepared(
        update(tables.projects).where(columns.id == bindparam("wanted")).values(revision=columns.revision + 1), ["name"]
    )

    def change(c: Connection, wanted: str) -> int:
        return rename.execute(c, {"wanted": wanted, "name": "new"})

    for wanted, touched in ((project.id, 1), ("project-none", 0)):
        assert store.run_sync(change, wanted) == touched
    changed = store.run_sync(lambda c: c.execute(select(columns.name, columns.revision)).all())
    assert [tuple(row) for row in changed] == [("new", 2)]


def test_a_broken_rule_is_told_as_ever(store: Store) -> None:
    project = stored_project(store)
    values = a_project(name=project.name).model_dump()
    again = Prepared(insert(tables.projects), values)
    with pytest.raises(Conflict, match="exists already"):
        store.run_sync(lambda c: again.execute(c, values))
    event = runs.event_of(a_run(stored_workflow(store)), EventKind.RUN_WARNING, time=NOW)
    with pytest.raises(InvalidInput, match="does not exist"):
        store.run_sync(events.append, event)


def test_what_no_driver_takes_is_refused_and_changes_nothing(store: Store) -> None:
    run = stored_run(store)
    event = runs.event_of(run, EventKind.RUN_WARNING, time=NOW, attempt=2**70)
    with pytest.raises(InvalidInput, match="cannot be stored"):
        store.run_sync(events.append, event)
    assert len(store.run_sync(events.after, 0)) == 1

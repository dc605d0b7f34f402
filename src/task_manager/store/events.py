"""The event log: one line for every change of a run, in one order, never changed.

A reader that has seen everything up to a sequence number asks for what comes after it, so an event must never become
visible behind one with a higher number. SQLite has one writer at a time: numbers are given in the order of commits.
PostgreSQL gives numbers when rows are inserted, and transactions commit in any order; so whoever appends takes a lock
first and keeps it until the transaction ends, which makes the order of numbers the order of commits there too. It is
taken as late as possible, since transactions that append wait for each other from there to their commit. With it the
transaction says that its commit shall be told to those who listen.
"""

from typing import Final

from sqlalchemy import Connection, bindparam, func, insert, select

from task_manager.models import Event
from task_manager.store import tables
from task_manager.store.database import read_only
from task_manager.store.paging import check_limit
from task_manager.store.prepared import Prepared
from task_manager.store.records import RecordTable
from task_manager.store.signals import CHANNEL

_APPEND_LOCK: Final = 0x7461736B_0002
"""The key of PostgreSQL's advisory lock."""

_lock_and_tell = select(func.pg_advisory_xact_lock(_APPEND_LOCK), func.pg_notify(CHANNEL, ""))
_events = RecordTable("event", Event, tables.events, order=("sequence",))
_columns = tables.events.c
_next_in_run = select(func.coalesce(func.max(_columns.run_sequence), 0) + 1).where(
    _columns.run_id == bindparam("of_run")
)
_given = {column.name for column in _columns} - {"sequence", "run_sequence"}


def _following(of_run: bool, of_project: bool) -> Prepared:
    query = select(tables.events).where(_columns.sequence > bindparam("known"))
    if of_run:
        query = query.where(_columns.run_id == bindparam("of_run"))
    if of_project:
        query = query.where(_columns.project_id == bindparam("of_project"))
    return Prepared(query.order_by(_columns.sequence).limit(bindparam("most")))


_after = {
    (of_run, of_project): _following(of_run, of_project) for of_run in (False, True) for of_project in (False, True)
}
_append = Prepared(insert(tables.events).values(run_sequence=_next_in_run.scalar_subquery()).inline(), _given)


def append(c: Connection, event: Event) -> None:
    """Write an event at the log's end.

    Args:
        c: The transaction.
        event: It gets its sequence numbers in the log; those that it has are not looked at.
    """
    if c.dialect.name == "postgresql":
        c.execute(_lock_and_tell)
    row = _events.row(event)
    del row["sequence"], row["run_sequence"]
    _append.execute(c, {**row, "of_run": event.run_id})


@read_only
def after(
    c: Connection, sequence: int, *, run_id: str | None = None, project_id: str | None = None, limit: int = 500
) -> tuple[Event, ...]:
    """The events that follow a sequence number, in order.

    Args:
        c: The transaction.
        sequence: The last one that the reader has seen; 0 for the log's beginning.
        run_id: Of this run alone.
        project_id: Of this project alone.
        limit: How many at most.

    Raises:
        InvalidInput: The limit cannot be used.
    """
    values = {"known": sequence, "most": check_limit(limit), "of_run": run_id, "of_project": project_id}
    return _events.all(c, _after[run_id is not None, project_id is not None], values)


@read_only
def last_sequence(c: Connection) -> int:
    """The number of the newest event; 0 when there is none."""
    return c.scalar(select(func.max(_columns.sequence))) or 0

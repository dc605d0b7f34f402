"""Schedules in the store, and what became of their due times.

One process at a time works for a schedule: that which has its lease. To note that a time has come and to go on to the
next one is one transaction, so each due time is noted once, whoever looks.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Connection, delete, exists, func, insert, or_, select, update

from task_manager.schedule_records import Occurrence, OccurrenceState, Overlap, Schedule
from task_manager.schedule_rules import due
from task_manager.store import tables
from task_manager.store.database import read_only
from task_manager.store.paging import DEFAULT_LIMIT, Page
from task_manager.store.records import Lock, NamedTable, RecordTable
from task_manager.store.runs import ACTIVE

KEPT: Final = 1000
"""How many due times of a schedule are remembered."""

_AT_ONCE: Final = datetime.min.replace(tzinfo=UTC)
_schedules = NamedTable("schedule", Schedule, tables.schedules, name="name")
_occurrences = RecordTable(
    "occurrence", Occurrence, tables.occurrences, order=("due_at", "schedule_id"), newest_first=True
)
_columns = tables.schedules.c
_leases = tables.schedule_leases.c
_noted = tables.occurrences.c


def add(c: Connection, schedule: Schedule) -> Schedule:
    """Store a new schedule.

    Raises:
        NameTaken: Another one has its name.
    """
    _schedules.check_name(c, schedule)
    added = _schedules.insert(c, schedule)
    c.execute(insert(tables.schedule_leases).values(schedule_id=schedule.id))
    return added


@read_only
def all_(c: Connection) -> tuple[Schedule, ...]:
    """All schedules, oldest first."""
    return _schedules.all(c, _schedules.matching().order_by(_columns.id))


@read_only
def get(c: Connection, schedule_id: str) -> Schedule:
    """The schedule of that id.

    Raises:
        NotFound: There is none.
    """
    return _schedules.get(c, schedule_id)


@read_only
def find(c: Connection, id_or_name: str) -> Schedule:
    """The schedule of that id or name.

    Raises:
        NotFound: There is none; near misses are named.
    """
    return _schedules.find(c, id_or_name)


def lock(c: Connection, id_or_name: str) -> Schedule:
    """The schedule of that id or name, which nobody else changes until the transaction ends.

    Raises:
        NotFound: There is none; near misses are named.
    """
    return _schedules.get(c, _schedules.find(c, id_or_name).id, lock=Lock.CHANGE)


def put(c: Connection, schedule: Schedule) -> Schedule:
    """Store a changed schedule, with the revision that was read; return it with its new one.

    Raises:
        Conflict: Somebody else changed it first.
        NameTaken: Another one has its name.
        NotFound: It is not there.
    """
    _schedules.check_name(c, schedule)
    return _schedules.update(c, schedule)


def remove(c: Connection, schedule_id: str) -> None:
    """Remove a schedule, with what is known of its due times; what it started stays.

    Raises:
        NotFound: There is none.
    """
    _schedules.delete(c, schedule_id)


@read_only
def agenda(c: Connection, holder: str) -> tuple[tuple[str, datetime], ...]:
    """When a process is to look at which schedule, by its id; those for which nothing is to be done are left out."""
    is_unfinished = exists().where(_noted.schedule_id == _columns.id, _noted.state == OccurrenceState.STARTING.value)
    query = (
        select(
            _columns.id,
            _columns.next_due_at,
            is_unfinished.label("is_unfinished"),
            _leases.holder,
            _leases.leased_until,
        )
        .join(tables.schedule_leases, _leases.schedule_id == _columns.id)
        .where(or_(_columns.next_due_at.is_not(None), is_unfinished))
    )
    found = []
    for row in c.execute(query):
        moment = _AT_ONCE if row.is_unfinished else row.next_due_at
        is_others = row.holder not in (None, holder) and row.leased_until is not None
        found.append((str(row.id), max(moment, row.leased_until) if is_others else moment))
    return tuple(found)


def release(c: Connection, holder: str, schedule_id: str | None = None) -> None:
    """Give back what a process has leased: one schedule, or all."""
    is_it = _leases.schedule_id == schedule_id if schedule_id is not None else _leases.holder == holder
    given_back = update(tables.schedule_leases).where(_leases.holder == holder, is_it)
    c.execute(given_back.values(holder=None, leased_until=None))


def begin(c: Connection, schedule_id: str, holder: str, *, now: datetime, until: datetime) -> Occurrence | None:
    """Note that a schedule's time has come, and go on to its next one.

    Args:
        c: The transaction.
        schedule_id: The schedule's id.
        holder: The process that asks.
        now: The time.
        until: When another process may go on with what this one begins.

    Returns:
        What is to be started, or was left out; what was begun and not ended comes first. None when no time has come, or
        another process works for the schedule.

    Raises:
        NotFound: The schedule is not there any more.
        InvalidInput: Its time zone is not known here.
    """
    if not _lease(c, schedule_id, holder, now=now, until=until):
        return None
    schedule = _schedules.get(c, schedule_id, lock=Lock.CHANGE)
    unfinished = _occurrences.matching(schedule_id=schedule_id, state=OccurrenceState.STARTING.value)
    found = _occurrences.first(c, unfinished) or _noted_now(c, schedule, now)
    if found is None:
        release(c, holder, schedule_id)
    return found


def end(c: Connection, occurrence: Occurrence) -> Occurrence:
    """Note what became of a due time that was begun; nothing when its schedule is not there any more."""
    row = _occurrences.row(occurrence, only={"state", "note", "run_ids"})
    is_it = (_noted.schedule_id == occurrence.schedule_id) & (_noted.due_at == occurrence.due_at)
    if c.execute(update(tables.occurrences).where(is_it).values(row)).rowcount and occurrence.run_ids:
        schedule = _schedules.get(c, occurrence.schedule_id, lock=Lock.CHANGE)
        _schedules.change(c, schedule, {"last_run_ids": occurrence.run_ids})
    return occurrence


@read_only
def occurrences(
    c: Connection, schedule_id: str | None = None, *, limit: int = DEFAULT_LIMIT, cursor: str | None = None
) -> Page[Occurrence]:
    """A page of due times that came, of a schedule or of all, newest first.

    Raises:
        InvalidInput: The limit or the cursor cannot be used.
    """
    return _occurrences.page(c, _occurrences.matching(schedule_id=schedule_id), limit=limit, cursor=cursor)


def _lease(c: Connection, schedule_id: str, holder: str, *, now: datetime, until: datetime) -> bool:
    """Take or renew the right to work for a schedule; False when another process has it."""
    is_free = _leases.holder.is_(None) | (_leases.holder == holder) | (_leases.leased_until < now)
    taken = (
        update(tables.schedule_leases)
        .where(_leases.schedule_id == schedule_id, is_free)
        .values(holder=holder, leased_until=until)
    )
    return c.execute(taken).rowcount == 1


def _noted_now(c: Connection, schedule: Schedule, now: datetime) -> Occurrence | None:
    """A new occurrence, if the schedule's time has come."""
    come = due(schedule, now)
    if come is None:
        return None
    left_out = come.left_out or _still_going_on(c, schedule)
    state = OccurrenceState.SKIPPED if left_out else OccurrenceState.STARTING
    about = {"schedule_id": schedule.id, "due_at": come.at, "missed_since": come.missed_since, "noted_at": now}
    _schedules.change(c, schedule, {"next_due_at": come.next, "last_due_at": come.at})
    _forget_old(c, schedule.id)
    return _occurrences.insert(c, Occurrence.model_validate({**about, "state": state, "note": left_out}))


def _still_going_on(c: Connection, schedule: Schedule) -> str:
    """Why nothing is started beside runs that go on; empty when something is."""
    if schedule.overlap is Overlap.ALLOW or not schedule.last_run_ids:
        return ""
    columns = tables.runs.c
    are_active = columns.id.in_(schedule.last_run_ids) & columns.status.in_([status.value for status in ACTIVE])
    count = c.scalar(select(func.count()).where(are_active)) or 0
    if count > 1:
        return f"{count} of the runs that were started last go on."
    return "The last run goes on." if count else ""


def _forget_old(c: Connection, schedule_id: str) -> None:
    oldest = select(_noted.due_at).where(_noted.schedule_id == schedule_id).order_by(_noted.due_at.desc())
    limit = c.scalar(oldest.offset(KEPT - 1).limit(1))
    if limit is not None:
        c.execute(delete(tables.occurrences).where(_noted.schedule_id == schedule_id, _noted.due_at <= limit))

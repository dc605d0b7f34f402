"""Schedules in SQLite and in PostgreSQL: what is due is noted once, by whoever has the lease."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from task_manager.errors import Conflict, NameTaken, NotFound
from task_manager.schedule_records import Occurrence, OccurrenceState, Schedule
from task_manager.scheduler import Scheduler
from task_manager.store import Store, schedules
from tests.store.builders import NOW, stored_project, stored_run, stored_task
from tests.store.conftest import Database

FIRST = datetime(2026, 3, 14, 16, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


def stored_schedule(store: Store, **fields: object) -> Schedule:
    """A schedule that is due every hour, from `FIRST` on."""
    task = stored_task(store, stored_project(store))
    given = {"id": "schedule-1", "name": "hourly", "cron": "@hourly", "task_id": task.id, "next_due_at": FIRST}
    return store.run_sync(
        schedules.add, Schedule.model_validate({**given, "created_at": NOW, "updated_at": NOW, **fields})
    )


def test_a_schedule_is_kept_as_it_is_found_by_name_and_changed_by_its_revision(store: Store) -> None:
    added = stored_schedule(store, parameters={"a": [1, None]}, timezone="Asia/Tokyo", use_cache=True)
    assert store.run_sync(schedules.find, "hourly") == added == store.run_sync(schedules.all_)[0]
    with pytest.raises(NameTaken):
        stored_schedule(store, id="schedule-2")
    changed = store.run_sync(schedules.put, added.evolve(name="often"))
    assert changed.revision == 2
    with pytest.raises(Conflict):
        store.run_sync(schedules.put, added)
    store.run_sync(schedules.remove, added.id)
    with pytest.raises(NotFound):
        store.run_sync(schedules.get, added.id)


def begin(store: Store, schedule: Schedule, now: datetime, holder: str = "one") -> Occurrence | None:
    return store.run_sync(schedules.begin, schedule.id, holder, now=now, until=now + MINUTE)


def test_each_due_time_is_noted_once_and_the_next_one_follows(store: Store) -> None:
    run = stored_run(store)
    schedule = stored_schedule(store)
    assert begin(store, schedule, FIRST - HOUR) is None
    begun = begin(store, schedule, FIRST + 2 * HOUR)
    assert begun is not None
    assert (begun.due_at, begun.missed_since, begun.state) == (FIRST + 2 * HOUR, FIRST, "starting")
    assert begin(store, schedule, FIRST + 9 * HOUR) == begun, "it is to be ended first"
    store.run_sync(schedules.end, begun.evolve(state=OccurrenceState.STARTED, run_ids=(run.id,)))
    assert begin(store, schedule, FIRST + 2 * HOUR) is None
    skipped = begin(store, schedule, FIRST + 3 * HOUR)
    assert skipped is not None
    assert (skipped.state, skipped.note) == ("skipped", "The last run goes on.")
    now = store.run_sync(schedules.get, schedule.id)
    assert (now.last_run_ids, now.last_due_at, now.next_due_at) == ((run.id,), FIRST + 3 * HOUR, FIRST + 4 * HOUR)
    assert store.run_sync(schedules.occurrences, schedule.id).items[0] == skipped


def test_one_process_goes_on_with_what_it_began_until_it_gives_it_back_or_its_time_is_over(store: Store) -> None:
    schedule = stored_schedule(store)
    assert store.run_sync(schedules.agenda, "one") == ((schedule.id, FIRST),)
    begun = begin(store, schedule, FIRST)
    assert begun is not None
    assert begin(store, schedule, FIRST, "other") is None
    ((_, mine),) = store.run_sync(schedules.agenda, "one")
    ((_, others),) = store.run_sync(schedules.agenda, "other")
    assert mine <= FIRST
    assert others == FIRST + MINUTE
    later = FIRST + 2 * MINUTE
    assert begin(store, schedule, later, "other") == begun
    store.run_sync(schedules.release, "one")
    assert begin(store, schedule, later) is None
    store.run_sync(schedules.release, "other")
    assert begin(store, schedule, later) == begun


async def test_of_several_schedulers_one_starts_each_due_time(
    store: Store, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They look at the same moments, which come one after another without a pause."""
    monkeypatch.setattr("task_manager.scheduler._TOGETHER_SECONDS", 0.001)
    schedule = stored_schedule(store)
    now = FIRST
    started: list[datetime] = []

    async def start(occurrence: Occurrence) -> Sequence[str]:
        started.append(occurrence.due_at)
        await asyncio.sleep(0)  # the others have their turn
        return ()

    with database.open() as other:
        among = [Scheduler(one, start, clock=lambda: now) for one in (store, other, other)]
        async with among[0].running(), among[1].running(), among[2].running():
            for n in range(12):
                now = FIRST + n * HOUR
                found = store.run_sync(schedules.find, "hourly")
                store.run_sync(schedules.put, found.evolve(updated_at=now))
                async with asyncio.timeout(60):
                    while not _is_done(store, now):  # noqa: ASYNC110 - three schedulers tell nobody
                        await asyncio.sleep(0.005)
    assert started == [FIRST + n * HOUR for n in range(12)]
    assert {one.state for one in store.run_sync(schedules.occurrences, schedule.id).items} == {"started"}


def _is_done(store: Store, moment: datetime) -> bool:
    found = store.run_sync(schedules.occurrences).items
    return bool(found) and (found[0].due_at, found[0].state) == (moment, "started")

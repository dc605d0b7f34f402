"""Use cases on schedules: `Schedules` keeps what is started at which times; `Scheduler` sees to it that it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Final

from task_manager.cron_times import CronTimes
from task_manager.errors import InvalidInput
from task_manager.models import new_id, utc_now
from task_manager.repeated_calls import once
from task_manager.run_targets import RunTargets
from task_manager.schedule_records import Occurrence, Schedule
from task_manager.store import Connection, Page, Store, schedules
from task_manager.store.idempotency import Call
from task_manager.store.paging import DEFAULT_LIMIT
from task_manager.task_rules import changed, checked, refuse_other_revision

MOST_TIMES: Final = 1000
"""How many due times are told at once."""

FIELDS: Final = ("name", "cron", "timezone", "parameters", "missed", "overlap", "use_cache")
"""What can be changed."""

_MADE: Final = {"id", "created_at", "updated_at", "next_due_at", "revision"}


class Schedules:
    """Keeps schedules, and starts what they say.

    Args:
        store: Where they are kept.
        targets: Finds and starts what they name.
        clock: The time, in UTC.
    """

    def __init__(self, store: Store, *, targets: RunTargets, clock: Callable[[], datetime] = utc_now) -> None:
        self._store = store
        self._targets = targets
        self._clock = clock

    async def add(
        self, fields: Mapping[str, object], *, actor: str = "local", idempotency_key: str | None = None
    ) -> Schedule:
        """Keep a schedule; its first due time is the next one from now on.

        Args:
            fields: `name`, `cron` and, as wanted, the others of `Schedule` that a person chooses; task and project by
                id, title or name.
            actor: Who makes it.
            idempotency_key: Names this call: made again with the same key, it returns the same schedule.

        Raises:
            InvalidInput: A value does not fit, the expression never comes, or the name is taken.
            NotFound: There is no such task, project or template.
            Conflict: The key was used with other arguments.
        """
        now = self._clock()
        given = await self._targets.identified(fields)
        made = {"id": new_id("schedule"), "created_by": actor, "created_at": now, "updated_at": now}
        schedule = _planned(checked(Schedule, {**given, **made}), now)
        call = Call("add_schedule", idempotency_key, schedule.model_dump(mode="json", exclude=_MADE))
        return await once(self._store, call, schedules.get, lambda c: schedules.add(c, schedule), now=now)

    async def list(self) -> tuple[Schedule, ...]:
        """All schedules, oldest first."""
        return await self._store.run(schedules.all_)

    async def get(self, name: str) -> Schedule:
        """The schedule of that id or name.

        Raises:
            NotFound: There is none.
        """
        return await self._store.run(schedules.find, name)

    async def update(self, name: str, changes: Mapping[str, object], expected_revision: int | None = None) -> Schedule:
        """Change a schedule; with other times, the next due time is the first of them from now on.

        Args:
            name: Its id or name.
            changes: New values by field, from `FIELDS`.
            expected_revision: Refuse when it has another one; none: change whatever is there.

        Raises:
            Conflict: It has another revision.
            InvalidInput: A value does not fit, the expression never comes, or the name is taken.
            NotFound: There is none.
        """
        return await self._store.run(_update, name, changes, expected_revision, now=self._clock())

    async def pause(self, name: str) -> Schedule:
        """Start nothing until it is resumed; one that is paused stays as it is.

        Raises:
            NotFound: There is none.
        """
        return await self._store.run(_pause, name, now=self._clock())

    async def resume(self, name: str) -> Schedule:
        """Let it start again, from its next due time on; those that came meanwhile were not missed.

        Raises:
            NotFound: There is none.
        """
        return await self._store.run(_resume, name, now=self._clock())

    async def remove(self, name: str, *, expected_revision: int | None = None) -> Schedule:
        """Remove the schedule of that id or name; what it started stays.

        Raises:
            Conflict: It has another revision.
            NotFound: There is none.
        """
        return await self._store.run(_remove, name, expected_revision)

    async def occurrences(
        self, name: str | None = None, *, limit: int = DEFAULT_LIMIT, cursor: str | None = None
    ) -> Page[Occurrence]:
        """A page of what became of due times, of a schedule or of all, newest first.

        Raises:
            InvalidInput: The limit or the cursor cannot be used.
            NotFound: There is no such schedule.
        """
        schedule_id = None if name is None else (await self.get(name)).id
        return await self._store.run(schedules.occurrences, schedule_id, limit=limit, cursor=cursor)

    def upcoming(self, cron: str, timezone: str = "UTC", count: int = 5) -> tuple[datetime, ...]:
        """The next due times of an expression, in UTC; there need be no schedule of it.

        Args:
            cron: The expression.
            timezone: The IANA name of the zone whose clocks it is about.
            count: How many, at most `MOST_TIMES`.

        Raises:
            InvalidInput: The expression cannot be read or never comes, there is no such zone, or they are too many.
        """
        if not 1 <= count <= MOST_TIMES:
            raise InvalidInput(f"From 1 to {MOST_TIMES} due times are told at once, not {count}.")
        return CronTimes(cron, timezone).upcoming(self._clock(), count)

    async def start(self, occurrence: Occurrence) -> tuple[str, ...]:
        """Start what the schedule of a due time says; once, however often that is tried.

        Returns:
            The ids of the runs.

        Raises:
            NotFound: The schedule was removed.
            TaskManagerError: It cannot be started.
        """
        schedule = await self._store.run(schedules.get, occurrence.schedule_id)
        moment = f"{occurrence.due_at:%Y-%m-%dT%H:%M}Z"
        return await self._targets.start(
            schedule,
            schedule.parameters,
            title=f"{schedule.name}: {moment}",
            actor=f"schedule:{schedule.name}",
            key=f"{schedule.id}:{moment}",
            skip_cache=not schedule.use_cache,
        )


def _planned(schedule: Schedule, now: datetime) -> Schedule:
    """The schedule with its next due time from now on."""
    times = CronTimes(schedule.cron, schedule.timezone)
    return schedule.evolve(next_due_at=None if schedule.paused_at else times.after(now))


def _update(
    c: Connection, name: str, changes: Mapping[str, object], expected_revision: int | None, *, now: datetime
) -> Schedule:
    found = schedules.lock(c, name)
    new = changed(found, changes, FIELDS, expected_revision, now)
    has_other_times = (new.cron, new.timezone) != (found.cron, found.timezone)
    return schedules.put(c, _planned(new, now) if has_other_times else new)


def _pause(c: Connection, name: str, *, now: datetime) -> Schedule:
    found = schedules.lock(c, name)
    paused = partial(found.evolve, paused_at=now, next_due_at=None, updated_at=now)
    return found if found.paused_at else schedules.put(c, paused())


def _resume(c: Connection, name: str, *, now: datetime) -> Schedule:
    found = schedules.lock(c, name)
    if found.paused_at is None:
        return found
    return schedules.put(c, _planned(found.evolve(paused_at=None, updated_at=now), now))


def _remove(c: Connection, name: str, expected_revision: int | None) -> Schedule:
    found = schedules.lock(c, name)
    refuse_other_revision("schedule", found.revision, expected_revision)
    schedules.remove(c, found.id)
    return found

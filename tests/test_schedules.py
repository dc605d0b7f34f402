"""What schedules say is started: each due time once, whoever looks, whatever dies in between."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from task_manager.application import Application
from task_manager.config import Settings
from task_manager.cron_times import CronTimes
from task_manager.errors import Conflict, InvalidInput, NameTaken, NotFound, StoreError
from task_manager.models import Task, WorkflowRun
from task_manager.schedule_records import Occurrence, OccurrenceState, Schedule
from task_manager.schedule_rules import due
from task_manager.scheduler import LEASE, Scheduler
from task_manager.schedules import Schedules
from task_manager.store import Store, run_queries, runs
from task_manager.store import schedules as plan
from task_manager.task_service import TaskService
from task_manager.workflow_status import WorkflowStatus

START = datetime(2026, 3, 14, 15, 9, 26, tzinfo=UTC)
NEXT = datetime(2026, 3, 14, 15, 10, tzinfo=UTC)
PIPELINE = {"steps": [{"id": "only", "image": "busybox", "command": ["true"]}]}
MINUTE = timedelta(minutes=1)


class Clock:
    """A time that tests move."""

    def __init__(self, now: datetime = START) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


class Plan:
    """A data folder with a task, whose runs nobody executes, and schedules by a clock that tests move."""

    def __init__(self, application: Application, task: Task, clock: Clock) -> None:
        self.store = application.store
        self.task = task
        self.clock = clock
        self.schedules = Schedules(application.store, targets=application.targets, clock=clock)

    async def add(self, cron: str = "* * * * *", **fields: object) -> Schedule:
        given = {"name": "nightly", "cron": cron, "task_id": self.task.id, **fields}
        return await self.schedules.add(given)

    @contextlib.asynccontextmanager
    async def running(
        self, store: Store | None = None, start: Callable[[Occurrence], Awaitable[Sequence[str]]] | None = None
    ) -> AsyncIterator[None]:
        scheduler = Scheduler(store or self.store, start or self.schedules.start, clock=self.clock)
        async with scheduler.running():
            yield

    async def move(self, to: datetime) -> None:
        """Set the clock, and write something, so that whoever sleeps looks at it."""
        self.clock.now = to
        await self.schedules.update("nightly", {"parameters": {}})

    async def noted(self, count: int) -> list[Occurrence]:
        """What became of due times, newest first, once there are so many and none is under way."""
        async with asyncio.timeout(60):
            while True:
                found = list((await self.schedules.occurrences(limit=500)).items)
                if len(found) >= count and all(one.state is not OccurrenceState.STARTING for one in found):
                    return found
                await asyncio.sleep(0.02)

    def runs(self) -> tuple[WorkflowRun, ...]:
        return self.store.run_sync(run_queries.list_, limit=500).items

    def finish(self) -> None:
        for run in self.runs():
            if not run.status.is_terminal:
                self.store.run_sync(runs.transition, run.id, WorkflowStatus.CANCELLED, now=self.clock())


@pytest.fixture
async def plan_(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Plan]:
    monkeypatch.setattr("task_manager.scheduler._TOGETHER_SECONDS", 0.01)
    given = Settings.model_validate({"data_dir": tmp_path / "data", "worker": "elsewhere"})
    async with Application(given) as application:
        service = TaskService(application.store)
        project = await service.create_project("site")
        task = await service.create_task(project.id, "Deploy", pipeline=PIPELINE)
        yield Plan(application, task, Clock())


async def test_what_is_due_is_started_and_what_is_not_waits(plan_: Plan) -> None:
    schedule = await plan_.add(name="nightly")
    assert schedule.next_due_at == NEXT
    async with plan_.running():
        await plan_.move(NEXT - timedelta(seconds=1))
        await plan_.move(NEXT)
        (noted,) = await plan_.noted(1)
    (run,) = plan_.runs()
    assert (noted.due_at, noted.state, noted.run_ids, noted.missed_since) == (NEXT, "started", (run.id,), None)
    assert (run.actor, run.skip_cache) == ("schedule:nightly", True)
    now = await plan_.schedules.get("nightly")
    assert (now.last_due_at, now.next_due_at, now.last_run_ids) == (NEXT, NEXT + MINUTE, (run.id,))


async def test_a_whole_project_or_a_task_of_a_template_is_started(plan_: Plan) -> None:
    project: dict[str, Any] = {"task_id": None, "project_id": "site"}
    await plan_.add(name="nightly", use_cache=True, **project)
    await plan_.add(name="made", template_id="shell-command", parameters={"command": ["true"]}, **project)
    async with plan_.running():
        await plan_.move(NEXT)
        found = await plan_.noted(2)
    assert [one.state for one in found] == ["started", "started"]
    titles = {task.title for task in (await TaskService(plan_.store).list_tasks()).items}
    assert {"Deploy", "made: 2026-03-14T15:10Z"} <= titles
    assert {run.actor for run in plan_.runs()} == {"schedule:nightly", "schedule:made"}


async def test_times_that_were_missed_are_caught_up_once(plan_: Plan) -> None:
    await plan_.add()
    plan_.clock.now = NEXT + timedelta(days=1, seconds=30)
    async with plan_.running():
        (noted,) = await plan_.noted(1)
    assert (noted.due_at, noted.missed_since) == (NEXT + timedelta(days=1), NEXT)
    assert len(plan_.runs()) == 1


async def test_times_that_were_missed_can_be_left_out(plan_: Plan) -> None:
    await plan_.add("@hourly", missed="skip")
    plan_.clock.now = datetime(2026, 3, 14, 18, 30, tzinfo=UTC)
    async with plan_.running():
        (noted,) = await plan_.noted(1)
        assert (noted.due_at.hour, noted.state, noted.run_ids) == (18, "skipped", ())
        assert "missed" in noted.note
        await plan_.move(datetime(2026, 3, 14, 19, 0, 10, tzinfo=UTC))
        assert (await plan_.noted(2))[0].state == "started"
    assert len(plan_.runs()) == 1


async def test_nothing_is_started_beside_a_run_that_goes_on_unless_that_is_wanted(plan_: Plan) -> None:
    await plan_.add()
    async with plan_.running():
        await plan_.move(NEXT)
        await plan_.noted(1)
        await plan_.move(NEXT + MINUTE)
        skipped = (await plan_.noted(2))[0]
        assert (skipped.state, skipped.note) == ("skipped", "The last run goes on.")
        await plan_.schedules.update("nightly", {"overlap": "allow"})
        await plan_.move(NEXT + 2 * MINUTE)
        assert (await plan_.noted(3))[0].state == "started"
        await plan_.schedules.update("nightly", {"overlap": "skip"})
        plan_.finish()
        await plan_.move(NEXT + 3 * MINUTE)
        assert (await plan_.noted(4))[0].state == "started"
    assert len(plan_.runs()) == 3


async def test_what_cannot_be_started_is_noted_and_the_next_time_is_tried(plan_: Plan) -> None:
    other = await TaskService(plan_.store).create_task(plan_.task.project_id, "First", pipeline=PIPELINE)
    await TaskService(plan_.store).update_task(plan_.task.id, {"dependencies": [other.id]})
    await plan_.add()
    async with plan_.running():
        await plan_.move(NEXT)
        (failed,) = await plan_.noted(1)
        assert failed.state == "failed"
        assert "First" in failed.note
        await TaskService(plan_.store).update_task(plan_.task.id, {"dependencies": []})
        await plan_.move(NEXT + MINUTE)
        assert (await plan_.noted(2))[0].state == "started"


@pytest.mark.parametrize("error", [StoreError("The disk is away."), OSError("Nobody thought of this.")])
async def test_what_fails_for_a_while_delays_a_start_and_loses_none(
    plan_: Plan, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr("task_manager.scheduler._AFTER_ERROR_SECONDS", 0.01)
    tried = []

    async def start(occurrence: Occurrence) -> Sequence[str]:
        tried.append(occurrence.due_at)
        if len(tried) < 3:
            raise error
        return await plan_.schedules.start(occurrence)

    await plan_.add()
    plan_.clock.now = NEXT
    async with plan_.running(start=start):
        (noted,) = await plan_.noted(1)
    assert (noted.state, tried) == ("started", [NEXT] * 3)


async def test_two_processes_start_each_due_time_once(plan_: Plan, tmp_path: Path) -> None:
    await plan_.add(overlap="allow")
    with Store.open(tmp_path / "data") as other:
        async with plan_.running(), plan_.running(other):
            for n in range(8):
                await plan_.move(NEXT + n * MINUTE)
                await plan_.noted(n + 1)
    assert len(plan_.runs()) == 8
    assert [one.due_at for one in await plan_.noted(8)] == [NEXT + n * MINUTE for n in reversed(range(8))]


@pytest.mark.parametrize("dies", ["before the run is there", "before that is noted"])
async def test_what_a_process_that_died_had_begun_is_started_once_by_another(plan_: Plan, dies: str) -> None:
    """A start that never returns, in a process that says nothing more: its lease runs out."""
    reached = asyncio.Event()

    async def start(occurrence: Occurrence) -> Sequence[str]:
        if dies == "before that is noted":
            await plan_.schedules.start(occurrence)
        reached.set()
        return await asyncio.Future[Sequence[str]]()

    await plan_.add("@yearly")
    plan_.clock.now = datetime(2027, 1, 1, tzinfo=UTC)
    async with plan_.running(start=start):
        async with asyncio.timeout(60):
            await reached.wait()
        (begun,) = (await plan_.schedules.occurrences()).items
        assert begun.state == "starting"
        async with plan_.running():
            await plan_.move(plan_.clock.now + LEASE / 2)
            assert len(plan_.runs()) == (1 if dies == "before that is noted" else 0)
            await plan_.move(plan_.clock.now + LEASE)
            (noted,) = await plan_.noted(1)
    assert [run.id for run in plan_.runs()] == list(noted.run_ids)


async def test_a_schedule_that_is_paused_starts_nothing_and_misses_nothing(plan_: Plan) -> None:
    await plan_.add()
    paused = await plan_.schedules.pause("nightly")
    assert (paused.next_due_at, paused.paused_at) == (None, START)
    assert await plan_.schedules.pause("nightly") == paused
    async with plan_.running():
        await plan_.move(NEXT + 10 * MINUTE)
        resumed = await plan_.schedules.resume("nightly")
        assert (resumed.next_due_at, resumed.paused_at) == (NEXT + 11 * MINUTE, None)
        assert await plan_.schedules.resume("nightly") == resumed
        await plan_.move(NEXT + 11 * MINUTE)
        (noted,) = await plan_.noted(1)
    assert (noted.due_at, noted.missed_since) == (NEXT + 11 * MINUTE, None)


async def test_a_schedule_is_changed_and_so_are_its_times(plan_: Plan) -> None:
    added = await plan_.add()
    changed = await plan_.schedules.update("nightly", {"cron": "0 3 * * *", "timezone": "Asia/Tokyo"}, added.revision)
    assert changed.next_due_at == datetime(2026, 3, 14, 18, tzinfo=UTC)
    with pytest.raises(Conflict):
        await plan_.schedules.update("nightly", {"overlap": "allow"}, added.revision)
    with pytest.raises(InvalidInput, match="never comes"):
        await plan_.schedules.update("nightly", {"cron": "0 0 31 4 *"})
    with pytest.raises(InvalidInput, match="task_id"):
        await plan_.schedules.update("nightly", {"task_id": "task-0"})
    assert await plan_.schedules.get(added.id) == changed


@pytest.mark.parametrize(
    "wrong",
    [
        {"cron": "0 0 30 2 *"},
        {"cron": "61 * * * *"},
        {"cron": ""},
        {"timezone": "Europe/Atlantis"},
        {"task_id": "none"},
        {"task_id": None},
        {"project_id": "site"},
        {"template_id": "shell-command"},
        {"task_id": None, "project_id": "site", "parameters": {"a": 1}},
        {"task_id": None, "project_id": "site", "template_id": "none"},
        {"missed": "never"},
        {"overlap": "sometimes"},
        {"name": ""},
    ],
)
async def test_a_schedule_that_cannot_work_is_refused_and_nothing_is_kept(
    plan_: Plan, wrong: dict[str, object]
) -> None:
    with pytest.raises(InvalidInput):
        await plan_.add(**wrong)  # type: ignore[arg-type]
    assert await plan_.schedules.list() == ()


async def test_a_schedule_is_made_once_by_a_key_found_by_name_and_removed(plan_: Plan) -> None:
    given = {"name": "nightly", "cron": "@daily", "task_id": "Deploy"}
    added = [await plan_.schedules.add(given, actor="ada", idempotency_key="k") for _ in range(2)]
    assert added[0] == added[1] == await plan_.schedules.get("nightly")
    assert (added[0].created_by, added[0].task_id) == ("ada", plan_.task.id)
    with pytest.raises(NameTaken):
        await plan_.add()
    with pytest.raises(NotFound) as near:
        await plan_.schedules.get("nigthly")
    assert "nightly" in near.value.remedy
    with pytest.raises(Conflict):
        await plan_.schedules.remove("nightly", expected_revision=7)
    assert await plan_.schedules.remove("nightly", expected_revision=1) == added[0]
    with pytest.raises(NotFound):
        await plan_.schedules.occurrences("nightly")


async def test_with_its_task_a_schedule_goes(plan_: Plan) -> None:
    await plan_.add()
    await TaskService(plan_.store).delete_task(plan_.task.id)
    assert await plan_.schedules.list() == ()


async def test_so_many_due_times_are_remembered(plan_: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "KEPT", 3)
    schedule = await plan_.add(missed="skip")
    for n in range(5):
        now = NEXT + n * MINUTE
        begun = plan_.store.run_sync(plan.begin, schedule.id, "one", now=now, until=now)
        assert begun is not None
        plan_.store.run_sync(plan.end, begun.evolve(state="failed"))
    assert [one.due_at.minute for one in await plan_.noted(3)] == [14, 13, 12]


async def test_the_next_times_are_told(plan_: Plan) -> None:
    assert plan_.schedules.upcoming("0 3 * * *", "Asia/Tokyo", 2) == (
        datetime(2026, 3, 14, 18, tzinfo=UTC),
        datetime(2026, 3, 15, 18, tzinfo=UTC),
    )
    with pytest.raises(InvalidInput, match="not 0"):
        plan_.schedules.upcoming("@daily", count=0)


@settings(max_examples=50)
@given(
    st.sampled_from(["*/7 * * * *", "30 2 * * *", "0 */3 * * *", "15,45 1-3 * * 0"]),
    st.sampled_from(["UTC", "Europe/Berlin", "America/New_York"]),
    st.sampled_from([datetime(2026, 3, 28, tzinfo=UTC), datetime(2026, 10, 24, tzinfo=UTC)]),
    st.lists(st.integers(0, 6 * 3600), min_size=1, max_size=20),
)
def test_each_due_time_is_accounted_for_exactly_once_whenever_somebody_looks(
    cron: str, zone: str, start: datetime, sleeps: list[int]
) -> None:
    times = CronTimes(cron, zone)
    schedule = Schedule(
        id="schedule-1", name="s", cron=cron, timezone=zone, task_id="t", created_at=start, updated_at=start
    ).evolve(next_due_at=times.after(start))
    now, accounted = start, list[datetime]()
    for sleep in sleeps:
        now += timedelta(seconds=sleep)
        while (come := due(schedule, now)) is not None:
            assert come.at <= now
            assert come.next is not None
            assert come.next > now
            first = come.missed_since or come.at
            accounted += _between(times, first, come.at)
            schedule = schedule.evolve(next_due_at=come.next)
    assert accounted == _between(times, times.after(start), now)


def _between(times: CronTimes, first: datetime | None, last: datetime) -> list[datetime]:
    """The due times from one on to a moment."""
    assert first is not None
    found = times.upcoming(first, max(0, (last - first) // (5 * MINUTE) + 2))
    return [one for one in (first, *found) if one <= last]

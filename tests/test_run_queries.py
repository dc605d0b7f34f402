"""What people and other systems ask about runs, through the use cases."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from task_manager.errors import InvalidInput, NotFound
from task_manager.run_queries import RunQueries
from task_manager.store import Store, runs
from task_manager.store.run_queries import RunFilter
from task_manager.workflow_status import Reason, WorkflowStatus
from tests.store.builders import NOW, stored_run, stored_workflow

QUEUED, PREPARING = WorkflowStatus.QUEUED, WorkflowStatus.PREPARING
LIFE = (QUEUED, PREPARING, WorkflowStatus.RUNNING, WorkflowStatus.PROCESSING, WorkflowStatus.SUCCEEDED)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path) as opened:
        yield opened


@pytest.fixture
def queries(store: Store) -> RunQueries:
    """Asked three seconds after everything began."""
    return RunQueries(store, clock=lambda: NOW + timedelta(seconds=3))


async def test_a_run_is_got_by_its_id(store: Store, queries: RunQueries) -> None:
    run = stored_run(store)
    assert await queries.get(run.id) == run
    with pytest.raises(NotFound):
        await queries.get("run-none")


async def test_lists_counts_and_statistics_take_the_same_filter(store: Store, queries: RunQueries) -> None:
    workflow = stored_workflow(store)
    wanted = [stored_run(store, workflow, actor="ada") for _ in range(3)]
    stored_run(store, workflow)
    where = RunFilter(actor="ada")
    page = await queries.list(where, limit=2)
    rest = await queries.list(where, limit=2, cursor=page.next_cursor)
    assert (*page.items, *rest.items) == tuple(reversed(wanted))
    assert (await queries.count_by_status(where))[WorkflowStatus.CREATED] == 3
    assert (await queries.statistics(where)).total.runs == 3


async def test_the_events_of_a_run_go_on_where_the_reader_was(store: Store, queries: RunQueries) -> None:
    run, other = stored_run(store), stored_run(store)
    for status in (QUEUED, PREPARING):
        store.run_sync(runs.transition, run.id, status, now=NOW)
    first, *rest = await queries.events(run.id)
    assert [event.run_sequence for event in rest] == [2, 3]
    assert await queries.events(run.id, after=first.sequence) == tuple(rest)
    assert await queries.events(run.id, after=rest[-1].sequence) == ()
    assert [event.run_id for event in await queries.events(other.id)] == [other.id]


async def test_events_of_no_run_and_from_no_number_are_refused(store: Store, queries: RunQueries) -> None:
    run = stored_run(store)
    with pytest.raises(NotFound):
        await queries.events("run-none")
    with pytest.raises(InvalidInput, match="0 or more, not -1"):
        await queries.events(run.id, after=-1)


async def test_progress_is_told_for_the_moment_of_the_question(store: Store, queries: RunQueries) -> None:
    workflow = stored_workflow(store)
    done, run = stored_run(store, workflow), stored_run(store, workflow)
    for status in LIFE:
        later = NOW + timedelta(seconds=10 if status is WorkflowStatus.SUCCEEDED else 0)
        store.run_sync(runs.transition, done.id, status, now=later)
    for status in LIFE[:3]:
        store.run_sync(runs.transition, run.id, status, now=NOW)
    progress = await queries.progress(run.id)
    assert (progress.expected_seconds, progress.expected_from, progress.remaining_seconds) == (10, 1, 7)


async def test_failures_are_counted_by_class(store: Store, queries: RunQueries) -> None:
    workflow = stored_workflow(store)
    for code in ("step_failed", "step_failed", "engine_lost"):
        failed = stored_run(store, workflow)
        for status in (QUEUED, PREPARING, WorkflowStatus.RUNNING):
            store.run_sync(runs.transition, failed.id, status, now=NOW)
        reason = Reason(code=code, text="It went wrong.")
        store.run_sync(runs.transition, failed.id, WorkflowStatus.FAILED, reason=reason, now=NOW)
    stored_run(store, workflow)
    found = await queries.failures()
    assert (found.runs, sum(found.by_class.values())) == (3, 3)
    assert found.by_class["infrastructure"] == 1
    assert (await queries.failures(RunFilter(project_id=stored_run(store).project_id))).by_class == {}


async def test_runs_over_time_take_the_same_filter(store: Store, queries: RunQueries) -> None:
    stored_run(store, actor="ada")
    stored_run(store)
    days = [NOW + timedelta(days=number) for number in range(3)]
    found = await queries.trends(days, RunFilter(actor="ada"))
    assert [period.summary.runs for period in found.periods] == [1, 0]

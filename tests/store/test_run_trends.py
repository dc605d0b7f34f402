"""Runs over time: each counts in the stretch in which it was made, and in no other."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from task_manager.errors import InvalidInput
from task_manager.models import CacheOutcome, CacheRecord, WorkflowType
from task_manager.run_statistics import RunGroup, TrendGroup, trends_of
from task_manager.store import Store, cache, run_trends
from task_manager.store.run_queries import RunFilter
from task_manager.workflow_status import WorkflowStatus
from tests.store.builders import NOW, stored_run, stored_workflow
from tests.store.test_run_queries import FAILED, run_through

DAY = timedelta(days=1)
DAYS = (NOW, NOW + DAY, NOW + 2 * DAY, NOW + 3 * DAY)


def test_runs_count_in_the_stretch_in_which_they_were_made(store: Store) -> None:
    trained, own = stored_workflow(store, template_id="train"), stored_workflow(store)
    stored_run(store, own, created_at=NOW - timedelta(microseconds=1))
    first = run_through(store, stored_run(store, trained, template_id="train"), 3)
    run_through(store, stored_run(store, trained, template_id="train", created_at=NOW + 2 * DAY), 9, FAILED)
    stored_run(store, own, created_at=NOW + 2 * DAY)
    stored_run(store, own, created_at=NOW + 3 * DAY)
    hit = CacheRecord(run_id=first.id, outcome=CacheOutcome.HIT, saved_seconds=12.5, created_at=NOW)
    store.run_sync(cache.note, hit)
    found = store.run_sync(run_trends.trends, DAYS)
    assert [(one.since, one.summary.runs, one.summary.success_rate) for one in found.periods] == [
        (NOW, 1, 1.0),
        (NOW + DAY, 0, None),
        (NOW + 2 * DAY, 2, 0.0),
    ]
    assert [one.saved_seconds for one in found.periods] == [12.5, 0, 0]
    assert (found.saved_seconds, found.total.runs, found.periods[2].summary.p50_seconds) == (12.5, 3, 9)
    assert [(one.name, one.summary.runs) for one in found.by_project] == [(trained.project_id, 2), (own.project_id, 1)]
    assert [(one.name, one.summary.runs) for one in found.by_template] == [("train", 2), (None, 1)]
    assert store.run_sync(run_trends.trends, DAYS, RunFilter(template_id="train")).total.runs == 2
    assert store.run_sync(run_trends.trends, DAYS, RunFilter(project_id=own.project_id)).total.runs == 1


@pytest.mark.parametrize(
    "moments",
    [(), (NOW,), (NOW, NOW), (NOW + DAY, NOW), (datetime(2026, 1, 1), datetime(2026, 1, 2))],  # noqa: DTZ001
)
def test_moments_that_bound_nothing_are_refused(store: Store, moments: tuple[datetime, ...]) -> None:
    with pytest.raises(InvalidInput):
        store.run_sync(run_trends.trends, moments)


@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from("ab"), st.integers(1, 9)), max_size=20))
def test_each_run_is_in_one_period_and_one_project(runs: list[tuple[int, str, int]]) -> None:
    """Whatever runs there are: the parts add up to the whole."""
    kind = WorkflowType.CONTAINERIZED_WORKFLOW
    groups = [
        TrendGroup(period, project, 1.5, RunGroup(None, kind, WorkflowStatus.SUCCEEDED, count, [2.0] * count, 0, 0))
        for period, project, count in runs
    ]
    found = trends_of(groups, [NOW + number * DAY for number in range(5)])
    assert sum(one.summary.runs for one in found.periods) == found.total.runs == sum(count for *_, count in runs)
    assert sum(one.summary.runs for one in found.by_project) == found.total.runs
    assert sum(one.saved_seconds for one in found.periods) == found.saved_seconds == 1.5 * len(runs)

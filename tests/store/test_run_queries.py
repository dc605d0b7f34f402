"""Questions about runs: every filter means what it says, numbers are counted, estimates say what they come from."""

from datetime import datetime, timedelta
from statistics import median

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from task_manager.errors import InvalidInput, NotFound
from task_manager.models import WorkflowRun, WorkflowType
from task_manager.run_statistics import RunGroup, percentile, summarised
from task_manager.store import Store, run_queries, runs, steps
from task_manager.store.run_queries import RunFilter
from task_manager.workflow_status import Reason, WorkflowStatus
from tests.store.builders import NOW, a_step, stored_project, stored_run, stored_task, stored_workflow

SECOND = timedelta(seconds=1)
SUCCEEDED, FAILED = WorkflowStatus.SUCCEEDED, WorkflowStatus.FAILED


def run_through(
    store: Store, run: WorkflowRun, seconds: float, end: WorkflowStatus = SUCCEEDED, code: str = "done"
) -> WorkflowRun:
    """Take a run from `created` to an end, so that it takes so long."""
    path = [WorkflowStatus.QUEUED, WorkflowStatus.PREPARING, WorkflowStatus.RUNNING, WorkflowStatus.PROCESSING]
    for status in path:
        store.run_sync(runs.transition, run.id, status, now=NOW)
    later = NOW + seconds * SECOND
    return store.run_sync(runs.transition, run.id, end, reason=Reason(code=code, text="It is so."), now=later)


def listed(store: Store, **where: object) -> list[str]:
    """The ids of the runs that a filter finds, newest first."""
    return [run.id for run in store.run_sync(run_queries.list_, RunFilter(**where)).items]  # type: ignore[arg-type]


class TestLists:
    def test_each_filter_finds_its_runs_the_newest_first(self, store: Store) -> None:
        project = stored_project(store)
        task = stored_task(store, project, title="Train the Modell Öl")
        steps_ = stored_workflow(store, task, template_id="train", name="nightly")
        function = stored_workflow(store, stored_task(store, title="Other"), workflow_type="dagger_pipeline")
        one = stored_run(store, steps_, template_id="train", actor="ada")
        two = stored_run(store, function, created_at=NOW + SECOND)
        three = run_through(store, stored_run(store, steps_, template_id="train"), 1, FAILED)
        assert listed(store) == [three.id, two.id, one.id]
        assert listed(store, statuses=frozenset({WorkflowStatus.CREATED})) == [two.id, one.id]
        assert listed(store, statuses=frozenset({WorkflowStatus.CREATED, FAILED})) == [three.id, two.id, one.id]
        assert listed(store, template_id="train") == [three.id, one.id]
        assert listed(store, workflow_type=WorkflowType.DAGGER_PIPELINE) == [two.id]
        assert listed(store, workflow_type=WorkflowType.CONTAINERIZED_WORKFLOW) == [three.id, one.id]
        assert listed(store, project_id=project.id) == [three.id, one.id]
        assert listed(store, task_id=function.task_id) == [two.id]
        assert listed(store, actor="ada") == [one.id]
        assert listed(store, since=NOW + SECOND) == [two.id]
        assert listed(store, until=NOW + SECOND) == [three.id, one.id]
        assert listed(store, since=NOW, until=NOW + 2 * SECOND) == [three.id, two.id, one.id]
        assert listed(store, text="öL") == [three.id, one.id]
        assert listed(store, text="NIGHT") == [three.id, one.id]
        assert listed(store, project_id=project.id, actor="ada", text="train", template_id="train") == [one.id]
        assert listed(store, template_id="train", actor="grace") == []

    @pytest.mark.parametrize("text", ["%", "_", "/", "100% sure", "'; DROP TABLE runs --"])
    def test_a_text_stands_for_itself(self, store: Store, text: str) -> None:
        stored_run(store)
        found = stored_run(store, stored_workflow(store, stored_task(store, title=f"It is {text} so")))
        assert listed(store, text=text) == [found.id]

    def test_pages_of_a_filter_are_cut_nowhere_else(self, store: Store) -> None:
        """Runs that come meanwhile change nothing about the pages that follow."""
        workflow = stored_workflow(store)
        wanted = [stored_run(store, workflow, actor="ada").id for _ in range(5)]
        where, found, cursor = RunFilter(actor="ada"), [], None
        while True:
            page = store.run_sync(run_queries.list_, where, limit=2, cursor=cursor)
            found += [run.id for run in page.items]
            stored_run(store, workflow, actor="ada")
            stored_run(store, workflow)
            cursor = page.next_cursor
            if cursor is None:
                break
        assert found == wanted[::-1]

    def test_what_cannot_be_asked_for_is_refused(self) -> None:
        with pytest.raises(InvalidInput, match="No time is from"):
            RunFilter(since=NOW, until=NOW)
        with pytest.raises(InvalidInput, match="'until' is without a time zone"):
            RunFilter(until=datetime(2026, 1, 1))  # noqa: DTZ001 - that is the point
        with pytest.raises(InvalidInput, match="NUL"):
            RunFilter(text="a\0b")


class TestCounts:
    def test_every_status_has_one(self, store: Store) -> None:
        workflow = stored_workflow(store)
        stored_run(store)
        stored_run(store, workflow)
        run_through(store, stored_run(store, workflow), 1, FAILED)
        everything = store.run_sync(run_queries.count_by_status)
        assert list(everything) == list(WorkflowStatus)
        assert {status: count for status, count in everything.items() if count} == {
            WorkflowStatus.CREATED: 2,
            FAILED: 1,
        }
        own = store.run_sync(run_queries.count_by_status, RunFilter(project_id=workflow.project_id))
        assert (own[WorkflowStatus.CREATED], own[FAILED]) == (1, 1)


class TestStatistics:
    def test_they_are_of_the_runs_asked_for_in_all_and_by_kind(self, store: Store) -> None:
        trained = stored_workflow(store, template_id="train")
        function = stored_workflow(store, workflow_type="dagger_pipeline")
        for number in range(1, 21):
            run = stored_run(store, trained, template_id="train")
            store.run_sync(steps.plan, [a_step(run, "a", cached=number <= 5), a_step(run, "b", cached=None)])
            run_through(store, run, number)
        run_through(store, stored_run(store, function), 100, FAILED)
        stored_run(store, function)
        found = store.run_sync(run_queries.statistics)
        assert (found.total.runs, found.total.by_status) == (22, {"created": 1, "succeeded": 20, "failed": 1})
        assert found.total.success_rate == pytest.approx(20 / 21)
        assert (found.total.timed_runs, found.total.cached_share) == (21, 0.25)
        assert (found.total.p50_seconds, found.total.p95_seconds) == (11, 20)
        assert [(one.name, one.summary.runs) for one in found.by_template] == [("train", 20), (None, 2)]
        assert [(one.name, one.summary.p95_seconds) for one in found.by_type] == [
            ("containerized_workflow", 19),
            ("dagger_pipeline", 100),
        ]
        own = store.run_sync(run_queries.statistics, RunFilter(template_id="train"))
        assert own.total == found.by_template[0].summary

    def test_without_runs_nothing_is_said(self, store: Store) -> None:
        found = store.run_sync(run_queries.statistics, RunFilter(since=NOW))
        assert (found.total.runs, found.total.by_status, found.by_template, found.by_type) == (0, {}, (), ())
        assert (found.total.success_rate, found.total.p50_seconds, found.total.cached_share) == (None, None, None)

    def test_a_run_that_never_began_has_no_duration(self, store: Store) -> None:
        run = stored_run(store)
        ended = store.run_sync(runs.transition, run.id, SUCCEEDED, now=NOW + SECOND)
        assert ended.seconds is None
        found = store.run_sync(run_queries.statistics)
        assert (found.total.runs, found.total.timed_runs, found.total.p50_seconds) == (1, 0, None)

    def test_what_people_ended_or_what_never_ran_is_neither_success_nor_failure(self) -> None:
        kind = WorkflowType.CONTAINERIZED_WORKFLOW
        groups = [RunGroup(None, kind, status, 1, [None], 0, 0) for status in WorkflowStatus]
        assert summarised(groups).total.success_rate == 1 / 4

    @given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0.1, 100))
    def test_a_percentile_is_one_of_the_values_and_so_many_do_not_exceed_it(
        self, values: list[float], percent: float
    ) -> None:
        found = percentile(sorted(values), percent)
        assert found in values
        within = sum(value <= found for value in values)
        below = sum(value < found for value in values)
        assert within * 100 >= percent * len(values) * (1 - 1e-9)
        assert below * 100 < percent * len(values) * (1 + 1e-9)

    @given(st.lists(st.tuples(st.sampled_from([SUCCEEDED, FAILED]), st.integers(0, 90)), max_size=6))
    @settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_they_say_the_same_as_the_runs_themselves(
        self, store: Store, ends: list[tuple[WorkflowStatus, int]]
    ) -> None:
        workflow = stored_workflow(store)
        for status, seconds in ends:
            run_through(store, stored_run(store, workflow), seconds, status)
        where = RunFilter(task_id=workflow.task_id)
        items = store.run_sync(run_queries.list_, where).items
        total = store.run_sync(run_queries.statistics, where).total
        durations = sorted(
            (run.finished_at - run.started_at).total_seconds() for run in items if run.finished_at and run.started_at
        )
        assert total.runs == total.timed_runs == len(items) == len(ends)
        assert total.p50_seconds == percentile(durations, 50)
        assert total.by_status.get("failed", 0) == sum(run.status is FAILED for run in items)


class TestProgress:
    def test_an_estimate_comes_from_the_last_successful_runs_of_the_workflow(self, store: Store) -> None:
        """Failed ones, those of other workflows and those answered from the cache say nothing."""
        workflow = stored_workflow(store)
        for seconds in (500, *range(1, 11)):
            run_through(store, stored_run(store, workflow), seconds)
        run_through(store, stored_run(store, workflow), 900, FAILED)
        run_through(store, stored_run(store, workflow), 0, code="cached")
        run_through(store, stored_run(store), 900)
        run = stored_run(store, workflow)
        store.run_sync(
            steps.plan, [a_step(run, "a", status="succeeded"), a_step(run, "b", status="skipped"), a_step(run, "c")]
        )
        before = store.run_sync(run_queries.progress, run.id, NOW)
        assert (before.steps_done, before.steps_total) == (2, 3)
        assert (before.expected_seconds, before.expected_from) == (median(range(1, 11)), 10)
        assert before.remaining_seconds is None
        for status in (WorkflowStatus.QUEUED, WorkflowStatus.PREPARING):
            store.run_sync(runs.transition, run.id, status, now=NOW)
        assert store.run_sync(run_queries.progress, run.id, NOW + 2 * SECOND).remaining_seconds == 3.5
        assert store.run_sync(run_queries.progress, run.id, NOW + 60 * SECOND).remaining_seconds == 0

    def test_a_new_version_of_a_workflow_takes_as_long_as_the_ones_before(self, store: Store) -> None:
        """As long as it has no successful run of its own."""
        task = stored_task(store)
        run_through(store, stored_run(store, stored_workflow(store, task), template_id="train"), 8)
        run_through(store, stored_run(store, stored_workflow(store, task)), 900)
        version = stored_workflow(store, task)
        run = stored_run(store, version, template_id="train")
        assert store.run_sync(run_queries.progress, run.id, NOW).expected_seconds == 8
        run_through(store, stored_run(store, version, template_id="train"), 2)
        assert store.run_sync(run_queries.progress, run.id, NOW).expected_seconds == 2

    def test_without_earlier_runs_and_at_its_end_there_is_none(self, store: Store) -> None:
        run = stored_run(store)
        first = store.run_sync(run_queries.progress, run.id, NOW)
        assert (first.expected_seconds, first.expected_from, first.remaining_seconds) == (None, 0, None)
        run_through(store, run, 3)
        assert store.run_sync(run_queries.progress, run.id, NOW).expected_seconds is None

    def test_an_unknown_run_has_none(self, store: Store) -> None:
        with pytest.raises(NotFound):
            store.run_sync(run_queries.progress, "run-none", NOW)

"""Runs change by transitions, each with its event; steps, artifacts and results belong to them."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from task_manager.errors import Conflict, InvalidInput, InvalidTransition, NotFound
from task_manager.models import EventKind, WorkflowRun
from task_manager.store import Store, artifacts, events, projects, results, runs, steps, tasks
from task_manager.workflow_status import TASK_STATUS_OF_RUN, TRANSITIONS, Reason, StepStatus, TaskStatus, WorkflowStatus
from tests.store.builders import (
    LATER,
    NOW,
    a_run,
    a_step,
    an_artifact,
    stored_run,
    stored_task,
    stored_workflow,
)

CACHED = Reason(code="cached", text="An equal run succeeded before.", details={"run": "run-1"})


def advance(store: Store, run: WorkflowRun, *path: WorkflowStatus) -> WorkflowRun:
    """Takes a run through these states."""
    for status in path:
        run = store.run_sync(runs.transition, run.id, status, now=NOW)
    return run


class TestTransitions:
    def test_a_new_run_begins_its_log(self, store: Store) -> None:
        run = stored_run(store, actor="ada")
        (event,) = store.run_sync(events.after, 0)
        assert (event.kind, event.previous, event.status) == (EventKind.RUN_STATUS, None, WorkflowStatus.CREATED)
        assert (event.run_id, event.task_id, event.project_id) == (run.id, run.task_id, run.project_id)
        assert (event.run_sequence, event.time, event.actor) == (1, NOW, "ada")

    def test_it_is_stored_with_its_event(self, store: Store) -> None:
        run = stored_run(store)
        ended = store.run_sync(
            runs.transition,
            run.id,
            WorkflowStatus.SUCCEEDED,
            reason=CACHED,
            actor="ada",
            now=LATER,
            also={"engine": "embedded 1"},
        )
        assert ended == run.evolve(
            status="succeeded",
            reason=CACHED,
            engine="embedded 1",
            updated_at=LATER,
            finished_at=LATER,
            steps_cached=0,
            steps_counted=0,
            revision=2,
        )
        assert store.run_sync(runs.get, run.id) == ended
        event = store.run_sync(events.after, 0)[-1]
        assert (event.previous, event.status) == (WorkflowStatus.CREATED, WorkflowStatus.SUCCEEDED)
        assert (event.reason, event.actor, event.time, event.run_sequence) == (CACHED, "ada", LATER, 2)

    def test_it_starts_once_and_finishes_at_its_end(self, store: Store) -> None:
        """A worker may hand a run back and another one may take it: the first start stays."""
        queued, preparing, running = WorkflowStatus.QUEUED, WorkflowStatus.PREPARING, WorkflowStatus.RUNNING
        run = advance(store, stored_run(store), queued)
        assert run.started_at is None
        assert advance(store, run, preparing).started_at == NOW
        again = store.run_sync(runs.transition, run.id, running, now=LATER)
        assert (again.started_at, again.finished_at) == (NOW, None)
        failed = store.run_sync(runs.transition, run.id, WorkflowStatus.FAILED, now=LATER)
        assert (failed.started_at, failed.finished_at, failed.seconds) == (NOW, LATER, 2.5)

    def test_its_end_counts_the_steps_that_came_from_earlier_runs(self, store: Store) -> None:
        """Of those of which it is known."""
        run = stored_run(store)
        store.run_sync(
            steps.plan, [a_step(run, f"step-{n}", cached=cached) for n, cached in enumerate((True, False, None, True))]
        )
        ended = advance(store, run, WorkflowStatus.QUEUED, WorkflowStatus.SUCCEEDED)
        assert (ended.steps_cached, ended.steps_counted) == (2, 3)
        assert store.run_sync(runs.get, run.id) == ended

    def test_the_reason_is_that_of_the_present_state(self, store: Store) -> None:
        run = stored_run(store)
        waits = Reason(code="worker", text="It waits for a worker.")
        store.run_sync(runs.transition, run.id, WorkflowStatus.QUEUED, reason=waits, now=NOW)
        assert advance(store, run, WorkflowStatus.PREPARING).reason is None

    def test_what_the_table_forbids_changes_nothing(self, store: Store) -> None:
        run = stored_run(store)
        with pytest.raises(InvalidTransition, match="cannot become running"):
            store.run_sync(runs.transition, run.id, WorkflowStatus.RUNNING, now=LATER)
        assert store.run_sync(runs.get, run.id) == run
        assert len(store.run_sync(events.after, 0)) == 1

    def test_another_revision_than_the_expected_one_is_a_conflict(self, store: Store) -> None:
        run = stored_run(store)
        with pytest.raises(Conflict, match="revision 1, not 2"):
            store.run_sync(runs.transition, run.id, WorkflowStatus.QUEUED, now=LATER, expected_revision=2)
        assert store.run_sync(runs.get, run.id) == run

    def test_an_unknown_run_has_none(self, store: Store) -> None:
        with pytest.raises(NotFound):
            store.run_sync(runs.transition, "run-none", WorkflowStatus.QUEUED, now=NOW)

    def test_no_other_change_touches_the_status(self, store: Store) -> None:
        run = stored_run(store)
        with pytest.raises(InvalidInput, match="only a transition"):
            store.run_sync(runs.update, run.evolve(status="succeeded"))

    def test_the_task_follows_its_run(self, store: Store) -> None:
        """As the table of both says, with a new revision only where its status changes."""
        run = stored_run(store)
        seen = [store.run_sync(tasks.get, run.task_id)]
        for status in (WorkflowStatus.QUEUED, WorkflowStatus.PREPARING, WorkflowStatus.RUNNING, WorkflowStatus.FAILED):
            advance(store, run, status)
            seen.append(store.run_sync(tasks.get, run.task_id))
        working, blocked = TaskStatus.IN_PROGRESS, TaskStatus.BLOCKED
        assert [task.status for task in seen] == [TaskStatus.TODO, TaskStatus.TODO, working, working, blocked]
        assert [task.revision for task in seen] == [1, 1, 2, 2, 3]

    @given(st.data())
    @settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_the_log_tells_the_whole_story(self, store: Store, data: st.DataObject) -> None:
        """Whatever way a run takes through the table, its events repeat it without a gap."""
        run = stored_run(store)
        path = [run.status]
        while (following := sorted(TRANSITIONS[path[-1]])) and len(path) < 12:
            path.append(data.draw(st.sampled_from(following)))
            advance(store, run, path[-1])
        told = store.run_sync(events.after, 0, run_id=run.id)
        assert [event.status for event in told] == path
        assert [event.previous for event in told] == [None, *path[:-1]]
        assert [event.run_sequence for event in told] == list(range(1, len(path) + 1))
        last = next((TASK_STATUS_OF_RUN[status] for status in reversed(path) if TASK_STATUS_OF_RUN[status]), None)
        assert store.run_sync(tasks.get, run.task_id).status is (last or TaskStatus.TODO)


class TestWarnings:
    def test_one_is_kept_and_told_once(self, store: Store) -> None:
        run = stored_run(store)
        fallback = Reason(code="images_host", text="No registry answers: the host's toolchain is used.")
        warned = store.run_sync(runs.warn, run.id, fallback, LATER)
        assert store.run_sync(runs.warn, run.id, fallback, LATER) == warned
        assert warned == store.run_sync(runs.get, run.id)
        assert (warned.warnings, warned.updated_at) == ((fallback.text,), LATER)
        told = [event for event in store.run_sync(events.after, 0) if event.kind is EventKind.RUN_WARNING]
        assert [event.reason for event in told] == [fallback]


class TestLists:
    def test_those_that_are_not_over_are_listed_the_oldest_first(self, store: Store) -> None:
        workflow = stored_workflow(store)
        first, second = stored_run(store, workflow), stored_run(store, workflow)
        other = stored_run(store)
        advance(store, first, WorkflowStatus.FAILED)
        assert store.run_sync(runs.active, project_id=first.project_id) == (second,)
        assert store.run_sync(runs.active, task_ids=[first.task_id, other.task_id]) == (second, other)
        assert store.run_sync(runs.ids, task_ids=[first.task_id]) == (first.id, second.id)

    def test_the_latest_run_of_a_task(self, store: Store) -> None:
        workflow = stored_workflow(store)
        assert store.run_sync(runs.latest, workflow.task_id) is None
        first, second = stored_run(store, workflow), stored_run(store, workflow)
        ended = advance(store, first, WorkflowStatus.SUCCEEDED)
        assert store.run_sync(runs.latest, workflow.task_id) == second
        assert store.run_sync(runs.latest, workflow.task_id, status=WorkflowStatus.SUCCEEDED) == ended

    def test_a_run_needs_its_workflow(self, store: Store) -> None:
        with pytest.raises(InvalidInput, match="does not exist"):
            store.run_sync(runs.create, a_run(stored_workflow(store), workflow_id="workflow-none"))


class TestEvents:
    def test_they_are_read_from_any_number_on(self, store: Store) -> None:
        one, two = stored_run(store), stored_run(store)
        advance(store, one, WorkflowStatus.QUEUED, WorkflowStatus.PREPARING)
        everything = store.run_sync(events.after, 0)
        numbers = [event.sequence for event in everything]
        assert numbers == sorted(set(numbers))
        assert store.run_sync(events.after, numbers[1]) == everything[2:]
        assert store.run_sync(events.after, 0, limit=3) == everything[:3]
        assert {event.run_id for event in store.run_sync(events.after, 0, run_id=two.id)} == {two.id}
        assert [e.run_id for e in store.run_sync(events.after, numbers[0], project_id=one.project_id)] == [one.id] * 2
        assert store.run_sync(events.last_sequence) == numbers[-1]

    def test_numbers_of_removed_ones_are_not_given_again(self, store: Store) -> None:
        run = stored_run(store)
        last = store.run_sync(events.last_sequence)
        store.run_sync(projects.delete, run.project_id)
        assert store.run_sync(events.last_sequence) == 0
        stored_run(store)
        assert store.run_sync(events.last_sequence) > last


class TestSteps:
    def test_a_plan_is_replaced_by_the_next_one(self, store: Store) -> None:
        run, other = stored_run(store), stored_run(store)
        store.run_sync(steps.plan, [a_step(other)])
        store.run_sync(steps.plan, [a_step(run, "a"), a_step(run, "b", position=1)])
        planned = (a_step(run, "c", position=0, image="busybox"), a_step(run, "b", position=1))
        store.run_sync(steps.plan, list(reversed(planned)))
        assert store.run_sync(steps.of_run, run.id) == planned
        assert store.run_sync(steps.of_run, other.id) == (a_step(other),)
        store.run_sync(steps.plan, [])

    def test_a_plan_is_of_one_run_that_exists(self, store: Store) -> None:
        run, other = stored_run(store), stored_run(store)
        with pytest.raises(InvalidInput, match="several runs"):
            store.run_sync(steps.plan, [a_step(run), a_step(other)])
        with pytest.raises(InvalidInput, match="does not exist"):
            store.run_sync(steps.plan, [a_step(a_run(stored_workflow(store)))])

    def test_a_change_is_stored_with_its_event(self, store: Store) -> None:
        run = stored_run(store)
        store.run_sync(steps.plan, [a_step(run)])
        failed = a_step(
            run,
            status="failed",
            exit_code=3,
            started_at=NOW,
            finished_at=LATER,
            attempts=1,
            stderr_tail="no\n",
            log="l",
        )
        reason = Reason(code="step_failed", text="It ended with 3.")
        assert store.run_sync(steps.change, failed, reason=reason, now=LATER) == failed
        assert store.run_sync(steps.of_run, run.id) == (failed,)
        event = store.run_sync(events.after, 0)[-1]
        assert (event.kind, event.step_id, event.step_status) == (EventKind.STEP_STATUS, "build", StepStatus.FAILED)
        assert (event.run_sequence, event.reason, event.status) == (2, reason, None)

    def test_a_step_that_was_not_planned_is_unknown(self, store: Store) -> None:
        run = stored_run(store)
        store.run_sync(steps.plan, [a_step(run)])
        with pytest.raises(NotFound) as caught:
            store.run_sync(steps.change, a_step(run, "biuld"), now=NOW)
        assert caught.value.details["near"] == ["build"]

    def test_any_output_of_a_program_can_be_kept(self, store: Store) -> None:
        run = stored_run(store)
        store.run_sync(steps.plan, [a_step(run)])
        kept = store.run_sync(steps.change, a_step(run, stdout_tail="a\0b", error="\0"), now=NOW)
        assert kept.stdout_tail == "a�b"
        assert store.run_sync(steps.of_run, run.id) == (kept,)

    def test_the_last_failures_of_a_task_are_known_by_step(self, store: Store) -> None:
        workflow = stored_workflow(store)
        first, second, third = (stored_run(store, workflow) for _ in range(3))
        for run, statuses in ((first, ("failed", "timed_out")), (second, ("failed", "succeeded")), (third, ())):
            planned = [a_step(run, f"s{number}", status=status) for number, status in enumerate(statuses)]
            store.run_sync(steps.plan, planned)
        assert store.run_sync(steps.last_failures, workflow.task_id, before="run-z") == {
            "s0": second.id,
            "s1": first.id,
        }


class TestWhatARunLeaves:
    def test_an_artifact_replaces_the_one_of_its_name(self, store: Store) -> None:
        run = stored_run(store)
        wheel = an_artifact(run, "build/wheel", size=2**40)
        store.run_sync(artifacts.put, an_artifact(run, "test/report", is_directory=True))
        store.run_sync(artifacts.put, an_artifact(run, "build/wheel"))
        assert store.run_sync(artifacts.put, wheel) == wheel
        assert store.run_sync(artifacts.of_run, run.id) == (wheel, an_artifact(run, "test/report", is_directory=True))

    def test_a_result_replaces_the_one_before(self, store: Store) -> None:
        run = stored_run(store)
        assert store.run_sync(results.get, run.id) is None
        store.run_sync(results.put, run.id, {"headline": "old"})
        store.run_sync(
            results.put, run.id, {"headline": "ü", "metrics": [{"name": "loss", "value": 1.5, "unit": None}]}
        )
        assert store.run_sync(results.get, run.id) == {
            "headline": "ü",
            "metrics": [{"name": "loss", "value": 1.5, "unit": None}],
        }

    def test_both_need_their_run(self, store: Store) -> None:
        run = a_run(stored_workflow(store, stored_task(store)))
        with pytest.raises(InvalidInput):
            store.run_sync(artifacts.put, an_artifact(run))
        with pytest.raises(InvalidInput):
            store.run_sync(results.put, run.id, {})

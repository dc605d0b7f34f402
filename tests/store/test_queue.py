"""The queue in the store: every step of a run's way, each one transaction that may be repeated."""

from datetime import timedelta

import pytest
from pydantic import JsonValue

from task_manager.errors import Conflict, InvalidInput, RunTaken
from task_manager.models import CacheOutcome, CacheRecord, WorkerRecord, WorkerState, WorkflowRun
from task_manager.store import Store, cache, idempotency, projects, queue, runs, steps, workers
from task_manager.store.idempotency import Call
from task_manager.workflow_status import Reason, StepStatus, WorkflowStatus
from tests.store.builders import LATER, NOW, a_run, a_step, stored_project, stored_task, stored_workflow

WHY = Reason(code="engine_lost", text="The engine went away.")


def started(store: Store, *after: str) -> WorkflowRun:
    return store.run_sync(queue.start, a_run(stored_workflow(store)), after, now=NOW)


def handed_over(store: Store) -> WorkflowRun:
    run = started(store)
    assert store.run_sync(queue.hand_over, run.id, 1)
    return run


def taken(store: Store, worker_id: str = "w", most_recoveries: int = 5) -> WorkflowRun:
    run = handed_over(store)
    found = take(store, run, worker_id, most_recoveries)
    assert found is not None
    return found


def take(store: Store, run: WorkflowRun, worker_id: str = "w", most_recoveries: int = 5) -> WorkflowRun | None:
    about = {"worker_id": worker_id, "most_recoveries": most_recoveries, "now": LATER}
    return store.run_sync(queue.take, run.id, run.attempt, **about)  # type: ignore[arg-type]


def asked(run: WorkflowRun, **fields: object) -> CacheRecord:
    about = {"run_id": run.id, "key": "sha256:key", "outcome": CacheOutcome.MISS, "created_at": NOW}
    return CacheRecord.model_validate({**about, **fields})


def end(store: Store, run: WorkflowRun, status: WorkflowStatus) -> None:
    store.run_sync(runs.transition, run.id, status, now=LATER)


class TestWaiting:
    def test_a_run_without_dependencies_is_queued_at_once(self, store: Store) -> None:
        assert started(store).status is WorkflowStatus.QUEUED

    def test_a_run_is_released_when_all_that_it_waits_for_succeeded(self, store: Store) -> None:
        first, second = started(store), started(store)
        waiting = started(store, first.id, second.id)
        assert waiting.status is WorkflowStatus.WAITING
        end(store, first, WorkflowStatus.SUCCEEDED)
        assert store.run_sync(queue.released) == ()
        assert store.run_sync(queue.release, waiting.id, now=LATER).status is WorkflowStatus.WAITING
        end(store, second, WorkflowStatus.SUCCEEDED)
        assert store.run_sync(queue.released) == (waiting.id,)
        assert store.run_sync(queue.release, waiting.id, now=LATER).status is WorkflowStatus.QUEUED
        assert store.run_sync(queue.release, waiting.id, now=LATER).status is WorkflowStatus.QUEUED

    def test_a_run_is_skipped_when_one_that_it_waits_for_did_not_succeed(self, store: Store) -> None:
        upstream = started(store)
        waiting = started(store, upstream.id)
        end(store, upstream, WorkflowStatus.CANCELLED)
        skipped = store.run_sync(queue.release, waiting.id, now=LATER)
        assert skipped.status is WorkflowStatus.SKIPPED
        assert skipped.reason is not None
        assert skipped.reason.details["run"] == upstream.id

    def test_a_dependency_that_does_not_exist_is_refused_and_nothing_is_stored(self, store: Store) -> None:
        run = a_run(stored_workflow(store))
        with pytest.raises(InvalidInput):
            store.run_sync(queue.start, run, ["run-none"], now=NOW)
        assert store.run_sync(runs.active) == ()


class TestHandingOver:
    def test_an_attempt_is_handed_over_once(self, store: Store) -> None:
        run = started(store)
        assert [found.id for found in store.run_sync(queue.load).candidates] == [run.id]
        assert store.run_sync(queue.hand_over, run.id, 1)
        assert not store.run_sync(queue.hand_over, run.id, 1)
        loaded = store.run_sync(queue.load)
        assert ([*loaded.candidates], [found.id for found in loaded.under_way]) == ([], [run.id])

    def test_a_run_is_not_handed_over_when_an_equal_one_left_a_result_since_the_cache_was_asked(
        self, store: Store
    ) -> None:
        """Two workers asked and found nothing; the run of one is over before the other hands its own over."""
        first, second = started(store), started(store)
        for run in (first, second):
            assert store.run_sync(cache.note_asked, asked(run))
        assert store.run_sync(cache.kept_results, "sha256:key") == 0
        assert store.run_sync(queue.hand_over, first.id, 1, 0)
        assert not store.run_sync(queue.hand_over, second.id, 1, 0), "the first is executed"
        assert take(store, first) is not None
        store.run_sync(cache.note, asked(first, stored=True))
        end(store, first, WorkflowStatus.FAILED)
        assert not store.run_sync(queue.hand_over, second.id, 1, 0), "its result may be taken"
        assert store.run_sync(queue.hand_over, second.id, 1, 1), "asked again, the cache did not have it"

    def test_what_a_slow_look_up_found_is_not_noted_for_a_run_that_is_executed(self, store: Store) -> None:
        run = started(store)
        store.run_sync(cache.note_asked, asked(run))
        store.run_sync(queue.hand_over, run.id, 1)
        store.run_sync(cache.note, asked(run, stored=True))
        assert not store.run_sync(cache.note_asked, asked(run))
        assert store.run_sync(cache.of_run, run.id) == asked(run, stored=True)

    def test_the_paused_projects_are_known(self, store: Store) -> None:
        project = stored_project(store)
        store.run_sync(projects.pause, project.name, now=LATER)
        paused = store.run_sync(projects.pause, project.id, now=LATER)
        assert store.run_sync(queue.load).paused == {project.id}
        assert paused.revision == project.revision + 1
        store.run_sync(projects.resume, project.id, now=LATER)
        assert store.run_sync(queue.load).paused == frozenset()


class TestTaking:
    def test_a_worker_takes_what_was_handed_over(self, store: Store) -> None:
        run = taken(store)
        assert (run.status, run.worker_id, run.recoveries) == (WorkflowStatus.PREPARING, "w", 0)

    def test_an_interrupted_run_is_taken_up_again_and_says_so(self, store: Store) -> None:
        run = taken(store)
        again = take(store, run, "other")
        assert again is not None
        assert (again.status, again.worker_id, again.recoveries) == (WorkflowStatus.PREPARING, "other", 1)

    def test_one_that_was_interrupted_too_often_is_lost_and_says_why(self, store: Store) -> None:
        run = taken(store)
        assert take(store, run, most_recoveries=0) is None
        lost = store.run_sync(runs.get, run.id)
        assert lost.status is WorkflowStatus.LOST
        assert lost.reason is not None
        assert lost.reason.code == "recovery_given_up"

    def test_the_worker_that_was_taken_for_dead_changes_nothing_any_more(self, store: Store) -> None:
        run = taken(store, "dead")
        take(store, run, "alive")
        with pytest.raises(RunTaken):
            store.run_sync(runs.transition, run.id, WorkflowStatus.RUNNING, now=LATER, worker_id="dead")

    def test_one_that_is_over_or_has_another_attempt_is_left(self, store: Store) -> None:
        run = taken(store)
        store.run_sync(queue.retry, run.id, reason=WHY, due_at=LATER, now=LATER)
        assert take(store, run) is None
        store.run_sync(queue.wish_cancelled, run.id, reason=WHY, actor="a", now=LATER)
        assert take(store, run.evolve(attempt=2)) is None

    def test_one_whose_end_was_asked_for_is_cancelled_with_its_steps(self, store: Store) -> None:
        run = taken(store)
        begun = a_step(run, "begun", status=StepStatus.RUNNING, started_at=NOW)
        store.run_sync(steps.plan, [begun, a_step(run, "never", position=1)])
        wished = store.run_sync(queue.wish_cancelled, run.id, reason=WHY, actor="a", now=LATER)
        assert wished.status is WorkflowStatus.CANCELLING
        assert take(store, run) is None
        assert store.run_sync(runs.get, run.id).status is WorkflowStatus.CANCELLED
        ends = [step.status for step in store.run_sync(steps.of_run, run.id)]
        assert ends == [StepStatus.CANCELLED, StepStatus.SKIPPED]

    def test_a_worker_that_stops_hands_its_run_back(self, store: Store) -> None:
        run = taken(store)
        assert store.run_sync(queue.hand_back, run.id, now=LATER).status is WorkflowStatus.QUEUED
        again = take(store, run)
        assert again is not None
        assert again.recoveries == 0


class TestRetrying:
    def test_the_next_attempt_is_due_at_its_time_and_handed_over_anew(self, store: Store) -> None:
        run = taken(store)
        due_at = LATER + timedelta(seconds=3)
        retrying = store.run_sync(queue.retry, run.id, reason=WHY, due_at=due_at, now=LATER)
        assert (retrying.status, retrying.attempt, retrying.due_at) == (WorkflowStatus.RETRYING, 2, due_at)
        assert store.run_sync(queue.hand_over, run.id, 2)
        again = take(store, retrying)
        assert again is not None
        assert (again.status, again.due_at) == (WorkflowStatus.PREPARING, None)

    def test_the_steps_of_a_new_attempt_begin_anew_and_those_of_an_interrupted_one_stay(self, store: Store) -> None:
        run = taken(store)
        planned = (a_step(run),)
        store.run_sync(queue.plan_steps, run, planned)
        store.run_sync(steps.change, planned[0].evolve(status=StepStatus.SUCCEEDED), now=LATER)
        (kept,) = store.run_sync(queue.plan_steps, run, planned)
        (anew,) = store.run_sync(queue.plan_steps, run.evolve(attempt=2), planned)
        assert (kept.status, anew.status, anew.attempt) == (StepStatus.SUCCEEDED, StepStatus.PENDING, 2)


class TestWishes:
    def test_a_queued_run_is_cancelled_at_once_and_once(self, store: Store) -> None:
        run = started(store)
        cancelled = store.run_sync(queue.wish_cancelled, run.id, reason=WHY, actor="a", now=LATER)
        assert cancelled.status is WorkflowStatus.CANCELLED
        assert store.run_sync(queue.wish_cancelled, run.id, reason=WHY, actor="a", now=LATER) == cancelled


def call(key: str | None = "k", operation: str = "execute", **arguments: JsonValue) -> Call:
    return Call(operation, key, arguments)


class TestIdempotencyKeys:
    def test_a_key_leads_to_what_came_of_the_first_call(self, store: Store) -> None:
        assert store.run_sync(idempotency.known, call(a=1)) is None
        store.run_sync(idempotency.remember, call(a=1), ["run-1"], now=NOW)
        assert store.run_sync(idempotency.known, call(a=1)) == ("run-1",)
        assert store.run_sync(idempotency.known, call(operation="create", a=1)) is None

    def test_a_call_that_made_several_records_leads_to_all_in_their_order(self, store: Store) -> None:
        ids = tuple(f"run-{number}" for number in reversed(range(12)))
        store.run_sync(idempotency.remember, call(a=1), ids, now=NOW)
        assert store.run_sync(idempotency.known, call(a=1)) == ids

    def test_a_call_without_a_key_is_another_one_each_time(self, store: Store) -> None:
        store.run_sync(idempotency.remember, call(None), ["run-1"], now=NOW)
        assert store.run_sync(idempotency.known, call(None)) is None

    def test_a_key_with_other_arguments_is_refused(self, store: Store) -> None:
        store.run_sync(idempotency.remember, call(a=1), ["run-1"], now=NOW)
        with pytest.raises(Conflict, match="other arguments"):
            store.run_sync(idempotency.known, call(a=2))

    @pytest.mark.parametrize("key", ["", "  ", "k" * 201])
    def test_a_key_that_is_empty_or_too_long_is_refused(self, store: Store, key: str) -> None:
        with pytest.raises(InvalidInput, match="1 to 200 characters"):
            store.run_sync(idempotency.known, call(key))


class TestWorkers:
    def test_a_worker_is_there_as_long_as_it_shows_signs_of_life(self, store: Store) -> None:
        about = {"id": "w", "host": "h", "pid": 1, "version": "1", "capacity": 2}
        worker = WorkerRecord(**about, started_at=NOW, seen_at=NOW)
        store.run_sync(workers.put, worker)
        store.run_sync(workers.put, worker)
        assert store.run_sync(workers.seen, "w", state=WorkerState.STOPPING, now=LATER)
        assert store.run_sync(workers.all_) == (worker.evolve(seen_at=LATER, state=WorkerState.STOPPING),)
        assert not store.run_sync(workers.remove, "w", unseen_since=LATER)
        assert store.run_sync(workers.remove, "w", unseen_since=LATER + timedelta(seconds=1))
        assert not store.run_sync(workers.seen, "w", state=WorkerState.RUNNING, now=LATER)


def test_the_task_of_a_run_that_is_cancelled_while_queued_is_as_before(store: Store) -> None:
    task = stored_task(store)
    run = store.run_sync(queue.start, a_run(stored_workflow(store, task)), (), now=NOW)
    assert store.run_sync(queue.wish_cancelled, run.id, reason=WHY, actor="a", now=LATER).finished_at == LATER

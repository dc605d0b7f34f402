"""Which runs of the queue start now."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from task_manager.admission import Queue, RunLimits, decide, rank, run_limits
from task_manager.config import Settings
from task_manager.models import Priority, WorkerRecord, WorkerState, WorkflowRun
from task_manager.workflow_status import WorkflowStatus

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def a_run(number: int, **fields: object) -> WorkflowRun:
    about = {"workflow_id": "w", "workflow_version": 1, "task_id": "t", "project_id": "p", "status": "queued"}
    return WorkflowRun.model_validate(
        {"id": f"run-{number:04}", "created_at": NOW, "updated_at": NOW, **about, **fields}
    )


def queues(minimum: int = 0) -> st.SearchStrategy[list[WorkflowRun]]:
    fields = st.fixed_dictionaries(
        {
            "priority": st.sampled_from(Priority),
            "project_id": st.sampled_from(["p", "q"]),
            "template_id": st.sampled_from([None, "a", "b"]),
        }
    )
    return st.lists(fields, min_size=minimum, max_size=12).map(
        lambda all_: [a_run(number, **fields) for number, fields in enumerate(all_)]
    )


LIMITS = st.builds(
    RunLimits, st.integers(0, 6), st.none() | st.integers(1, 3), st.fixed_dictionaries({"a": st.integers(1, 3)})
)


@given(queues(), queues(), LIMITS, st.booleans())
def test_no_limit_is_ever_passed_and_every_run_is_accounted_for(
    candidates: list[WorkflowRun], under_way: list[WorkflowRun], limits: RunLimits, paused: bool
) -> None:
    under_way = [run.evolve(id=f"x{run.id}") for run in under_way]
    decision = decide(Queue(candidates, under_way, frozenset({"q"} if paused else ())), limits, NOW)
    admitted = decision.admitted
    together = [*under_way, *admitted]
    if admitted:
        assert len(together) <= limits.places
        for run in admitted:
            most = limits.per_project
            assert most is None or sum(other.project_id == run.project_id for other in together) <= most
            assert run.template_id != "a" or sum(o.template_id == "a" for o in together) <= limits.per_template["a"]
            assert not (paused and run.project_id == "q")
    assert {run.id for run in admitted} | set(decision.held) == {run.id for run in candidates}
    assert len(admitted) + len(decision.held) == len(candidates)


@given(queues(minimum=1), st.integers(1, 12))
def test_the_most_urgent_start_first_then_the_oldest(candidates: list[WorkflowRun], places: int) -> None:
    decision = decide(Queue(candidates, []), RunLimits(places), NOW)
    ordered = sorted(candidates, key=lambda run: (rank(run.priority), run.id))
    assert list(decision.admitted) == ordered[:places]
    assert list(decision.held) == [run.id for run in ordered[places:]]


def test_equal_runs_wait_for_each_other_only_where_they_leave_results() -> None:
    equal = [a_run(number, cache_key="sha256:1") for number in (1, 2)]
    assert list(decide(Queue(equal, []), RunLimits(2), NOW).held) == ["run-0002"]
    assert decide(Queue(equal, []), RunLimits(2, keeps_results=False), NOW).held == {}
    executed_elsewhere = a_run(3, status="running", flight="sha256:1")
    held = decide(Queue(equal, [executed_elsewhere]), RunLimits(3, keeps_results=False), NOW).held
    assert {reason.code for reason in held.values()} == {"equal_run"}


def test_priorities_are_ranked_from_critical_to_lowest() -> None:
    assert [rank(priority) for priority in ("critical", "high", "medium", "low", "lowest")] == [1, 2, 3, 4, 5]  # type: ignore[arg-type]


def test_a_retry_waits_for_its_time() -> None:
    retrying = a_run(1, status=WorkflowStatus.RETRYING, attempt=2, due_at=NOW + timedelta(seconds=3))
    assert decide(Queue([retrying], []), RunLimits(1), NOW).held["run-0001"].code == "waiting_for_retry"
    assert decide(Queue([retrying], []), RunLimits(1), NOW + timedelta(seconds=3)).admitted == (retrying,)


def test_what_a_run_waits_for_is_said() -> None:
    limits = RunLimits(2, 1, {"a": 1})
    under_way = [a_run(1, project_id="p", template_id="a")]
    candidates = [
        a_run(2),
        a_run(3, project_id="q", template_id="a"),
        a_run(4, project_id="r"),
        a_run(5, project_id="s"),
    ]
    decision = decide(Queue(candidates, under_way, frozenset({"s"})), limits, NOW)
    assert {key: reason.code for key, reason in decision.held.items()} == {
        "run-0002": "project_limit",
        "run-0003": "template_limit",
        "run-0005": "project_paused",
    }
    full = decide(Queue([a_run(6)], under_way), RunLimits(1), NOW).held["run-0006"]
    assert (full.code, full.details["position"]) == ("waiting_for_place", 1)
    assert decide(Queue([a_run(6)], []), RunLimits(0), NOW).held["run-0006"].code == "no_worker"


def test_only_living_workers_that_take_runs_have_places() -> None:
    def worker(number: int, state: WorkerState, seconds: float) -> WorkerRecord:
        times = {"started_at": NOW, "seen_at": NOW - timedelta(seconds=seconds)}
        return WorkerRecord(id=f"w{number}", host="h", pid=1, version="1", capacity=number, state=state, **times)

    all_ = [worker(1, WorkerState.RUNNING, 1), worker(2, WorkerState.RUNNING, 60), worker(4, WorkerState.STOPPING, 1)]
    assert run_limits(Settings(), all_, NOW, dead_after=15).places == 1

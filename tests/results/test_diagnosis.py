"""Why a run failed, as its steps, its reason and its events tell."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from task_manager.failure_rules import FailureClass, FailureRule
from task_manager.models import Event, StepRecord, WorkflowRun
from task_manager.results.diagnosis import History, diagnose, diagnosis_of, flake_among
from task_manager.results.failures import failure_of
from task_manager.workflow_status import Reason, StepStatus, WorkflowStatus

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def step(name: str, status: StepStatus, **fields: Any) -> StepRecord:
    return StepRecord(run_id="run-1", step_id=name, name=name.title(), status=status, **fields)


def run(status: WorkflowStatus = WorkflowStatus.FAILED, code: str = "step_failed", **fields: Any) -> WorkflowRun:
    about = {"id": "run-1", "workflow_id": "w", "workflow_version": 1, "task_id": "task-1", "project_id": "p"}
    reason = None if status is WorkflowStatus.SUCCEEDED else Reason(code=code, text=f"It ended by {code}.")
    return WorkflowRun.model_validate(
        {**about, "status": status, "reason": reason, "created_at": NOW, "updated_at": NOW, **fields}
    )


def event(kind: str, **fields: Any) -> Event:
    about = {"run_id": "run-1", "task_id": "task-1", "project_id": "p", "time": NOW}
    return Event.model_validate({**about, "kind": kind, **fields})


def test_the_step_that_failed_first_is_named_with_its_exit_code() -> None:
    diagnosis = diagnose(
        run(),
        [
            step("a", StepStatus.SUCCEEDED, finished_at=NOW),
            step("b", StepStatus.FAILED, finished_at=NOW + timedelta(seconds=2), exit_code=1),
            step("c", StepStatus.FAILED, finished_at=NOW + timedelta(seconds=1), exit_code=7, stderr_tail="error: c"),
            step("d", StepStatus.SKIPPED),
        ],
    )
    assert diagnosis is not None
    assert (diagnosis.step_id, diagnosis.step_name, diagnosis.exit_code) == ("c", "C", 7)
    assert diagnosis.lines == ("error: c",)
    assert diagnosis.failure_class is FailureClass.DETERMINISTIC


def test_of_a_step_that_wrote_nothing_its_own_error_is_told() -> None:
    timed_out = step("a", StepStatus.TIMED_OUT, error="Step a was stopped after 3 s, its time limit.")
    diagnosis = diagnose(run(WorkflowStatus.TIMED_OUT, "step_timed_out"), [timed_out])
    assert diagnosis is not None
    assert diagnosis.lines == ("Step a was stopped after 3 s, its time limit.",)
    assert (diagnosis.failure_class, diagnosis.resource) == (FailureClass.RESOURCE, "time")


@pytest.mark.parametrize("status", [WorkflowStatus.SUCCEEDED, WorkflowStatus.RUNNING, WorkflowStatus.QUEUED])
def test_of_a_run_that_has_not_failed_there_is_nothing_to_tell(status: WorkflowStatus) -> None:
    assert diagnose(run(status), [step("a", StepStatus.SUCCEEDED), step("b", StepStatus.RUNNING)]) is None


def test_where_no_step_failed_the_runs_own_reason_is_classified() -> None:
    diagnosis = diagnose(run(code="store_full"), [step("a", StepStatus.SUCCEEDED)])
    assert diagnosis is not None
    assert (diagnosis.rule, diagnosis.step_id) == ("store_full", None)
    assert diagnosis.lines == ("It ended by store_full.",)


def test_a_step_is_classified_by_its_own_reason_not_by_that_of_its_run() -> None:
    lost = Reason(code="engine_lost", text="The engine went away.")
    events = [event("step_status", step_id="a", step_status="failed", reason=lost)]
    failure = failure_of(run(), [step("a", StepStatus.FAILED, error=lost.text)], events)
    assert failure is not None
    assert failure.classification.rule == "engine_lost"


def test_a_run_that_ran_out_of_time_names_the_step_that_was_under_way() -> None:
    busy = step("b", StepStatus.CANCELLED, error="Stopped with its run.")
    diagnosis = diagnose(run(WorkflowStatus.TIMED_OUT, "run_timed_out"), [step("a", StepStatus.SUCCEEDED), busy])
    assert diagnosis is not None
    assert (diagnosis.rule, diagnosis.step_id) == ("run_timed_out", "b")


def test_a_pipelines_own_rules_are_asked_first_and_their_actions_name_run_and_step() -> None:
    own = FailureRule.model_validate(
        {
            "id": "licence_server_busy",
            "failure_class": "transient",
            "summary": "All licences are in use.",
            "exit_codes": [3],
            "actions": [{"command": "task-manager run rerun {run} --from-step {step}", "why": "Again."}],
        }
    )
    diagnosis = diagnose(run(), [step("a", StepStatus.FAILED, exit_code=3, stderr_tail="MemoryError")], [own])
    assert diagnosis is not None
    assert (diagnosis.rule, diagnosis.failure_class) == ("licence_server_busy", FailureClass.TRANSIENT)
    assert [action.command for action in diagnosis.actions] == ["task-manager run rerun run-1 --from-step a"]


def test_a_command_whose_names_are_not_known_is_not_suggested() -> None:
    diagnosis = diagnose(run(code="step_failed"), [])
    assert diagnosis is not None
    assert not [action for action in diagnosis.actions if "{" in action.command or "--step" in action.command]


def test_a_skipped_run_points_to_the_run_that_it_waited_for() -> None:
    reason = Reason(code="upstream_failed", text="Not run, because …", details={"run": "run-0"})
    diagnosis = diagnose(run(WorkflowStatus.SKIPPED, reason=reason), [])
    assert diagnosis is not None
    assert diagnosis.actions[0].command == "task-manager run diagnose run-0"


def test_what_was_tried_is_told_from_the_events() -> None:
    recovery = {"failure_class": "transient", "rule": "connection_lost", "fingerprint": "ab", "action": "Tried again."}
    again = Reason(code="step_failed", text="…", details={"recovery": {**recovery, "time_factor": 1}})
    reconnected = Reason(code="engine_reconnected", text="The engine died.")
    events = [
        event("run_warning", reason=reconnected),
        event("run_status", status="retrying", attempt=2, reason=again),
        event("run_status", status="queued", attempt=2, reason=Reason(code="waiting", text="…")),
    ]
    steps = [step("a", StepStatus.FAILED, exit_code=1)]
    failure = failure_of(run(), steps, events)
    assert failure is not None
    tried = diagnosis_of(run(), failure, events, History()).tried
    assert [(one.attempt, one.rule, one.action) for one in tried] == [
        (1, "engine_lost", "The engine died."),
        (1, "connection_lost", "Tried again."),
    ]


def test_the_same_inputs_that_failed_and_succeeded_are_a_flake() -> None:
    succeeded, failed = run(WorkflowStatus.SUCCEEDED, id="run-3"), run(id="run-2")
    flake = flake_among(run(), [succeeded, failed])
    assert flake is not None
    assert (flake.succeeded, flake.failed, flake.example) == (1, 2, "run-3")


def test_a_success_from_the_cache_proves_no_flake() -> None:
    cached = run(WorkflowStatus.SUCCEEDED, reason=Reason(code="cached", text="…"))
    assert flake_among(run(), [cached]) is None
    assert flake_among(run(), []) is None
    assert flake_among(run(WorkflowStatus.CANCELLED), [run(WorkflowStatus.SUCCEEDED)]) is None

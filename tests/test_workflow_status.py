"""The table of a run's states: its laws, every walk through it, and the words of a refusal."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from task_manager.errors import InvalidTransition
from task_manager.run_states import explanations, reference
from task_manager.workflow_status import (
    TASK_STATUS_OF_RUN,
    TRANSITIONS,
    StepStatus,
    TaskStatus,
    WorkflowStatus,
    check_transition,
)

ENDS = frozenset(
    {
        WorkflowStatus.SUCCEEDED,
        WorkflowStatus.FAILED,
        WorkflowStatus.CANCELLED,
        WorkflowStatus.TIMED_OUT,
        WorkflowStatus.SKIPPED,
        WorkflowStatus.LOST,
    }
)
statuses = st.sampled_from(WorkflowStatus)


def reachable(start: WorkflowStatus) -> set[WorkflowStatus]:
    found, left = {start}, [start]
    while left:
        new = TRANSITIONS[left.pop()] - found
        found |= new
        left += new
    return found


def test_the_table_knows_every_state() -> None:
    assert set(TRANSITIONS) == set(WorkflowStatus)
    assert set(TASK_STATUS_OF_RUN) == set(WorkflowStatus)


def test_six_states_are_ends_and_the_table_says_so() -> None:
    assert {status for status in WorkflowStatus if status.is_terminal} == ENDS


def test_every_state_can_be_reached_from_created() -> None:
    assert reachable(WorkflowStatus.CREATED) == set(WorkflowStatus)


def test_nothing_leads_back_to_created() -> None:
    assert all(WorkflowStatus.CREATED not in following for following in TRANSITIONS.values())


@pytest.mark.parametrize("status", [status for status in WorkflowStatus if not status.is_terminal])
def test_every_state_leads_to_failure_and_to_being_cancelled(status: WorkflowStatus) -> None:
    assert {WorkflowStatus.FAILED, WorkflowStatus.CANCELLED} <= reachable(status)


@pytest.mark.parametrize("status", [WorkflowStatus.PREPARING, WorkflowStatus.RUNNING, WorkflowStatus.PROCESSING])
def test_a_run_with_containers_is_not_cancelled_at_once(status: WorkflowStatus) -> None:
    assert WorkflowStatus.CANCELLED not in TRANSITIONS[status]
    assert WorkflowStatus.CANCELLING in TRANSITIONS[status]


@pytest.mark.parametrize("status", [WorkflowStatus.CREATED, WorkflowStatus.WAITING, WorkflowStatus.QUEUED])
def test_a_run_without_containers_is_cancelled_at_once(status: WorkflowStatus) -> None:
    assert WorkflowStatus.CANCELLED in TRANSITIONS[status]
    assert WorkflowStatus.CANCELLING not in TRANSITIONS[status]


def test_a_run_runs_only_after_it_was_queued_and_prepared() -> None:
    before_running = {status for status, following in TRANSITIONS.items() if WorkflowStatus.RUNNING in following}
    before_preparing = {status for status, following in TRANSITIONS.items() if WorkflowStatus.PREPARING in following}
    assert before_running == {WorkflowStatus.PREPARING}
    assert before_preparing == {WorkflowStatus.QUEUED, WorkflowStatus.RETRYING}


def test_only_a_run_that_never_started_can_be_skipped() -> None:
    before = {status for status, following in TRANSITIONS.items() if WorkflowStatus.SKIPPED in following}
    assert before == {WorkflowStatus.CREATED, WorkflowStatus.WAITING}


@pytest.mark.parametrize("status", [WorkflowStatus.QUEUED, WorkflowStatus.PREPARING, WorkflowStatus.RUNNING])
def test_a_worker_can_hand_back_what_it_took_and_the_run_can_be_lost(status: WorkflowStatus) -> None:
    assert WorkflowStatus.LOST in TRANSITIONS[status]
    assert status is WorkflowStatus.QUEUED or WorkflowStatus.QUEUED in TRANSITIONS[status]


@given(statuses, statuses)
def test_a_change_is_accepted_exactly_where_the_table_has_it(
    current: WorkflowStatus, following: WorkflowStatus
) -> None:
    if following in TRANSITIONS[current]:
        check_transition(current, following)
    else:
        with pytest.raises(InvalidTransition):
            check_transition(current, following)


@given(st.data())
def test_every_walk_along_the_table_ends_in_one_of_the_ends(data: st.DataObject) -> None:
    status = WorkflowStatus.CREATED
    for _ in range(30):
        if status.is_terminal:
            break
        following = data.draw(st.sampled_from(sorted(TRANSITIONS[status])))
        check_transition(status, following)
        status = following
    else:
        # However long a run is handed back and tried again, an end is never out of reach.
        assert reachable(status) & ENDS
        return
    assert status in ENDS
    assert TRANSITIONS[status] == frozenset()


@given(statuses, statuses)
def test_a_refusal_names_the_run_both_states_and_what_is_allowed(
    current: WorkflowStatus, following: WorkflowStatus
) -> None:
    if following in TRANSITIONS[current]:
        return
    with pytest.raises(InvalidTransition) as caught:
        check_transition(current, following, run_id="run-1")
    error = caught.value
    assert all(word in error.message for word in ("run-1", current, following))
    assert all(status in error.remedy for status in TRANSITIONS[current])
    assert error.details["current"] == current
    assert error.details["following"] == following
    assert error.details["allowed"] == sorted(TRANSITIONS[current])


def test_a_refusal_at_an_end_says_to_start_a_new_run() -> None:
    with pytest.raises(InvalidTransition) as caught:
        check_transition(WorkflowStatus.SUCCEEDED, WorkflowStatus.RUNNING)
    assert "new run" in caught.value.remedy


def test_the_tables_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        TRANSITIONS[WorkflowStatus.FAILED] = frozenset({WorkflowStatus.RUNNING})  # type: ignore[index]
    with pytest.raises(TypeError):
        TASK_STATUS_OF_RUN[WorkflowStatus.FAILED] = TaskStatus.DONE  # type: ignore[index]


def test_a_task_is_done_exactly_when_its_run_succeeded() -> None:
    assert [status for status, task in TASK_STATUS_OF_RUN.items() if task is TaskStatus.DONE] == [
        WorkflowStatus.SUCCEEDED
    ]


def test_a_task_is_in_progress_while_its_run_has_a_worker() -> None:
    working = {status for status, task in TASK_STATUS_OF_RUN.items() if task is TaskStatus.IN_PROGRESS}
    assert working == {
        WorkflowStatus.PREPARING,
        WorkflowStatus.RUNNING,
        WorkflowStatus.PROCESSING,
        WorkflowStatus.RETRYING,
    }


def test_a_step_is_over_unless_it_waits_or_works() -> None:
    assert {status for status in StepStatus if not status.is_terminal} == {StepStatus.PENDING, StepStatus.RUNNING}


def test_a_refusal_is_logged_with_both_states(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(InvalidTransition):
        check_transition(WorkflowStatus.QUEUED, WorkflowStatus.RUNNING, run_id="run-1")
    assert caplog.messages == ["transition_refused run_id=run-1 current=queued following=running"]


@pytest.mark.parametrize("enumeration", [WorkflowStatus, StepStatus, TaskStatus])
def test_every_state_is_explained(enumeration: type[StrEnum]) -> None:
    texts = explanations(enumeration)
    assert set(texts) == set(enumeration)
    assert all(text.endswith(".") for text in texts.values())


class TestPage:
    PAGE = Path(__file__).parents[1] / "docs" / "reference" / "run-states.md"

    def test_the_committed_page_is_what_the_tables_give(self) -> None:
        command = "python -m task_manager.run_states > docs/reference/run-states.md"
        assert self.PAGE.read_text(encoding="utf-8") == reference(), f"write it anew: {command}"
        assert command in self.PAGE.read_text(encoding="utf-8")

    def test_the_picture_has_every_change_of_the_table_and_no_other(self) -> None:
        picture = self.PAGE.read_text(encoding="utf-8").split("```")[1]
        drawn = set(re.findall(r"^ +(\S+) --> (\S+)$", picture, re.MULTILINE))
        changes = {(status.value, after.value) for status, following in TRANSITIONS.items() for after in following}
        assert drawn == changes | {("[*]", "created")} | {(status.value, "[*]") for status in ENDS}

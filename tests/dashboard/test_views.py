"""What pages show is told without a browser: addresses, times, logs, places of steps."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from task_manager.dagger_integration import RunState
from task_manager.dashboard.views import run_log
from task_manager.dashboard.views.moments import ago_text, clock, took
from task_manager.dashboard.views.named_runs import NamedRun
from task_manager.dashboard.views.parts import prose
from task_manager.dashboard.views.run import RunFacts, inputs
from task_manager.dashboard.views.runs import GROUPS, RunsQuery, RunsTable
from task_manager.dashboard.views.runs import draw as draw_runs
from task_manager.dashboard.views.step_pictures import curve, places
from task_manager.dashboard.views.tree import h, texts
from task_manager.errors import InvalidInput
from task_manager.models import StepRecord
from task_manager.run_statistics import Progress
from task_manager.workflow_status import StepStatus, WorkflowStatus
from tests.dashboard.test_work_views import elements
from tests.store.builders import NOW, a_project, a_run, a_task, a_workflow


def test_elements_leave_out_what_is_not_given() -> None:
    assert h("a", "x", None, href="/", class_="b", aria_label=None, hidden=False) == [
        "a",
        {"href": "/", "class": "b"},
        "x",
    ]


def test_what_stands_between_backquotes_is_code_and_a_single_one_stays() -> None:
    assert prose("Either this or `data`.") == ["Either this or ", ["code", {}, "data"], "."]
    assert prose("5` long") == ["5` long"]


def test_all_texts_of_a_tree_are_found_in_their_order() -> None:
    assert list(texts(h("p", "one", h("b", "two"), "three"))) == ["one", "two", "three"]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "now"), (12, "12 s ago"), (185, "3 min ago"), (7200, "2 h ago"), (200_000, "2 d ago")]
)
def test_moments_are_told_in_the_largest_unit_that_fits(seconds: float, text: str) -> None:
    assert ago_text(seconds) == text


def test_parameters_that_are_secret_are_not_shown_with_a_run() -> None:
    pipeline = {"steps": [{"id": "say", "image": "busybox", "command": ["echo", "hidden"]}]}
    workflow = a_workflow(a_task(a_project()), parameters={"password": "hidden", "text": "open"}, pipeline=pipeline)
    state = RunState(a_run(workflow), workflow, (), (), None)
    facts = RunFacts(NOW, state, "Test", "Shop", Progress(0, 0), None, None, frozenset({"password"}))
    shown = [one for node in inputs(facts) for one in texts(node)]
    assert "password" in shown
    assert '"open"' in shown
    assert "hidden" not in "\n".join(shown)


def test_runs_of_one_task_are_shown_as_such_with_a_way_to_all() -> None:
    run = a_run(a_workflow(a_task(a_project())))
    shown = RunsTable(RunsQuery(task=run.task_id), NOW, [NamedRun(run, "Test", "Shop")], dict.fromkeys(GROUPS, 1), None)
    drawn = draw_runs(shown, (), may_run=True)
    assert "Task: Test" in [one for node in drawn for one in texts(node)]
    assert "/runs" in [one["href"] for one in elements(["div", {}, *drawn], "a")]


def test_a_run_that_goes_on_is_told_how_long_so_far() -> None:
    run = a_run(a_workflow(a_task(a_project())), started_at=NOW)
    assert list(texts(took(run, NOW + timedelta(seconds=5)))) == ["5.0 s"]
    assert list(texts(took(run.evolve(started_at=None), NOW))) == ["\u2013"]


def test_a_moment_is_told_to_the_second_until_the_browser_knows_better() -> None:
    assert clock(datetime(2026, 3, 15, 2, 1, 9, tzinfo=UTC))[2:] == ["2026-03-15 02:01:09 UTC"]


def test_a_run_whose_project_is_paused_says_that_it_waits_for_that() -> None:
    run = a_run(a_workflow(a_task(a_project())), status=WorkflowStatus.QUEUED)
    shown = RunsTable(RunsQuery(), NOW, [NamedRun(run, "Test", "Shop")], dict.fromkeys(GROUPS, 1), None)
    waits = "Waits because its project is paused."
    assert waits not in [one for node in draw_runs(shown, (), may_run=True) for one in texts(node)]
    paused = replace(shown, paused=frozenset({run.project_id}))
    assert waits in [one for node in draw_runs(paused, (), may_run=True) for one in texts(node)]


@given(st.fixed_dictionaries({}, optional={name: st.text(max_size=20) for name in ("status", "project", "text")}))
def test_an_address_asks_for_what_it_was_made_from(given: dict[str, str]) -> None:
    query = RunsQuery.of(given)
    assert RunsQuery.of(dict(parse_qsl(urlsplit(query.address).query))) == query


def test_a_group_of_states_is_meant_by_its_name_and_one_state_by_its_own() -> None:
    assert RunsQuery("failed").filter.statuses == {
        WorkflowStatus.FAILED,
        WorkflowStatus.TIMED_OUT,
        WorkflowStatus.LOST,
    }
    assert RunsQuery("queued").filter.statuses == {WorkflowStatus.QUEUED}
    with pytest.raises(InvalidInput, match="no status 'sleeping'"):
        _ = RunsQuery("sleeping").filter


def test_steps_stand_right_of_those_that_they_need_and_never_upon_each_other() -> None:
    found = places({"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"]})
    assert found["a"][0] < found["b"][0] == found["c"][0] < found["d"][0]
    assert len(set(found.values())) == 4


@pytest.mark.parametrize(
    ("line", "shown"), [("\x1b[31mred\x1b[0m", "red"), ("10 %\r20 %", "20 %"), ("a\tb", "a\tb"), ("\x1b]0;t\x07x", "x")]
)
def test_lines_are_shown_without_what_is_meant_for_terminals(line: str, shown: str) -> None:
    assert run_log.plain(line) == shown


def test_the_failed_step_is_shown_first_unless_the_address_names_another() -> None:
    steps = [
        StepRecord(run_id="r", step_id="good", name="", status=StepStatus.SUCCEEDED),
        StepRecord(run_id="r", step_id="bad", name="", status=StepStatus.FAILED, stderr_tail="oh"),
    ]
    assert run_log.first_choice(steps, "") == run_log.LogChoice("bad", "stderr")
    assert run_log.first_choice(steps, "good") == run_log.LogChoice("good", "stdout")
    assert run_log.first_choice([], "") == run_log.LogChoice()


def test_a_curve_has_its_last_value_and_stands_gaps() -> None:
    assert "0.5" in list(texts(curve("loss", [1, 2, 3], [1.0, None, 0.5])))
    assert "\u2013" in list(texts(curve("loss", [], [])))

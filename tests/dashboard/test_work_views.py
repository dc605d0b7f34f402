"""Projects, tasks and statistics as pages show them."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from task_manager.dashboard.views import charts, dependency_graph
from task_manager.dashboard.views.form_problems import changed_meanwhile, problems_at_fields
from task_manager.dashboard.views.parameter_forms import WHOLE_FORM
from task_manager.dashboard.views.project_page import ProjectFacts, ProjectView, Shape, draw
from task_manager.dashboard.views.schedule_list import schedules_card
from task_manager.dashboard.views.statistics_page import SPANS, StatisticsView, moments
from task_manager.dashboard.views.template_page import example_command
from task_manager.dashboard.views.tree import Node, texts
from task_manager.errors import DependencyCycle, InvalidInput, SourceNotFound
from task_manager.models import Project
from task_manager.schedule_records import Schedule
from task_manager.task_rules import checked
from task_manager.workflow_status import TaskStatus
from task_manager.workflow_templates import WorkflowTemplateRegistry
from tests.store.builders import NOW, a_phase, a_project, a_run, a_task, a_workflow


def elements(node: Node, name: str) -> list[dict[str, Any]]:
    """The attributes of all elements of a name, in order."""
    if isinstance(node, str):
        return []
    own = [node[1]] if node[0] == name else []
    return own + [found for child in node[2:] for found in elements(child, name)]


def said(nodes: list[Node]) -> str:
    """All texts of a page."""
    return "\n".join(text for node in nodes for text in texts(node))


class TestProjectPage:
    def test_the_board_has_each_task_in_the_column_of_its_status(self) -> None:
        project = a_project()
        tasks = [a_task(project, title=f"Task {one.value}", status=one) for one in TaskStatus]
        page = draw(ProjectFacts(NOW, project, [], tasks), ProjectView())
        columns = {one["data-column"]: one for one in elements(["div", {}, *page], "section") if "data-column" in one}
        assert list(columns) == [one.value for one in TaskStatus]
        assert columns["done"]["aria-label"] == "Done: 1 task"

    def test_a_card_shows_how_the_newest_run_is(self) -> None:
        project = a_project()
        task = a_task(project)
        run = a_run(a_workflow(task))
        page = draw(ProjectFacts(NOW, project, [], [task], {task.id: run}), ProjectView())
        links = [one["href"] for one in elements(["div", {}, *page], "a")]
        assert f"/runs/{run.id}" in links
        assert "Created" in said(page)

    def test_filters_are_in_the_address_and_come_back_from_it(self) -> None:
        view = ProjectView(Shape.LIST, "phase-1", "done", "unit")
        assert view.address == "?view=list&phase=phase-1&status=done&q=unit"
        query = dict(part.split("=") for part in view.address[1:].split("&"))
        assert ProjectView.of_query(query) == view
        assert ProjectView.of_query({"view": "nonsense", "status": "gone"}) == ProjectView()

    def test_filters_leave_out_what_they_say(self) -> None:
        project = a_project()
        phase = a_phase(project)
        inside = a_task(project, title="Unit tests", phase_id=phase.id)
        outside = a_task(project, title="Docs", status=TaskStatus.DONE)
        facts = ProjectFacts(NOW, project, [phase], [inside, outside])
        for view in (ProjectView(Shape.LIST, phase=phase.id), ProjectView(Shape.LIST, text="UNIT")):
            assert "Unit tests" in said(draw(facts, view))
            assert "Docs" not in said(draw(facts, view))
        assert "No task fits" in said(draw(facts, ProjectView(text="nothing")))

    def test_without_tasks_it_teaches_the_next_command(self) -> None:
        project = a_project()
        shown = said(draw(ProjectFacts(NOW, project, [], []), ProjectView()))
        assert f"task-manager task create {project.id}" in shown

    def test_whoever_may_only_look_finds_no_buttons(self) -> None:
        project = a_project()
        facts = ProjectFacts(NOW, project, [a_phase(project)], [a_task(project)], may_run=False, may_remove=False)
        for shape in Shape:
            page: Node = ["div", {}, *draw(facts, ProjectView(shape))]
            assert elements(page, "button") == []
            assert [one for one in elements(page, "section") if "drop" in one.get("on", {})] == []


class TestGraph:
    @given(st.dictionaries(st.integers(0, 12), st.sets(st.integers(0, 12), max_size=4), max_size=13))
    def test_no_two_boxes_share_a_place_and_each_is_right_of_those_it_needs(self, needs: dict[int, set[int]]) -> None:
        edges = {str(node): [str(one) for one in sorted(needed) if one < node] for node, needed in needs.items()}
        edges = {node: [one for one in needed if one in edges] for node, needed in edges.items()}
        places = dependency_graph.placed(edges)
        assert len(set(places.values())) == len(edges) == len(places)
        assert all(places[one].x < places[node].x for node, needed in edges.items() for one in needed)

    def test_there_is_a_line_for_each_dependency_among_the_boxes(self) -> None:
        drawn = dependency_graph.draw({"a": "A", "b": "B"}, {"b": ["a", "elsewhere"]}, label="Tasks")
        assert len(elements(drawn, "path")) == 1


class TestForms:
    def test_findings_stand_at_their_fields(self) -> None:
        with pytest.raises(InvalidInput) as refused:
            checked(Project, {"id": "project-1", "name": " ", "created_at": NOW, "updated_at": NOW})
        assert set(problems_at_fields(refused.value, ("name", "source_folder"))) == {"name"}

    @pytest.mark.parametrize(
        ("error", "field"),
        [
            (SourceNotFound("No such folder."), "source_folder"),
            (DependencyCycle("A circle."), "dependencies"),
            (InvalidInput("There is one.", details={"name": "Shop"}), "name"),
            (InvalidInput("Something else."), WHOLE_FORM),
        ],
    )
    def test_other_errors_stand_at_the_field_they_are_about(self, error: InvalidInput, field: str) -> None:
        fields = ("name", "source_folder", "dependencies")
        assert set(problems_at_fields(error, fields)) == {field}

    def test_a_conflict_names_what_others_changed(self) -> None:
        before = a_project(name="Shop", description="old")
        after = before.evolve(description="new", revision=2)
        assert changed_meanwhile(before, after, ("name", "description")) == {"description": ("old", "new")}


class TestStatistics:
    def test_the_stretches_have_no_gap_and_hold_the_present(self) -> None:
        now = datetime(2026, 3, 14, 15, 9, 26, tzinfo=UTC)
        for days, (count, length) in SPANS.items():
            limits = moments(now, days)
            assert len(limits) == count + 1
            assert {later - earlier for earlier, later in itertools.pairwise(limits)} == {length}
            assert limits[-2] <= now < limits[-1]

    def test_the_look_is_in_the_address_and_comes_back_from_it(self) -> None:
        view = StatisticsView(7, "project-1", "train")
        assert view.address == "?days=7&project=project-1&template=train"
        assert StatisticsView.of_query({"days": "7", "project": "project-1", "template": "train"}) == view
        assert StatisticsView.of_query({"days": "8"}) == StatisticsView()

    @given(st.floats(1e-6, 1e12))
    def test_a_scale_has_room_for_the_highest_value_and_not_much_more(self, highest: float) -> None:
        top = charts.nice_top(highest)
        assert highest <= top * (1 + 1e-6)
        assert top <= highest * 2.5 * (1 + 1e-6)

    def test_a_line_is_interrupted_where_there_is_nothing(self) -> None:
        series = charts.Series("Median", "active", [1.0, None, 2.0, 3.0])
        drawn = charts.lines("Durations", ["a", "b", "c", "d"], [series], "{:.0f}".format)
        (path,) = elements(drawn, "path")
        assert path["d"].count("M") == 2


def test_examples_name_the_parameters_that_are_required() -> None:
    template = WorkflowTemplateRegistry().get("ml-training")
    assert "--template ml-training --input target=label" in example_command(template)


def test_days_end_with_today() -> None:
    assert moments(NOW, 7)[-1] - NOW <= timedelta(days=1)


class TestSchedules:
    def test_each_is_shown_with_its_next_time_by_its_own_clocks_and_its_last_run(self) -> None:
        about = {"id": "schedule-1", "name": "nightly", "cron": "0 3 * * *", "timezone": "Europe/Berlin"}
        made = {"task_id": "task-1", "created_at": NOW, "updated_at": NOW}
        due = {"next_due_at": datetime(2026, 3, 15, 2, tzinfo=UTC), "last_run_ids": ("run-1",)}
        page: Node = [
            "div",
            {},
            schedules_card([Schedule.model_validate({**about, **made, **due})], {"task-1": "Tidy up"}),
        ]
        assert "next Sun 2026-03-15 03:00 CET" in said([page])
        assert "Tidy up" in said([page])
        assert [one["href"] for one in elements(page, "a")] == ["/tasks/task-1", "/runs/run-1"]
        assert [one["aria-label"] for one in elements(page, "button")] == ["pause nightly"]

    def test_one_that_is_paused_can_be_resumed(self) -> None:
        made = {"task_id": "task-1", "created_at": NOW, "updated_at": NOW, "paused_at": NOW}
        paused = Schedule.model_validate({"id": "schedule-1", "name": "nightly", "cron": "@daily", **made})
        page: Node = ["div", {}, schedules_card([paused], {})]
        assert "Paused" in said([page])
        assert [one["aria-label"] for one in elements(page, "button")] == ["resume nightly"]

"""Project files: what they become, and everything that is wrong with one told at once."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from task_manager.errors import InvalidInput
from task_manager.project_export import project_file_data, project_file_of
from task_manager.project_file import NewProject, new_project, read_project_file
from task_manager.yaml_text import yaml_text

NOW = datetime(2026, 1, 2, tzinfo=UTC)

TEXTKIT = """\
name: textkit
description: A small library.
source_folder: sources
phases: [Check, Deliver]
tasks:
  - key: wheel
    title: Build the wheel
    type: build
    template: build-package
    phase: Deliver
    depends_on: [lint, tests]
    inputs: {build_type: wheel}
    acceptance_criteria: [A wheel lies in the artifacts]
  - {key: lint, title: Check the code, labels: [quick], priority: high, source_folder: inner}
  - key: tests
    title: Run the tests
    pipeline: {steps: [{id: test, image: python, command: [pytest]}]}
"""


def write(tmp_path: Path, text: str) -> Path:
    (tmp_path / "sources" / "inner").mkdir(parents=True)
    path = tmp_path / "task-manager.yaml"
    path.write_text(text)
    return path


def findings(path: Path, templates: set[str] | None = None) -> dict[str, tuple[int | None, str]]:
    with pytest.raises(InvalidInput) as caught:
        read_project_file(path, templates=templates)
    found = caught.value.details["findings"]
    assert isinstance(found, list)
    return {finding["place"]: (finding["line"], finding["message"]) for finding in found}


def test_a_file_becomes_a_project_with_phases_and_tasks(tmp_path: Path) -> None:
    path = write(tmp_path, TEXTKIT)
    new = new_project(read_project_file(path), tmp_path, NOW)
    assert new.project.name == "textkit"
    assert new.project.source_folder == str(tmp_path / "sources")
    assert [(phase.name, phase.order) for phase in new.phases] == [("Check", 0), ("Deliver", 1)]
    tasks = {task.title: task for task in new.tasks}
    wheel, lint = tasks["Build the wheel"], tasks["Check the code"]
    assert wheel.dependencies == (lint.id, tasks["Run the tests"].id)
    assert wheel.phase_id == new.phases[1].id
    assert (wheel.template_id, wheel.inputs) == ("build-package", {"build_type": "wheel"})
    assert lint.source_folder == str(tmp_path / "sources" / "inner")
    assert tasks["Run the tests"].pipeline is not None


def test_tasks_stand_after_those_they_depend_on(tmp_path: Path) -> None:
    new = new_project(read_project_file(write(tmp_path, TEXTKIT)), tmp_path, NOW)
    assert new.tasks[-1].id == new.keys["wheel"]


def test_everything_that_is_wrong_is_told_at_once_with_its_line(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """\
name: x
phases: [Check, Check]
source_folder: nowhere
tasks:
  - key: a
    title: A
    depends_on: [bb]
    phase: Chek
    template: python-test
  - key: b
    title: A
    depends_on: [c]
  - {key: c, title: C, depends_on: [b], template: t, pipeline: {}}
  - {key: c, title: D}
""",
    )
    found = findings(path, {"python-tests"})
    assert found["phases[1]"] == (2, "the phase 'Check' stands here a second time")
    assert found["source_folder"][0] == 3
    assert "there is no folder" in found["source_folder"][1]
    assert found["tasks[0].depends_on[0]"][0] == 7
    assert "there is no task 'bb'" in found["tasks[0].depends_on[0]"][1]
    assert found["tasks[0].phase"] == (8, "there is no phase 'Chek'; did you mean Check?")
    assert found["tasks[0].template"] == (9, "there is no template 'python-test'; did you mean python-tests?")
    assert found["tasks[1].title"] == (11, "the title 'A' stands here a second time")
    assert found["tasks[2].pipeline"][1] == "a task has a template or a pipeline, not both"
    assert found["tasks[3].key"] == (14, "the key 'c' stands here a second time")


def test_tasks_that_wait_for_each_other_are_named(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "name: x\ntasks:\n"
        "  - {key: a, title: A, depends_on: [c]}\n"
        "  - {key: b, title: B, depends_on: [a]}\n"
        "  - {key: c, title: C, depends_on: [b]}\n",
    )
    assert findings(path) == {"tasks[0].depends_on": (3, "tasks wait for each other: a → c → b → a")}


def test_a_task_that_depends_on_itself_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "name: x\ntasks: [{key: a, title: A, depends_on: [a]}]\n")
    assert "a → a" in findings(path)["tasks[0].depends_on"][1]


@pytest.mark.parametrize(
    ("text", "place", "line", "message"),
    [
        ("tasks: []\n", "name", None, "is missing"),
        ("name: x\nphase: [A]\n", "phase", 2, "There is no field 'phase' here. Did you mean 'phases'?"),
        (
            "name: x\ntasks:\n  - key: a\n    titel: A\n",
            "tasks[0].titel",
            4,
            "There is no field 'titel' here. Did you mean 'title'?",
        ),
        ("name: x\ntasks:\n  - key: a\n", "tasks[0].title", 3, "is missing"),
        (
            "name: x\ntasks:\n  - {key: a, title: A, priority: urgent}\n",
            "tasks[0].priority",
            3,
            "known: lowest, low, medium, high, critical",
        ),
        ("name: x\ntasks:\n  - {key: a b, title: A}\n", "tasks[0].key", 3, "does not have the form ^"),
        ("name: ''\n", "name", 1, "must not be empty"),
        ("name: x\ntasks: all\n", "tasks", 2, "A list was expected"),
        ("name: x\ntasks:\n  - {key: a, title: A, source_folder: gone}\n", "tasks[0].source_folder", 3, "no folder"),
    ],
)
def test_a_bad_value_is_told_with_its_place_and_line(
    tmp_path: Path, text: str, place: str, line: int | None, message: str
) -> None:
    found = findings(write(tmp_path, text))
    assert found[place][0] == line
    assert message in found[place][1]


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"There is no file .*nowhere\.yaml"):
        read_project_file(tmp_path / "nowhere.yaml")


def test_a_date_in_the_inputs_stays_a_text(tmp_path: Path) -> None:
    path = write(tmp_path, "name: x\ntasks:\n  - {key: a, title: A, inputs: {day: 2026-01-02}}\n")
    assert read_project_file(path).tasks[0].inputs == {"day": "2026-01-02"}


def test_an_exported_project_is_the_same_when_it_is_made_again(tmp_path: Path) -> None:
    new = new_project(read_project_file(write(tmp_path, TEXTKIT)), tmp_path, NOW)
    exported = project_file_of(new.project, new.phases, new.tasks, tmp_path)
    copy = tmp_path / "copy.yaml"
    copy.write_text(yaml_text(project_file_data(exported)))
    again = new_project(read_project_file(copy), tmp_path, NOW)
    assert again.project.id != new.project.id
    assert stated(again) == stated(new)


def stated(new: NewProject) -> list[object]:
    """What was made, with titles and names for ids."""
    own = {new.project.id: "project", **{phase.id: phase.name for phase in new.phases}}
    own |= {task.id: task.title for task in new.tasks}
    text = json.dumps([one.model_dump(mode="json") for one in (new.project, *new.phases, *new.tasks)])
    for identity, name in own.items():
        text = text.replace(identity, name)
    found: list[object] = json.loads(text)
    return found


def test_tasks_that_inputs_and_pipelines_name_by_id_are_exported_by_their_titles(tmp_path: Path) -> None:
    new = new_project(read_project_file(write(tmp_path, TEXTKIT)), tmp_path, NOW)
    first = new.tasks[0]
    last = new.tasks[-1].model_copy(update={"inputs": {"data": [first.id], "words": "as they are"}})
    exported = project_file_of(new.project, new.phases, [first, last.model_copy(update={"dependencies": ()})], tmp_path)
    assert exported.tasks[1].inputs == {"data": [first.title], "words": "as they are"}


def test_tasks_of_one_title_are_not_exported(tmp_path: Path) -> None:
    new = new_project(read_project_file(write(tmp_path, TEXTKIT)), tmp_path, NOW)
    with pytest.raises(InvalidInput, match="Two tasks have the title 'Check the code'"):
        project_file_of(new.project, new.phases, [*new.tasks, new.tasks[0]], tmp_path)


def test_keys_of_tasks_are_made_of_their_titles_and_differ(tmp_path: Path) -> None:
    new = new_project(read_project_file(write(tmp_path, TEXTKIT)), tmp_path, NOW)
    named = [
        task.model_copy(update={"title": title, "dependencies": ()})
        for task, title in zip(new.tasks, ("Straße!", "Stra e", "…"), strict=True)
    ]
    exported = project_file_of(new.project, new.phases, named, tmp_path)
    assert [task.key for task in exported.tasks] == ["stra-e", "stra-e-2", "task"]

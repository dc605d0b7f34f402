"""Projects, phases and tasks by the command line."""

from pathlib import Path

import pytest

from tests.cli.conftest import Cli


def test_a_project_is_created_listed_shown_changed_and_removed(cli: Cli, tmp_path: Path) -> None:
    created = cli("project", "create", "textkit", "--source", tmp_path, "--description", "A library", "--json").data
    assert created["name"] == "textkit"
    assert created["source_folder"] == str(tmp_path)
    assert [item["id"] for item in cli("project", "list", "--json").data["items"]] == [created["id"]]
    assert "A library" in cli("project", "show", "textkit").stdout
    changed = cli("project", "update", "textkit", "--name", "toolkit", "--json").data
    assert (changed["name"], changed["revision"]) == ("toolkit", 2)
    cli("project", "delete", "toolkit", "--yes")
    assert cli("project", "list", "--json").data["items"] == []


def test_a_project_is_created_with_everything_from_a_file(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "project.yaml").write_text(
        "name: textkit\nsource_folder: .\nphases: [Verify]\ntasks:\n"
        "  - {key: build, title: Build, depends_on: [test], template: build-package}\n"
        "  - {key: test, title: Test, phase: Verify, template: python-tests}\n"
    )
    answer = cli("project", "create", "--from", tmp_path / "project.yaml")
    assert "Created project textkit with 2 tasks" in answer.stdout
    shown = cli("project", "show", "textkit", "--json").data
    assert [phase["name"] for phase in shown["phases"]] == ["Verify"]
    tasks = {task["title"]: task for task in shown["tasks"]}
    assert tasks["Build"]["dependencies"] == [tasks["Test"]["id"]]


def test_nothing_is_created_from_a_file_with_a_mistake(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "project.yaml").write_text(
        "name: textkit\ntasks:\n  - {key: a, title: A, template: python-test}\n"
        "  - {key: b, title: B, depends_on: [c]}\n"
    )
    answer = cli("project", "create", "--from", tmp_path / "project.yaml", code=2)
    assert "project.yaml:3: tasks[0].template: there is no template 'python-test'" in answer.stderr
    assert "did you mean python-tests" in answer.stderr
    assert "project.yaml:4: tasks[1].depends_on[0]: there is no task 'c'" in answer.stderr
    assert cli("project", "list", "--json").data["items"] == []


def test_a_file_whose_project_exists_leaves_nothing_behind(cli: Cli, tmp_path: Path, textkit: Path) -> None:
    (tmp_path / "project.yaml").write_text("name: textkit\nphases: [Other]\ntasks: [{key: a, title: Another}]\n")
    cli("project", "create", "--from", tmp_path / "project.yaml", code=2)
    shown = cli("project", "show", "textkit", "--json").data
    assert "Another" not in {task["title"] for task in shown["tasks"]}


def test_phases_stand_in_their_order(cli: Cli, textkit: Path) -> None:
    cli("phase", "create", "textkit", "Deliver")
    cli("phase", "create", "textkit", "Prepare", "--order", "0")
    cli("phase", "update", "Deliver", "--project", "textkit", "--order", "7", "--name", "Ship")
    phases = cli("phase", "list", "textkit", "--json").data["items"]
    assert [phase["name"] for phase in phases][-1] == "Ship"
    cli("phase", "delete", "Ship", "--project", "textkit", "--yes")
    assert "Ship" not in cli("phase", "list", "textkit").stdout


def test_a_task_is_shown_with_what_it_depends_on(cli: Cli, textkit: Path) -> None:
    shown = cli("task", "show", "Build").stdout
    assert "Check, Test" in shown
    assert "release" in shown


def test_a_tasks_inputs_are_shown_as_they_are_given(cli: Cli, textkit: Path) -> None:
    cli("task", "create", "textkit", "Say", "--template", "shell-command", "--input", 'command=["echo", "it"]')
    assert '["echo", "it"]' in cli("task", "show", "Say").stdout


def test_a_task_is_changed_field_by_field(cli: Cli, textkit: Path) -> None:
    cli("task", "update", "Build", "--input", "wheel=true", "--input", "note=for Ada", "--add-label", "slow")
    cli("task", "update", "Build", "--input", "count=3", "--remove-dependency", "Check", "--priority", "high")
    task = cli("task", "show", "Build", "--json").data["task"]
    assert task["inputs"] == {"wheel": True, "note": "for Ada", "count": 3}
    assert task["labels"] == ["release", "slow"]
    assert len(task["dependencies"]) == 1
    assert task["priority"] == "high"
    cli("task", "update", "Build", "--clear", "inputs", "--clear", "dependencies")
    task = cli("task", "show", "Build", "--json").data["task"]
    assert (task["inputs"], task["dependencies"]) == ({}, [])


def test_tasks_are_listed_by_project_phase_and_status(cli: Cli, textkit: Path) -> None:
    cli("task", "update", "Check", "--status", "done")
    by_phase = cli("task", "list", "--project", "textkit", "--phase", "Verify", "--json").data["items"]
    assert [task["title"] for task in by_phase] == ["Check", "Test"]
    done = cli("task", "list", "--status", "done", "--json").data["items"]
    assert [task["title"] for task in done] == ["Check"]


def test_a_long_list_goes_on_at_its_cursor(cli: Cli, textkit: Path) -> None:
    first = cli("task", "list", "--limit", "2", "--json").data
    rest = cli("task", "list", "--limit", "2", "--cursor", first["next_cursor"], "--json").data
    assert [task["title"] for task in first["items"] + rest["items"]] == ["Check", "Test", "Build"]
    assert rest["next_cursor"] is None
    assert f"--cursor {first['next_cursor']}" in cli("task", "list", "--limit", "2").stderr


def test_a_removal_is_confirmed(cli: Cli, textkit: Path) -> None:
    assert "--yes" in cli("task", "delete", "Build", code=2).stderr
    assert "--yes" in cli("task", "delete", "Build", "--json", code=2).error["remedy"]
    cli("task", "delete", "Build", "--yes")
    assert "Build" not in cli("task", "list").stdout


def test_project_status_counts_tasks(cli: Cli, textkit: Path) -> None:
    cli("task", "update", "Check", "--status", "done")
    assert cli("project", "status", "textkit", "--json").data["counts"] == {"done": 1, "todo": 2}


UNKNOWN = [
    (("project", "show", "textkid"), "There is no project 'textkid'.", "textkit"),
    (("project", "run", "textkid"), "There is no project 'textkid'.", "textkit"),
    (("task", "show", "Biuld"), "There is no task 'Biuld'.", "Build"),
    (("task", "run", "Biuld"), "There is no task 'Biuld'.", "Build"),
    (("task", "create", "textkit", "New", "--phase", "Verfy"), "There is no phase 'Verfy'.", "Verify"),
    (("task", "create", "textkit", "New", "--depends-on", "Tset"), "There is no task 'Tset'.", "Test"),
    (("task", "create", "textkit", "New", "-t", "python-test"), "There is no template 'python-test'.", "python-tests"),
    (("task", "update", "Build", "-t", "python-test"), "There is no template 'python-test'.", "python-tests"),
    (("phase", "delete", "Verfy", "--project", "textkit", "--yes"), "There is no phase 'Verfy'.", "Verify"),
    (("project", "run", "textkit", "--phase", "Verfy"), "There is no phase 'Verfy'.", "Verify"),
    (("template", "show", "python-test"), "There is no template 'python-test'.", "python-tests"),
    (("template", "list", "--category", "qualty"), "There is no template category 'qualty'.", "quality"),
    (("workflow", "show", "Biuld"), "There is no task 'Biuld'.", "Build"),
    (("workflow", "create", "Build", "-t", "build-packag"), "There is no template 'build-packag'", "build-package"),
]


@pytest.mark.parametrize(("arguments", "message", "near"), UNKNOWN)
def test_an_unknown_name_is_told_with_near_misses(
    cli: Cli, textkit: Path, arguments: tuple[str, ...], message: str, near: str
) -> None:
    answer = cli(*arguments, code=2)
    assert f"Error: {message}" in answer.stderr or message in answer.stderr
    assert near in answer.stderr
    assert answer.stdout == ""


BAD_INPUT = [
    (("project", "create"), "A project needs a name."),
    (("project", "create", "textkit"), "There is a project 'textkit' already"),
    (("project", "create", "other", "--source", "/nowhere/at/all"), "/nowhere/at/all"),
    (("project", "create", "x" * 300), "200"),
    (("project", "create", "name", "--from", "file.yaml"), "--from goes alone"),
    (("project", "create", "--from", "missing.yaml"), "There is no file missing.yaml"),
    (("task", "create", "textkit", "   "), "must not be empty"),
    (("task", "create", "textkit", "New", "--input", "epochs"), "'epochs' is not of the form NAME=VALUE"),
    (("task", "create", "textkit", "New", "--pipeline", "missing.yaml"), "There is no file missing.yaml"),
    (("task", "update", "Check", "--add-dependency", "Build"), "Check"),
    (("task", "update", "Build", "--title", "B", "--revision", "9"), "revision"),
    (("task", "update", "Build"), "No change was given"),
    (("task", "list", "--cursor", "nonsense"), "cursor"),
    (("task", "delete", "Check", "--yes"), "Build"),
    (("run", "status", "run-x"), "There is no run 'run-x'"),
    (("run", "list", "--project", "nothing"), "There is no project 'nothing'"),
    (("artifact", "list", "run-x"), "There is no run 'run-x'"),
    (("result", "show", "run-x"), "There is no run 'run-x'"),
    (("run", "cancel", "run-x"), "There is no run 'run-x'"),
    (("run", "watch", "run-x"), "There is no run 'run-x'"),
    (("run", "events", "run-x"), "There is no run 'run-x'"),
    (("run", "logs", "run-x"), "There is no run 'run-x'"),
    (("run", "logs", "Biuld"), "There is no task 'Biuld'"),
    (("result", "show", "Build"), "There is no run of task 'Build'"),
    (("workflow", "show", "Build"), "Make one: task-manager workflow create Build"),
    (("workflow", "create", "Build", "-t", "build-package", "--from", "x.yaml"), "not from both"),
    (("workflow", "create", "Build", "--from", "x.yaml"), "There is no file x.yaml"),
    (("workflow", "validate", "x.yaml"), "There is no file x.yaml"),
    (("template", "validate", "x.yaml"), "There is no file or folder 'x.yaml'"),
    (("task", "run", "Build"), "depends on"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD_INPUT)
def test_bad_input_is_told_and_changes_nothing(
    cli: Cli, textkit: Path, arguments: tuple[str, ...], message: str
) -> None:
    before = cli("project", "show", "textkit", "--json").stdout
    answer = cli(*arguments, code=1 if "--revision" in arguments else 2)
    assert message in answer.stderr
    assert answer.stderr.startswith("Error: ")
    assert cli("project", "show", "textkit", "--json").stdout == before


def test_tasks_that_would_wait_for_each_other_are_named(cli: Cli, textkit: Path) -> None:
    error = cli("task", "update", "Check", "--add-dependency", "Build", "--json", code=2).error
    assert error["code"] == "dependency_cycle"
    assert "Check" in error["message"]
    assert "Build" in error["message"]


def test_a_paused_project_is_shown_as_paused(cli: Cli) -> None:
    cli("project", "create", "p")
    assert "Paused" not in cli("project", "status", "p").stdout
    cli("project", "pause", "p")
    for command in ("status", "show"):
        assert "Paused: no more runs start until: task-manager project resume p" in cli("project", command, "p").stdout

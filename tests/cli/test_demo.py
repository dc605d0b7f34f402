"""The demo: six real tasks over textkit, and each way to break it."""

import json
import os
import pty
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import pytest

from task_manager.cli import choices
from task_manager.demo import breakages, demo_project, example_folder, store_demo
from task_manager.models import Project, new_id
from task_manager.store import Store, projects
from tests.cli.conftest import Cli
from tests.environment.warm_program import warm_program

NOW = datetime(2026, 1, 2, tzinfo=UTC)
TASKS = ["Check the code", "Run the tests", "Process the data", "Train the model", "Build the wheel", "Make the report"]


@pytest.fixture
def engine(engine_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The embedded engine, whose layers are kept from test to test, on the host's programs."""
    monkeypatch.setenv("TASK_MANAGER_ENGINE", "embedded")
    monkeypatch.setenv("TASK_MANAGER_IMAGES", "host")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "engine").symlink_to(engine_data)


def by_title(data: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {run["task"]["title"]: run for run in data["runs"]}


@pytest.mark.usefixtures("engine")
def test_the_demo_ends_in_a_table_with_a_result_for_each_task(cli: Cli) -> None:
    answer = cli("demo", "--epochs", "3", "--batch-size", "8")
    summary = answer.stdout.partition("Result and artifacts")[2]
    for title in TASKS:
        assert re.search(rf"^{title} +✓ succeeded +[0-9.]+ s +\S", summary, re.MULTILINE), title
    assert "33 passed" in summary
    assert "after 3 epochs" in summary
    assert "textkit-0.1.0-py3-none-any.whl" in summary
    assert "5 of 5 tasks succeeded" in summary
    assert re.search(r"train/curve$", summary, re.MULTILINE)
    assert answer.stdout.count("the host's toolchain was used") == 2, "once as it happens, once at the end"


@pytest.mark.usefixtures("engine")
def test_the_demo_again_goes_on_with_the_same_project_and_has_its_results_from_the_cache(cli: Cli) -> None:
    first = cli("demo", "--json").data
    again = cli("demo")
    assert "From the cache: 6 of 6 runs" in again.stdout
    assert [project["id"] for project in cli("project", "list", "--json").data["items"]] == [first["project"]["id"]]
    second = cli("run", "list", "--json").data["items"][:6]
    assert {run["original_run_id"] for run in second} == {run["run"]["id"] for run in first["runs"]}


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("name", get_args(choices.BreakageName))
def test_a_broken_demo_names_step_code_and_reason_and_skips_the_report(cli: Cli, name: str) -> None:
    breakage = breakages(example_folder())[name]
    runs = by_title(cli("demo", "--break", name, "--json", code=1).data)
    failed = runs[breakage.fails]
    assert failed["run"]["status"] == "failed"
    assert failed["diagnosis"]["exit_code"] not in (None, 0)
    assert failed["diagnosis"]["lines"]
    assert runs["Make the report"]["run"]["status"] == "skipped"
    assert breakage.fails in runs["Make the report"]["run"]["reason"]["text"] or name == "data"
    others = {title for title, run in runs.items() if run["run"]["status"] == "succeeded"}
    assert len(others) == (3 if name == "data" else 4)


@pytest.mark.usefixtures("engine")
def test_a_broken_demo_shows_the_failing_test(cli: Cli) -> None:
    answer = cli("demo", "--break", "tests", code=1)
    assert "Broken on purpose: " in answer.stdout
    assert "step test (Run the tests): exit code 1" in answer.stdout
    assert "FAILED tests/test_slugs.py::" in answer.stdout
    assert re.search(r"Make the report +○ skipped +Not run, because task 'Run the tests'", answer.stdout)


@pytest.mark.usefixtures("engine")
def test_in_a_terminal_the_demo_is_redrawn_in_place() -> None:
    """Times run on, states change in place, and the table stands below in the end."""
    leader, follower = pty.openpty()
    with subprocess.Popen(
        [warm_program(), "demo"],
        stdin=follower,
        stdout=follower,
        stderr=follower,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "80", "LINES": "40"},
    ) as process:
        os.close(follower)
        screen = read_all(leader)
    assert process.returncode == 0
    assert "\x1b[2K" in screen, "lines are erased and drawn again"
    assert "⠋" in screen or "⠙" in screen, "something moves"
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", screen)
    report = plain.rpartition("6 of 6 done")[2]
    assert "Fetch an artifact: task-manager artifact get" in report
    assert max(len(line) for line in report.splitlines()) <= 80


def read_all(descriptor: int) -> str:
    parts = []
    while True:
        try:
            part = os.read(descriptor, 65536)
        except OSError:  # the other side was closed, by the end of the process
            break
        if not part:
            break
        parts.append(part)
    os.close(descriptor)
    return b"".join(parts).decode()


def test_the_choices_of_break_are_those_of_the_example() -> None:
    assert get_args(choices.BreakageName) == tuple(breakages(example_folder()))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--epochs", "0"), "epochs"),
        (("--epochs", "many"), "--epochs"),
        (("--break", "everything"), "--break"),
        (("--folder", "full"), "is not empty, and is no copy of textkit"),
        (("--folder", "file"), "is not empty, and is no copy of textkit"),
    ],
)
def test_bad_input_is_told_before_anything_runs(cli: Cli, arguments: tuple[str, ...], message: str) -> None:
    Path("full").mkdir()
    Path("full", "thing").write_text("mine")
    Path("file").write_text("mine")
    answer = cli("demo", *arguments, code=2)
    assert message in answer.stderr
    assert cli("run", "list", "--json").data["items"] == []
    assert Path("full", "thing").read_text() == Path("file").read_text() == "mine"


def test_a_copy_that_was_edited_is_not_broken_again(cli: Cli) -> None:
    Path("copy").mkdir()
    for name in ("task-manager.yaml", "breakages.yaml"):
        Path("copy", name).write_text((example_folder() / name).read_text())
    Path("copy", "src", "textkit").mkdir(parents=True)
    Path("copy", "src", "textkit", "tokens.py").write_text("# mine\n")
    answer = cli("demo", "--folder", "copy", "--break", "lint", code=2)
    assert "is not as it was copied" in answer.stderr
    assert Path("copy", "src", "textkit", "tokens.py").read_text() == "# mine\n"


def test_a_project_of_that_name_that_is_no_demo_is_kept(tmp_path: Path) -> None:
    mine = Project(id=new_id("project"), name="textkit", created_at=NOW, updated_at=NOW)
    with Store.open(tmp_path / "data") as store:
        store.run_sync(projects.insert, mine)
        for _ in range(2):
            stored = store.run_sync(store_demo, demo_project(example_folder(), {"epochs": 7}, NOW))
        found = store.run_sync(projects.list_).items
    assert [project.name for project in found] == ["textkit", "textkit (demo)"]
    assert found[0] == mine
    assert json.dumps(stored.project.metadata) == '{"demo": true}'
    assert stored.project == found[1]


def test_inputs_reach_the_training_alone() -> None:
    new = demo_project(example_folder(), {"epochs": 7}, NOW)
    assert [task.title for task in new.tasks if task.inputs.get("epochs") == 7] == ["Train the model"]

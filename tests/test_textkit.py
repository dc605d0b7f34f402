"""The demo's project: it works, its data has the flaws that cleaning shows, each way to break it breaks one task."""

import ast
import csv
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from task_manager.models import Task
from task_manager.pipeline import Pipeline, Step, TaskSource
from task_manager.pipeline_converter import PipelineConverter
from task_manager.project_file import NewProject, new_project, read_project_file
from task_manager.workflow_templates import WorkflowTemplateRegistry
from tests.templates.scripts import OFFLINE, WITHOUT_PLUGINS

PROJECT = Path(__file__).parents[1]
TEXTKIT = PROJECT / "examples" / "textkit"
TITLES = {
    "check": "Check the code",
    "tests": "Run the tests",
    "data": "Process the data",
    "training": "Train the model",
    "wheel": "Build the wheel",
    "report": "Make the report",
}
INDEPENDENT = ("check", "tests", "data", "wheel")


@pytest.fixture
def textkit(tmp_path: Path) -> Path:
    """A copy of the project."""
    return Path(shutil.copytree(TEXTKIT, tmp_path / "textkit", ignore=shutil.ignore_patterns("__pycache__")))


def described(folder: Path) -> NewProject:
    registry = WorkflowTemplateRegistry()
    file = read_project_file(folder / "task-manager.yaml", templates=[template.id for template in registry.list()])
    return new_project(file, folder, datetime(2026, 1, 2, tzinfo=UTC))


def pipeline_of(task: Task, project: NewProject) -> Pipeline:
    titles = {other.id: other.title for other in project.tasks}
    known = [*task.dependencies, *(titles[dependency] for dependency in task.dependencies)]
    conversion = PipelineConverter(WorkflowTemplateRegistry()).convert(task, task_dependencies=known)
    assert conversion.pipeline is not None
    assert conversion.warnings == ()
    return conversion.pipeline


def run_step(step: Step, source: Path, work: Path, results: Mapping[str, Path] | None = None) -> int:
    """Run a step without a container: its paths below `/task` lie in `work`, its source folder is `source`."""
    places = {"/task/source": str(source), "/task": str(work)}

    def placed(text: str) -> str:
        return re.sub("/task/source|/task", lambda match: places[match.group()], text)

    for provided in step.sources:
        if isinstance(provided, TaskSource) and results is not None:
            target = Path(placed(provided.target))
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(results[provided.task], target)
    command = list(step.command or ())
    if step.script is not None:
        (work / step.script.name).write_text(step.script.contents)
        command = [*step.script.interpreter, str(work / step.script.name), *step.script.arguments]
    command = [sys.executable, *map(placed, command[1:])]
    workdir = source if step.workdir.startswith("/task/source") else work
    environment = {"PATH": "/usr/bin:/bin", **{name: placed(text) for name, text in step.environment.items()}}
    environment = OFFLINE | WITHOUT_PLUGINS | environment
    return subprocess.run(command, check=False, cwd=workdir, env=environment, capture_output=True).returncode


def run_task(title: str, source: Path, work: Path, results: Mapping[str, Path] | None = None) -> int:
    """The exit code of a task's last step, after those before it."""
    project = described(source)
    (task,) = (task for task in project.tasks if task.title == title)
    codes = [run_step(step, source, work, results) for step in pipeline_of(task, project).steps]
    assert codes[:-1] == [0] * (len(codes) - 1)
    return codes[-1]


# --- the library ---


def test_its_own_tests_pass_and_there_are_enough_of_them(textkit: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    environment = {**os.environ, **WITHOUT_PLUGINS}
    done = subprocess.run(command, check=False, cwd=textkit, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None
    assert int(passed[1]) >= 20


def test_what_its_readme_shows_is_so(textkit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(textkit / "src"))
    (code,) = re.findall(r"```python\n(.*?)```", (textkit / "README.md").read_text(), re.DOTALL)
    setup, *lines = code.strip().split("\n\n")
    shown = [line.split("  # ") for block in lines for line in block.splitlines()]
    assert len(shown) >= 4
    for expression, value in shown:
        (textkit / "shown.py").write_text(f"{setup}\nshown = {expression}\n")
        result = runpy.run_path(str(textkit / "shown.py"))["shown"]
        assert (round(result, 2) if isinstance(result, float) else result) == ast.literal_eval(value)


# --- the data ---


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "data" / "sentences.csv").open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_the_committed_data_is_what_its_script_writes(textkit: Path) -> None:
    before = (textkit / "data" / "sentences.csv").read_bytes()
    script = [sys.executable, "data/make_sentences.py"]
    subprocess.run(script, check=True, cwd=textkit, env={"PYTHONPATH": "src", "PYTHONHASHSEED": "5"})
    assert (textkit / "data" / "sentences.csv").read_bytes() == before


def test_the_data_has_rows_of_both_labels_and_flaws_of_every_kind() -> None:
    data = rows(TEXTKIT)
    assert len(data) >= 300
    labels = [row["label"] for row in data]
    assert min(labels.count("easy"), labels.count("hard")) > 100
    assert any("" in row.values() for row in data)
    assert any("n/a" in row.values() for row in data)
    assert len({tuple(row.values()) for row in data}) < len(data)


# --- the project ---


def test_the_project_has_six_tasks_in_three_phases() -> None:
    project = described(TEXTKIT)
    assert {task.title for task in project.tasks} == set(TITLES.values())
    assert [phase.name for phase in project.phases] == ["Check", "Learn", "Deliver"]


def test_only_the_training_and_the_report_wait_for_other_tasks() -> None:
    project = described(TEXTKIT)
    titles = {task.id: task.title for task in project.tasks}
    waiting = {task.title: {titles[one] for one in task.dependencies} for task in project.tasks if task.dependencies}
    assert waiting == {
        TITLES["training"]: {TITLES["data"]},
        TITLES["report"]: set(TITLES.values()) - {TITLES["report"]},
    }


def test_every_task_becomes_a_valid_pipeline() -> None:
    project = described(TEXTKIT)
    assert all(pipeline_of(task, project).steps for task in project.tasks)


def test_epochs_and_batch_size_are_inputs_of_the_training() -> None:
    (training,) = (task for task in described(TEXTKIT).tasks if task.title == TITLES["training"])
    assert (training.inputs["epochs"], training.inputs["batch_size"]) == (20, 16)


@pytest.mark.parametrize("key", INDEPENDENT)
def test_a_task_that_waits_for_none_succeeds(textkit: Path, tmp_path: Path, key: str) -> None:
    assert run_task(TITLES[key], textkit, tmp_path) == 0


def test_the_training_learns_from_the_cleaned_data(textkit: Path, tmp_path: Path) -> None:
    assert run_task(TITLES["data"], textkit, tmp_path) == 0
    cleaned = tmp_path / "output" / "cleaned.csv"
    assert run_task(TITLES["training"], textkit, tmp_path, {TITLES["data"]: cleaned}) == 0
    assert json.loads((tmp_path / "output" / "metrics.json").read_text())["accuracy"] > 0.8


def test_the_cleaning_leaves_out_every_flawed_row(textkit: Path, tmp_path: Path) -> None:
    assert run_task(TITLES["data"], textkit, tmp_path) == 0
    stats = json.loads((tmp_path / "output" / "stats.json").read_text())
    assert set(stats["rejected"]) == {"incomplete", "not a number", "duplicate"}
    assert stats["rows_read"] == len(rows(TEXTKIT))


# --- the report ---


def results(folder: Path, **changes: Any) -> dict[str, Path]:
    """Results of the five tasks before the report, as files."""
    paths = {}
    for key, title in list(TITLES.items())[:-1]:
        paths[title] = folder / f"{key}-result.json"
        result = {
            "status": "succeeded",
            "type": "build",
            "headline": f"{key} | done",
            "seconds": 1.25,
            "metrics": [{"name": "size", "value": 3.0, "unit": "bytes"}],
            "artifacts": [{"name": f"{key}/output"}],
            "warnings": [],
        }
        paths[title].write_text(json.dumps({**result, **changes}))
    return paths


def test_the_report_tells_of_every_task(textkit: Path, tmp_path: Path) -> None:
    assert run_task(TITLES["report"], textkit, tmp_path, results(tmp_path)) == 0
    report = json.loads((tmp_path / "output" / "report.json").read_text())
    assert (report["tasks_reported"], report["tasks_succeeded"], report["seconds"]) == (5, 5, 6.25)
    assert report["tasks"]["wheel"]["metrics"] == {"size": 3.0}
    text = (tmp_path / "output" / "report.md").read_text()
    assert "| training | succeeded | 1.2 | training \\| done |" in text
    assert "- artifact `data/output`" in text


def test_a_result_that_is_missing_or_broken_fails_the_report(textkit: Path, tmp_path: Path) -> None:
    script = [sys.executable, "reporting/make_report.py", f"--results={tmp_path}", f"--output={tmp_path}", "--tasks"]
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "list.json").write_text("[]")
    for name in ("missing", "broken", "list"):
        done = subprocess.run([*script, name], check=False, cwd=textkit, capture_output=True, text=True)
        assert done.returncode == 1
        assert done.stderr.startswith("A result cannot be read: ")
        assert "Traceback" not in done.stderr


# --- breaking it ---


def breakages() -> dict[str, dict[str, Any]]:
    data: dict[str, dict[str, Any]] = yaml.safe_load((TEXTKIT / "breakages.yaml").read_text())
    return data


def test_there_are_the_four_ways_to_break_it() -> None:
    assert set(breakages()) == {"tests", "lint", "data", "build"}


@pytest.mark.parametrize("name", ["tests", "lint", "data", "build"])
def test_a_breakage_changes_text_that_is_there_once_and_fails_its_task_alone(
    textkit: Path, tmp_path: Path, name: str
) -> None:
    breakage = breakages()[name]
    for change in breakage["changes"]:
        path = textkit / change["file"]
        text = path.read_text(encoding="utf-8")
        assert text.count(change["old"]) == 1
        path.write_text(text.replace(change["old"], change["new"]), encoding="utf-8")
    codes = {title: run_task(title, textkit, tmp_path) for title in (TITLES[key] for key in INDEPENDENT)}
    assert [title for title, code in codes.items() if code] == [breakage["fails"]]


# --- the package ---


def test_the_wheel_of_the_task_manager_holds_the_project_and_the_templates(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", f"--outdir={tmp_path}", str(PROJECT)]
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    parts = ("task-manager.yaml", "breakages.yaml", "data/sentences.csv", "src/textkit/slugs.py")
    assert {f"task_manager/examples/textkit/{part}" for part in parts} <= names
    assert {"task_manager/templates/ml-training/scripts/train.py", "task_manager/workflow_templates.py"} <= names

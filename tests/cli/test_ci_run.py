"""`task-manager ci run`: exit codes by outcome, reports, remarks, the cache."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from junitparser import JUnitXml

from tests.cli.conftest import Cli

LINT = """
import json, pathlib
found = {"ruleId": "F401", "level": "error", "message": {"text": "`os` is unused, 100%"}, "locations": [
    {"physicalLocation": {"artifactLocation": {"uri": "src/a.py"}, "region": {"startLine": 3, "startColumn": 1}}}]}
log = {"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "lint", "rules": []}}, "results": [found]}]}
pathlib.Path("/task/lint.sarif").write_text(json.dumps(log))
raise SystemExit(1)
"""
TESTS = """
import pathlib
pathlib.Path("/task/junit.xml").write_text(
    '<testsuite name="s" tests="2" failures="1" time="0.5"><testcase classname="t" name="passes"/>'
    '<testcase classname="t" name="breaks" file="tests/t.py" line="7"><failure message="1 != 2"/></testcase>'
    "</testsuite>"
)
raise SystemExit(1)
"""


def python_task(key: str, title: str, code: str, report: str, *, needs: tuple[str, ...] = ()) -> dict[str, Any]:
    """A task that is a program, with the report that it writes: `junit` or `sarif`."""
    path = {"junit": "/task/junit.xml", "sarif": "/task/lint.sarif"}[report]
    kind = {"junit": "test_report", "sarif": "lint_report"}[report]
    step = {
        "id": "go",
        "image": "python:3.12-slim",
        "command": ["python3", "-c", code],
        "workdir": "/task",
        "network": False,
        "outputs": [{"name": "report", "path": path}],
    }
    result = {"type": kind, "reports": [{"step": "go", "output": "report", "format": report}]}
    return {"key": key, "title": title, "depends_on": list(needs), "pipeline": {"steps": [step], "result": result}}


def shell_task(key: str, script: str, *needs: str) -> dict[str, Any]:
    inputs = {"script": script, "image": "busybox"}
    return {
        "key": key,
        "title": f"Task {key}",
        "template": "shell-command",
        "inputs": inputs,
        "depends_on": list(needs),
    }


@pytest.fixture(autouse=True)
def engine(engine_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The embedded engine on the host's programs; no service of continuous integration around."""
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "GITHUB_WORKSPACE", "CI_PROJECT_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TASK_MANAGER_ENGINE", "embedded")
    monkeypatch.setenv("TASK_MANAGER_IMAGES", "host")
    monkeypatch.delenv("TASK_MANAGER_WORKER")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "engine").symlink_to(engine_data)


def write(*tasks: dict[str, Any], folder: str = ".") -> None:
    Path(folder).mkdir(exist_ok=True)
    Path(folder, "task-manager.yaml").write_text(json.dumps({"name": "sample", "source_folder": ".", "tasks": tasks}))


def test_failures_are_told_in_every_form(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "step.md")
    write(
        python_task("lint", "Check", LINT, "sarif"),
        python_task("tests", "Test", TESTS, "junit"),
        shell_task("after", "echo never", "tests"),
        folder="part",
    )
    reports = ("--junit", "out/junit.xml", "--sarif", "out/lint.sarif", "--summary", "out/summary.md")
    answer = cli("ci", "run", "part/task-manager.yaml", *reports, code=1)

    tasks, tests = JUnitXml.fromfile("out/junit.xml")
    cases = {case.name: [type(result).__name__ for result in case.result] for case in tasks}
    assert cases == {"Check": ["Failure"], "Test": ["Failure"], "Task after": ["Skipped"]}
    assert (tests.name, tests.tests, tests.failures) == ("Test", 2, 1)
    (run,) = json.loads(Path("out/lint.sarif").read_text())["runs"]
    place = run["results"][0]["locations"][0]["physicalLocation"]
    assert (run["automationDetails"]["id"], place["artifactLocation"]["uri"]) == ("sample/Check/", "part/src/a.py")
    summary = Path("out/summary.md").read_text()
    assert summary == Path("step.md").read_text()
    assert summary.startswith("## sample: 0 of 3 tasks succeeded\n")
    assert re.search(r"\| Test \| ❌ failed \| .* \| 1 passed, 1 failed", summary)
    assert re.search(r"\| Task after \| ⏭️ skipped \| .* \| Not run, because task 'Test'", summary)
    assert "- breaks: 1 != 2" in summary
    commands = [line for line in answer.stdout.splitlines() if line.startswith("::")]
    assert "::error file=part/src/a.py,line=3,col=1,title=F401::`os` is unused, 100%25" in commands
    assert any(one.startswith("::error file=part/tests/t.py,line=7,title=breaks::") for one in commands)
    assert sum(one.startswith("::error title=") for one in commands) == 2, "the tasks themselves; not the skipped one"


def test_a_task_is_run_with_those_that_it_needs_and_reported_alone(cli: Cli, tmp_path: Path) -> None:
    """With --json, the document is the only thing on standard output; a cache that is only read stays empty."""
    write(shell_task("one", "echo one"), shell_task("two", "echo two", "one"), shell_task("other", "false"))
    options = ("--task", "two", "--junit", "junit.xml", "--annotations", "github", "--cache", "read-only")
    answer = cli("ci", "run", *options, "--json")
    assert not list((tmp_path / "data" / "cache" / "entries").rglob("*.json"))
    outcomes = [(run["task"]["title"], run["run"]["status"]) for run in answer.data["runs"]]
    assert outcomes == [("Task one", "succeeded"), ("Task two", "succeeded")]
    assert answer.stderr.startswith("::warning title=Task manager::")
    (suite,) = JUnitXml.fromfile("junit.xml")
    assert (suite.name, [case.name for case in suite]) == ("sample", ["Task two"])


def test_a_report_that_there_is_no_room_for_keeps_no_outcome_back(cli: Cli) -> None:
    write(shell_task("one", "echo one"))
    answer = cli("ci", "run", "--summary", "/dev/full", "--junit", "junit.xml", code=1)
    assert "✓ succeeded" in answer.stdout
    assert answer.stderr.splitlines()[-1] == "Error: /dev/full cannot be written: No space left on device."
    assert JUnitXml.fromfile("junit.xml").tests == 1


def test_a_file_without_tasks_is_refused_before_anything_is_stored(cli: Cli) -> None:
    write()
    assert "has no tasks" in cli("ci", "run", code=2).stderr
    assert cli("project", "list", "--json").data["items"] == []


def test_a_project_of_the_store_that_has_no_engine_is_code_3(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    cli("project", "create", "mine")
    cli("task", "create", "mine", "Do", "--template", "shell-command", "--input", "script=echo mine")
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv("_EXPERIMENTAL_DAGGER_CLI_BIN", "/nowhere/dagger")
    cli("ci", "run", "mine", "--engine", "dagger", "--junit", "junit.xml", code=3)
    ((case,),) = JUnitXml.fromfile("junit.xml")
    assert type(case.result[0]).__name__ == "Error"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nothing.yaml",), "nothing.yaml"),
        (("nothing",), "project"),
        (("--task", "onr"), "one"),
        (("mine", "--task", "one"), "--task names tasks of a project file"),
        (("--junit", "task-manager.yaml/junit.xml"), "cannot be written"),
        (("--cache", "sometimes"), "--cache"),
    ],
)
def test_bad_input_is_code_2_and_nothing_is_run(cli: Cli, arguments: tuple[str, ...], message: str) -> None:
    write(shell_task("one", "echo one"))
    assert message in cli("ci", "run", *arguments, code=2).stderr
    assert cli("run", "list", "--json").data["items"] == []


def test_a_step_s_summary_that_cannot_be_written_is_told_before_anything_is_run(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(shell_task("one", "echo one"))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "task-manager.yaml/step.md")
    assert "step.md cannot be written" in cli("ci", "run", code=2).stderr
    assert cli("run", "list", "--json").data["items"] == []


def test_settings_that_name_an_engine_which_is_not_there_end_it_as_for_want_of_an_engine(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TASK_MANAGER_ENGINE", "dagger")
    monkeypatch.setenv("TASK_MANAGER_WORKER", "here")
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in ("_EXPERIMENTAL_DAGGER_CLI_BIN", "DAGGER_SESSION_PORT", "DAGGER_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    write(shell_task("one", "echo one"))
    (entry,) = cli("ci", "run", "--json", code=3).data["runs"]
    assert "dagger command line" in json.dumps(entry)

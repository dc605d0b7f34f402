"""Running tasks by the command line, on the embedded engine with the host's programs."""

import asyncio
import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Cli
from tests.environment.processes import endless, processes_with, until
from tests.environment.warm_program import warm_program

HOST = "task-manager.invalid/host-toolchain"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "in.txt").write_text("seven words stand here in one line\n")
    return folder


@pytest.fixture
def project(cli: Cli, source: Path, monkeypatch: pytest.MonkeyPatch, engine_data: Path, tmp_path: Path) -> Path:
    """A project `words` on the embedded engine, whose layers are kept from test to test. Returns its source."""
    monkeypatch.setenv("TASK_MANAGER_ENGINE", "embedded")
    monkeypatch.setenv("TASK_MANAGER_IMAGES", "host")
    (tmp_path / "data").mkdir(exist_ok=True)
    (tmp_path / "data" / "engine").symlink_to(engine_data)
    cli("project", "create", "words", "--source", source)
    return source


AddTask = Callable[..., None]


@pytest.fixture
def add(cli: Cli, project: Path, tmp_path: Path) -> AddTask:
    """Adds a task that runs one shell script."""

    def task(title: str, script: str, *, after: tuple[str, ...] = (), **step: Any) -> None:
        definition = {
            "steps": [
                {
                    "id": "work",
                    "image": HOST,
                    "script": {"contents": script},
                    "sources": [{"type": "host", "path": ".", "target": "/task"}],
                    **step,
                }
            ]
        }
        file = tmp_path / "pipeline.json"
        file.write_text(json.dumps(definition))
        dependencies = [word for name in after for word in ("--depends-on", name)]
        cli("task", "create", "words", title, "--pipeline", file, *dependencies)

    return task


def test_a_run_that_succeeds_tells_what_came_out(cli: Cli, add: AddTask) -> None:
    add("Count", "wc -w < in.txt | tee count.txt", outputs=[{"name": "count", "path": "count.txt"}])
    answer = cli("task", "run", "Count")
    assert "Count: step work succeeded" in answer.stdout
    assert re.search(r"✓ Count  succeeded in \d", answer.stdout)
    assert re.search(r"work/count\s+\d B", answer.stdout)
    assert answer.stderr == ""


def test_with_json_a_run_is_one_document(cli: Cli, add: AddTask) -> None:
    add("Count", "wc -w < in.txt > count.txt", outputs=[{"name": "count", "path": "count.txt"}])
    answer = cli("run", "start", "Count", "--json")
    assert answer.stderr == ""
    data = answer.data
    assert (data["run"]["status"], data["task"]["title"]) == ("succeeded", "Count")
    assert [(step["step_id"], step["exit_code"]) for step in data["steps"]] == [("work", 0)]
    (artifact,) = data["artifacts"]
    place = cli("artifact", "open-path", data["run"]["id"], artifact["name"], "--json").data["location"]
    assert Path(place).read_text().strip() == "7"


def test_what_a_run_left_is_shown_and_fetched(cli: Cli, add: AddTask, tmp_path: Path) -> None:
    add("Count", "echo seen; echo aside >&2; echo 7 > count.txt", outputs=[{"name": "count", "path": "count.txt"}])
    run_id = cli("task", "run", "Count", "--json").data["run"]["id"]
    assert "succeeded" in cli("run", "status", run_id).stdout
    assert cli("run", "list", "--json").data["items"][0]["id"] == run_id
    assert cli("result", "show", run_id, "--json").data["status"] == "succeeded"
    assert cli("result", "show", "Count").stdout == cli("result", "show", run_id).stdout
    assert cli("run", "logs", run_id, "--step", "work", "--stdout").stdout == "seen\n"
    assert cli("run", "logs", run_id, "--step", "work", "--stderr").stdout == "aside\n"
    assert "There is no step 'wrk'" in cli("run", "logs", run_id, "--step", "wrk", code=2).stderr
    part_of_logs = cli("run", "logs", run_id, "--grep", "se+n", "--tail", "1", "--max-bytes", "1KiB", "--json").data
    assert [(item["stdout"], item["stderr"]) for item in part_of_logs["items"]] == [("seen\n", "")]
    assert cli("run", "logs", run_id, "--step", "work", "--range", "1-1").stdout == "seen\naside\n"
    assert "is no range" in cli("run", "logs", run_id, "--range", "5-2", code=2).stderr
    assert "cannot be used" in cli("run", "logs", run_id, "--grep", "(", code=2).stderr
    assert "Leave out" in cli("run", "logs", run_id, "--follow", "--tail", "3", code=2).stderr
    kinds = [event["kind"] for event in cli("run", "events", run_id, "--json").data["items"]]
    assert {"run_status", "step_status"} <= set(kinds)
    assert "work/count" in cli("artifact", "list", run_id).stdout
    assert cli("artifact", "verify").stdout.startswith("Checked 1 artifact.")
    assert "Would remove 0 artifacts of 0 runs" in cli("artifact", "prune", "--dry-run").stdout
    assert Path(cli("artifact", "open-path", run_id, "count").stdout.strip()).read_text() == "7\n"
    cli("artifact", "get", run_id, "work/count", "--to", tmp_path / "here.txt")
    assert (tmp_path / "here.txt").read_text() == "7\n"
    assert "is there already" in cli("artifact", "get", run_id, "count", "--to", tmp_path / "here.txt", code=2).stderr
    assert "There is no artifact 'cont'" in cli("artifact", "get", run_id, "cont", code=2).stderr
    assert cli("run", "watch", run_id).code == 0
    assert "already over: succeeded" in cli("run", "cancel", run_id).stdout


def test_results_are_brought_into_other_forms_listed_and_compared(cli: Cli, add: AddTask, tmp_path: Path) -> None:
    add("Count", "date +%s%N > count.txt", outputs=[{"name": "count", "path": "count.txt"}])
    first = cli("task", "run", "Count", "--json").data["run"]["id"]
    second = cli("task", "run", "Count", "--skip-cache", "--json").data["run"]["id"]
    assert cli("result", "show", "Count", "--as", "markdown").stdout.startswith("## ")
    cli("result", "show", "Count", "--as", "markdown", "--as", "json", "--output", tmp_path)
    assert json.loads((tmp_path / "result.json").read_text())["run_id"] == second
    refused = cli("result", "show", "Count", "--as", "junit", "--as", "json", "-o", tmp_path, code=1)
    assert "has no tests" in refused.stderr
    assert "no form of results 'jsn'" in cli("result", "show", "Count", "--as", "jsn", code=2).stderr
    assert "--output PATH" in cli("result", "show", "Count", "--as", "json", "--as", "markdown", code=2).stderr
    items = cli("result", "list", "--type", "containerized_workflow", "--task", "Count", "--json").data["items"]
    assert [one["run_id"] for one in items] == [second, first]
    assert cli("result", "list", "--metric", "nothing>1", "--json").data["items"] == []
    assert "no condition" in cli("result", "list", "--metric", ">", code=2).stderr
    changed = cli("result", "compare", first, second, "--json").data
    assert [one["name"] for one in changed["artifacts"]] == ["work/count"]
    assert "work/count" in cli("result", "compare", first, second).stdout
    assert "are the same" in cli("result", "compare", first, first).stdout
    assert cli("schema", "result", "build").data["properties"]["type"]["const"] == "build"


def test_a_failing_command_is_shown_with_step_code_and_reason(cli: Cli, add: AddTask) -> None:
    add("Break", "echo 'error: the disk is made of cheese' >&2; exit 7")
    answer = cli("task", "run", "Break", code=1)
    assert "✗ Break  failed" in answer.stdout
    assert "step work: exit code 7" in answer.stdout
    assert "error: the disk is made of cheese" in answer.stdout
    run_id = cli("run", "list", "--status", "failed", "--json").data["items"][0]["id"]
    assert cli("run", "status", run_id, "--json").data["diagnosis"]["exit_code"] == 7
    assert "exit code 7" in cli("task", "show", "Break").stdout


def test_a_step_that_takes_too_long_ends_with_1(cli: Cli, add: AddTask) -> None:
    add("Wait", "sleep 60", timeout=0.5)
    assert "✗ Wait  timed out" in cli("task", "run", "Wait", code=1).stdout


def test_a_project_runs_in_the_order_of_its_dependencies(cli: Cli, add: AddTask) -> None:
    add("First", "echo 1")
    add("Second", "echo 2", after=("First",))
    data = cli("project", "run", "words", "--json").data
    first, second = data["runs"]
    assert (first["task"]["title"], second["task"]["title"]) == ("First", "Second")
    assert first["run"]["finished_at"] <= second["run"]["started_at"]
    assert cli("project", "status", "words", "--json").data["counts"] == {"done": 2}


def test_what_depends_on_a_failure_is_skipped_with_the_reason(cli: Cli, add: AddTask) -> None:
    add("First", "exit 3")
    add("Second", "echo 2", after=("First",))
    answer = cli("project", "run", "words", code=1)
    assert "○ skipped" in answer.stdout
    assert "because task 'First', which it depends on, ended failed" in answer.stdout
    assert "step work: exit code 3" in answer.stdout


def test_a_task_whose_dependency_is_not_done_is_refused(cli: Cli, add: AddTask) -> None:
    add("First", "echo 1")
    add("Second", "echo 2", after=("First",))
    answer = cli("task", "run", "Second", code=2)
    assert "'Second' depends on 'First', not done yet" in answer.stderr
    assert "project run" in answer.stderr
    assert cli("run", "list", "--json").data["items"] == []


def test_inputs_reach_the_steps(cli: Cli, add: AddTask) -> None:
    add("Greet", 'printf %s "$INPUT_NAME" > greeting.txt', outputs=[{"name": "greeting", "path": "greeting.txt"}])
    data = cli("task", "run", "Greet", "-i", "name=Ada", "--json").data
    assert Path(cli("artifact", "open-path", "Greet", "greeting").stdout.strip()).read_text() == "Ada"
    assert data["artifacts"][0]["size"] == 3


def test_a_missing_program_is_told(cli: Cli, add: AddTask) -> None:
    add("Compile", "frobnicate in.txt", requires=["frobnicate"])
    answer = cli("task", "run", "Compile", code=1)
    assert "frobnicate" in answer.stdout


def test_without_an_engine_the_code_is_3(cli: Cli, add: AddTask, monkeypatch: pytest.MonkeyPatch) -> None:
    add("Count", "echo 1")
    monkeypatch.setenv("TASK_MANAGER_ENGINE", "dagger")
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setenv("_EXPERIMENTAL_DAGGER_CLI_BIN", "/nonexistent/dagger")
    assert cli("engine", "doctor", code=3).stdout
    cli("task", "run", "Count", code=3)


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("network", ["none", "host"])
def test_engine_doctor_says_which_network_the_settings_give_to_steps(cli: Cli, network: str) -> None:
    doctor = cli("engine", "doctor", "--json", env={"TASK_MANAGER_NETWORK": network}).data
    (check,) = [check for check in doctor["checks"] if check["name"] == "network"]
    assert f"the setting network is {network}" in check["detail"]


def test_engine_doctor_and_info_say_what_would_be_used(cli: Cli, project: Path) -> None:
    doctor = cli("engine", "doctor", "--json").data
    assert doctor["usable"]
    assert doctor["kind"] == "embedded"
    assert {"session", "user namespaces"} <= {check["name"] for check in doctor["checks"]}
    details = {check["name"]: check["detail"] for check in doctor["checks"]}
    assert "the setting engine_limits.memory" in details["limit of memory"], "not the engine's own name of it"
    assert "configured: engine = embedded" in cli("engine", "info").stdout


def test_a_removed_project_leaves_no_files(cli: Cli, add: AddTask, tmp_path: Path) -> None:
    add("Count", "echo 1")
    run_id = cli("task", "run", "Count", "--json").data["run"]["id"]
    assert (tmp_path / "data" / "runs" / run_id).is_dir()
    cli("project", "delete", "words", "--yes")
    assert not (tmp_path / "data" / "runs" / run_id).exists()


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_command_cancels_its_runs(cli: Cli, add: AddTask, tmp_path: Path, sign: signal.Signals) -> None:
    """Ctrl-C and SIGTERM: the run is cancelled, its processes are gone, the code is 130."""
    mark = endless()
    add("Wait", f"sleep {mark}")
    running = subprocess.Popen(
        [sys.executable, "-m", "task_manager", "task", "run", "Wait"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    asyncio.run(until(lambda: bool(processes_with(mark))))
    running.send_signal(sign)
    stdout, stderr = running.communicate(timeout=60)
    assert running.returncode == 130, stdout + stderr
    assert "Cancelling: Wait" in stderr
    assert "Cancelled 1 run; their containers are gone." in stderr
    assert "Traceback" not in stderr
    asyncio.run(until(lambda: not processes_with(mark)))
    assert [run["status"] for run in cli("run", "list", "--json").data["items"]] == ["cancelled"]
    assert cli("run", "status", "Wait").stdout.count("Cancelled by") == 1


def test_a_run_of_a_paused_project_says_what_it_waits_for(cli: Cli, add: AddTask) -> None:
    add("Work", "true")
    cli("project", "pause", "words")
    command = [str(warm_program()), "task", "run", "Work"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        told = running.stderr.readline()
        cli("project", "resume", "words")
        _, rest = running.communicate(timeout=60)
    assert "Project words is paused" in told
    assert "task-manager project resume words" in told + rest
    assert running.returncode == 0, rest


def test_a_run_of_another_process_is_watched_and_cancelled(cli: Cli, process: Cli, add: AddTask) -> None:
    mark = endless()
    add("Wait", f"sleep {mark}")
    command = [str(warm_program())]
    with subprocess.Popen([*command, "task", "run", "Wait"], stdout=subprocess.PIPE, text=True) as running:
        asyncio.run(until(lambda: bool(processes_with(mark))))
        (run,) = cli("run", "list", "--json").data["items"]
        pipe = subprocess.PIPE
        watch = [*command, "run", "watch", run["id"]]
        with subprocess.Popen(watch, stdout=pipe, stderr=pipe, text=True) as left:
            assert left.stdout is not None
            left.stdout.readline()
            left.send_signal(signal.SIGINT)
            _, said = left.communicate(timeout=60)
        assert said == f"The run goes on. To cancel it: task-manager run cancel {run['id']}\n"
        with subprocess.Popen(watch, stdout=pipe, text=True) as watching:
            assert cli("run", "cancel", run["id"]).stdout == "It is cancelled.\n"
            assert not processes_with(mark)
            seen, _ = watching.communicate(timeout=60)
        told, _ = running.communicate(timeout=60)
    assert (running.returncode, watching.returncode) == (130, 130)
    assert "cancelled" in told
    assert "cancelled" in seen


def test_the_templates_tests_pass(cli: Cli, project: Path) -> None:
    outcomes = cli("template", "test", "shell-command", "--json").data["items"]
    assert {outcome["status"] for outcome in outcomes} == {"passed"}
    assert "result" in {outcome["kind"] for outcome in outcomes}

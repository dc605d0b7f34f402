"""`run diagnose`, and the commands that diagnoses suggest."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from task_manager.cli.app import app
from task_manager.failure_rules import ActionTemplate, built_in_rules
from tests.cli.conftest import Cli

ACTIONS = {action.command: action for rule in built_in_rules() for action in rule.actions}
NAMES = re.compile(r"\{(run|task|project|step|image|upstream)\}")
HOST = "task-manager.invalid/host-toolchain"


@pytest.mark.parametrize("action", ACTIONS.values(), ids=list(ACTIONS))
def test_every_suggested_command_is_one_that_the_command_line_takes(action: ActionTemplate) -> None:
    program, *rest = shlex.split(NAMES.sub("name", action.command))
    assert program == "task-manager"
    command: Any = typer.main.get_command(app)
    parent = None
    while hasattr(command, "resolve_command"):
        context = command.context_class(command, parent=parent)
        parent, (_, command, rest) = context, command.resolve_command(context, rest)
    command.make_context(command.name, rest, parent=parent)


def test_a_failed_runs_diagnosis_is_told_in_words_and_as_json(cli: Cli, tmp_path: Path) -> None:
    step = {"id": "go", "image": HOST, "command": ["sh", "-c", "echo hello; frobnicate --all"]}
    (tmp_path / "pipeline.json").write_text(json.dumps({"steps": [step]}))
    cli("project", "create", "things")
    cli("task", "create", "things", "Work", "--pipeline", tmp_path / "pipeline.json")
    cli("run", "start", "Work", code=1, env={"TASK_MANAGER_IMAGES": "host", "TASK_MANAGER_ENGINE": "embedded"})
    answer = cli("run", "diagnose", "Work", "--json").data
    found, run_id = answer["diagnosis"], answer["run"]["id"]
    assert (found["failure_class"], found["rule"]) == ("configuration", "command_not_found")
    assert (found["step_id"], found["exit_code"]) == ("go", 127)
    assert "frobnicate" in found["lines"][0]
    assert found["actions"][0]["command"] == f"task-manager run logs {run_id} --step go"
    for shown in (cli("run", "diagnose", run_id), cli("run", "status", run_id), cli("result", "show", run_id)):
        assert "configuration: The command, or a program that it calls, is not in the step's image." in shown.stdout
        assert found["actions"][0]["command"] in shown.stdout
    assert cli(*shlex.split(found["actions"][0]["command"])[1:]).stdout.startswith("hello")


def test_an_unknown_run_has_no_diagnosis(cli: Cli) -> None:
    assert "There is no run" in cli("run", "diagnose", "run-0", code=2).stderr

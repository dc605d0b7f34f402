"""Triggers by the command line."""

import json
from pathlib import Path

from tests.cli.conftest import Cli

SECRET = ("--secret", "env:WEBHOOK_SECRET")


def test_a_trigger_is_added_tested_listed_and_removed(cli: Cli, textkit: Path, tmp_path: Path) -> None:
    rules = ("--event", "push", "--branch", "main", "--if", "/forced=false", "--task", "Test")
    added = cli("trigger", "add", "tests", "--source", "github", *SECRET, *rules, "--json").data["trigger"]
    assert (added["events"], added["conditions"], added["secret"]) == (
        ["push"],
        {"/forced": "false"},
        "env:WEBHOOK_SECRET",
    )
    payload = tmp_path / "payload.json"
    payload.write_text(json.dumps({"ref": "refs/heads/other", "forced": False}))
    tested = cli("trigger", "test", payload, "--source", "github", "--event", "push", "--json").data["items"]
    assert (tested[0]["matches"], tested[0]["mismatches"]) == (False, ["The branch is 'other', not main."])
    matched = cli(
        "trigger",
        "test",
        "-",
        "--source",
        "github",
        "--event",
        "push",
        input='{"ref":"refs/heads/main","forced":false}',
    )
    assert "yes" in matched.stdout
    assert "push, on main, /forced=false" in cli("trigger", "list").stdout
    assert cli("trigger", "firings", "tests", "--json").data["items"] == []
    cli("trigger", "remove", "tests", "--yes")
    assert cli("trigger", "list", "--json").data["items"] == []


def test_a_template_takes_inputs_and_places_of_the_payload(cli: Cli, textkit: Path) -> None:
    target = ("--project", "textkit", "--template", "shell-command")
    inputs = ("--input", 'command=["true"]', "--input-from", "image=/image")
    added = cli("trigger", "add", "t", "--source", "generic", *SECRET, *target, *inputs, "--json").data["trigger"]
    assert (added["parameters"], added["payload_parameters"]) == ({"command": ["true"]}, {"image": "/image"})


def test_what_cannot_be_used_is_told(cli: Cli, textkit: Path, tmp_path: Path) -> None:
    add = ("trigger", "add", "t", "--source", "github")
    assert cli(*add, *SECRET, code=2).stderr == "Error: A trigger starts either a task or a project.\n"
    refusal = cli(*add, "--secret", "s3cret", "--task", "Test", code=2).stderr
    assert "never its value: env:NAME or file:PATH" in refusal
    assert "s3cret" not in refusal
    assert "--if /action=opened" in cli(*add, *SECRET, "--task", "Test", "--if", "/action", code=2).stderr
    assert "did you mean" in cli(*add, *SECRET, "--task", "Tset", code=2).stderr.lower()
    assert "cannot be read" in cli("trigger", "test", tmp_path / "none", "--source", "github", code=2).stderr

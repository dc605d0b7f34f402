"""Helper containers by the command line, on the embedded engine with the host's programs."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.environment.processes import endless, processes_with, until

HOST = "task-manager.invalid/host-toolchain"

_SECONDS = endless()


@pytest.fixture(autouse=True)
def engine(monkeypatch: pytest.MonkeyPatch, engine_data: Path, tmp_path: Path) -> None:
    """The embedded engine, whose layers are kept from test to test."""
    monkeypatch.setenv("TASK_MANAGER_ENGINE", "embedded")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "engine").symlink_to(engine_data)


@pytest.fixture
def created(cli: Cli) -> Iterator[str]:
    """A container that writes `ready` and then sleeps; it is stopped after the test."""
    script = f"echo ready; exec sleep {_SECONDS}"
    answer = cli("container", "create", HOST, "--name", "helper", "--json", "--", "sh", "-c", script)
    container: str = answer.data["container"]["id"]
    yield container
    if processes_with(_SECONDS):
        cli("container", "stop", container)


def test_a_container_runs_in_the_background_until_it_is_stopped(cli: Cli, created: str) -> None:
    started = cli("container", "start", created, "--json").data["container"]
    assert started["state"] == "running"
    asyncio.run(until(lambda: bool(processes_with(_SECONDS))))
    assert created in cli("container", "list").stdout
    assert cli("container", "logs", created).stdout == "ready\n"
    assert "running" in cli("container", "start", created, code=2).stderr
    assert "running" in cli("container", "delete", created, code=2).stderr
    stopped = cli("container", "stop", created, "--json").data["container"]
    assert (stopped["state"], stopped["id"]) == ("stopped", created)
    assert not processes_with(_SECONDS)
    asyncio.run(until(lambda: not processes_with(created)))
    cli("container", "delete", created)
    assert cli("container", "list", "--json").data == {"items": []}


def test_one_that_cannot_be_started_in_the_background_says_why(cli: Cli, refused_registry: str) -> None:
    image = f"{refused_registry}/no/such:1"
    created = cli("container", "create", image, "--json", "--", "true").data["container"]["id"]
    error = cli("container", "start", created, "--images", "pull", "--json", code=3).error
    assert error["code"] == "registry_unreachable"
    assert cli("container", "status", created, "--json").data["container"]["state"] == "created"


def test_run_shows_what_the_command_writes_and_leaves_nothing(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "work" / "word.txt").write_text("mounted\n")
    script = 'cat /in/word.txt; echo "$GREETING"; exit 4'
    arguments = ("--mount", "word.txt:/in/word.txt", "--env", "GREETING=hello=you", "--", "sh", "-c", script)
    answer = cli("container", "run", HOST, *arguments, code=1)
    assert answer.stdout == "mounted\nhello=you\n"
    assert "exit code 4" in answer.stderr
    assert cli("container", "list", "--json").data == {"items": []}


def test_ctrl_c_ends_a_container_that_runs_in_the_foreground(cli: Cli) -> None:
    seconds = endless()
    command = [sys.executable, "-m", "task_manager", "container", "run", HOST, "--", "sleep", seconds]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        asyncio.run(until(lambda: len(processes_with(seconds)) > 1, seconds=60))
        os.kill(running.pid, signal.SIGINT)
        assert running.wait(60) == 130
    finally:
        running.kill()
        running.communicate()
    assert not processes_with(seconds)
    assert cli("container", "list", "--json").data == {"items": []}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("create", HOST, "--env", "NAME"), "NAME=VALUE"),
        (("create", HOST, "--env", "1X=2"), "environment"),
        (("create", HOST, "--mount", "/tmp"), "SOURCE:TARGET"),
        (("create", HOST, "--mount", "/no/where:/x"), "/no/where"),
        (("create", HOST, "--port", "0"), "port"),
        (("create", ""), "image"),
        (("start", "container-0"), "container-0"),
        (("stop", "../x"), "../x"),
        (("status", "run-1/step"), "run-1/step"),
        (("logs", "container-0"), "container-0"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(cli: Cli, arguments: tuple[str, ...], said: str) -> None:
    assert said in cli("container", *arguments, code=2).stderr

"""The command line in this process, over a data folder of the test's own."""

import functools
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner

from task_manager.cli.app import app


@dataclass(frozen=True)
class Answer:
    """What a call printed, and how it ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def data(self) -> Any:
        """Standard output as the one JSON document that it must be."""
        return json.loads(self.stdout)

    @property
    def error(self) -> dict[str, Any]:
        """Standard error as the JSON document of an error."""
        error: dict[str, Any] = json.loads(self.stderr)["error"]
        return error


Cli = Callable[..., Answer]


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty home, working folder and data folder; no setting from outside."""
    for name in [name for name in os.environ if name.startswith("TASK_MANAGER_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setenv("TASK_MANAGER_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("TASK_MANAGER_WORKER", "here")
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")


@pytest.fixture(scope="session")
def engine_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the engine's layers, kept from test to test."""
    return tmp_path_factory.mktemp("cli-engine")


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """Each call sends log lines to the standard error that it found, which is gone after the test."""
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


@pytest.fixture(scope="session", autouse=True)
def built_commands() -> Iterator[None]:
    """Builds the commands once: to build them takes longer than most calls."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("typer.testing._get_command", functools.cache(typer.main.get_command))
        yield


@pytest.fixture
def cli() -> Cli:
    """Calls the command line in this process and expects exit code `code`."""

    def call(*arguments: str | Path, code: int = 0, **options: Any) -> Answer:
        result = CliRunner().invoke(app, [str(argument) for argument in arguments], **options)
        answer = Answer(result.exit_code, result.stdout, result.stderr)
        assert answer.code == code, f"{answer.code}\n{answer.stdout}\n{answer.stderr}\n{result.exception!r}"
        assert "Traceback" not in answer.stderr
        return answer

    return call


@pytest.fixture
def process() -> Cli:
    """Calls the command line in a process of its own and expects exit code `code`."""

    def call(*arguments: str | Path, code: int = 0, env: dict[str, str] | None = None) -> Answer:
        done = subprocess.run(
            [sys.executable, "-m", "task_manager", *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, **(env or {})},
            timeout=120,
        )
        answer = Answer(done.returncode, done.stdout, done.stderr)
        assert answer.code == code, f"{answer.code}\n{answer.stdout}\n{answer.stderr}"
        return answer

    return call


@pytest.fixture
def textkit(cli: Cli, tmp_path: Path) -> Path:
    """A project `textkit` with the tasks `Check`, `Test` and `Build`; Build depends on both. Returns its source."""
    source = tmp_path / "textkit"
    source.mkdir()
    (source / "hello.txt").write_text("hello\n")
    cli("project", "create", "textkit", "--source", source)
    cli("phase", "create", "textkit", "Verify")
    cli("task", "create", "textkit", "Check", "--phase", "Verify", "--template", "code-quality")
    cli("task", "create", "textkit", "Test", "--phase", "Verify", "--type", "test")
    cli("task", "create", "textkit", "Build", "--depends-on", "Check", "--depends-on", "Test", "--label", "release")
    return source

"""What goes to which stream, with which exit code, whatever happens."""

import contextlib
import json
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from jsonschema import Draft202012Validator
from rich.console import Console
from typer.main import get_command

from task_manager.cli import choices
from task_manager.cli.app import app, run
from task_manager.cli.exit_codes import ExitCode, of_error, of_run
from task_manager.cli.output import Output, table, write_file
from task_manager.errors import EngineUnavailable, InvalidPipeline, RegistryUnreachable, StepFailed, StoreFull
from task_manager.hook_records import DeliveryState, HookForm
from task_manager.models import Priority, WorkflowType
from task_manager.pipeline import ResultType
from task_manager.schedule_records import MissedTimes, Overlap
from task_manager.trigger_records import WebhookSource
from task_manager.workflow_status import TaskStatus, WorkflowStatus
from tests.cli.conftest import Cli

HEAVY = {
    "alembic",
    "dagger",
    "graphql",
    "httpx",
    "jinja2",
    "jsonschema",
    "sqlalchemy",
    "starlette",
    "structlog",
    "uvicorn",
    "yaml",
}


@pytest.mark.parametrize("arguments", [["--help"], ["run", "start", "--help"], ["--version"], ["task", "crate"]])
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    program = (
        "import sys; from task_manager.cli.app import run; run(sys.argv[1:]);"
        "print('LOADED', *sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True, timeout=60
    )
    loaded = set(done.stdout.rpartition("LOADED")[2].split())
    assert "typer" in loaded
    assert loaded & HEAVY == set()


def commands() -> Iterator[tuple[str, ...]]:
    """The path of every command."""

    def below(command: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        inner = getattr(command, "commands", {})
        for name, one in inner.items():
            yield from below(one, (*path, name))
        if not inner:
            yield path

    yield from below(get_command(app), ())


@pytest.mark.parametrize("path", list(commands()), ids=" ".join)
def test_every_command_explains_itself_with_an_example_and_can_answer_in_json(path: tuple[str, ...], cli: Cli) -> None:
    text = cli(*path, "--help").stdout
    assert f"task-manager {' '.join(path)}" in text.partition("Example")[2]
    assert "--json" in text


def test_there_are_the_expected_commands() -> None:
    found = {" ".join(path) for path in commands()}
    assert {"project run", "run start", "run cancel", "result show", "engine doctor", "demo"} <= found


@pytest.mark.parametrize("arguments", [("tsak",), ("run",), ("run", "start"), ("config", "show", "--nonsense")])
def test_misuse_ends_with_2_and_tells_how_it_is_used(process: Cli, arguments: tuple[str, ...]) -> None:
    answer = process(*arguments, code=2)
    assert "Error: " in answer.stderr or "Usage: " in answer.stdout
    assert "Traceback" not in answer.stderr


@pytest.mark.parametrize("arguments", [(), ("run",), ("engine", "cache")])
def test_a_group_alone_shows_its_help_and_no_empty_error(process: Cli, arguments: tuple[str, ...]) -> None:
    answer = process(*arguments, code=2)
    assert "Usage: " in answer.stdout
    assert answer.stderr == ""


def test_a_value_that_is_no_choice_is_told_in_plain_words(process: Cli) -> None:
    answer = process("task", "list", "--status", "odd", code=2)
    assert answer.stderr.startswith("Error: Invalid value for '--status': 'odd' is not one of 'todo', ")


def test_ctrl_c_while_modules_are_loaded_ends_with_130_and_says_nothing() -> None:
    program = (
        "import sys\n"
        "class Interrupting:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'typer': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupting())\n"
        "from task_manager.cli import main; main()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (ExitCode.CANCELLED, "", "")


def in_terminal(renderable: Any, width: int) -> str:
    console = Console(force_terminal=True, width=width, color_system=None)
    with console.capture() as capture:
        console.print(renderable)
    return "".join(f"{line.rstrip()}\n" for line in capture.get().splitlines())


def test_what_others_wrote_never_commands_the_terminal(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    cli("project", "create", "Sho\x1b]0;p\x07\x9b2J")
    for shown in (cli("project", "list").stdout, cli("project", "show", "Sho\x1b]0;p\x07\x9b2J").stdout):
        assert "Sho␛]0;p\ufffd2J" in shown
        assert not re.search(r"\x1b[^\[]|\x07|\x9b", shown)
    assert "\\u001b" in cli("project", "list", "--json").stdout


def test_a_program_s_colours_stay_in_a_terminal_and_its_other_commands_go() -> None:
    output = Output(as_json=False)
    line = "\x1b[31mred\x1b[0m\x1b[2J\x1b]0;title\x1b\\ plain"
    assert output.coloured(line).plain == line, "a file gets what was written"
    output.console = Console(force_terminal=True)
    shown = output.coloured(line)
    assert (shown.plain[:3], str(shown.spans[0].style)) == ("red", "color(1)")
    assert "\x1b" not in shown.plain


def test_a_table_whose_words_do_not_fit_the_terminal_is_told_row_by_row() -> None:
    rows = [("run-1m82gmzxq-2e9dseck0hw", "Run the tests", "15 s"), ("run-2", "Check", None)]
    drawn = table(["!Run", "Task", ">Time"], rows, empty="None.")
    assert in_terminal(drawn, 41).splitlines()[0].split() == ["Run", "Task", "Time"]
    assert in_terminal(drawn, 34) == (
        "Run   run-1m82gmzxq-2e9dseck0hw\nTask  Run the tests\nTime  15 s\n\nRun   run-2\nTask  Check\n"
    )


def test_a_file_that_somebody_asked_for_is_written_whole_or_stays(tmp_path: Path) -> None:
    kept = tmp_path / "kept.yaml"
    kept.write_text("as it was")
    kept.chmod(0o640)
    write_file(tmp_path / "new" / "file.yaml", "text")
    write_file(kept, b"new")
    assert (tmp_path / "new" / "file.yaml").read_text() == "text"
    assert (kept.read_text(), kept.stat().st_mode & 0o777) == ("new", 0o640)


def test_misuse_is_told_in_json_where_json_was_asked_for(process: Cli) -> None:
    answer = process("run", "start", "--json", code=2)
    assert answer.stdout == ""
    assert answer.error["code"] == "usage"


def test_an_option_stands_before_or_after_the_command(cli: Cli, tmp_path: Path) -> None:
    for arguments in (
        ["--json", "--data-dir", tmp_path / "x", "config", "path"],
        ["config", "path", "--json", "--data-dir", tmp_path / "x"],
    ):
        assert cli(*arguments).data == {"data_dir": str(tmp_path / "x"), "origin": "argument"}


def test_settings_are_shown_with_where_they_came_from(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "engine.yaml").write_text("engine: embedded\n")
    answer = cli("config", "show", "--config", tmp_path / "engine.yaml", "--images", "host", "--json")
    rows = {row["setting"]: row for row in answer.data["settings"]}
    assert (rows["engine"]["value"], rows["engine"]["origin"]) == ("embedded", f"file {tmp_path}/engine.yaml:1")
    assert (rows["images"]["value"], rows["images"]["origin"]) == ("host", "argument")
    assert rows["data_dir"]["origin"] == "environment TASK_MANAGER_DATA_DIR"


def test_a_password_is_not_shown(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASK_MANAGER_DATABASE_URL", "postgresql://ada:hunter2@127.0.0.1/tasks")
    answer = cli("config", "show")
    assert "ada:***@" in answer.stdout
    assert "hunter2" not in answer.stdout


def test_a_bad_setting_is_told_with_its_origin(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASK_MANAGER_PARALLELISM", "none")
    for arguments in (["config", "show"], ["project", "list"], ["template", "list"]):
        assert "parallelism (environment TASK_MANAGER_PARALLELISM)" in cli(*arguments, code=2).stderr


def test_a_data_folder_that_is_a_file_is_told(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert str(tmp_path / "file") in cli("project", "list", "--data-dir", tmp_path / "file", code=2).stderr


def test_a_data_folder_that_cannot_be_made_is_told(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    error = cli("project", "list", "--data-dir", tmp_path / "file" / "below", "--json", code=2).error
    assert error["code"] == "store_unwritable"


def test_a_database_that_is_none_is_told(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "task-manager.db").write_bytes(b"something else entirely" * 100)
    answer = cli("project", "list", code=1)
    assert str(tmp_path / "data" / "task-manager.db") in answer.stderr


def test_a_database_of_another_version_is_told(cli: Cli, tmp_path: Path) -> None:
    cli("project", "list")
    with contextlib.closing(sqlite3.connect(tmp_path / "data" / "task-manager.db")) as database, database:
        database.execute("UPDATE task_manager_version SET version_num = '0999'")
    error = cli("project", "list", "--json", code=2).error
    assert error["code"] == "store_version_mismatch"
    assert error["remedy"]


def test_a_full_disk_is_told(cli: Cli, small_disk: Path) -> None:
    cli("project", "list", "--data-dir", small_disk / "data")
    with contextlib.suppress(OSError), (small_disk / "filler").open("wb", buffering=0) as filler:
        while filler.write(b"x" * 4096):
            pass
    answer = cli("project", "create", "big", "--description", "x" * 100_000, "--data-dir", small_disk / "data", code=1)
    assert "No space is left" in answer.stderr
    (small_disk / "filler").unlink()
    assert cli("project", "list", "--data-dir", small_disk / "data", "--json").data["items"] == []


def test_an_unexpected_error_is_one_line_that_tells_how_to_see_more(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> object:
        raise ZeroDivisionError("a mistake of ours")

    monkeypatch.setattr("task_manager.config.describe_settings", broken)
    answer = cli("config", "show", code=1)
    assert "ZeroDivisionError: a mistake of ours" in answer.stderr
    assert "--debug" in answer.stderr
    with pytest.raises(ZeroDivisionError):
        run(["--debug", "config", "show"])


def test_output_that_nobody_reads_is_no_error(tmp_path: Path) -> None:
    command = f"{sys.executable} -m task_manager workflow schema | head -c 10"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True, timeout=60)
    assert len(done.stdout) == 10
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


def test_a_terminal_without_unicode_gets_other_signs(process: Cli) -> None:
    answer = process("template", "list", env={"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"})
    assert "python-tests" in answer.stdout


def test_piped_lines_have_no_padding_and_no_colour(process: Cli) -> None:
    answer = process("template", "list")
    assert all(line == line.rstrip() for line in answer.stdout.splitlines())
    assert "\x1b" not in answer.stdout


def test_completion_offers_names_from_the_store(textkit: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "task_manager"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={
            **os.environ,
            "_TASK_MANAGER_COMPLETE": "complete_bash",
            "COMP_WORDS": "task-manager project show te",
            "COMP_CWORD": "3",
        },
    )
    assert done.stdout.split() == ["textkit"]


def test_the_schema_is_one_json_document(cli: Cli) -> None:
    schema = json.loads(cli("workflow", "schema").stdout)
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate({"steps": [{"id": "a", "image": "busybox", "command": ["true"]}]})
    assert not Draft202012Validator(schema).is_valid({"steps": []})


def test_the_choices_are_those_of_the_records() -> None:
    assert get_args(choices.PriorityName) == tuple(Priority)
    assert get_args(choices.WebhookSourceName) == tuple(WebhookSource)
    assert get_args(choices.HookFormName) == tuple(HookForm)
    assert get_args(choices.DeliveryStateName) == tuple(DeliveryState)
    assert get_args(choices.MissedTimesName) == tuple(MissedTimes)
    assert get_args(choices.OverlapName) == tuple(Overlap)
    assert get_args(choices.TaskStatusName) == tuple(TaskStatus)
    assert get_args(choices.RunStatusName) == tuple(WorkflowStatus)
    assert get_args(choices.WorkflowTypeName) == tuple(WorkflowType)
    assert get_args(choices.ResultTypeName) == tuple(ResultType)


def test_exit_codes_follow_the_errors_and_the_runs() -> None:
    assert of_error(InvalidPipeline("x")) is ExitCode.BAD_INPUT
    assert of_error(EngineUnavailable("x")) is ExitCode.NO_ENGINE
    assert of_error(RegistryUnreachable("x")) is ExitCode.NO_ENGINE
    assert of_error(StepFailed("x")) is ExitCode.FAILED
    assert of_error(StoreFull("x")) is ExitCode.FAILED
    codes = {status: of_run(status) for status in WorkflowStatus if status.is_terminal}
    assert codes == {
        WorkflowStatus.SUCCEEDED: 0,
        WorkflowStatus.FAILED: 1,
        WorkflowStatus.TIMED_OUT: 1,
        WorkflowStatus.SKIPPED: 1,
        WorkflowStatus.LOST: 1,
        WorkflowStatus.CANCELLED: 130,
    }
    assert of_run(WorkflowStatus.FAILED, "engine_unavailable") is ExitCode.NO_ENGINE

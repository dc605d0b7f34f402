"""Logs as they grow: every line once, in order, whoever writes them and however they are written anew."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from task_manager import log_following
from task_manager.artifacts import run_folder
from task_manager.log_following import GrowingLog
from task_manager.logs import write_logs
from task_manager.models import StepRecord, WorkflowRun
from task_manager.store import Store, runs, steps
from task_manager.workflow_status import WorkflowStatus
from tests.cli.conftest import Cli
from tests.store.builders import LATER, a_step, stored_run

PATH_TO_THE_END = (
    *(WorkflowStatus.QUEUED, WorkflowStatus.PREPARING, WorkflowStatus.RUNNING),
    *(WorkflowStatus.PROCESSING, WorkflowStatus.SUCCEEDED),
)


@dataclass
class Executed:
    """A run of two steps that the test executes: it writes the logs and ends the run."""

    store: Store
    run: WorkflowRun

    def write(self, step: str, text: str, stream: str = "stdout") -> None:
        folder = run_folder(self.store.data_dir, self.run.id) / step
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / f"{stream}.log").open("a") as log:
            log.write(text)

    def end(self) -> None:
        for status in PATH_TO_THE_END:
            self.store.run_sync(runs.transition, self.run.id, status, actor="test", now=LATER)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "data") as opened:
        yield opened


def executed(store: Store, *step_ids: str) -> Executed:
    run = stored_run(store)
    records: tuple[StepRecord, ...] = tuple(a_step(run, name, position=at) for at, name in enumerate(step_ids))
    store.run_sync(steps.plan, records)
    return Executed(store, run)


@pytest.fixture
def both(store: Store) -> Executed:
    return executed(store, "build", "test")


@dataclass
class Following:
    """`run logs --follow` in a process of its own."""

    process: subprocess.Popen[str]

    def line(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline()

    def rest(self) -> tuple[str, str, int]:
        out, error = self.process.communicate(timeout=30)
        return out, error, self.process.returncode


@pytest.fixture
def follow() -> Iterator["list[Following]"]:
    started: list[Following] = []
    yield started
    for one in started:
        one.process.kill()
        one.process.communicate()


def begin(started: list[Following], run: str, *options: str) -> Following:
    command = [sys.executable, "-m", "task_manager", "run", "logs", run, "--follow", *options]
    pipe = subprocess.PIPE
    started.append(Following(subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=os.environ)))
    return started[-1]


def test_lines_of_another_process_are_printed_as_they_come(both: Executed, follow: list[Following]) -> None:
    both.write("build", "compiling\nlin")
    following = begin(follow, both.run.id)
    assert following.line() == "build | compiling\n"
    both.write("build", "king\n")
    assert following.line() == "build | linking\n"
    both.write("test", "oh\n", "stderr")
    assert following.line() == "test  | oh\n"
    both.write("test", "without an end")
    both.end()
    out, error, code = following.rest()
    assert (out, error, code) == ("test  | without an end\n", "The run is over: succeeded.\n", 0)


def test_with_json_each_line_is_a_document(both: Executed, follow: list[Following]) -> None:
    both.write("test", "fine\n")
    following = begin(follow, both.run.id, "--json")
    assert json.loads(following.line()) == {"step": "test", "stream": "stdout", "number": 1, "line": "fine"}
    both.write("build", "grüße\n", "stderr")
    assert json.loads(following.line()) == {"step": "build", "stream": "stderr", "number": 1, "line": "grüße"}
    both.end()
    assert following.rest() == ("", "", 0)


def test_ctrl_c_ends_the_following_and_not_the_run(both: Executed, follow: list[Following]) -> None:
    both.write("build", "one\n")
    following = begin(follow, both.run.id)
    following.line()
    following.process.send_signal(signal.SIGINT)
    assert following.rest()[2] == 130
    assert not both.store.run_sync(runs.get, both.run.id).status.is_terminal


def test_what_a_run_that_is_over_wrote_is_printed_at_once(both: Executed, cli: Cli) -> None:
    both.write("build", "one\n")
    both.write("test", "two\n", "stderr")
    both.end()
    assert cli("run", "logs", both.run.id, "-f").stdout == "build | one\ntest  | two\n"
    assert cli("run", "logs", both.run.id, "-f", "--step", "test").stdout == "two\n"
    assert cli("run", "logs", both.run.id, "-f", "--stdout").stdout == "build | one\n"


def test_a_single_step_needs_no_prefix(store: Store, cli: Cli) -> None:
    alone = executed(store, "only")
    alone.write("only", "one\n")
    alone.end()
    assert cli("run", "logs", alone.run.id, "-f").stdout == "one\n"


def test_what_a_running_step_has_written_so_far_is_shown_without_following(both: Executed, cli: Cli) -> None:
    both.write("build", "begun\n")
    assert cli("run", "logs", both.run.id, "--step", "build").stdout == "begun\n"


@pytest.mark.usefixtures("store")
def test_an_unknown_step_or_run_ends_with_2(both: Executed, cli: Cli) -> None:
    assert "There is no step 'tets'" in cli("run", "logs", both.run.id, "-f", "--step", "tets", code=2).stderr
    assert "There is no run" in cli("run", "logs", "run-nothing", "-f", code=2).stderr


def in_folder(folder: Path) -> tuple[Path, GrowingLog]:
    path = folder / "stdout.log"
    return path, GrowingLog(path)


@given(parts=st.lists(st.text("ab\n", max_size=6)), overlap=st.integers(1, 8))
def test_however_a_log_grows_its_lines_are_read_once_in_order(
    parts: list[str], overlap: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log_following, "_OVERLAP", overlap)
        _grow(parts, tmp_path_factory.mktemp("log"))


def _grow(parts: list[str], folder: Path) -> None:
    path, log = in_folder(folder)
    lines = log.new_lines(over=False)
    for number, part in enumerate(parts):
        with path.open("a") as file:
            file.write(part)
        os.utime(path, (number, number))  # as on a disk whose clock is fine enough
        lines += log.new_lines(over=False)
    lines += log.new_lines(over=True)
    whole = "".join(parts)
    assert lines == (list(enumerate(whole.removesuffix("\n").split("\n"), 1)) if whole else [])


def test_the_whole_output_that_takes_its_place_is_not_read_twice(tmp_path: Path) -> None:
    path, log = in_folder(tmp_path)
    path.write_text("one\ntwo\n")
    assert log.new_lines(over=False) == [(1, "one"), (2, "two")]
    path.write_text("")
    assert log.new_lines(over=False) == []
    write_logs(tmp_path, "one\ntwo\nthree", "")
    assert log.new_lines(over=True) == [(3, "three")]


def test_what_was_missing_in_the_meantime_is_read_in_the_end(tmp_path: Path) -> None:
    path, log = in_folder(tmp_path)
    path.write_text("one\nthree\n")
    assert log.new_lines(over=False) == [(1, "one"), (2, "three")]
    write_logs(tmp_path, "one\ntwo\nthree\n", "")
    assert log.new_lines(over=True) == [(2, "two"), (3, "three")]


def test_a_step_that_is_tried_again_begins_anew(tmp_path: Path) -> None:
    path, log = in_folder(tmp_path)
    path.write_text("one\ntwo\n")
    log.new_lines(over=False)
    path.write_text("")
    assert log.new_lines(over=False) == []
    path.write_text("one\n")
    assert log.new_lines(over=False) == [(1, "one")]

"""A command's processes, memory and output are bounded, and what meets a bound is told which."""

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import dagger
import pytest

from task_manager.embedded_engine import kernel
from task_manager.embedded_engine.limits import CommandLimits
from tests.embedded_engine.conftest import connected, shell
from tests.embedded_engine.engine import EngineProcess, run_command

TOOLCHAIN = "task-manager.invalid/host-toolchain"
EXHAUST = """
import os, time
started = 0
try:
    while started < 900:
        if os.fork() == 0:
            time.sleep(60)
            os._exit(0)
        started += 1
finally:
    print(started)
"""
MIB = 1 << 20
PID_MAX = Path("/proc/sys/kernel/pid_max")


def machines_pid_max() -> str:
    """Returns what the tests' own process namespace is bound to."""
    return PID_MAX.read_text()


@asynccontextmanager
async def limited(folder: Path, **settings: object) -> AsyncIterator[dagger.Client]:
    """Connects to a session with some settings."""
    path = folder / "settings.json"
    path.write_text(json.dumps(settings))
    with EngineProcess(folder / "state", "--config", str(path)) as session:
        async with connected(session) as client:
            yield client


@pytest.mark.skipif(
    not kernel.bounds_process_namespaces() and os.geteuid() == 0, reason="before Linux 6.14 root has no limit"
)
async def test_a_command_cannot_have_more_processes_than_the_setting_says(tmp_path: Path) -> None:
    async with limited(tmp_path, max_processes=200) as dag:
        bomb = dag.container().from_(TOOLCHAIN).with_exec(["python", "-c", EXHAUST])
        with pytest.raises(dagger.ExecError) as raised:
            await bomb.sync()
        assert "[max_processes allows a command 200 processes and threads at once]" in raised.value.stderr
        assert 200 - 2 <= int(raised.value.stdout) <= 200 + 300
        assert await dag.container().from_(TOOLCHAIN).with_exec(shell("echo next")).stdout() == "next\n"


@pytest.mark.skipif(not kernel.bounds_process_namespaces(), reason="before Linux 6.14 a session's commands share it")
async def test_the_limit_of_processes_is_each_commands_own(tmp_path: Path) -> None:
    of_the_machine = machines_pid_max()
    async with limited(tmp_path, max_processes=100) as dag:
        read = dag.container().from_(TOOLCHAIN).with_exec(["cat", str(PID_MAX)])
        assert await read.stdout() == "401\n"
        assert machines_pid_max() == of_the_machine


@pytest.mark.parametrize("user", ["", "root"])
async def test_a_process_cannot_have_more_memory_than_the_setting_says(tmp_path: Path, user: str) -> None:
    async with limited(tmp_path, max_memory="64MiB") as dag:
        base = dag.container().from_(TOOLCHAIN).with_user(user)
        assert await base.with_exec(["python", "-c", f"print(len(bytes({16 * MIB})))"]).stdout() == f"{16 * MIB}\n"
        with pytest.raises(dagger.ExecError) as raised:
            await base.with_exec(["python", "-c", f"bytes({100 * MIB})"]).sync()
        assert "MemoryError" in raised.value.stderr
        assert "[max_memory allows each process of a command 64.0 MiB]" in raised.value.stderr


async def test_output_beyond_the_limit_is_read_and_its_middle_left_out(tmp_path: Path, offline_busybox: str) -> None:
    async with limited(tmp_path, max_output="1MiB") as dag:
        script = "yes 0123456 | head -c 4194304; echo last; echo errors >&2; touch /finished"
        ran = await dag.container().from_(offline_busybox).with_exec(shell(script)).sync()
        text = await ran.stdout()
        kept = 100 * 1024
        omitted = 4 * MIB + len("last\n") - MIB - kept
        note = f"\n[omitting {omitted} bytes, more than the setting max_output allows: 1.0 MiB]\n"
        assert text[MIB : MIB + len(note)] == note
        assert len(text) == MIB + len(note) + kept
        assert text.endswith("0123456\nlast\n")
        assert await ran.stderr() == "errors\n"
        assert await ran.exists("/finished")


async def test_an_error_shows_the_end_of_output_beyond_the_limit(tmp_path: Path, offline_busybox: str) -> None:
    async with limited(tmp_path, max_output="100KB") as dag:
        script = "yes 0123456 | head -c 1000000; echo what went wrong; exit 3"
        with pytest.raises(dagger.ExecError, match="exit code: 3") as raised:
            await dag.container().from_(offline_busybox).with_exec(shell(script)).sync()
        assert raised.value.stdout.endswith("0123456\nwhat went wrong")


async def test_a_redirected_file_is_complete_whatever_is_kept(tmp_path: Path, offline_busybox: str) -> None:
    async with limited(tmp_path, max_output=1000) as dag:
        base = dag.container().from_(offline_busybox)
        ran = base.with_exec(shell("yes | head -c 500000"), redirect_stdout="/all")
        assert await ran.file("/all").size() == 500_000


async def test_output_up_to_the_limit_and_the_end_is_whole(tmp_path: Path, offline_busybox: str) -> None:
    async with limited(tmp_path, max_output=102_400) as dag:
        for size in (0, 1, 150_000, 204_800, 204_801, 500_000):
            ran = dag.container().from_(offline_busybox).with_exec(shell(f"yes | head -c {size}"))
            assert ("omitting" in await ran.stdout()) == (size > 204_800)


def test_only_what_may_have_met_a_limit_is_explained() -> None:
    limits = CommandLimits(processes=10, memory=MIB)
    assert limits.explained("cannot open x") == "cannot open x"
    assert "max_processes" in limits.explained("sh: can't fork: Resource temporarily unavailable")
    assert "max_memory" in limits.explained("sh: out of memory")
    assert CommandLimits().explained("MemoryError") == "MemoryError"


def test_the_doctor_tells_the_limits(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    path.write_text(json.dumps({"max_processes": 77, "max_memory": "1GiB", "max_output": "none"}))
    done = run_command("doctor", "--json", "--state-dir", str(tmp_path / "state"), "--config", str(path))
    found = {finding["name"]: finding["detail"] for finding in json.loads(done.stdout)["findings"]}
    assert found["limit of processes"].startswith("77 for ")
    assert found["limit of memory"] == "1.0 GiB for each process; none for commands as a whole"
    assert found["limit of output"].startswith("all is kept")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_processes": 0}, "max_processes must be a whole number from 1 on, or none"),
        ({"max_memory": "1MiB"}, "max_memory must be a size such as 500MB, 5GiB or 1048576 (bytes), at least 16MiB"),
        ({"max_output": "much"}, "max_output must be a size"),
    ],
)
def test_a_limit_that_makes_no_sense_is_refused(tmp_path: Path, settings: dict[str, object], message: str) -> None:
    path = tmp_path / "settings.json"
    path.write_text(json.dumps(settings))
    done = run_command("session", "--state-dir", str(tmp_path / "state"), "--config", str(path))
    assert (done.returncode, message in done.stderr) == (2, True)

"""Sessions, the containers in them, the circuit breaker, and the engine's errors as ours."""

from __future__ import annotations

import asyncio
import os
import stat
import sys
from pathlib import Path
from typing import Any

import dagger
import gql
import pytest
from dagger._exceptions import QueryErrorValue

from task_manager.communication import (
    BreakerState,
    ContainerRecord,
    ContainerRegistry,
    ContainerState,
    DaggerCommunicationManager,
    sessions,
)
from task_manager.communication.process import SessionProcess
from task_manager.communication.sessions import EngineKind, choose_engine, write_engine_configuration
from task_manager.communication.translation import engine_errors, translated
from task_manager.config import Settings
from task_manager.embedded_engine.config import EngineConfig, command_limits, load_config
from task_manager.embedded_engine.limits import CommandLimits
from task_manager.errors import (
    EngineCircuitOpen,
    EngineError,
    EngineLost,
    EngineUnavailable,
    ImageUnavailable,
    InvalidInput,
    RegistryUnreachable,
    StepFailed,
    StoreFull,
    TaskManagerError,
)
from tests.environment.processes import until


def program(folder: Path, source: str) -> tuple[str, str]:
    """A command line that runs a Python program."""
    path = folder / "program.py"
    path.write_text(source)
    return sys.executable, str(path)


async def start(command: tuple[str, ...], timeout: float = 10) -> SessionProcess:
    return await SessionProcess.start(command, environment={}, timeout=timeout)


async def test_a_session_tells_its_address_in_its_first_line_and_ends_with_its_input(tmp_path: Path) -> None:
    source = 'import sys; print(\'{"port": 4711, "session_token": "t"}\', flush=True); sys.stdin.read()'
    process = await start(program(tmp_path, source))
    assert (process.port, process.token, process.alive) == (4711, "t", True)
    await process.stop(10)
    assert not process.alive


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("print('hello')", "not a session's address"),
        ('print(\'{"port": "x"}\')', "not a session's address"),
        ("import sys; print('no namespaces here', file=sys.stderr); sys.exit(3)", "code 3: no namespaces here"),
        ("import time; time.sleep(60)", "said nothing within"),
    ],
)
async def test_a_program_that_is_no_session_is_refused_with_what_it_said(
    tmp_path: Path, source: str, said: str
) -> None:
    with pytest.raises(EngineUnavailable, match=said):
        await start(program(tmp_path, source), timeout=0.3 if "sleep" in source else 10)


async def test_a_session_that_is_killed_at_its_start_is_lost_rather_than_impossible(tmp_path: Path) -> None:
    with pytest.raises(EngineLost, match="signal 9: so far so good"):
        await start(
            program(
                tmp_path,
                "import os, sys; print('so far so good', file=sys.stderr, flush=True); os.kill(os.getpid(), 9)",
            )
        )


async def test_a_program_that_is_not_there_is_named() -> None:
    with pytest.raises(EngineUnavailable, match="no-such-engine"):
        await start(("/no-such-engine",))


def settings(folder: Path, **changes: object) -> Settings:
    return Settings.model_validate({"data_dir": folder / "data", **changes})


def executable(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


async def test_auto_takes_the_session_that_the_environment_names(tmp_path: Path) -> None:
    environment = {"DAGGER_SESSION_PORT": "1", "DAGGER_SESSION_TOKEN": "t"}
    assert (await choose_engine(settings(tmp_path), environment)).kind is EngineKind.SESSION


async def test_auto_takes_a_configured_runner_host_before_it_looks_for_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    executable(tmp_path, "dagger", "exit 0")
    monkeypatch.setenv("PATH", str(tmp_path))
    choice = await choose_engine(settings(tmp_path, runner_host="tcp://engine:1234"), {})
    assert (choice.kind, choice.runner_host) == (EngineKind.DAGGER, "tcp://engine:1234")


@pytest.mark.parametrize(("docker_exit", "kind"), [(0, EngineKind.DAGGER), (1, EngineKind.EMBEDDED)])
async def test_auto_takes_dagger_only_with_a_container_runtime_that_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, docker_exit: int, kind: EngineKind
) -> None:
    executable(tmp_path, "dagger", "exit 0")
    executable(tmp_path, "docker", f"exit {docker_exit}")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert (await choose_engine(settings(tmp_path), {})).kind is kind


async def test_auto_ends_with_the_embedded_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert (await choose_engine(settings(tmp_path), {})).kind is EngineKind.EMBEDDED


@pytest.mark.parametrize("wish", [{"engine": "dagger"}, {"runner_host": "tcp://engine:1234"}])
async def test_a_wish_for_dagger_without_its_program_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wish: dict[str, object]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EngineUnavailable, match="dagger command line"):
        await choose_engine(settings(tmp_path, **wish), {})


def test_the_embedded_engine_gets_what_the_settings_say_of_it(tmp_path: Path) -> None:
    chosen = settings(
        tmp_path,
        registries={"mirrors": {"docker.io": ["http://127.0.0.1:5000"]}, "insecure": ["registry.local:5000"]},
        engine_cache={"max_bytes": "5GiB", "max_age": "30d"},
        engine_limits={"processes": 50, "memory": "2GiB", "output": "1MiB"},
        parallelism=3,
        connect_timeout=1.5,
        network="none",
    )
    assert load_config(str(write_engine_configuration(chosen)), "/state", {}) == EngineConfig(
        Path("/state"),
        mirrors={"docker.io": ("http://127.0.0.1:5000",)},
        insecure=frozenset({"registry.local:5000"}),
        parallelism=3,
        connect_timeout=1.5,
        network="none",
        max_bytes=5 << 30,
        max_age=30 * 86400.0,
        max_processes=50,
        max_memory=2 << 30,
        max_output=1 << 20,
    )


@pytest.mark.parametrize("cache", [{}, {"max_bytes": "none"}])
def test_without_words_of_its_own_the_cache_has_the_engines_limits(tmp_path: Path, cache: dict[str, object]) -> None:
    config = load_config(str(write_engine_configuration(settings(tmp_path, engine_cache=cache))), "/state", {})
    default = EngineConfig(Path("/state"))
    assert (config.max_bytes, config.max_age) == (None if cache else default.max_bytes, default.max_age)
    assert config.network == default.network


def test_without_words_of_their_own_commands_have_the_engines_limits(tmp_path: Path) -> None:
    config = load_config(str(write_engine_configuration(settings(tmp_path))), "/state", {})
    assert command_limits(config) == command_limits(EngineConfig(Path("/state")))


def test_the_engines_limits_can_be_lifted(tmp_path: Path) -> None:
    free = settings(tmp_path, engine_limits=dict.fromkeys(("processes", "memory", "output"), "none"))
    config = load_config(str(write_engine_configuration(free)), "/state", {})
    assert command_limits(config) == CommandLimits()


def query_error(message: str, **extensions: Any) -> dagger.QueryError:
    return dagger.QueryError([QueryErrorValue(message, extensions=extensions)], gql.gql("{ version }"))


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (query_error("x", _type="EXEC_ERROR", cmd=["false"], exitCode=1, stdout="o", stderr="e"), StepFailed),
        (query_error("cannot reach", _type="REGISTRY_UNREACHABLE", registry="r"), RegistryUnreachable),
        (query_error("not there", _type="IMAGE_NOT_PULLED"), ImageUnavailable),
        (query_error('failed to resolve image "x": dial tcp: lookup x: no such host'), RegistryUnreachable),
        (query_error("failed to resolve image: pull access denied, repository does not exist"), ImageUnavailable),
        (query_error("write /x: no space left on device"), StoreFull),
        (query_error("something else"), EngineError),
        (dagger.TransportError("gone"), EngineLost),
        (dagger.ClientConnectionError("refused"), EngineLost),
        (dagger.ProvisionError("no docker"), EngineUnavailable),
        (ConnectionResetError("reset"), EngineLost),
        (RuntimeError("odd"), EngineError),
    ],
)
def test_each_error_of_the_sdk_becomes_one_of_the_tree(error: Exception, expected: type[TaskManagerError]) -> None:
    assert type(translated(error)) is expected


def test_a_failed_command_keeps_code_and_output() -> None:
    error = translated(query_error("x", _type="EXEC_ERROR", cmd=["a"], exitCode=7, stdout="out", stderr="err"))
    assert error.details == {"command": ["a"], "exit_code": 7, "stdout": "out", "stderr": "err"}


def test_the_trace_of_a_real_engines_message_is_left_out() -> None:
    assert str(translated(query_error("broken [traceparent:00-abc-def-01]"))) == "broken"


def test_our_own_errors_pass_through_unchanged() -> None:
    own = EngineLost("mine")
    with pytest.raises(EngineLost) as caught, engine_errors():
        raise own
    assert caught.value is own


def record(name: str, run: str = "run-1", **fields: Any) -> ContainerRecord:
    return ContainerRecord(id=f"{run}/{name}", run_id=run, step_id=name, image="busybox", **fields)


def test_the_registry_lists_containers_by_run_and_state_and_finds_them_by_capability() -> None:
    registry = ContainerRegistry()
    first = registry.register(record("a", capabilities=frozenset({"network"})))
    registry.register(record("b", run="run-2"))
    running = registry.update("run-1/a", state=ContainerState.RUNNING)
    assert running == first.evolve(state=ContainerState.RUNNING)
    assert registry.list(run_id="run-1") == (running,)
    assert registry.list(state=ContainerState.RUNNING) == (running,)
    assert registry.find_by_capability("network") == (running,)


def test_unregistering_forgets_a_container_and_is_idempotent() -> None:
    registry = ContainerRegistry()
    registry.register(record("a"))
    registry.unregister("run-1/a")
    registry.unregister("run-1/a")
    registry.register(record("b"))
    registry.unregister_run("run-1")
    assert registry.list() == ()


async def test_the_breaker_opens_after_repeated_failures_to_start_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    executable(tmp_path, "dagger", "exit 1")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    manager = DaggerCommunicationManager(settings(tmp_path, engine="dagger"), failures_to_open=2, seconds_open=3600)
    for _ in range(2):
        with pytest.raises(EngineUnavailable):
            await manager.initialize()
    status = manager.status()
    assert (status.breaker, status.alive, status.sessions_opened) == (BreakerState.OPEN, False, 0)
    with pytest.raises(EngineCircuitOpen, match="held back") as caught:
        await manager.initialize()
    retry_in = caught.value.details["retry_in"]
    assert isinstance(retry_in, float)
    assert 3000 < retry_in <= 3600
    assert "exit code 1" in str(manager.status().last_error), "the cause, not that calls are held back"


def pretending(folder: Path, monkeypatch: pytest.MonkeyPatch, source: str) -> Path:
    """A program in place of Dagger's; it writes its process id to the file that is returned."""
    pid = folder / "pid"
    written = f"import os, pathlib, socket, sys, time\npathlib.Path({str(pid)!r}).write_text(str(os.getpid()))\n"
    executable(folder, "dagger", " ".join(["exec", *program(folder, written + source)]))
    monkeypatch.setenv("_EXPERIMENTAL_DAGGER_CLI_BIN", str(folder / "dagger"))
    return pid


def is_gone(pid_file: Path) -> bool:
    return not Path(f"/proc/{pid_file.read_text()}").exists()


async def test_an_engine_that_starts_but_does_not_answer_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "_ANSWER_SECONDS", 0.5)
    silent = """
listening = socket.create_server(("127.0.0.1", 0))
print('{"port": %d, "session_token": "t"}' % listening.getsockname()[1], flush=True)
time.sleep(60)
"""
    pid = pretending(tmp_path, monkeypatch, silent)
    manager = DaggerCommunicationManager(settings(tmp_path, engine="dagger"))
    with pytest.raises(EngineUnavailable, match="did not answer within"):
        await manager.initialize()
    assert is_gone(pid)


async def test_shutting_down_ends_an_engine_that_is_being_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid = pretending(tmp_path, monkeypatch, "time.sleep(60)")
    manager = DaggerCommunicationManager(settings(tmp_path, engine="dagger"))
    opening = asyncio.create_task(manager.initialize())
    await until(lambda: pid.exists() and bool(pid.read_text()))
    assert manager.status().calls_in_flight == 1
    await asyncio.wait_for(manager.shutdown(), 5)
    with pytest.raises(EngineUnavailable, match="shut down"):
        await opening
    assert is_gone(pid)
    await manager.shutdown()


def test_without_a_store_nothing_can_be_followed(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no store"):
        DaggerCommunicationManager(settings(tmp_path)).subscribe()

"""What happens when registries, disks and engines fail."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from task_manager.communication import BreakerState, DaggerCommunicationManager
from task_manager.config import Settings
from task_manager.dagger_integration import TaskWorkflowIntegration
from task_manager.errors import StoreError, StoreFull
from task_manager.pipeline import HOST_TOOLCHAIN
from task_manager.store import Store, events
from task_manager.task_service import TaskService
from task_manager.workflow_status import WorkflowStatus
from tests.environment.processes import endless, processes_with, until
from tests.integration.conftest import OpenWorkshop, Workshop
from tests.integration.test_runs_on_the_engine import sh


@pytest.mark.parametrize("registry_fixture", ["refused_registry", "black_holed_registry"])
async def test_a_registry_that_cannot_be_reached_is_replaced_by_the_host_toolchain_in_time(
    workshop: OpenWorkshop, request: pytest.FixtureRequest, registry_fixture: str
) -> None:
    image = f"{request.getfixturevalue(registry_fixture)}/library/busybox:latest"
    async with workshop(connect_timeout=1) as shop:
        started = time.monotonic()
        state = await shop.run_steps(sh("echo here", image=image))
        assert time.monotonic() - started < 30
        assert state.run.status is WorkflowStatus.SUCCEEDED
        assert state.steps[0].image == HOST_TOOLCHAIN
        assert image in state.run.warnings[0]
        assert state.result is not None
        assert state.run.warnings[0] in str(state.result["warnings"])
        assert state.steps[0].image_digest is not None
        assert state.steps[0].image_digest.startswith(HOST_TOOLCHAIN)


async def test_with_images_pull_an_unreachable_registry_fails_the_run_by_name(
    workshop: OpenWorkshop, refused_registry: str
) -> None:
    async with workshop(images="pull") as shop:
        state = await shop.run_steps(sh("true", image=f"{refused_registry}/x/y:1"))
        assert state.run.status is WorkflowStatus.FAILED
        assert state.run.reason is not None
        assert state.run.reason.code == "registry_unreachable"
        assert refused_registry in state.run.reason.text


async def test_an_image_that_its_registry_does_not_have_is_never_replaced(
    workshop: OpenWorkshop, busybox_image: str
) -> None:
    async with workshop() as shop:
        image = busybox_image.replace("busybox", "no-such-image")
        state = await shop.run_steps(sh("true", image=image))
        assert state.run.status is WorkflowStatus.FAILED
        assert state.run.reason is not None
        assert state.run.reason.code == "image_unavailable"
        assert "no-such-image" in state.run.reason.text


async def test_a_program_that_the_host_lacks_is_named_before_anything_runs(
    workshop: OpenWorkshop, refused_registry: str
) -> None:
    async with workshop() as shop:
        state = await shop.run_steps({"id": "s", "image": f"{refused_registry}/a:1", "command": ["no-such-program"]})
        assert state.run.reason is not None
        assert state.run.reason.code == "missing_programs"
        assert "no-such-program" in state.run.reason.text


async def test_a_killed_engine_fails_the_run_that_it_carried_and_the_next_run_gets_a_new_one(
    workshop: OpenWorkshop, busybox_image: str
) -> None:
    seconds = endless()
    async with workshop(engine_reconnects=0) as shop:
        task = await shop.task("Endless", sh(f"sleep {seconds}", image=busybox_image))
        run = await shop.integration.execute_task_workflow(task.id)
        await until(lambda: bool(processes_with(seconds)))
        async with shop.integration.communication.guard() as session:
            assert session.pid is not None
            os.kill(session.pid, signal.SIGKILL)
        ended = await shop.integration.wait_for_run(run.id)
        assert ended.status is WorkflowStatus.FAILED
        assert ended.reason is not None
        assert ended.reason.code == "engine_lost"
        await until(lambda: not processes_with(seconds))
        again = await shop.run_steps(sh("echo back", image=busybox_image), title="Again")
        assert again.run.status is WorkflowStatus.SUCCEEDED
        assert shop.integration.communication.status().breaker is BreakerState.CLOSED


FILE = {"name": "out", "path": "out.txt"}
FROM_FIRST = {"type": "step", "step": "first", "output": "out", "target": "in.txt"}


def kill_engine(shop: Workshop) -> None:
    pid = shop.integration.communication.status().pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)


def stand_in_for_dagger(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Puts a script of the shell in place of Dagger's program."""
    program = folder / "dagger"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("_EXPERIMENTAL_DAGGER_CLI_BIN", str(program))


def counted(number: str, image: str) -> list[dict[str, object]]:
    """Three steps that tell in a cache volume how often each ran; the second ends only when it runs again."""
    volume = {"caches": [{"name": f"count-{number}", "target": "/count"}]}
    second = f"echo second >> /count/log; [ $(grep -c second /count/log) -gt 1 ] || sleep {number}; cat in.txt"
    return [
        sh(f"echo {number} > out.txt; echo first >> /count/log", step="first", outputs=[FILE], image=image, **volume),
        sh(second, step="second", sources=[FROM_FIRST], image=image, **volume),
        sh("cat in.txt /count/log", step="third", needs=["second"], sources=[FROM_FIRST], image=image, **volume),
    ]


async def test_a_run_whose_engine_dies_goes_on_in_a_new_one_from_the_layers_of_the_old(
    workshop: OpenWorkshop, busybox_image: str
) -> None:
    """Steps that had ended are not run again; what ran is."""
    seconds = endless()
    async with workshop() as shop:
        task = await shop.task("Counted", *counted(seconds, busybox_image))
        run = await shop.integration.execute_task_workflow(task.id)
        await until(lambda: bool(processes_with(seconds)))
        kill_engine(shop)
        await shop.integration.wait_for_run(run.id)
        state = await shop.integration.get_run(run.id)
        assert state.run.status is WorkflowStatus.SUCCEEDED, state.run.reason
        assert [step.attempts for step in state.steps] == [1, 1, 1]
        assert state.steps[1].stdout_tail.strip() == seconds
        assert state.steps[2].stdout_tail.split() == [seconds, "first", "second", "second"]
        assert "went on in a new session" in state.run.warnings[-1]
        status = shop.integration.communication.status()
        assert (status.breaker, status.sessions_opened, status.calls_in_flight) == (BreakerState.CLOSED, 2, 0)


async def test_a_run_goes_on_when_the_circuit_that_its_engine_opened_closes_again(
    workshop: OpenWorkshop, engine_data: Path
) -> None:
    seconds = endless()
    settings = Settings.model_validate({"data_dir": engine_data, "engine": "embedded"})
    communication = DaggerCommunicationManager(settings, failures_to_open=1, seconds_open=2)
    async with workshop(communication=communication) as shop:
        run = await shop.integration.execute_task_workflow(
            (await shop.task("Counted", *counted(seconds, HOST_TOOLCHAIN))).id
        )
        await until(lambda: bool(processes_with(seconds)))
        kill_engine(shop)
        await until(lambda: communication.status().breaker is not BreakerState.CLOSED)
        ended = await shop.integration.wait_for_run(run.id)
        assert ended.status is WorkflowStatus.SUCCEEDED, ended.reason
        assert communication.status().breaker is BreakerState.CLOSED


async def test_an_engine_that_dies_again_and_again_ends_the_run_with_that_reason(workshop: OpenWorkshop) -> None:
    seconds = endless()
    async with workshop(engine_reconnects=1) as shop:
        task = await shop.task("Endless", sh(f"sleep {seconds}", image=HOST_TOOLCHAIN))
        run = await shop.integration.execute_task_workflow(task.id)
        for _ in range(2):
            await until(lambda: bool(processes_with(seconds)))
            kill_engine(shop)
            await until(lambda: not processes_with(seconds))
        ended = await shop.integration.wait_for_run(run.id)
        assert ended.status is WorkflowStatus.FAILED
        assert ended.reason is not None
        assert ended.reason.code == "engine_lost"


async def test_a_run_waits_for_an_engine_that_was_killed_at_its_start(
    workshop: OpenWorkshop, engine_data: Path, busybox_image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when its death opened the circuit, before the run had a session."""
    dies_once = f"test -e {tmp_path}/died || {{ touch {tmp_path}/died; kill -KILL $$; }}"
    command = f"{sys.executable} -m task_manager.embedded_engine session --state-dir {engine_data / 'engine'}"
    stand_in_for_dagger(tmp_path, monkeypatch, f"{dies_once}\nexec {command}")
    settings = Settings.model_validate({"data_dir": engine_data, "engine": "dagger"})
    communication = DaggerCommunicationManager(settings, failures_to_open=1, seconds_open=1)
    async with workshop(communication=communication) as shop:
        state = await shop.run_steps(sh("true", image=busybox_image))
        assert state.run.status is WorkflowStatus.SUCCEEDED, state.run.reason
        assert state.run.attempt == 1
        assert (tmp_path / "died").exists()


async def test_failing_commands_never_open_the_circuit(workshop: OpenWorkshop, busybox_image: str) -> None:
    async with workshop() as shop:
        failing = [sh(f"exit {n}", step=f"s{n}", image=busybox_image) for n in (1, 2, 137, 139)]
        state = await shop.run_steps(*failing)
        assert state.run.status is WorkflowStatus.FAILED
        assert shop.integration.communication.status().breaker is BreakerState.CLOSED


async def test_an_engine_that_will_not_start_fails_the_run_with_its_words(
    workshop: OpenWorkshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in_for_dagger(tmp_path, monkeypatch, "echo the daemon is on holiday >&2\nexit 1")
    async with workshop(engine="dagger") as shop:
        state = await shop.run_steps(sh("true", image="busybox"))
        assert state.run.status is WorkflowStatus.FAILED
        assert state.run.reason is not None
        assert state.run.reason.code == "engine_unavailable"
        assert "on holiday" in state.run.reason.text


async def test_a_full_disk_under_the_engine_fails_the_run_in_words_and_leaves_the_store_usable(
    small_disk: Path, tmp_path: Path
) -> None:
    data = small_disk / "data"
    settings = Settings.model_validate({"data_dir": data, "engine": "embedded", "images": "host"})
    fill = "import os\nwith open('big', 'wb') as f:\n    for _ in range(64):\n        f.write(os.urandom(1 << 20))\n"
    async with TaskWorkflowIntegration(settings=settings, execute_here=True) as integration:
        project = await TaskService(integration.store).create_project("p", source_folder=str(tmp_path))
        shop = Workshop(integration, project)
        state = await shop.run_steps({"id": "fill", "image": HOST_TOOLCHAIN, "command": ["python3", "-c", fill]})
        assert state.run.status is WorkflowStatus.FAILED
        assert state.run.reason is not None
        assert "space" in (state.run.reason.text + state.steps[0].stderr_tail).lower()
        again = await shop.run_steps({"id": "ok", "image": HOST_TOOLCHAIN, "command": ["python3", "-V"]}, title="Again")
        assert again.run.status is WorkflowStatus.SUCCEEDED


def test_a_full_disk_under_the_store_is_said_in_words(small_disk: Path) -> None:
    room = os.statvfs(small_disk)
    (small_disk / "filler").write_bytes(b"x" * (room.f_bavail * room.f_frsize - 8192))
    with pytest.raises(StoreError) as caught:
        Store.open(small_disk / "data")
    assert isinstance(caught.value, StoreFull)


async def test_a_file_that_is_gone_from_the_engines_cache_is_made_anew_by_itself(
    workshop: OpenWorkshop, busybox_image: str, tmp_path: Path
) -> None:
    leaves = sh("echo made > /out.txt", image=busybox_image, outputs=[{"name": "made", "path": "/out.txt"}])
    settings: dict[str, object] = {"data_dir": tmp_path / "data", "retry": {"strategy": "immediate"}}
    async with workshop(**settings) as shop:
        task = await shop.task("Make", leaves)
        assert (await shop.run(task)).steps[0].cached is False
    (kept,) = [file for file in (tmp_path / "data" / "engine").rglob("out.txt") if file.read_text() == "made\n"]
    kept.unlink()
    async with workshop(**settings) as shop:
        state = await shop.run(await shop.task("Make again", leaves))
        assert (state.run.status, state.run.attempt) == (WorkflowStatus.SUCCEEDED, 2)
        assert [one.name for one in state.artifacts] == ["only/made"]
        happened = await shop.integration.store.run(events.after, 0, run_id=state.run.id)
    (told,) = [one.reason.details["recovery"] for one in happened if one.reason and "recovery" in one.reason.details]
    assert isinstance(told, dict)
    assert (told["rule"], told["fresh"]) == ("cached_output_gone", True)


async def test_a_command_that_misses_what_the_engines_cache_lost_runs_again_on_a_repaired_cache(
    workshop: OpenWorkshop, busybox_image: str, tmp_path: Path
) -> None:
    first = sh("echo made > out.txt", step="first", outputs=[FILE], image=busybox_image)
    settings: dict[str, object] = {"data_dir": tmp_path / "data", "retry": {"strategy": "immediate"}}
    async with workshop(**settings) as shop:
        second = sh("cat in.txt", step="second", sources=[FROM_FIRST], image=busybox_image)
        assert (await shop.run_steps(first, second)).run.status is WorkflowStatus.SUCCEEDED
    (kept,) = [file for file in (tmp_path / "data" / "engine").rglob("in.txt") if file.read_text() == "made\n"]
    kept.unlink()
    async with workshop(**settings) as shop:
        second = sh("cat in.txt && echo other", step="second", sources=[FROM_FIRST], image=busybox_image)
        state = await shop.run_steps(first, second, title="Again")
        assert (state.run.status, state.run.attempt) == (WorkflowStatus.SUCCEEDED, 2)
        assert state.steps[1].stdout_tail.split() == ["made", "other"]
        happened = await shop.integration.store.run(events.after, 0, run_id=state.run.id)
        (told,) = [
            one.reason.details["recovery"] for one in happened if one.reason and "recovery" in one.reason.details
        ]
        assert isinstance(told, dict)
        assert (told["rule"], told["fresh"]) == ("file_missing", True)
        missing = sh("cat no-such-file", step="second", sources=[FROM_FIRST], image=busybox_image)
        state = await shop.run_steps(first, missing, title="Its own fault")
        assert (state.run.status, state.run.attempt) == (WorkflowStatus.FAILED, 1)

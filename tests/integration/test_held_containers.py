"""Containers that somebody holds, on the embedded engine: their life, their errors, how other processes see them."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from task_manager.communication import (
    ContainerKind,
    ContainerRecord,
    ContainerSpec,
    ContainerState,
    DaggerCommunicationManager,
    HostMount,
)
from task_manager.config import Settings
from task_manager.errors import ImageUnavailable, InvalidTransition, NotFound, SourceNotFound, StepFailed
from task_manager.pipeline import HOST_TOOLCHAIN
from tests.environment.processes import endless, processes_with, until
from tests.integration.conftest import OpenWorkshop


@pytest.fixture
def settings(engine_data: Path, tmp_path: Path) -> Settings:
    """A data folder of the test's own, over layers that all tests share."""
    data = tmp_path / "data"
    data.mkdir()
    (data / "engine").symlink_to(engine_data / "engine")
    (engine_data / "engine").mkdir(exist_ok=True)
    return Settings.model_validate({"data_dir": data, "engine": "embedded"})


@pytest.fixture
async def manager(settings: Settings) -> AsyncIterator[DaggerCommunicationManager]:
    made = DaggerCommunicationManager(settings)
    yield made
    await made.shutdown()


@pytest.fixture
async def other(settings: Settings) -> DaggerCommunicationManager:
    """A manager of the same data folder, as another process has it."""
    return DaggerCommunicationManager(settings)


def sh(script: str, **fields: object) -> ContainerSpec:
    return ContainerSpec.model_validate({"image": HOST_TOOLCHAIN, "command": ("sh", "-c", script), **fields})


def log_of(manager: DaggerCommunicationManager, container: ContainerRecord) -> str:
    return manager.container_log(container.id).read_text()


def without_times(records: tuple[ContainerRecord, ...]) -> list[ContainerRecord]:
    return [record.evolve(started_at=None, finished_at=None) for record in records]


async def test_a_container_lives_from_create_to_delete(manager: DaggerCommunicationManager, tmp_path: Path) -> None:
    seconds = endless()
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "word").write_text("mounted")
    spec = sh(
        f'echo "$GREETING $(cat /in/word)"; exec sleep {seconds}',
        name="helper",
        environment={"GREETING": "hello"},
        mounts=[HostMount(source=tmp_path / "in", target="/in")],
        capabilities=["linter"],
    )
    created = await manager.create_container(spec)
    assert (created.kind, created.state, created.name) == (ContainerKind.HELD, ContainerState.CREATED, "helper")
    assert manager.status().sessions_opened == 0, "no engine is needed to write it down"

    started = await manager.start_container(created.id)
    assert started.state is ContainerState.RUNNING
    await until(lambda: log_of(manager, created) == "hello mounted\n")
    assert manager.containers.find_by_capability("linter") == (started,)
    assert await manager.get_container_status(created.id) == started

    stopped = await manager.stop_container(created.id)
    assert (stopped.state, stopped.exit_code) == (ContainerState.STOPPED, None)
    assert not processes_with(seconds)
    assert manager.containers.list() == ()

    again = await manager.start_container(created.id)
    assert again.state is ContainerState.RUNNING
    await until(lambda: bool(processes_with(seconds)))
    await manager.stop_container(created.id)
    await manager.delete_container(created.id)
    with pytest.raises(NotFound):
        await manager.get_container_status(created.id)
    assert manager.held_containers() == ()


async def test_a_container_whose_command_ends_tells_its_exit_code(manager: DaggerCommunicationManager) -> None:
    created = await manager.create_container(sh("sleep 0.3; echo over; exit 7"))
    await manager.start_container(created.id)
    await until(lambda: manager.held_containers()[0].state is ContainerState.EXITED)
    record = await manager.get_container_status(created.id)
    assert (record.exit_code, record.finished_at is not None) == (7, True)
    assert log_of(manager, created) == "over\n"
    await manager.delete_container(created.id)


async def test_start_returns_when_the_ports_accept_connections(
    manager: DaggerCommunicationManager, busybox_image: str
) -> None:
    serve = ("sh", "-c", "sleep 0.5; echo up; exec httpd -f -p 8123")
    created = await manager.create_container(ContainerSpec(image=busybox_image, command=serve, ports=(8123,)))
    started = await manager.start_container(created.id)
    assert log_of(manager, created) == "up\n"
    assert started.endpoint.endswith(":8123")
    assert manager.containers.find_by_capability("port:8123") == (started,)


async def test_two_containers_of_one_description_are_two(manager: DaggerCommunicationManager) -> None:
    seconds = endless()
    first, second = [await manager.create_container(sh(f"exec sleep {seconds}")) for _ in range(2)]
    for container in (first, second):
        await manager.start_container(container.id)
    await until(lambda: len(processes_with(seconds)) == 2)
    await manager.stop_container(first.id)
    assert (await manager.get_container_status(second.id)).state is ContainerState.RUNNING
    assert len(processes_with(seconds)) == 1


async def test_what_does_not_fit_is_refused_in_words(
    manager: DaggerCommunicationManager, busybox_image: str, tmp_path: Path
) -> None:
    for unknown in ("container-0", "../engine/engine", ""):
        for call in (
            manager.start_container,
            manager.stop_container,
            manager.delete_container,
            manager.get_container_status,
        ):
            with pytest.raises(NotFound):
                await call(unknown)
    with pytest.raises(SourceNotFound, match="nowhere"):
        await manager.create_container(sh("true", mounts=[HostMount(source=tmp_path / "nowhere", target="/x")]))

    missing = await manager.create_container(ContainerSpec(image=busybox_image.replace("busybox", "no-such")))
    with pytest.raises(ImageUnavailable, match="no-such"):
        await manager.start_container(missing.id)
    assert (await manager.get_container_status(missing.id)).state is ContainerState.CREATED

    failing = await manager.create_container(sh("exit 9", ports=[8124]))
    with pytest.raises(StepFailed):
        await manager.start_container(failing.id)
    assert (await manager.get_container_status(failing.id)).exit_code == 9


async def test_wrong_states_are_refused_and_change_nothing(
    manager: DaggerCommunicationManager, other: DaggerCommunicationManager
) -> None:
    seconds = endless()
    created = await manager.create_container(sh(f"exec sleep {seconds}"))
    with pytest.raises(InvalidTransition, match="created"):
        await manager.stop_container(created.id)
    started = await manager.start_container(created.id)
    await until(lambda: bool(processes_with(seconds)))
    for wrong in (manager.start_container, other.start_container, manager.delete_container, other.delete_container):
        with pytest.raises(InvalidTransition, match="running"):
            await wrong(created.id)
    assert await other.get_container_status(created.id) == started


async def test_another_process_sees_a_container_and_stops_it(
    manager: DaggerCommunicationManager, other: DaggerCommunicationManager
) -> None:
    seconds = endless()
    created = await manager.create_container(sh(f"exec sleep {seconds}"))
    started = await manager.start_container(created.id)
    await until(lambda: bool(processes_with(seconds)))
    assert other.held_containers() == (started,)
    stopped = await other.stop_container(created.id)
    assert stopped.state is ContainerState.STOPPED
    assert not processes_with(seconds)
    assert manager.containers.list() == ()


async def test_a_container_ends_with_its_engine_and_with_its_manager(manager: DaggerCommunicationManager) -> None:
    seconds = endless()
    created = await manager.create_container(sh(f"exec sleep {seconds}"))
    await manager.start_container(created.id)
    await until(lambda: bool(processes_with(seconds)))
    pid = manager.status().pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    await until(lambda: manager.held_containers()[0].state is ContainerState.STOPPED and not manager.status().alive)
    assert "engine ended" in (await manager.get_container_status(created.id)).reason

    await manager.start_container(created.id)
    await until(lambda: bool(processes_with(seconds)))
    await manager.shutdown()
    assert (await manager.get_container_status(created.id)).state is ContainerState.STOPPED
    assert not processes_with(seconds)


async def test_every_container_of_a_run_is_listed_here_and_elsewhere_until_the_run_is_over(
    workshop: OpenWorkshop, busybox_image: str
) -> None:
    """A process that does not execute the run derives them from the run's step records."""
    seconds = endless()
    database = {"name": "db", "image": busybox_image, "command": ["httpd", "-f", "-p", "80"], "ports": [80]}
    first: dict[str, object] = {"id": "first", "image": busybox_image, "command": ["true"]}
    slow: dict[str, object] = {"id": "slow", "image": busybox_image, "command": ["sleep", seconds], "needs": ["first"]}
    slow["services"] = [database]
    async with workshop() as shop, workshop() as elsewhere:
        task = await shop.task("Served", first, slow)
        run = await shop.integration.execute_task_workflow(task.id)
        await until(lambda: bool(processes_with(seconds)))
        listed = await shop.integration.list_containers(run_id=run.id)
        derived = await elsewhere.integration.list_containers(run_id=run.id)
        assert without_times(derived) == without_times(listed)
        assert [(record.id.removeprefix(run.id), record.kind, record.state) for record in listed] == [
            ("/first", ContainerKind.STEP, ContainerState.EXITED),
            ("/slow", ContainerKind.STEP, ContainerState.RUNNING),
            ("/slow/db", ContainerKind.SERVICE, ContainerState.RUNNING),
        ]
        assert all(record.image == busybox_image for record in listed)
        (found,) = await elsewhere.integration.list_containers(capability="service:db")
        assert found == await elsewhere.integration.get_container_status(f"{run.id}/slow/db")
        await shop.integration.cancel_run(run.id)
        assert await shop.integration.list_containers() == await elsewhere.integration.list_containers() == ()

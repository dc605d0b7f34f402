"""The session that calls share: counted, bounded in time, held back when the engine keeps dying, and had again."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from task_manager.communication import BreakerState, DaggerCommunicationManager
from task_manager.config import Settings
from task_manager.errors import EngineCircuitOpen, EngineLost
from task_manager.pipeline import HOST_TOOLCHAIN
from tests.environment.processes import endless, processes_with, until

Open = Callable[..., DaggerCommunicationManager]


@pytest.fixture
async def opened(engine_data: Path) -> AsyncIterator[Open]:
    """Makes managers of the embedded engine, which are shut down after the test."""
    made: list[DaggerCommunicationManager] = []

    def make(**limits: float) -> DaggerCommunicationManager:
        settings = Settings.model_validate({"data_dir": engine_data, "engine": "embedded", "parallelism": 4})
        made.append(DaggerCommunicationManager(settings, **limits))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for manager in made:
        await manager.shutdown()


def kill(manager: DaggerCommunicationManager, number: signal.Signals = signal.SIGKILL) -> int:
    """Sends a signal to the engine's process; returns its id."""
    pid = manager.status().pid
    assert pid is not None
    os.kill(pid, number)
    return pid


def is_running(pid: int | None) -> bool:
    return Path(f"/proc/{pid}").exists()


async def sleep_in_container(manager: DaggerCommunicationManager, seconds: str) -> None:
    async with manager.guard() as session:
        await session.client.container().from_(HOST_TOOLCHAIN).with_exec(["sleep", seconds]).sync()


@asynccontextmanager
async def sleeping(manager: DaggerCommunicationManager, *seconds: str) -> AsyncIterator[list[asyncio.Task[None]]]:
    """Calls that are under way; by their end they must have been awaited."""
    calls = [asyncio.create_task(sleep_in_container(manager, each)) for each in seconds]
    await until(lambda: all(processes_with(each) for each in seconds))
    yield calls
    assert all(call.done() for call in calls)


async def test_calls_share_one_session_that_is_opened_once(opened: Open) -> None:
    manager = opened()
    async with manager.guard() as first, manager.guard() as second:
        assert first is second
        status = manager.status()
        assert (status.calls_in_flight, status.sessions_opened, status.alive) == (2, 1, True)
        assert status.engine.startswith("embedded v")
        assert status.reason
    await manager.initialize()
    await asyncio.gather(manager.initialize(), manager.initialize())
    assert (manager.status().calls_in_flight, manager.status().sessions_opened) == (0, 1)


async def test_after_a_shutdown_nothing_is_left_and_a_call_opens_a_new_session(opened: Open) -> None:
    manager = opened()
    await asyncio.gather(manager.initialize(), manager.initialize())
    pid = manager.status().pid
    await manager.shutdown()
    await manager.shutdown()
    assert not is_running(pid)
    assert (manager.status().alive, manager.status().pid, manager.status().engine) == (False, None, "")
    await manager.initialize()
    assert (manager.status().alive, manager.status().sessions_opened) == (True, 2)


async def test_an_engine_that_hangs_is_killed_when_its_time_to_stop_is_over(opened: Open) -> None:
    manager = opened(seconds_to_stop=0.5)
    await manager.initialize()
    pid = kill(manager, signal.SIGSTOP)
    began = time.monotonic()
    await manager.shutdown()
    assert not is_running(pid)
    assert time.monotonic() - began < 8


async def test_a_killed_engine_opens_the_circuit_which_closes_when_it_is_back(opened: Open) -> None:
    manager = opened(failures_to_open=2, seconds_open=1)
    for seconds in (endless(), endless()):
        assert manager.status().breaker is BreakerState.CLOSED
        async with sleeping(manager, seconds) as (call,):
            kill(manager)
            with pytest.raises(EngineLost):
                await call
    status = manager.status()
    assert (status.breaker, status.alive, status.sessions_opened) == (BreakerState.OPEN, False, 2)
    assert status.last_error is not None
    assert status.last_error_at is not None
    with pytest.raises(EngineCircuitOpen) as caught:
        await manager.initialize()
    assert manager.status().sessions_opened == 2, "no engine is started while calls are held back"
    await asyncio.sleep(float(str(caught.value.details["retry_in"])) + 0.05)
    await sleep_in_container(manager, "0")
    assert (manager.status().breaker, manager.status().sessions_opened) == (BreakerState.CLOSED, 3)


async def test_many_calls_that_one_death_takes_with_it_are_one_failure(opened: Open) -> None:
    manager = opened(failures_to_open=2, seconds_open=3600)
    async with sleeping(manager, endless(), endless(), endless()) as calls:
        kill(manager)
        lost = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(error) for error in lost] == [EngineLost] * 3
    assert manager.status().breaker is BreakerState.CLOSED
    await manager.initialize()


async def test_an_engine_that_died_between_calls_is_replaced_unnoticed(opened: Open) -> None:
    manager = opened(failures_to_open=1, seconds_open=3600)
    await manager.initialize()
    pid = kill(manager)
    await until(lambda: not manager.status().alive)
    await sleep_in_container(manager, "0")
    assert manager.status().pid != pid
    assert manager.status().breaker is BreakerState.CLOSED

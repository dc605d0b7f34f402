"""Worker processes carry every run to one end, whoever is killed on the way.

RUN_CHAOS_ROUNDS says how many rounds of killing (`make chaos`: 100), RUN_CHAOS_RUNS how many runs in each, and
RUN_CHAOS_SHARED_RUNS how many runs two workers share; CHAOS_SEED repeats the choices of an earlier run.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from task_manager.errors import Conflict
from task_manager.models import WorkflowRun
from task_manager.pipeline import HOST_TOOLCHAIN
from task_manager.worker_place import is_held, served_by
from task_manager.workflow_status import WorkflowStatus
from tests.environment.postgresql import PostgresqlServer
from tests.environment.processes import (
    are_gone,
    descendants,
    endless,
    mounted_namespaces,
    mounts_below,
    network_namespaces,
    processes_with,
    processes_within,
    until,
)
from tests.orchestration.service import Service, check_log, kill, service

SHARED_RUNS = int(os.environ.get("RUN_CHAOS_SHARED_RUNS", "6"))
ROUNDS = int(os.environ.get("RUN_CHAOS_ROUNDS", "1"))
RUNS = int(os.environ.get("RUN_CHAOS_RUNS", "6"))
SEED = int(os.environ.get("CHAOS_SEED") or random.SystemRandom().randrange(1 << 32))
_ROUND_SECONDS = 120 + 5 * RUNS
_KILLS = 2
_EQUAL_RUNS = 8
SLOWNESS = 5
"""How many times slower than meant for a machine may be that does other things too."""


def step(script: str, name: str = "only", **more: object) -> dict[str, object]:
    return {"id": name, "image": HOST_TOOLCHAIN, "command": ["sh", "-c", script], **more}


async def running(shop: Service, run_id: str) -> None:
    """Waits until a run's step runs."""
    async for event in shop.store.feed.subscribe(run_id=run_id):
        if event.step_status is not None:
            return


@pytest.mark.timeout(_ROUND_SECONDS * (ROUNDS + 1))
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_every_run_ends_once_whatever_is_killed(
    tmp_path: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    chance = random.Random(SEED)  # noqa: S311 - to be repeatable
    settings: dict[str, object] = {}
    if kind == "postgresql":
        server: PostgresqlServer = request.getfixturevalue("postgresql")
        settings["database_url"] = server.url(server.new_database())
    async with service(tmp_path, run_parallelism=4, **settings) as shop:
        for number in range(ROUNDS):
            print(f"CHAOS_SEED={SEED}: round {number}")  # noqa: T201 - what repeats a failure
            started = [await start(shop, f"{number}-{index}", index) for index in range(RUNS)]
            waiting = asyncio.gather(*(shop.integration.wait_for_run(run.id) for run in started))
            for _ in range(_KILLS):
                await running(shop, chance.choice(started).id)
                await asyncio.sleep(chance.uniform(0, 1))
                await (shop.kill_worker() if chance.random() < 0.6 else shop.kill_engine())
            ended = await waiting
            unsuccessful = [str(run) for run in ended if run.status is not WorkflowStatus.SUCCEEDED]
            assert unsuccessful == [], "\n".join(unsuccessful)
            for run in ended:
                check_log(await shop.log(run.id))


async def start(shop: Service, title: str, number: int) -> WorkflowRun:
    """Starts a run, of which each third one has a step that takes what another one made."""
    first = step(f"echo {uuid.uuid4().hex} > o.txt; sleep 0.1", "first", outputs=[{"name": "o", "path": "o.txt"}])
    source = {"type": "step", "step": "first", "output": "o", "target": "i.txt"}
    second = [step("cat i.txt", "second", sources=[source])] if number % 3 == 0 else []
    return await shop.integration.execute_task_workflow(await shop.task(title, first, *second))


async def test_a_killed_worker_s_step_is_not_run_again_once_recorded(tmp_path: Path) -> None:
    """The second step tells what the first one made: after the crash it is still the same."""
    seconds = endless()
    async with service(tmp_path) as shop:
        marker = f"m{uuid.uuid4().hex}"
        out = {"name": "o", "path": "o.txt"}
        source = {"type": "step", "step": "first", "output": "o", "target": "i.txt"}
        task = await shop.task(
            "Twice",
            step("cat /proc/sys/kernel/random/uuid > o.txt; cat o.txt", "first", outputs=[out]),
            step(
                f"cat i.txt; test -e /marks/{marker} || {{ touch /marks/{marker}; sleep {seconds}; }}",
                "second",
                sources=[source],
                caches=[{"name": marker, "target": "/marks"}],
            ),
        )
        run = await shop.integration.execute_task_workflow(task)
        await until(lambda: bool(processes_with(seconds)))
        before = (await shop.integration.get_run(run.id)).steps[0]
        await shop.kill_worker()
        ended = await shop.integration.wait_for_run(run.id)
        state = await shop.integration.get_run(run.id)
        assert (ended.status, ended.recoveries) == (WorkflowStatus.SUCCEEDED, 1)
        assert state.steps[0] == before
        assert state.steps[1].stdout_tail == before.stdout_tail
        check_log(await shop.log(run.id))


async def test_a_run_outlives_the_client_that_started_it(tmp_path: Path) -> None:
    async with service(tmp_path) as shop:
        await shop.task("Slow", step("sleep 1; echo well"))
        client = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "task_manager",
            "run",
            "start",
            "Slow",
            "--data-dir",
            str(tmp_path),
            env={**os.environ, "TASK_MANAGER_ENGINE": "embedded", "TASK_MANAGER_WORKER": "process"},
            stdout=subprocess.DEVNULL,
        )
        async for event in shop.store.feed.subscribe():
            if event.step_status is not None:
                break
        client.send_signal(signal.SIGKILL)
        await client.wait()
        ended = await shop.integration.wait_for_run(event.run_id)
        assert ended.status is WorkflowStatus.SUCCEEDED
        assert (await shop.integration.get_run(ended.id)).steps[0].stdout_tail.strip() == "well"


@pytest.mark.alone
async def test_cancelling_leaves_nothing_behind_and_takes_less_than_two_seconds(tmp_path: Path) -> None:
    """Processes, mounts and network namespaces of worker and engine are those that they had before the run."""
    seconds = endless()
    async with service(tmp_path) as shop:
        first = await shop.integration.execute_task_workflow(await shop.task("Start the engine", step("true")))
        await shop.integration.wait_for_run(first.id)
        (worker,) = await shop.worker_pids()
        before = kernel_objects(worker, tmp_path)
        run = await shop.integration.execute_task_workflow(await shop.task("Endless", step(f"sleep {seconds}")))
        await until(lambda: bool(processes_with(seconds)))
        meanwhile = kernel_objects(worker, tmp_path)
        own_network = network_namespaces(processes_with(seconds)) - network_namespaces([os.getpid()])
        inside = processes_within(meanwhile.namespaces - before.namespaces)
        began = asyncio.get_running_loop().time()
        ended = await shop.integration.cancel_run(run.id)
        taken = asyncio.get_running_loop().time() - began
        assert ended.status is WorkflowStatus.CANCELLED
        assert taken < 2 * SLOWNESS
        assert not processes_with(seconds)
        assert len(meanwhile.processes) > len(before.processes)
        assert own_network
        await until(lambda: kernel_objects(worker, tmp_path) == before)
        await until(lambda: are_gone(inside))
        assert not mounted_namespaces()
        assert (await shop.integration.cancel_run(run.id)) == ended


@dataclass(frozen=True)
class KernelObjects:
    """What a worker and all that it started have of the kernel."""

    processes: frozenset[int]
    mounts: frozenset[str]
    namespaces: frozenset[str]


def kernel_objects(worker: int, folder: Path) -> KernelObjects:
    found = descendants(worker)
    return KernelObjects(found, mounts_below(folder, [*found, os.getpid()]), network_namespaces(found))


@pytest.mark.timeout(_ROUND_SECONDS + 5 * SHARED_RUNS)
async def test_two_workers_on_postgresql_share_runs_and_one_goes_on_for_a_killed_one(
    tmp_path: Path, postgresql: PostgresqlServer
) -> None:
    url = postgresql.url(postgresql.new_database())
    async with service(tmp_path, database_url=url, run_parallelism=2) as shop:
        started = [await start(shop, f"run {index}", index) for index in range(SHARED_RUNS)]
        async with another_worker(tmp_path, url):
            await running(shop, started[len(started) // 2].id)
            await shop.kill_worker()
            for run in started:
                ended = await shop.integration.wait_for_run(run.id)
                assert ended.status is WorkflowStatus.SUCCEEDED, ended.reason
                check_log(await shop.log(run.id))


async def test_of_equal_runs_two_workers_execute_one(tmp_path: Path, postgresql: PostgresqlServer) -> None:
    url = postgresql.url(postgresql.new_database())
    async with service(tmp_path, database_url=url, run_parallelism=2, cache={}) as shop:
        tasks = [await shop.task(f"T{index}", step("true")) for index in range(_EQUAL_RUNS)]
        first = await shop.integration.execute_task_workflow(tasks[0])
        async with another_worker(tmp_path, url, cache="true"):
            rest = [await shop.integration.execute_task_workflow(task) for task in tasks[1:]]
            ended = [await shop.integration.wait_for_run(run.id) for run in (first, *rest)]
    assert {run.status for run in ended} == {WorkflowStatus.SUCCEEDED}, [run.reason for run in ended]
    (executed,) = [run.id for run in ended if run.original_run_id is None]
    assert {run.original_run_id for run in ended} == {None, executed}


@asynccontextmanager
async def another_worker(data_dir: Path, url: str, *, cache: str = "false") -> AsyncIterator[None]:
    """A worker beside the service's own, once both are there, until the block ends."""
    command = (sys.executable, "-m", "task_manager", "worker", "run", "--data-dir", str(data_dir))
    settings = {
        "TASK_MANAGER_DATABASE_URL": url,
        "TASK_MANAGER_ENGINE": "embedded",
        "TASK_MANAGER_RUN_PARALLELISM": "2",
        "TASK_MANAGER_CACHE_ENABLED": cache,
    }
    process = await asyncio.create_subprocess_exec(*command, env={**os.environ, **settings}, stdout=subprocess.DEVNULL)
    try:
        await until(lambda: len(held_places(data_dir)) == 2)
        yield
    finally:
        kill(process.pid)
        await process.wait()


def held_places(data_dir: Path) -> list[Path]:
    return list((data_dir / "workers").glob("*.lock"))


async def test_a_worker_that_is_held_stays_and_is_replaced_when_it_died(tmp_path: Path) -> None:
    """Let go, it leaves as soon as it is idle."""
    async with service(tmp_path, idle_seconds=0.1) as shop:
        async with shop.integration.holding_worker():
            first = await registered(shop)
            ran = await shop.integration.execute_task_workflow(await shop.task("T", step("true")))
            assert (await shop.integration.wait_for_run(ran.id)).status is WorkflowStatus.SUCCEEDED
            assert await registered(shop) == first
            await shop.kill_worker()
            await until(lambda: served_by(tmp_path) not in {None, *first})
        await until(lambda: not is_held(tmp_path))


async def test_each_data_folder_gets_a_worker_of_its_own(tmp_path: Path) -> None:
    async with service(tmp_path / "one") as one, service(tmp_path / "two") as two:
        started = [
            await shop.integration.execute_task_workflow(await shop.task("T", step("true"))) for shop in (one, two)
        ]
        assert len(set(await registered(one)) | set(await registered(two))) == 2
        for shop, run in zip((one, two), started, strict=True):
            assert (await shop.integration.wait_for_run(run.id)).status is WorkflowStatus.SUCCEEDED


async def registered(shop: Service) -> list[int]:
    """The processes of a service's workers, once there are some."""
    async with asyncio.timeout(20):
        while not (pids := await shop.worker_pids()):  # noqa: ASYNC110 - another process registers
            await asyncio.sleep(0.05)
    return pids


async def test_a_key_returns_the_same_run_and_refuses_other_arguments(tmp_path: Path) -> None:
    async with service(tmp_path) as shop:
        task = await shop.task("Once", step("true"))
        first = await shop.integration.execute_task_workflow(task, idempotency_key="k")
        again = await shop.integration.execute_task_workflow(task, idempotency_key="k")
        assert again.id == first.id
        with pytest.raises(Conflict, match="other arguments"):
            await shop.integration.execute_task_workflow(task, skip_cache=True, idempotency_key="k")

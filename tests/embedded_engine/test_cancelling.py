"""A request that is dropped stops its command, unless somebody else waits for it; a killed session leaves nothing."""

import asyncio
import signal
import time
import uuid
from pathlib import Path

import dagger
import httpx
import pytest

from tests.embedded_engine.engine import EngineProcess
from tests.embedded_engine.waiting import runs, until, wait_until

STOPPED_WITHIN_SECONDS = 2
STARTED_WITHIN_SECONDS = 20
# A service that is asked to end and does not is killed then.
KILLED_AFTER_SECONDS = 10


def sleeping(image: str, marker: str, *, field: str = "exitCode") -> dict[str, str]:
    """Returns the request for a command that sleeps, with a marker among its arguments."""
    command = f'["sh", "-c", "sleep 1000; : {marker}"]'
    return {"query": f'{{container {{from(address: "{image}") {{withExec(args: {command}) {{{field}}}}}}}}}'}


def client_of(engine: EngineProcess) -> httpx.AsyncClient:
    """Returns an HTTP client of a session."""
    return httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{engine.port}", auth=(engine.token, ""), timeout=100, trust_env=False
    )


async def drop(request: "asyncio.Task[httpx.Response]") -> None:
    """Closes a request's connection."""
    request.cancel()
    await asyncio.wait([request])


async def test_a_dropped_request_stops_its_command(engine: EngineProcess, busybox_image: str) -> None:
    marker = uuid.uuid4().hex
    async with client_of(engine) as client:
        request = asyncio.ensure_future(client.post("/query", json=sleeping(busybox_image, marker)))
        await until(lambda: runs(marker), seconds=STARTED_WITHIN_SECONDS)
        await drop(request)
        await until(lambda: not runs(marker), seconds=STOPPED_WITHIN_SECONDS)


async def test_a_command_that_somebody_else_waits_for_goes_on(engine: EngineProcess, busybox_image: str) -> None:
    marker = uuid.uuid4().hex
    async with client_of(engine) as one, client_of(engine) as other:
        first = asyncio.ensure_future(one.post("/query", json=sleeping(busybox_image, marker)))
        await until(lambda: runs(marker), seconds=STARTED_WITHIN_SECONDS)
        second = asyncio.ensure_future(other.post("/query", json=sleeping(busybox_image, marker, field="stdout")))
        assert (await one.post("/query", json={"query": "{version}"})).status_code == 200
        await drop(first)
        assert (await one.post("/query", json={"query": "{version}"})).status_code == 200
        assert runs(marker)
        await drop(second)
        await until(lambda: not runs(marker), seconds=STOPPED_WITHIN_SECONDS)


async def test_a_dropped_command_can_be_asked_for_again(engine: EngineProcess, busybox_image: str) -> None:
    marker = uuid.uuid4().hex
    async with client_of(engine) as client:
        for _ in range(2):
            request = asyncio.ensure_future(client.post("/query", json=sleeping(busybox_image, marker)))
            await until(lambda: runs(marker), seconds=STARTED_WITHIN_SECONDS)
            await drop(request)
            await until(lambda: not runs(marker), seconds=STOPPED_WITHIN_SECONDS)


async def test_equal_commands_at_the_same_time_run_once(engine: EngineProcess, busybox_image: str) -> None:
    script = f"cat /proc/sys/kernel/random/uuid; sleep 0.3; : {uuid.uuid4().hex}"
    query = (
        f'{{container {{from(address: "{busybox_image}") {{withExec(args: ["sh", "-c", "{script}"]) {{stdout}}}}}}}}'
    )
    async with client_of(engine) as client:
        answers = await asyncio.gather(*(client.post("/query", json={"query": query}) for _ in range(4)))
    assert len({answer.text for answer in answers}) == 1
    assert "errors" not in answers[0].json()


@pytest.mark.parametrize("how", ["killed", "input ended", "terminated"])
async def test_a_session_that_ends_takes_its_commands_along(tmp_path: Path, busybox_image: str, how: str) -> None:
    marker = uuid.uuid4().hex
    engine = EngineProcess(tmp_path / "state")
    async with client_of(engine) as client:
        request = asyncio.ensure_future(client.post("/query", json=sleeping(busybox_image, marker)))
        await until(lambda: runs(marker), seconds=STARTED_WITHIN_SECONDS)
        if how == "killed":
            engine.kill()
        else:
            if how == "terminated":
                engine.process.send_signal(signal.SIGTERM)
            assert engine.close() == 0
        wait_until(lambda: not runs(marker), seconds=STOPPED_WITHIN_SECONDS)
        await asyncio.wait([request])


async def test_what_a_killed_session_left_is_swept_by_the_next(tmp_path: Path, busybox_image: str) -> None:
    marker = uuid.uuid4().hex
    engine = EngineProcess(tmp_path / "state")
    async with client_of(engine) as client:
        request = asyncio.ensure_future(client.post("/query", json=sleeping(busybox_image, marker)))
        await until(lambda: runs(marker), seconds=STARTED_WITHIN_SECONDS)
        engine.kill()
        await asyncio.wait([request])
    assert list((tmp_path / "state/tmp").iterdir()) != []
    with EngineProcess(tmp_path / "state") as following:
        query = f'{{container {{from(address: "{busybox_image}") {{withExec(args: ["echo", "hi"]) {{stdout}}}}}}}}'
        assert "errors" not in following.post(query)
    assert list((tmp_path / "state/tmp").iterdir()) == []


@pytest.mark.alone
@pytest.mark.parametrize("user", ["", "1234"])
async def test_a_service_hears_that_it_shall_end_however_young_it_is(busybox: dagger.Container, user: str) -> None:
    for _ in range(8):
        fresh = busybox.with_env_variable("MARKER", uuid.uuid4().hex).with_user(user)
        service = await fresh.as_service(args=["sleep", "1000"]).start()
        began = time.monotonic()
        await service.stop()
        assert time.monotonic() - began < KILLED_AFTER_SECONDS

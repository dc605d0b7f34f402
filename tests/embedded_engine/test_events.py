"""What readers of a session's events are told, while real steps run."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import dagger
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from task_manager.embedded_engine import model
from task_manager.embedded_engine.answering import Answerer
from task_manager.embedded_engine.events import EventReader, Events, OutputLines
from task_manager.embedded_engine.server import application, server
from tests.embedded_engine.conftest import shell
from tests.embedded_engine.engine import EngineProcess
from tests.embedded_engine.waiting import until

Event = dict[str, Any]
RUN = "task-manager.run"


class Following:
    """The events that a reader has been told, and a way to wait for one."""

    def __init__(self, lines: AsyncIterator[str]) -> None:
        self._lines = lines
        self.told: list[Event] = []

    async def until(self, wanted: Callable[[Event], bool]) -> Event:
        async for line in self._lines:
            self.told.append(json.loads(line))
            if wanted(self.told[-1]):
                return self.told[-1]
        raise AssertionError(f"the stream ended: {self.told}")

    def output(self, step: str, stream: str) -> str:
        lines = [event for event in self.told if event["event"] == "output" and event["step"] == step]
        return "".join(event["text"] for event in lines if event["stream"] == stream)


@asynccontextmanager
async def following(engine: EngineProcess) -> AsyncIterator[Following]:
    """Reads a session's events; they are read when the block begins."""
    url = f"http://127.0.0.1:{engine.port}/events"
    async with (
        httpx.AsyncClient(auth=(engine.token, ""), timeout=30, trust_env=False) as client,
        client.stream("GET", url) as answer,
    ):
        assert answer.status_code == 200
        reader = Following(answer.aiter_lines())
        await reader.until(lambda event: event["event"] == "reading")
        yield reader


def labelled(busybox: dagger.Container) -> tuple[dagger.Container, str]:
    """A container with a label that nobody else has, and the label's value."""
    name = uuid4().hex
    return busybox.with_env_variable("UNIQUE", name).with_label(RUN, name), name


def is_of(name: str, event: str) -> Callable[[Event], bool]:
    return lambda told: told["event"] == event and told.get("labels", {}).get(RUN) == name


def ends(step: str) -> Callable[[Event], bool]:
    return lambda told: told["event"] == "ended" and told["step"] == step


def execution(*arguments: str, secret: bytes = b"") -> model.Execution:
    """A described command, for what needs no real one."""
    secrets = (("S", model.SecretValue("s", "key", secret)),) if secret else ()
    return model.Execution(model.Scratch(), arguments, (), "/", "", (), secrets)


async def test_lines_arrive_while_the_step_still_runs(engine: EngineProcess, busybox: dagger.Container) -> None:
    base, name = labelled(busybox)
    script = "echo begun; echo wrong >&2; exec sleep 1000"
    async with following(engine) as reader:
        running = asyncio.ensure_future(base.with_exec(shell(script)).stdout())
        started = await reader.until(is_of(name, "started"))
        assert (started["command"], started["kind"]) == (shell(script), "command")
        lines = {(await reader.until(lambda event: event["event"] == "output"))["text"] for _ in range(2)}
        assert lines == {"begun\n", "wrong\n"}
        assert not running.done()
        running.cancel()
        ended = await reader.until(ends(started["step"]))
    assert ended["exitCode"] is None


async def test_a_step_is_told_from_its_start_to_its_end(engine: EngineProcess, busybox: dagger.Container) -> None:
    base, name = labelled(busybox)
    async with following(engine) as reader:
        code = await base.with_exec(
            shell("echo one; printf two; echo wrong >&2; exit 3"), expect=dagger.ReturnType.ANY
        ).exit_code()
        started = await reader.until(is_of(name, "started"))
        ended = await reader.until(ends(started["step"]))
    assert (code, ended["exitCode"]) == (3, 3)
    assert ended["seconds"] >= 0
    assert reader.output(started["step"], "stdout") == "one\ntwo"
    assert reader.output(started["step"], "stderr") == "wrong\n"
    assert [event for event in reader.told if is_of(name, "cached")(event)] == []


async def test_a_step_whose_result_is_there_says_so(engine: EngineProcess, busybox: dagger.Container) -> None:
    base, name = labelled(busybox)
    once = shell("echo once")
    await base.with_exec(once).sync()
    async with following(engine) as reader:
        assert await base.with_exec(once).stdout() == "once\n"
        cached = await reader.until(is_of(name, "cached"))
    assert cached["command"] == once
    assert {event["event"] for event in reader.told} == {"reading", "cached"}


async def test_labels_change_no_cache_key(engine: EngineProcess, busybox: dagger.Container) -> None:
    base, name = labelled(busybox)
    command = shell("cat /proc/sys/kernel/random/uuid")
    first = await base.with_exec(command).stdout()
    async with following(engine) as reader:
        assert await base.with_label(RUN, f"{name}-again").with_exec(command).stdout() == first
        await reader.until(is_of(f"{name}-again", "cached"))


async def test_no_secret_is_told_however_it_is_written(
    engine: EngineProcess, dag: dagger.Client, busybox: dagger.Container
) -> None:
    base, name = labelled(busybox)
    value = f"secret-{uuid4().hex}"
    halves = f"printf %s {value[:10]}; sleep 0.1; echo {value[10:]}; echo $S >&2; echo next"
    async with following(engine) as reader:
        secret = dag.set_secret("s", value)
        await base.with_secret_variable("S", secret).with_exec([*shell(halves), value]).sync()
        started = await reader.until(is_of(name, "started"))
        await reader.until(ends(started["step"]))
    assert reader.output(started["step"], "stdout") == "***\nnext\n"
    assert reader.output(started["step"], "stderr") == "***\n"
    assert started["command"][-1] == "***"
    assert value not in json.dumps(reader.told)


async def test_a_line_does_not_wait_for_the_next_because_there_is_a_secret(
    engine: EngineProcess, dag: dagger.Client, busybox: dagger.Container
) -> None:
    base, _ = labelled(busybox)
    secret = dag.set_secret("long", "x" * 100)
    async with following(engine) as reader:
        ran = base.with_secret_variable("S", secret).with_exec(shell("echo begun; exec sleep 1000"))
        running = asyncio.ensure_future(ran.sync())
        await reader.until(lambda event: event.get("text") == "begun\n")
        running.cancel()


async def test_a_service_is_told_as_one(engine: EngineProcess, busybox: dagger.Container) -> None:
    base, name = labelled(busybox)
    async with following(engine) as reader:
        service = await base.as_service(args=shell("echo up; exec sleep 1000")).start()
        started = await reader.until(is_of(name, "started"))
        await reader.until(lambda event: event.get("text") == "up\n")
        await service.stop(kill=True)
        assert (await reader.until(ends(started["step"])))["exitCode"] is None
    assert started["kind"] == "service"


@pytest.mark.parametrize("auth", [None, ("wrong", "")])
def test_events_are_for_those_who_have_the_token(engine: EngineProcess, auth: tuple[str, str] | None) -> None:
    answer = httpx.get(f"http://127.0.0.1:{engine.port}/events", auth=auth, trust_env=False)
    assert answer.status_code == 401


async def test_a_reader_that_does_not_read_or_goes_away_stops_no_step(
    engine: EngineProcess, busybox: dagger.Container
) -> None:
    base, _ = labelled(busybox)
    token = httpx.BasicAuth(engine.token, "")._auth_header
    with socket.create_connection(("127.0.0.1", engine.port)) as silent:
        silent.sendall(f"GET /events HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\n\r\n".encode())
        assert silent.recv(12) == b"HTTP/1.1 200"
        lines = await base.with_exec(shell("yes 0123456789 | head -n 500000 | tee /dev/stderr | wc -l")).stdout()
    assert lines == "500000\n"
    assert await base.with_exec(shell("seq 3")).stdout() == "1\n2\n3\n"


async def test_a_reader_that_goes_away_is_forgotten() -> None:
    events = Events()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = server(application(cast("Answerer", None), events, "token"))
        task = asyncio.ensure_future(serving.serve(sockets=[listener]))
        token = httpx.BasicAuth("token", "")._auth_header
        _, writer = await asyncio.open_connection(*listener.getsockname())
        writer.write(f"GET /events HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\n\r\n".encode())
        await until(lambda: events.has_readers, seconds=10)
        writer.close()
        await until(lambda: not events.has_readers, seconds=10)
        serving.should_exit = True
        await task


async def test_the_stream_ends_with_the_session(tmp_path: Path) -> None:
    with EngineProcess(tmp_path / "state") as session:
        async with following(session) as reader:
            closing = asyncio.ensure_future(asyncio.to_thread(session.close))
            with pytest.raises(AssertionError, match="the stream ended"):
                await reader.until(lambda _: False)
            assert await closing == 0


async def test_a_slow_reader_loses_output_and_is_told_how_much() -> None:
    reader = EventReader(capacity=100)
    for _ in range(10):
        reader.offer(b"x" * 19 + b"\n", lines=1)
    reader.offer(b"ended\n")
    reader.offer(b"y" * 19 + b"\n", lines=1)
    *lines, lost, ended, again = (await reader.read()).splitlines()
    assert lines == [b"x" * 19] * 5
    assert (json.loads(lost), ended) == ({"event": "lost", "count": 5}, b"ended")
    assert json.loads(again) == {"event": "lost", "count": 1}
    reader.offer(b"z\n", lines=1)
    assert await reader.read() == b"z\n"


async def test_nothing_waits_beyond_the_capacity() -> None:
    reader = EventReader(capacity=1000)
    for _ in range(10_000):
        reader.offer(b"x" * 50 + b"\n")
    assert len(await reader.read()) < 2100


def test_nothing_is_kept_without_readers() -> None:
    events = Events()
    with events.reading():
        assert events.has_readers
    assert not events.has_readers


@given(st.text(), st.lists(st.integers(0, 400), max_size=6))
async def test_lines_put_together_are_what_was_written(text: str, cuts: list[int]) -> None:
    data = text.encode("utf-8", "replace")
    events, step = Events(), execution("x")
    with events.reading() as reader:
        lines = OutputLines(events, step, "stdout")
        places = sorted(min(cut, len(data)) for cut in cuts)
        for start, end in zip([0, *places], [*places, len(data)], strict=True):
            lines.feed(data[start:end])
        lines.feed(b"", final=True)
        events.ended(step, 0, 0.0)
        told = [json.loads(line)["text"] for line in (await reader.read()).split(b"\n")[:-2]]
    assert "".join(told) == data.decode()
    assert all(text.endswith("\n") for text in told[:-1])
    assert "" not in told


async def test_a_line_without_an_end_is_not_held_back_for_ever() -> None:
    events, step = Events(), execution("x")
    with events.reading() as reader:
        lines = OutputLines(events, step, "stdout")
        for _ in range(1000):
            lines.feed(b"x" * 100)
        told = [json.loads(line)["text"] for line in (await reader.read()).splitlines()]
    assert {len(text) for text in told} == {16_400}

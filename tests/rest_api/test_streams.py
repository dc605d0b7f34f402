"""Events as streams: complete, resumable, ended with the run or the server, and cheap for many at once."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from task_manager.event_broadcast import MOST_WAITING, EventBroadcast
from task_manager.models import Event, EventKind, utc_now
from task_manager.store import Connection, Store, events, runs
from task_manager.testing import FakeEngine
from tests.rest_api.asking import server_sent, step, task_with_pipeline
from tests.rest_api.conftest import FakedApplication, settings_of
from tests.rest_api.server import RunningApi, serving
from tests.store import builders


def read(lines: Iterator[str]) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """Each event of a stream: its id, its kind and its data."""
    return ((int(number), kind, data) for number, kind, data in server_sent(lines))


def finished(client: httpx.Client, run_id: str) -> list[tuple[int, str, dict[str, Any]]]:
    """The events of a run's stream, which ends with the run."""
    with client.stream("GET", f"/runs/{run_id}/events/stream") as stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        return list(read(stream.iter_lines()))


def test_a_runs_stream_has_all_its_events_and_ends_with_it(client: httpx.Client) -> None:
    task_with_pipeline(client, "Job", step("one"), step("two"))
    run = client.post("/tasks/Job/runs", json={}).json()
    streamed = finished(client, run["id"])
    listed = client.get(f"/runs/{run['id']}/events", params={"limit": 500}).json()["items"]
    assert [data for _, _, data in streamed] == listed
    assert [(number, kind) for number, kind, _ in streamed] == [(one["sequence"], one["kind"]) for one in listed]
    assert (listed[0]["status"], listed[-1]["status"]) == ("created", "succeeded")


def test_a_stream_goes_on_after_the_last_event_that_a_client_has(client: httpx.Client) -> None:
    task_with_pipeline(client)
    run = client.post("/tasks/Job/runs", json={}).json()
    everything = finished(client, run["id"])
    for number, _, _ in everything[:-1]:
        headers = {"Last-Event-ID": str(number)}
        with client.stream("GET", f"/runs/{run['id']}/events/stream?after=0", headers=headers) as stream:
            assert list(read(stream.iter_lines())) == [one for one in everything if one[0] > number]
    last = {"Last-Event-ID": str(everything[-1][0])}
    assert client.get(f"/runs/{run['id']}/events/stream", headers=last).status_code == 204


@pytest.mark.parametrize("path", ["/events/stream", "/projects/work/events/stream"])
def test_a_stream_of_several_runs_begins_now_or_where_the_client_says(client: httpx.Client, path: str) -> None:
    task_with_pipeline(client)
    before = client.post("/tasks/Job/runs", json={}).json()
    known = finished(client, before["id"])
    with client.stream("GET", path) as fresh, client.stream("GET", path, params={"after": 0}) as whole:
        fresh_events, all_events = read(fresh.iter_lines()), read(whole.iter_lines())
        assert [next(all_events) for _ in known] == known
        after = client.post("/tasks/Job/runs", json={}).json()
        first = next(fresh_events)
        assert (first[2]["run_id"], first[2]["status"]) == (after["id"], "created")
        assert next(all_events) == first


def test_whoever_asks_for_a_streams_head_alone_does_not_wait_for_events(client: httpx.Client) -> None:
    answer = client.head("/events/stream")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["Content-Type"].startswith("text/event-stream")


def test_a_project_hears_nothing_of_others(client: httpx.Client) -> None:
    task_with_pipeline(client)
    client.post("/projects", json={"name": "other"})
    body = {"project_id": "other", "title": "Other", "pipeline": {"steps": [step()]}}
    client.post("/tasks", json=body)
    with client.stream("GET", "/projects/other/events/stream") as stream:
        run = client.post("/tasks/Job/runs", json={}).json()
        finished(client, run["id"])
        other = client.post("/tasks/Other/runs", json={}).json()
        assert next(read(stream.iter_lines()))[2]["run_id"] == other["id"]


def test_events_are_listed_in_parts(client: httpx.Client) -> None:
    task_with_pipeline(client)
    run = client.post("/tasks/Job/runs", json={}).json()
    everything = [data for _, _, data in finished(client, run["id"])]
    found: list[dict[str, Any]] = []
    after = 0
    while (part := client.get("/events", params={"after": after, "limit": 2}).json())["items"]:
        found += part["items"]
        after = part["last_sequence"]
    assert found == everything
    assert after == everything[-1]["sequence"]


def test_a_stream_ends_after_its_time(data_dir: Path) -> None:
    with (
        serving(lambda: FakedApplication(settings_of(data_dir), FakeEngine()), longest_stream=0.05) as api,
        httpx.Client(base_url=api.url, timeout=60, trust_env=False) as client,
    ):
        assert client.get("/events/stream").status_code == 200


@pytest.mark.alone
def test_open_streams_do_not_keep_a_server_from_ending(data_dir: Path) -> None:
    with httpx.Client(timeout=60, trust_env=False) as client:
        with serving(lambda: FakedApplication(settings_of(data_dir), FakeEngine())) as api:
            stream = client.send(client.build_request("GET", f"{api.url}/events/stream"), stream=True)
            lines = stream.iter_lines()
            assert next(lines) == "retry: 1000"
            asked = time.monotonic()
        assert time.monotonic() - asked < 4, "the server waits five seconds for streams that do not end"
        assert list(read(lines)) == []


def test_many_streams_hear_the_same_without_a_thread_each(api: RunningApi, client: httpx.Client) -> None:
    task_with_pipeline(client)
    count = 200

    async def follow() -> set[str]:
        limits = httpx.Limits(max_connections=None)
        async with (
            httpx.AsyncClient(base_url=api.url, timeout=60, trust_env=False, limits=limits) as http,
            asyncio.timeout(60),
            asyncio.TaskGroup() as group,
        ):
            firsts = [group.create_task(_first_event(http)) for _ in range(count)]
            while api.application.broadcast.listeners < count:  # noqa: ASYNC110 - another thread's
                await asyncio.sleep(0.01)
            await http.post("/tasks/Job/runs", json={})
        return {one.result() for one in firsts}

    threads = threading.active_count()
    assert len(asyncio.run(follow())) == 1
    assert threading.active_count() - threads < count / 2


async def _first_event(http: httpx.AsyncClient) -> str:
    async with http.stream("GET", "/events/stream") as stream:
        async for line in stream.aiter_lines():
            if line.startswith("id: "):
                return line
    raise AssertionError("the stream ended")


async def _names_of_tasks() -> list[str]:
    return [task.get_name() for task in asyncio.all_tasks()]


@pytest.fixture
def store(data_dir: Path) -> Iterator[Store]:
    with Store.open(data_dir) as store:
        yield store


@asynccontextmanager
async def broadcasting(store: Store) -> AsyncIterator[EventBroadcast]:
    broadcast = EventBroadcast(store)
    yield broadcast
    await broadcast.close()


def appending(store: Store) -> Callable[[int], None]:
    """A function that appends so many events to a new run's log."""
    run = builders.stored_run(store)

    def append(c: Connection, count: int) -> None:
        known = runs.get(c, run.id)
        for _ in range(count):
            events.append(
                c,
                Event(
                    run_id=known.id,
                    task_id=known.task_id,
                    project_id=known.project_id,
                    time=utc_now(),
                    kind=EventKind.RUN_WARNING,
                ),
            )

    return lambda count: store.run_sync(append, count)


async def test_a_listener_that_falls_behind_misses_nothing(store: Store) -> None:
    append = appending(store)
    async with broadcasting(store) as broadcast, broadcast.listening(after=0) as slow, broadcast.listening() as quick:
        assert await slow.next(0) is not None
        wanted = 3 * MOST_WAITING + 7
        for _ in range(3):
            append(MOST_WAITING)
        append(7)
        heard: list[int] = []
        while len(heard) < wanted:
            heard += [event.sequence for event in await quick.next(60) or ()]
        late: list[int] = []
        while len(late) < wanted:
            late += [event.sequence for event in await slow.next(60) or ()]
        assert late == heard == list(range(heard[0], heard[0] + wanted))


async def test_a_listener_hears_nothing_after_a_while_and_the_end_at_the_end(store: Store) -> None:
    async with broadcasting(store) as broadcast, broadcast.listening() as listener:
        assert await listener.next(0.01) == ()
        waiting = asyncio.create_task(listener.next(60))
        await asyncio.sleep(0)
        await broadcast.close()
        assert await waiting is None
        async with broadcast.listening() as late:
            assert await late.next(60) is None


async def test_who_asks_for_changes_is_woken_by_those_that_are_no_events(store: Store) -> None:
    async with (
        broadcasting(store) as broadcast,
        broadcast.listening(changes=True) as curious,
        broadcast.listening() as other,
    ):
        hearing = [asyncio.create_task(one.next(60)) for one in (curious, other)]
        await asyncio.to_thread(builders.stored_project, store)
        assert await hearing[0] == ()
        await asyncio.to_thread(appending(store), 1)
        assert len(await hearing[1] or ()) >= 1


async def test_nobody_reads_the_log_when_nobody_listens(store: Store) -> None:
    async with broadcasting(store) as broadcast:
        async with broadcast.listening(), broadcast.listening():
            assert broadcast.listeners == 2
            assert "event broadcast" in await _names_of_tasks()
        assert "event broadcast" not in await _names_of_tasks()
        async with broadcast.listening() as again:
            appending(store)(1)
            assert len(await again.next(60) or ()) >= 1

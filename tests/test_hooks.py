"""Receivers are told of every change, in order, at least once; and nothing that they do delays runs or others."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from task_manager.config import Settings
from task_manager.errors import InvalidInput, NameTaken, NotFound
from task_manager.hook_delivery import HookSender
from task_manager.hook_records import DeliveryState, Hook, HookDelivery
from task_manager.hooks import Hooks
from task_manager.models import WorkflowRun, utc_now
from task_manager.store import Store, runs
from task_manager.store import hooks as outbox
from task_manager.webhook_signatures import is_signed
from task_manager.workflow_status import WorkflowStatus
from tests.environment.github_api import STATUS_PATH, create_status
from tests.store.builders import stored_project, stored_run, stored_task, stored_workflow

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PATH = (WorkflowStatus.QUEUED, WorkflowStatus.PREPARING, WorkflowStatus.FAILED)


@dataclass
class Received:
    """A request that a receiver got."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def data(self) -> Any:
        return json.loads(self.body)

    @property
    def status(self) -> str:
        data = self.data
        return str(data.get("data", data)["status"])


@dataclass
class Receiver:
    """One that answers with codes in order, the last one again and again."""

    codes: list[int] = field(default_factory=lambda: [200])
    got: list[Received] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)
    url: str = ""
    elsewhere: str = ""

    def answer(self) -> int:
        return self.codes[min(len(self.got), len(self.codes)) - 1]


SILENT = 0
"""Instead of a code: no answer."""


@contextlib.contextmanager
def receiving(*codes: int) -> Iterator[Receiver]:
    """A receiver on the loopback device."""
    receiver = Receiver(list(codes) or [200])

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            receiver.got.append(Received(self.path, headers, body))
            code = receiver.answer()
            if code == SILENT:
                receiver.released.wait(60)
                return
            self.send_response(code)
            if receiver.elsewhere:
                self.send_header("location", receiver.elsewhere)
            self.send_header("content-length", "0")
            self.end_headers()

        do_GET = do_POST  # noqa: N815 - where redirects lead

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield receiver
        finally:
            receiver.released.set()
            server.shutdown()
            thread.join(60)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "data") as store:
        yield store


@pytest.fixture(autouse=True)
def _secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_SECRET", SECRET)


def settings_of(**hooks: object) -> Settings:
    given = {"attempts": 3, "delay": 0.001, "maximum": 0.002, "timeout": 30, **hooks}
    return Settings.model_validate({"public_url": "https://tasks.example.org", "hooks": given})


@contextlib.asynccontextmanager
async def sending(store: Store, **hooks: object) -> AsyncIterator[None]:
    async with HookSender(store, settings_of(**hooks), look_seconds=0.05).sending():
        yield


async def a_hook(store: Store, url: str, name: str = "hook", **fields: object) -> Hook:
    given = {"name": name, "form": "webhook", "url": url, "secret": "env:HOOK_SECRET", **fields}
    return await Hooks(store).add(given)


def moved(store: Store, path: Sequence[WorkflowStatus] = PATH, run: WorkflowRun | None = None) -> WorkflowRun:
    """A run that went through these states."""
    run = run or stored_run(store)
    for status in path:
        store.run_sync(runs.transition, run.id, status, now=utc_now())
    return run


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - threads and other processes tell nobody
            await asyncio.sleep(0.01)


async def outcomes(store: Store, state: DeliveryState | None = None) -> list[HookDelivery]:
    return list((await Hooks(store).deliveries(state=state, limit=500)).items)


async def settled(store: Store, count: int) -> list[HookDelivery]:
    """The messages, once there are so many and none is pending."""
    async with asyncio.timeout(60):
        while True:
            found = await outcomes(store)
            if len(found) >= count and all(one.state is not DeliveryState.PENDING for one in found):
                return found
            await asyncio.sleep(0.02)


async def test_every_change_is_told_in_order_and_signed(store: Store) -> None:
    with receiving() as receiver:
        await a_hook(store, f"{receiver.url}/told?by=us")
        async with sending(store):
            run = moved(store)
            await until(lambda: len(receiver.got) == 4)
            assert [one.state for one in await settled(store, 4)] == [DeliveryState.DELIVERED] * 4
    assert [one.status for one in receiver.got] == ["created", "queued", "preparing", "failed"]
    assert len({one.headers["webhook-id"] for one in receiver.got}) == 4
    for one in receiver.got:
        signed = one.headers["webhook-id"], one.headers["webhook-timestamp"]
        assert is_signed(SECRET, *signed, one.body, one.headers["webhook-signature"])
    last = receiver.got[-1]
    assert (last.path, last.data["type"]) == ("/told?by=us", "task-manager.run.failed")
    assert last.data["data"]["url"] == f"https://tasks.example.org/runs/{run.id}"
    assert (last.data["data"]["run_id"], last.data["data"]["previous"]) == (run.id, "preparing")


async def test_what_happened_before_a_hook_was_made_is_not_told(store: Store) -> None:
    moved(store)
    with receiving() as receiver:
        await a_hook(store, receiver.url)
        async with sending(store):
            later = moved(store)
            await until(lambda: len(receiver.got) == 4)
    assert {one.data["data"]["run_id"] for one in receiver.got} == {later.id}


async def test_only_what_a_hook_wants_is_told(store: Store) -> None:
    project = stored_project(store)
    workflow = stored_workflow(store, stored_task(store, project))
    with receiving() as receiver:
        await a_hook(store, receiver.url, project_id=project.name, statuses=["failed", "queued"])
        async with sending(store):
            moved(store)
            mine = moved(store, run=stored_run(store, workflow))
            await until(lambda: len(receiver.got) == 2)
    assert [(one.data["data"]["run_id"], one.status) for one in receiver.got] == [
        (mine.id, "queued"),
        (mine.id, "failed"),
    ]


async def test_a_failed_message_is_sent_again_before_the_next_with_the_same_id(store: Store) -> None:
    with receiving(500, 302, 200) as receiver:
        receiver.elsewhere = f"{receiver.url}/elsewhere"
        await a_hook(store, f"{receiver.url}/here", statuses=["queued", "failed"])
        async with sending(store):
            moved(store)
            await until(lambda: len(receiver.got) == 4)
            found = await settled(store, 2)
    assert [one.status for one in receiver.got] == ["queued", "queued", "queued", "failed"]
    assert len({one.headers["webhook-id"] for one in receiver.got[:3]}) == 1
    assert {one.path for one in receiver.got} == {"/here"}, "a redirect is not followed"
    assert [(one.status, one.attempts, one.response) for one in found] == [("failed", 1, 200), ("queued", 3, 200)]


async def test_a_message_dies_after_so_many_attempts_and_the_next_goes_out(store: Store) -> None:
    with receiving(503, 503, 503, 200) as receiver:
        await a_hook(store, receiver.url, statuses=["queued", "failed"])
        async with sending(store):
            moved(store)
            found = {one.status: one for one in await settled(store, 2)}
            dead = found[WorkflowStatus.QUEUED]
            assert (dead.state, dead.attempts, dead.error) == (DeliveryState.DEAD, 3, "The receiver answered 503.")
            assert found[WorkflowStatus.FAILED].state is DeliveryState.DELIVERED
            await Hooks(store).send_again(dead.id)
            await until(lambda: len(receiver.got) == 5)
            assert [one.state for one in await settled(store, 2)] == [DeliveryState.DELIVERED] * 2
    assert receiver.got[-1].headers["webhook-id"] == dead.id


async def test_a_receiver_that_never_answers_keeps_nobody_waiting(store: Store) -> None:
    with receiving(SILENT) as silent, receiving() as quick:
        await a_hook(store, silent.url, "silent")
        await a_hook(store, quick.url, "quick")
        async with sending(store, timeout=3600):
            await until(lambda: bool(moved(store)) and len(silent.got) == 1)
            await until(lambda: len(quick.got) >= 4)
        assert len(silent.got) == 1


async def test_a_receiver_that_takes_too_long_or_is_not_there_has_failed(store: Store) -> None:
    with receiving(SILENT) as silent:
        await a_hook(store, silent.url, "silent", statuses=["queued"])
        await a_hook(store, "http://127.0.0.1:9/", "absent", statuses=["queued"])
        async with sending(store, timeout=0.2):
            moved(store)
            found = await settled(store, 2)
    assert [one.state for one in found] == [DeliveryState.DEAD] * 2
    assert all(one.error and one.response is None for one in found)


async def test_two_processes_send_each_message_once(store: Store, tmp_path: Path) -> None:
    with receiving() as receiver, Store.open(tmp_path / "data") as other:
        await a_hook(store, receiver.url)
        async with sending(store), sending(other):
            for _ in range(5):
                moved(store)
            await settled(store, 20)
    assert len(receiver.got) == 20
    sequences = [one.data["data"]["sequence"] for one in receiver.got]
    assert sequences == sorted(sequences)


async def test_messages_outlive_the_process_that_did_not_send_them(store: Store) -> None:
    with receiving(500, 200) as receiver:
        await a_hook(store, receiver.url)
        async with sending(store, delay=3600, maximum=3600):
            moved(store)
            await until(lambda: len(receiver.got) == 1)
            async with asyncio.timeout(60):
                while not [one for one in await outcomes(store) if one.attempts]:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
        assert len(receiver.got) == 1
        waiting = (await outcomes(store, DeliveryState.PENDING))[-1]
        await Hooks(store).send_again(waiting.id)
        async with sending(store):
            await settled(store, 4)
    assert [one.status for one in receiver.got] == ["created", "created", "queued", "preparing", "failed"]


async def test_a_sender_that_died_is_followed_by_another_when_its_lease_ends(store: Store) -> None:
    hook = await a_hook(store, "http://127.0.0.1:9/")
    now = utc_now()
    lease = {"now": now, "until": now + timedelta(seconds=60)}
    assert await store.run(outbox.lease, hook.id, "dead", **lease)
    assert not await store.run(outbox.lease, hook.id, "other", **lease)
    later = now + timedelta(seconds=61)
    assert await store.run(outbox.lease, hook.id, "other", now=later, until=later)


async def test_without_its_secret_a_hook_is_left_to_other_processes(store: Store) -> None:
    with receiving() as known:
        await a_hook(store, known.url, "unknown", secret="env:NOT_THERE_AT_ALL")
        await a_hook(store, known.url, "known")
        async with sending(store):
            moved(store)
            await until(lambda: len(known.got) == 4)
    assert [one.data["data"]["status"] for one in known.got] == ["created", "queued", "preparing", "failed"]


async def test_cloudevents_say_what_the_specification_asks_for(store: Store) -> None:
    """In structured and in binary mode; https://github.com/cloudevents/spec, version 1.0.2."""
    with receiving() as structured, receiving() as binary:
        await a_hook(store, structured.url, "structured", form="cloudevents", statuses=["failed"])
        await a_hook(store, binary.url, "binary", form="cloudevents-binary", statuses=["failed"])
        async with sending(store):
            run = moved(store)
            await settled(store, 2)
    one, other = structured.got[0], binary.got[0]
    assert one.headers["content-type"] == "application/cloudevents+json; charset=utf-8"
    assert other.headers["content-type"] == "application/json"
    attributes = {name[3:]: value for name, value in other.headers.items() if name.startswith("ce-")}
    assert attributes.keys() >= {"id", "source", "specversion", "type"}
    assert {**attributes, "datacontenttype": "application/json", "data": other.data} == one.data
    assert (attributes["specversion"], attributes["subject"]) == ("1.0", run.id)
    assert attributes["id"] == f"{run.id}/4"


async def test_commits_get_statuses_as_githubs_own_description_asks_for(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_TOKEN_OF_TEST", "ghp_secret")
    operation = await asyncio.to_thread(create_status)
    commit = "6dcb09b5b57875f334f61aebed695e2e4193db5e"
    workflow = stored_workflow(store, stored_task(store, title="Ünit tests"))
    ends = (WorkflowStatus.FAILED, WorkflowStatus.SUCCEEDED, WorkflowStatus.CANCELLED)
    with receiving(201) as github:
        await a_hook(store, github.url, form="github-status", repository="octo/site", secret="env:GITHUB_TOKEN_OF_TEST")
        async with sending(store):
            for end in ends:
                path = {
                    WorkflowStatus.FAILED: PATH,
                    WorkflowStatus.SUCCEEDED: (*PATH[:2], WorkflowStatus.RUNNING, WorkflowStatus.PROCESSING, end),
                    WorkflowStatus.CANCELLED: (WorkflowStatus.QUEUED, end),
                }[end]
                moved(store, path, stored_run(store, workflow, parameters={"commit": commit}))
            await settled(store, 7)
    assert [one.data["state"] for one in github.got] == [
        *("pending", "failure"),
        *("pending", "pending", "success"),
        *("pending", "error"),
    ]
    body = operation["requestBody"]["content"]["application/json"]["schema"]
    for one in github.got:
        jsonschema.Draft4Validator(body).validate({k: v for k, v in one.data.items() if v is not None})
        assert one.data.keys() <= body["properties"].keys()
        assert re.fullmatch(re.sub(r"\{\w+\}", "([^/]+)", STATUS_PATH), one.path)
        assert one.path == f"/repos/octo/site/statuses/{commit}"
        assert one.headers["authorization"] == "Bearer ghp_secret"
        assert (one.data["context"], len(one.data["description"]) <= 140) == ("task-manager/Ünit tests", True)
        assert one.data["target_url"].startswith("https://tasks.example.org/runs/run-")


async def test_a_run_without_a_commit_is_told_to_nobody(store: Store) -> None:
    with receiving(201) as github:
        await a_hook(store, github.url, form="github-status", repository="octo/site", statuses=["queued"])
        async with sending(store):
            moved(store)
            found = await settled(store, 1)
    assert (found[0].state, found[0].error) == (DeliveryState.DEAD, "It is not known which commit the run is about.")
    assert github.got == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "file:///etc/passwd"},
        {"url": "https://user:pass@example.org/"},
        {"url": "https://"},
        {"url": None},
        {"secret": "s3cret"},
        {"statuses": ["finished"]},
        {"repository": "octo/site"},
        {"form": "github-status", "secret": None},
        {"form": "github-status", "repository": "octo/../x"},
        {"project_id": "none"},
    ],
)
async def test_a_hook_that_cannot_work_is_refused(store: Store, wrong: dict[str, object]) -> None:
    given = {"name": "hook", "form": "webhook", "url": "https://example.org/", "secret": "env:S", **wrong}
    with pytest.raises(InvalidInput):
        await Hooks(store).add(given)
    assert await Hooks(store).list() == ()


async def test_a_hook_is_found_by_name_and_removed_with_its_messages(store: Store) -> None:
    hook = await a_hook(store, "http://127.0.0.1:9/", "chat")
    with pytest.raises(NameTaken):
        await a_hook(store, "https://example.org/", "chat")
    moved(store)
    assert await store.run(outbox.gather, hook.id, now=utc_now())
    assert len(await outcomes(store)) == 4
    assert (await Hooks(store).remove("chat")).id == hook.id
    assert await outcomes(store) == []
    with pytest.raises(NotFound):
        await Hooks(store).get("chat")

"""Webhooks start what triggers say, once, and only when they are signed."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from task_manager.webhook_signatures import github_signature, standard_signature
from tests.rest_api.asking import problem, task_with_pipeline
from tests.rest_api.conftest import ended

SECRET = "It's a Secret to Everybody"
PUSH = {"ref": "refs/heads/main", "after": "abc123", "repository": {"full_name": "octo/site"}, "forced": False}


@pytest.fixture(autouse=True)
def _secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_SECRET", SECRET)


def a_trigger(client: httpx.Client, name: str = "tests", **fields: object) -> dict[str, Any]:
    given = {"name": name, "source": "github", "secret": "env:HOOK_SECRET", **fields}
    if "project_id" not in given:
        given = {"task_id": "Job", **given}
    answer = client.post("/triggers", json=given)
    assert answer.status_code == 201, answer.text
    trigger: dict[str, Any] = answer.json()
    return trigger


def from_github(
    client: httpx.Client, payload: Mapping[str, object] = PUSH, *, delivery: str = "d-1", secret: str = SECRET
) -> httpx.Response:
    body = json.dumps(payload).encode()
    headers = {
        "X-GitHub-Event": "push",
        "X-GitHub-Delivery": delivery,
        "X-Hub-Signature-256": github_signature(secret, body),
    }
    return client.post("/webhooks/github", content=body, headers=headers)


def generic(
    client: httpx.Client, payload: Mapping[str, object], *, message: str = "m-1", late: int = 0
) -> httpx.Response:
    body, timestamp = json.dumps(payload).encode(), str(int(time.time()) - late)
    headers = {
        "webhook-id": message,
        "webhook-timestamp": timestamp,
        "webhook-signature": standard_signature(SECRET, message, timestamp, body),
    }
    return client.post("/webhooks/generic", content=body, headers=headers)


def runs_of(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 202, answer.text
    return [run for firing in answer.json()["firings"] for run in firing["run_ids"]]


def test_a_signed_webhook_starts_the_task_and_sent_again_nothing_again(client: httpx.Client) -> None:
    task_with_pipeline(client)
    trigger = a_trigger(client, events=["push"], branch="ma*", repository="octo/*", conditions={"/forced": "false"})
    first = runs_of(from_github(client))
    assert ended(client, first[0])["status"] == "succeeded"
    assert client.get(f"/runs/{first[0]}").json()["actor"] == "webhook:github"
    assert runs_of(from_github(client)) == first
    assert len(runs_of(from_github(client, delivery="d-2"))) == 1
    assert len(client.get("/runs").json()["items"]) == 2
    noted = client.get("/firings", params={"trigger_id": "tests"}).json()["items"]
    assert [(one["delivery_id"], one["trigger_id"]) for one in noted] == [
        ("d-2", trigger["id"]),
        ("d-1", trigger["id"]),
    ]


def test_the_same_delivery_many_times_at_once_starts_one_run(client: httpx.Client) -> None:
    task_with_pipeline(client)
    a_trigger(client)
    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(lambda _: from_github(client), range(6)))
    assert len({run for answer in answers for run in runs_of(answer)}) == 1
    assert len(client.get("/runs").json()["items"]) == 1


def test_what_does_not_match_starts_nothing(client: httpx.Client) -> None:
    task_with_pipeline(client)
    a_trigger(client, "event", events=["pull_request", "issue*"])
    a_trigger(client, "branch", branch="release/*")
    a_trigger(client, "repository", repository="other/*")
    a_trigger(client, "condition", conditions={"/forced": "true"})
    a_trigger(client, "absent", conditions={"/nothing/here": "*"})
    a_trigger(client, "other", source="gitlab")
    assert runs_of(from_github(client)) == []
    tested = client.post("/triggers/test", json={"source": "github", "event": "push", "payload": PUSH}).json()["items"]
    assert {one["trigger"]["name"]: one["mismatches"] for one in tested} == {
        "event": ["The event is 'push', not pull_request or issue*."],
        "branch": ["The branch is 'main', not release/*."],
        "repository": ["The repository is 'octo/site', not other/*."],
        "condition": ["At /forced there is 'false', not true."],
        "absent": ["At /nothing/here there is nothing, not *."],
    }


def test_what_is_not_signed_with_the_secret_is_refused_and_leaves_nothing(client: httpx.Client) -> None:
    task_with_pipeline(client)
    assert problem(from_github(client)) == (401, "invalid_signature")
    a_trigger(client)
    assert problem(from_github(client, secret="another")) == (401, "invalid_signature")
    assert problem(client.post("/webhooks/github", json=PUSH)) == (401, "invalid_signature")
    assert client.get("/firings").json()["items"] == []
    assert client.get("/runs").json()["items"] == []


def test_an_old_webhook_is_refused(client: httpx.Client) -> None:
    task_with_pipeline(client)
    a_trigger(client, source="generic")
    assert len(runs_of(generic(client, {"type": "x"}))) == 1
    assert problem(generic(client, {"type": "x"}, message="m-2", late=900)) == (401, "invalid_signature")


def test_only_triggers_of_the_secret_are_asked(client: httpx.Client, tmp_path: Path) -> None:
    task_with_pipeline(client)
    (tmp_path / "secret").write_text("of another\n")
    a_trigger(client, "mine")
    other = a_trigger(client, "other", secret=f"file:{tmp_path / 'secret'}")
    a_trigger(client, "lost", secret="env:NOT_THERE_AT_ALL")
    answer = from_github(client, secret="of another")
    assert [one["trigger_id"] for one in answer.json()["firings"]] == [other["id"]]


def test_a_secret_is_neither_stored_nor_shown(client: httpx.Client, data_dir: Path) -> None:
    task_with_pipeline(client)
    a_trigger(client)
    from_github(client)
    shown = client.get("/triggers").text + client.get("/firings").text
    kept = b"".join(path.read_bytes() for path in data_dir.rglob("*") if path.is_file())
    assert SECRET not in shown
    assert SECRET.encode() not in kept


def test_a_template_is_given_parameters_of_the_payload(client: httpx.Client) -> None:
    client.post("/projects", json={"name": "site"})
    a_trigger(
        client,
        source="generic",
        project_id="site",
        template_id="shell-command",
        payload_parameters={"command": "/data/command"},
    )
    answer = generic(client, {"type": "deploy", "data": {"command": ["echo", "$(hi)"]}})
    assert runs_of(generic(client, {"type": "deploy", "data": {"command": ["echo", "$(hi)"]}})) == runs_of(answer)
    tasks = client.get("/tasks", params={"project_id": "site"}).json()["items"]
    assert [(task["title"], task["inputs"]) for task in tasks] == [
        ("tests: deploy m-1", {"command": ["echo", "$(hi)"]})
    ]
    assert ended(client, runs_of(answer)[0])["status"] == "succeeded"
    assert problem(generic(client, {"type": "deploy"}, message="m-2")) == (422, "invalid_input")
    assert "nothing at /data/command" in client.get("/firings").json()["items"][0]["error"]


def test_a_whole_project_is_started(client: httpx.Client) -> None:
    task = task_with_pipeline(client, "One")
    a_trigger(client, project_id=task["project_id"])
    first = from_github(client)
    assert len(runs_of(first)) == 1
    assert runs_of(from_github(client)) == runs_of(first)


def test_what_failed_is_tried_again_with_the_next_delivery_of_the_same_name(client: httpx.Client) -> None:
    client.post("/projects", json={"name": "empty"})
    a_trigger(client, project_id="empty")
    assert problem(from_github(client)) == (422, "invalid_input")
    client.post(
        "/tasks", json={"project_id": "empty", "title": "New", "template_id": "shell-command"}
    ).raise_for_status()
    client.patch("/tasks/New", json={"inputs": {"command": ["true"]}}, headers={"If-Match": "*"}).raise_for_status()
    assert len(runs_of(from_github(client))) == 1
    assert [one["error"] for one in client.get("/firings").json()["items"]] == [""]


@pytest.mark.parametrize(
    "wrong",
    [
        {"secret": "plain text"},
        {"task_id": None},
        {"project_id": "demo"},
        {"task_id": "No such task"},
        {"template_id": "shell-command"},
        {"source": "bitbucket"},
        {"conditions": {"no pointer": "*"}},
    ],
)
def test_a_trigger_that_cannot_work_is_refused(client: httpx.Client, wrong: dict[str, object]) -> None:
    task_with_pipeline(client)
    given = {"name": "t", "source": "github", "secret": "env:S", "task_id": "Job", **wrong}
    answer = client.post("/triggers", json=given)
    assert answer.status_code in (400, 404, 422), answer.text
    assert client.get("/triggers").json()["items"] == []


def test_a_trigger_is_made_once_by_a_key_read_and_removed_also_with_its_task(client: httpx.Client) -> None:
    task_with_pipeline(client)
    given = {"name": "t", "source": "github", "secret": "env:S", "task_id": "Job"}
    key = {"Idempotency-Key": "k"}
    made = [client.post("/triggers", json=given, headers=key).json() for _ in range(2)]
    assert made[0] == made[1] == client.get("/triggers/t").json()
    assert problem(client.post("/triggers", json=given)) == (409, "name_taken")
    assert client.delete("/triggers/t").json()["name"] == "t"
    assert problem(client.get("/triggers/t")) == (404, "not_found")
    a_trigger(client)
    client.delete("/tasks/Job").raise_for_status()
    assert client.get("/triggers").json()["items"] == []


def test_a_body_of_more_bytes_than_are_read_is_refused(client: httpx.Client) -> None:
    body = b"0" * (5 * 1024**2 + 1)
    assert problem(client.post("/webhooks/github", content=body)) == (413, "too_large")
    assert problem(client.post("/webhooks/github", content=iter([body[: 3 * 1024**2]] * 2))) == (413, "too_large")

"""Hooks over HTTP: made, listed, removed; their messages shown and sent again."""

from __future__ import annotations

import httpx
import pytest

from task_manager.models import utc_now
from task_manager.store import hooks
from tests.rest_api.asking import problem, task_with_pipeline
from tests.rest_api.conftest import ended
from tests.rest_api.server import RunningApi

HOOK = {
    "name": "chat",
    "form": "webhook",
    "url": "https://example.org/hook",
    "secret": "env:CHAT",
    "statuses": ["failed"],
}


def test_a_hook_is_made_once_by_a_key_listed_read_and_removed(client: httpx.Client) -> None:
    made = [client.post("/hooks", json=HOOK, headers={"Idempotency-Key": "k"}).json() for _ in range(2)]
    assert made[0] == made[1] == client.get("/hooks/chat").json() == client.get("/hooks").json()["items"][0]
    assert problem(client.post("/hooks", json=HOOK)) == (409, "name_taken")
    assert client.delete("/hooks/chat").json() == made[0]
    assert problem(client.get("/hooks/chat")) == (404, "not_found")


def test_githubs_api_is_the_default_of_its_statuses(client: httpx.Client) -> None:
    made = client.post("/hooks", json={"name": "checks", "form": "github-status", "secret": "env:TOKEN"}).json()
    assert made["url"] == "https://api.github.com"
    assert {"queued", "running", "succeeded", "failed"} <= set(made["statuses"])


@pytest.mark.parametrize("wrong", [{"url": "ftp://example.org"}, {"url": None}, {"form": "mail"}, {"secret": "plain"}])
def test_what_cannot_be_sent_is_refused(client: httpx.Client, wrong: dict[str, object]) -> None:
    assert client.post("/hooks", json={**HOOK, **wrong}).status_code in (400, 422)


def test_messages_are_listed_and_sent_again(client: httpx.Client, api: RunningApi) -> None:
    hook = client.post("/hooks", json={**HOOK, "statuses": ["succeeded"]}).json()
    task_with_pipeline(client)
    run = client.post("/tasks/Job/runs", json={}).json()
    ended(client, run["id"])
    api.application.store.run_sync(hooks.gather, hook["id"], now=utc_now())
    query = {"hook_id": "chat", "state": "pending"}
    message = client.get("/deliveries", params=query).json()["items"][0]
    assert (message["run_id"], message["status"], message["attempts"]) == (run["id"], "succeeded", 0)
    assert client.post(f"/deliveries/{message['id']}/redeliver").json()["state"] == "pending"
    assert problem(client.post("/deliveries/none/redeliver")) == (404, "not_found")
    assert problem(client.get("/deliveries", params={"hook_id": "none"})) == (404, "not_found")

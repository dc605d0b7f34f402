"""Schedules over HTTP: made, read, changed, paused, removed; their times told."""

from __future__ import annotations

from datetime import datetime, timedelta

import httpx
import pytest

from task_manager.models import utc_now
from task_manager.store import schedules
from tests.rest_api.asking import problem, task_with_pipeline
from tests.rest_api.server import RunningApi

NIGHTLY = {"name": "nightly", "cron": "0 3 * * *", "timezone": "Europe/Berlin", "task_id": "Job"}


@pytest.fixture(autouse=True)
def _job(client: httpx.Client) -> None:
    task_with_pipeline(client)


def test_a_schedule_is_made_once_by_a_key_listed_read_and_removed(client: httpx.Client) -> None:
    answers = [client.post("/schedules", json=NIGHTLY, headers={"Idempotency-Key": "k"}) for _ in range(2)]
    made = answers[0].json()
    assert (answers[0].status_code, answers[0].headers["ETag"]) == (201, '"1"')
    assert answers[0].headers["Location"] == f"/api/v1/schedules/{made['id']}"
    read = client.get("/schedules/nightly")
    assert made == answers[1].json() == read.json() == client.get("/schedules").json()["items"][0]
    assert client.get("/schedules/nightly", headers={"If-None-Match": read.headers["ETag"]}).status_code == 304
    assert problem(client.post("/schedules", json=NIGHTLY)) == (409, "name_taken")
    assert problem(client.delete("/schedules/nightly", headers={"If-Match": '"9"'})) == (412, "revision_mismatch")
    assert client.delete("/schedules/nightly").json() == made
    assert problem(client.get("/schedules/nightly")) == (404, "not_found")


def test_a_schedule_that_was_read_is_changed_paused_and_resumed(client: httpx.Client) -> None:
    client.post("/schedules", json=NIGHTLY)
    change = {"cron": "@hourly", "overlap": "allow"}
    assert problem(client.patch("/schedules/nightly", json=change)) == (428, "revision_required")
    changed = client.patch("/schedules/nightly", json=change, headers={"If-Match": '"1"'})
    assert (changed.json()["overlap"], changed.headers["ETag"]) == ("allow", '"2"')
    assert problem(client.patch("/schedules/nightly", json=change, headers={"If-Match": '"1"'}))[0] == 412
    assert client.post("/schedules/nightly/pause").json()["next_due_at"] is None
    assert client.post("/schedules/nightly/resume").json()["next_due_at"] > utc_now().isoformat()


def test_the_next_times_are_told_of_a_schedule_and_of_any_expression(client: httpx.Client) -> None:
    client.post("/schedules", json=NIGHTLY)
    assert len(client.get("/schedules/nightly/times", params={"count": 3}).json()["items"]) == 3
    asked = {"cron": "30 6 * * *", "timezone": "Asia/Tokyo"}
    times = client.post("/schedules/times", json=asked).json()["items"]
    assert [time[10:] for time in times] == ["T21:30:00Z"] * 5


def test_what_became_of_due_times_is_listed(client: httpx.Client, api: RunningApi) -> None:
    made = client.post("/schedules", json={**NIGHTLY, "missed": "skip"}).json()
    late = datetime.fromisoformat(made["next_due_at"]) + timedelta(days=3, hours=1)
    api.application.store.run_sync(schedules.begin, made["id"], "one", now=late, until=late)
    (noted,) = client.get("/occurrences", params={"schedule_id": "nightly"}).json()["items"]
    assert (noted["state"], noted["run_ids"]) == ("skipped", [])
    assert problem(client.get("/occurrences", params={"schedule_id": "none"})) == (404, "not_found")


@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        ({"cron": "0 0 30 2 *"}, 422),
        ({"cron": "99 * * * *"}, 422),
        ({"timezone": "Mars/Olympus"}, 422),
        ({"task_id": "none"}, 404),
        ({"project_id": "p"}, 404),
        ({"missed": "later"}, 400),
        ({"name": ""}, 400),
    ],
)
def test_what_cannot_work_is_refused(client: httpx.Client, wrong: dict[str, object], status: int) -> None:
    answer = client.post("/schedules", json={**NIGHTLY, **wrong})
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert client.get("/schedules").json()["items"] == []

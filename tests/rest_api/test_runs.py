"""Workflows and runs: made, started, watched, cancelled and repeated over HTTP; a faked engine executes them."""

from __future__ import annotations

from collections.abc import Callable

import httpx

from task_manager.testing import FakeEngine, FakeExec
from tests.rest_api.asking import made, problem, step, task_with_pipeline
from tests.rest_api.conftest import ended, until


def test_one_request_tells_how_a_task_is_before_and_after_its_run(client: httpx.Client) -> None:
    task = task_with_pipeline(client, "Job", step("one"), step("two", needs=["one"]))
    before = client.get("/tasks/Job/status").json()
    assert (before["status"], before["run"], before["workflow_id"]) == ("todo", None, None)
    run = client.post("/tasks/Job/runs", json={}).json()
    ended(client, run["id"])
    after = client.get("/tasks/Job/status").json()
    assert (after["id"], after["status"], after["workflow_version"]) == (task["id"], "done", 1)
    assert after["run"]["id"] == run["id"]
    assert after["run"]["status"] == "succeeded"
    assert after["run"]["progress"]["steps_done"] == after["run"]["progress"]["steps_total"] == 2
    assert [(one["id"], one["status"], one["exit_code"]) for one in after["run"]["steps"]] == [
        ("one", "succeeded", 0),
        ("two", "succeeded", 0),
    ]
    assert after["run"]["result"]["status"] == "succeeded"


def test_a_run_that_fails_says_why_and_can_be_run_again_from_a_step(client: httpx.Client, engine: FakeEngine) -> None:
    outcomes: dict[tuple[str, ...], FakeExec] = {("false",): FakeExec(exit_code=3, stderr="no such file")}
    engine._answer = lambda call: outcomes.get(call.arguments, FakeExec())
    task_with_pipeline(client, "Job", step("first"), step("broken", command=["false"], needs=["first"]))
    run = client.post("/tasks/Job/runs", json={}).json()
    status = ended(client, run["id"])
    assert (status["status"], status["reason"]["code"]) == ("failed", "step_failed")
    broken = client.get(f"/runs/{run['id']}/steps/broken").json()
    assert (broken["exit_code"], broken["stderr_tail"]) == (3, "no such file")
    assert problem(client.get(f"/runs/{run['id']}/steps/brokn")) == (404, "not_found")
    outcomes.clear()
    again = client.post(f"/runs/{run['id']}/rerun", json={"from_step": "broken"})
    assert again.status_code == 201
    assert (again.json()["rerun_of"], again.json()["from_step"]) == (run["id"], "broken")
    assert again.headers["Location"] == f"/api/v1/runs/{again.json()['id']}"
    assert ended(client, again.json()["id"])["status"] == "succeeded"
    assert problem(client.post(f"/runs/{run['id']}/rerun", json={"from_step": "none"})) == (404, "not_found")


def test_a_running_run_is_cancelled_and_cannot_be_repeated_before(
    client: httpx.Client, held: Callable[[], object]
) -> None:
    task_with_pipeline(client)
    run = client.post("/tasks/Job/runs", json={}).json()
    until(client, run["id"], lambda status: any(one["status"] == "running" for one in status["steps"]))
    assert problem(client.post(f"/runs/{run['id']}/rerun", json={})) == (422, "invalid_input")
    assert problem(client.delete("/tasks/Job")) == (422, "invalid_input")
    containers = client.get("/containers", params={"run_id": run["id"]}).json()["items"]
    assert [(one["kind"], one["state"]) for one in containers] == [("step", "running")]
    assert client.get(f"/containers/{run['id']}/only").json() == containers[0]
    cancelled = client.post(f"/runs/{run['id']}/cancel").json()
    assert cancelled["status"] == "cancelled"
    assert client.post(f"/runs/{run['id']}/cancel").json() == cancelled


def test_the_queue_says_what_runs_wait_for(client: httpx.Client, held: Callable[[], object]) -> None:
    task_with_pipeline(client, "First")
    made(client, "tasks", project_id="work", title="Second", dependencies=["First"], pipeline={"steps": [step("only")]})
    started = client.post("/projects/work/runs", json={}).json()["items"]
    queue = client.get("/queue", params={"project_id": "work"}).json()
    waiting = {one["run"]["id"]: one for one in queue["items"]}
    assert set(waiting) == {run["id"] for run in started}
    second = waiting[started[1]["id"]]
    assert second["reason"]["code"] == "waiting_for_dependencies"
    assert [up["task"] for up in second["upstream"]] == ["First"]
    alone = client.get(f"/runs/{started[1]['id']}/wait").json()
    assert [up["task"] for up in alone["upstream"]] == ["First"]
    held()
    for run in started:
        assert ended(client, run["id"])["status"] == "succeeded"
    assert client.get("/queue").json() == {"items": [], "by_status": {}}


def test_a_paused_project_starts_nothing_until_it_is_resumed(client: httpx.Client) -> None:
    task_with_pipeline(client)
    paused = client.post("/projects/work/pause")
    assert paused.json()["paused_at"]
    run = client.post("/tasks/Job/runs", json={}).json()
    assert client.get(f"/runs/{run['id']}/wait").json()["reason"]["code"] == "project_paused"
    assert client.post("/projects/work/resume").json()["paused_at"] is None
    assert ended(client, run["id"])["status"] == "succeeded"


def test_all_runs_of_a_project_are_cancelled_together(client: httpx.Client, held: Callable[[], object]) -> None:
    task_with_pipeline(client, "First")
    task_with_pipeline(client, "Second")
    client.post("/projects/work/runs", json={})
    cancelled = client.post("/projects/work/cancel").json()["items"]
    assert [run["status"] for run in cancelled] == ["cancelled", "cancelled"]


def test_a_key_starts_a_task_or_a_project_once(client: httpx.Client) -> None:
    task_with_pipeline(client, "First")
    task_with_pipeline(client, "Second")
    key = {"Idempotency-Key": "start"}
    first = client.post("/tasks/First/runs", json={}, headers=key).json()
    assert client.post("/tasks/First/runs", json={}, headers=key).json()["id"] == first["id"]
    assert problem(client.post("/tasks/First/runs", json={"skip_cache": True}, headers=key)) == (409, "conflict")
    ended(client, first["id"])
    together = client.post("/projects/work/runs", json={}, headers=key).json()["items"]
    again = client.post("/projects/work/runs", json={}, headers=key).json()["items"]
    assert [run["id"] for run in again] == [run["id"] for run in together]
    for run in together:
        ended(client, run["id"])
    repeated = client.post(f"/runs/{first['id']}/rerun", json={}, headers=key).json()
    assert client.post(f"/runs/{first['id']}/rerun", json={}, headers=key).json()["id"] == repeated["id"]
    assert len(client.get("/runs").json()["items"]) == 4


def test_a_workflow_is_made_of_a_template_or_a_definition_once_for_a_key(client: httpx.Client) -> None:
    task_with_pipeline(client)
    own = client.post("/tasks/Job/workflows", json={"name": "Mine"}, headers={"Idempotency-Key": "a"})
    assert (own.status_code, own.json()["version"], own.json()["name"]) == (201, 1, "Mine")
    again = client.post("/tasks/Job/workflows", json={"name": "Mine"}, headers={"Idempotency-Key": "a"})
    assert again.json() == own.json()
    definition = {"steps": [step("other")]}
    custom = client.post("/tasks/Job/workflows", json={"definition": definition}).json()
    assert (custom["version"], custom["pipeline"]["steps"][0]["id"]) == (2, "other")
    templated = client.post("/tasks/Job/workflows", json={"template_id": "python-tests"}).json()
    assert (templated["version"], templated["template_id"]) == (3, "python-tests")
    assert client.get(f"/workflows/{custom['id']}").json() == custom
    listed = client.get("/workflows", params={"fields": "version"}).json()["items"]
    assert listed == [{"version": 3}, {"version": 2}, {"version": 1}]
    together = client.post("/projects/work/workflows", json={}).json()["items"]
    assert [one["version"] for one in together] == [4]


def test_runs_are_found_by_what_they_are(client: httpx.Client) -> None:
    first, second = task_with_pipeline(client, "First one"), task_with_pipeline(client, "Second one")
    runs = [client.post(f"/tasks/{task['id']}/runs", json={}).json() for task in (first, second)]
    for run in runs:
        ended(client, run["id"])

    def found(**where: str | list[str]) -> list[str]:
        return [run["id"] for run in client.get("/runs", params=where).json()["items"]]

    ids = [run["id"] for run in reversed(runs)]
    assert found() == found(status=["succeeded", "failed"]) == found(text="ONE") == ids
    assert found(task_id=first["id"]) == found(text="first") == ids[1:]
    assert found(status="failed") == found(until="2020-01-01T00:00:00Z") == found(actor="nobody") == []
    statistics = client.get("/statistics", params={"task_id": first["id"]}).json()
    assert (statistics["total"]["runs"], statistics["total"]["success_rate"]) == (1, 1.0)
    periods = {"since": "2026-01-01T00:00:00Z", "until": "2100-01-01T00:00:00Z", "periods": "2"}
    trends = client.get("/statistics/periods", params={"task_id": str(first["id"]), **periods}).json()
    assert [one["summary"]["runs"] for one in trends["periods"]] == [1, 0]
    assert (trends["total"]["runs"], trends["by_project"][0]["name"]) == (1, first["project_id"])
    assert trends["failures"] == {}
    assert len(client.get("/statistics/periods").json()["periods"]) == 7
    for wrong in ({"since": periods["until"]}, {"until": "0001-01-02T00:00:00Z"}):
        assert problem(client.get("/statistics/periods", params=wrong)) == (422, "invalid_input")
    assert client.get("/workers").json()["items"][0]["state"] == "running"
    assert client.get(f"/runs/{ids[0]}/artifacts").json() == {"items": []}


def test_a_poller_that_knows_the_revision_gets_no_body_until_it_changes(client: httpx.Client) -> None:
    task_with_pipeline(client)
    run = client.post("/tasks/Job/runs", json={}).json()
    ended(client, run["id"])
    read = client.get(f"/runs/{run['id']}")
    known = {"If-None-Match": read.headers["ETag"]}
    assert client.get(f"/runs/{run['id']}", headers=known).status_code == 304


def test_templates_are_listed_and_tried(client: httpx.Client) -> None:
    listed = client.get("/templates").json()
    assert {"code-quality", "python-tests"} <= {one["id"] for one in listed["items"]}
    assert listed["problems"] == []
    of_category = client.get("/templates", params={"category": listed["items"][0]["category"]}).json()["items"]
    assert listed["items"][0] in of_category
    template = client.get("/templates/python-tests").json()
    assert template["parameters"]["type"] == "object"
    assert client.get("/templates/python-tests/versions").json()["items"][-1] == template["version"]
    rendered = client.post("/templates/python-tests/render", json={})
    assert rendered.json()["definition"]["steps"]
    wrong = client.post("/templates/python-tests/render", json={"parameters": {"no_such_parameter": 1}})
    assert problem(wrong) == (422, "invalid_parameters")
    assert wrong.json()["details"]["findings"]


def test_a_container_is_held_started_stopped_and_forgotten(client: httpx.Client) -> None:
    spec = {"image": "redis", "name": "db", "ports": [6379]}
    key = {"Idempotency-Key": "db"}
    held = client.post("/containers", json=spec, headers=key).json()
    assert client.post("/containers", json=spec, headers=key).json() == held
    address = f"/containers/{held['id']}"
    assert client.get("/containers", params={"capability": "port:6379"}).json()["items"] == [held]
    assert client.post(f"{address}/start").json()["state"] == "running"
    assert problem(client.post(f"{address}/start")) == (409, "invalid_transition")
    assert problem(client.delete(address)) == (409, "invalid_transition")
    assert client.get(f"{address}/log").text == ""
    assert client.post(f"{address}/stop").json()["state"] == "stopped"
    assert client.delete(address).status_code == 204
    assert problem(client.get(address)) == (404, "not_found")


def test_who_holds_no_engine_is_told_so(client: httpx.Client) -> None:
    report = client.get("/engine").json()
    assert report["usable"] is False
    assert report["checks"][0]["detail"]


def test_several_runs_are_started_again_and_stopped_at_once(client: httpx.Client, held: Callable[[], object]) -> None:
    tasks = [task_with_pipeline(client, title) for title in ("First", "Second")]
    started = [client.post(f"/tasks/{task['id']}/runs", json={}).json()["id"] for task in tasks]
    asked = {"run_ids": [*started, "run-0"]}
    cancelled = client.post("/bulk/cancel", json=asked).json()["items"]
    assert [one["run_id"] for one in cancelled] == asked["run_ids"]
    assert [one["run"] and one["run"]["status"] for one in cancelled] == ["cancelled", "cancelled", None]
    assert [one["problem"] and one["problem"]["code"] for one in cancelled] == [None, None, "not_found"]
    held()
    key = {"Idempotency-Key": "again"}
    again = client.post("/bulk/rerun", json=asked, headers=key)
    assert again.status_code == 201
    items = again.json()["items"]
    assert [one["run"] and one["run"]["rerun_of"] for one in items] == [*started, None]
    assert (items[2]["problem"]["status"], items[2]["problem"]["code"]) == (404, "not_found")
    repeated = client.post("/bulk/rerun", json=asked, headers=key).json()["items"]
    assert [one["run"]["id"] for one in repeated[:2]] == [one["run"]["id"] for one in items[:2]]
    for one in items[:2]:
        assert ended(client, one["run"]["id"])["status"] == "succeeded"


def test_the_cache_is_asked_explained_and_cleared(client: httpx.Client) -> None:
    task_with_pipeline(client)
    predicted = client.get("/tasks/Job/cache").json()
    assert (predicted["task"], [one["step_id"] for one in predicted["steps"]]) == ("Job", ["only"])
    run = client.post("/tasks/Job/runs", json={}).json()["id"]
    ended(client, run)
    explained = client.get(f"/runs/{run}/cache").json()
    assert explained["run"]["id"] == run
    assert explained["text"]
    figures = client.get("/cache", params={"project_id": "work"}).json()
    assert figures["hits"] == 0
    assert sum(figures["misses"].values()) + sum(figures["off"].values()) == 1
    assert figures["tiers"][0]["name"] == "memory"
    kept = client.get("/cache/entries", params={"task_id": "Job", "older_than": "1h"}).json()
    assert kept == {"items": [], "total": 0, "next_cursor": None}
    kept = client.get("/cache/entries", params={"task_id": "Job"}).json()
    assert [one["run_id"] for one in kept["items"]] == [run] * kept["total"]
    assert problem(client.delete("/cache/entries")) == (422, "invalid_input")
    assert problem(client.get("/cache/entries", params={"older_than": "long"})) == (422, "invalid_input")
    planned = client.delete("/cache/entries", params={"dry_run": True}).json()
    assert (len(planned["items"]), planned["dry_run"]) == (kept["total"], True)
    assert client.get("/cache/entries").json()["total"] == kept["total"]
    removed = client.delete("/cache/entries", params={"every": True}).json()
    assert [one["key"] for one in removed["items"]] == [one["key"] for one in kept["items"]]
    assert client.get("/cache/entries").json()["total"] == 0
    assert client.post("/cache/verify").json() == {"checked": 0, "damaged": []}


def test_entries_of_the_cache_come_in_pages_newest_first(client: httpx.Client) -> None:
    for number in range(3):
        task_with_pipeline(client, f"Job {number}", step(command=["echo", str(number)]))
        ended(client, client.post(f"/tasks/Job {number}/runs", json={}).json()["id"])
    whole = client.get("/cache/entries").json()
    assert (len(whole["items"]), whole["total"], whole["next_cursor"]) == (3, 3, None)
    assert [one["task_title"] for one in whole["items"]] == ["Job 2", "Job 1", "Job 0"]
    found: list[dict[str, object]] = []
    cursor: str | None = None
    while len(found) < 3:
        page = client.get("/cache/entries", params={"limit": 1} | ({"cursor": cursor} if cursor else {})).json()
        found += page["items"]
        cursor = page["next_cursor"]
    assert (found, cursor) == (whole["items"], None)
    assert problem(client.get("/cache/entries", params={"cursor": "none"})) == (422, "invalid_input")


def test_one_asks_for_parts_of_a_status(client: httpx.Client) -> None:
    task_with_pipeline(client)
    run = client.post("/tasks/Job/runs", json={}).json()["id"]
    part = client.get(f"/runs/{run}/status", params={"fields": "id,over"})
    assert part.json().keys() == {"id", "over"}
    assert part.headers["Content-Type"] == "application/vnd.task-manager.partial+json"
    assert client.get("/engine/status").json()["breaker"] == "closed"

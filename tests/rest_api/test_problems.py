"""Whatever is wrong is answered with a problem document of the right status and code, and changes nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator

import httpx
import pytest

from task_manager import errors
from task_manager.errors import TaskManagerError
from task_manager.rest_api import problems
from task_manager.rest_api.problems import STATUS, status_of
from task_manager.store import Connection, projects
from tests.rest_api.asking import made, problem, step, task_with_pipeline
from tests.rest_api.server import RunningApi

INVALID_BODIES = (
    (b"", 400),
    (b"{", 400),
    (b"[]", 400),
    (b"null", 400),
    (b'"name"', 400),
    (b"{}", 400),
    (b'{"name": null}', 400),
    (b'{"name": 1}', 400),
    (b'{"name": ""}', 400),
    (b'{"name": " "}', 400),
    (b'{"name": "a", "unknown": 1}', 400),
    (b'{"name": "a", "metadata": []}', 400),
    (b'{"name": "a", "metadata": {"n": NaN}}', 400),
    (b'{"name": "a", "metadata": {"n": 1e999}}', 422),
    (b'{"name": "a\\ud800"}', 400),
    (b'{"name": "\xff"}', 400),
    (b'{"name": "a", "metadata": ' + b"[" * 5000 + b"]" * 5000 + b"}", 400),
    (b'{"name": "' + b"a" * 201 + b'"}', 400),
    (b'{"name": "a\\u0000"}', 422),
    (b'{"name": "a", "source_folder": "/nowhere/at/all"}', 422),
    (b'{"name": "a", "source_folder": "/' + b"a" * 4000 + b'"}', 422),
    (b'{"name": "a", "description": "' + b"a" * (2**20 + 1) + b'"}', 422),
    (b'{"name": "a", "description": "' + b"a" * (2**21) + b'"}', 413),
)


def test_no_invalid_body_is_taken(client: httpx.Client) -> None:
    for body, status in INVALID_BODIES:
        answer = client.post("/projects", content=body, headers={"Content-Type": "application/json"})
        assert problem(answer)[0] == status, body[:80]
    assert client.get("/projects").json()["items"] == []


def test_a_body_that_is_not_said_to_be_json_is_not_taken(client: httpx.Client) -> None:
    answer = client.post("/projects", content=b'{"name": "a"}', headers={"Content-Type": "text/plain"})
    assert problem(answer) == (415, "unsupported_media_type")
    assert "Content-Type: application/json" in answer.json()["remedy"]
    assert client.get("/projects").json()["items"] == []


def test_a_body_that_comes_in_parts_without_a_length_is_limited_too(client: httpx.Client) -> None:
    def parts() -> Iterator[bytes]:
        yield b'{"name": "'
        for _ in range(40):
            yield b"a" * 2**16

    assert problem(client.post("/projects", content=parts(), headers={"Content-Type": "application/json"}))[0] == 413


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/projects?limit=0", (400, "invalid_request")),
        ("GET", "/projects?limit=501", (400, "invalid_request")),
        ("GET", "/projects?limit=many", (400, "invalid_request")),
        ("GET", "/projects?cursor=nonsense", (422, "invalid_input")),
        ("GET", "/runs?state=failed", (400, "invalid_request")),
        ("DELETE", "/cache/entries?tasks=one&every=true", (400, "invalid_request")),
        ("GET", "/projects?cursor=WyJhIiwgMV0", (422, "invalid_input")),
        ("GET", "/runs?status=done", (400, "invalid_request")),
        ("GET", "/runs?since=yesterday", (400, "invalid_request")),
        ("GET", "/runs?since=2026-01-01T00:00:00", (400, "invalid_request")),
        ("GET", "/runs?since=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z", (422, "invalid_input")),
        ("GET", "/runs?since=0.5", (400, "invalid_request")),
        ("GET", "/runs?actor=%00", (400, "invalid_request")),
        ("GET", "/events?after=-1", (400, "invalid_request")),
        ("GET", "/events?after=1.5", (400, "invalid_request")),
        ("GET", "/events/stream?after=x", (400, "invalid_request")),
        ("GET", "/projects?fields=Name", (400, "invalid_request")),
        ("GET", "/projects/nobody", (404, "not_found")),
        ("GET", "/projects/%00", (400, "invalid_request")),
        ("GET", "/projects/" + "a" * 201, (400, "invalid_request")),
        ("GET", "/tasks/nobody/status", (404, "not_found")),
        ("GET", "/templates/nobody", (404, "not_found")),
        ("GET", "/templates/python-tests?version=99", (404, "not_found")),
        ("GET", "/templates?category=nothing", (404, "not_found")),
        ("GET", "/workflows/nobody", (404, "not_found")),
        ("GET", "/runs/nobody", (404, "not_found")),
        ("GET", "/runs/nobody/status", (404, "not_found")),
        ("GET", "/runs/nobody/events", (404, "not_found")),
        ("GET", "/runs/nobody/events/stream", (404, "not_found")),
        ("GET", "/projects/nobody/events/stream", (404, "not_found")),
        ("POST", "/runs/nobody/cancel", (404, "not_found")),
        ("GET", "/containers/nobody", (404, "not_found")),
        ("GET", "/containers/run/../x", (404, "not_found")),
        ("DELETE", "/containers/nobody", (404, "not_found")),
        ("GET", "/nothing", (404, "no_such_path")),
        ("GET", "/projects/", (404, "no_such_path")),
        ("PUT", "/projects", (405, "method_not_allowed")),
    ],
)
def test_every_wrong_address_has_its_problem(
    shared_client: httpx.Client, method: str, path: str, expected: tuple[int, str]
) -> None:
    assert problem(shared_client.request(method, path)) == expected


def test_a_method_that_is_not_allowed_is_told_with_those_that_are(shared_client: httpx.Client) -> None:
    assert shared_client.put("/projects").headers["Allow"] == "GET, HEAD, POST"
    assert shared_client.put("/tasks/any").headers["Allow"] == "DELETE, GET, HEAD, PATCH"
    assert shared_client.put("/triggers/test").headers["Allow"] == "POST"


def test_a_wrong_key_or_last_event_id_is_refused(shared_client: httpx.Client) -> None:
    for key in ("", "a b", "k" * 201):
        answer = shared_client.post("/projects", json={"name": "keyed"}, headers={"Idempotency-Key": key})
        assert problem(answer) == (400, "invalid_request")
    answer = shared_client.get("/events/stream", headers={"Last-Event-ID": "last"})
    assert problem(answer) == (400, "invalid_request")
    assert problem(shared_client.get("/projects/keyed")) == (404, "not_found")


def test_what_the_stored_records_do_not_allow_is_refused(client: httpx.Client) -> None:
    task = task_with_pipeline(client)
    refused = [
        (client.post("/projects", json={"name": "work"}), (409, "name_taken")),
        (
            client.post("/tasks", json={"project_id": "work", "title": "x", "dependencies": ["none"]}),
            (404, "not_found"),
        ),
        (client.patch(f"/tasks/{task['id']}", json={}, headers={"If-Match": "*"}), (422, "invalid_input")),
        (
            client.patch(f"/tasks/{task['id']}", json={"dependencies": [task["id"]]}, headers={"If-Match": "*"}),
            (409, "dependency_cycle"),
        ),
        (
            client.post(f"/tasks/{task['id']}/workflows", json={"definition": {"steps": []}}),
            (422, "invalid_pipeline"),
        ),
        (
            client.post(f"/tasks/{task['id']}/workflows", json={"template_id": "python-tests", "definition": {}}),
            (422, "invalid_input"),
        ),
        (
            client.post(f"/tasks/{task['id']}/runs", json={"workflow_type": "dagger_pipeline"}),
            (409, "workflow_type_conflict"),
        ),
        (client.post("/projects/work/runs", json={"status": "done"}), (422, "invalid_input")),
    ]
    for answer, expected in refused:
        assert problem(answer) == expected, answer.text
    later = made(client, "tasks", project_id="work", title="Later", dependencies=["Job"], pipeline={"steps": [step()]})
    assert problem(client.post(f"/tasks/{later['id']}/runs", json={})) == (409, "dependencies_not_met")
    assert client.get(f"/tasks/{task['id']}").json() == task
    assert client.get("/workflows").json()["items"] == client.get("/runs").json()["items"] == []


@pytest.mark.parametrize("name", ["a%0Ab", "%0A", "%07%0D%0A%E2%80%A8"])
def test_names_with_line_ends_are_unknown_as_others_are(client: httpx.Client, name: str) -> None:
    assert problem(client.get(f"/projects/{name}")) == (404, "not_found")
    assert problem(client.get(f"/runs/run-0/artifacts/{name}")) == (404, "not_found")


def test_a_fault_of_the_server_is_told_without_its_details(
    api: RunningApi, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a secret of the server")

    monkeypatch.setattr(api.application.tasks, "get_project", broken)
    answer = client.get("/projects/any")
    assert problem(answer) == (500, "unexpected")
    assert "secret" not in answer.text


def test_a_store_that_does_not_answer_is_told_as_such(api: RunningApi, client: httpx.Client) -> None:
    def closed() -> None:
        api.application.store._closed = True

    api.loop.call_soon_threadsafe(closed)
    answer = client.get("/projects")
    while answer.status_code == 200:
        answer = client.get("/projects")
    assert problem(answer) == (503, "store_error")


def test_two_who_change_the_same_revision_at_once_do_not_both_succeed(api: RunningApi, client: httpx.Client) -> None:
    made(client, "projects", name="p")

    async def change(http: httpx.AsyncClient, text: str) -> int:
        answer = await http.patch("/projects/p", json={"description": text}, headers={"If-Match": '"1"'})
        return answer.status_code

    async def both() -> list[int]:
        async with httpx.AsyncClient(base_url=api.url, timeout=60, trust_env=False) as http:
            return list(await asyncio.gather(*(change(http, str(number)) for number in range(8))))

    assert sorted(asyncio.run(both())) == [200] + [412] * 7

    def revision(c: Connection) -> int:
        return projects.find(c, "p").revision

    assert api.application.store.run_sync(revision) == 2


def _tree(root: type[TaskManagerError]) -> Iterator[type[TaskManagerError]]:
    yield root
    for kind in root.__subclasses__():
        yield from _tree(kind)


def test_every_error_of_the_tree_has_a_status_that_fits_who_is_to_blame() -> None:
    for kind in _tree(TaskManagerError):
        status = status_of(kind)
        assert 400 <= status < 600
        if issubclass(kind, errors.InvalidInput | errors.Conflict):
            assert status < 500, kind
        if issubclass(kind, errors.StoreError | errors.WorkerError):
            assert status >= 500, kind
    assert set(STATUS) <= set(_tree(TaskManagerError))


def test_characters_that_cannot_be_written_do_not_break_a_problem() -> None:
    response = problems.problem_response(errors.NotFound("task", "\ud800"))
    assert json.loads(bytes(response.body))["details"]["id"] == "\ud800"

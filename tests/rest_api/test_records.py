"""Projects, phases and tasks: made, read, changed and removed over HTTP."""

from __future__ import annotations

import httpx
import pytest

from tests.rest_api.asking import made, problem

COLLECTIONS = ("projects", "phases", "tasks")


@pytest.fixture
def records(client: httpx.Client) -> dict[str, dict[str, object]]:
    """One record of each collection."""
    project = made(client, "projects", name="textkit")
    phase = made(client, "phases", project_id="textkit", name="Check")
    task = made(client, "tasks", project_id="textkit", title="Tests", phase_id="Check", inputs={"n": [1, 2.5, None]})
    return {"projects": project, "phases": phase, "tasks": task}


@pytest.mark.parametrize("collection", COLLECTIONS)
def test_what_was_made_is_read_at_its_location(
    client: httpx.Client, records: dict[str, dict[str, object]], collection: str
) -> None:
    record = records[collection]
    answer = client.get(f"/{collection}/{record['id']}")
    assert answer.status_code == 200
    assert answer.json() == record
    assert answer.headers["ETag"] == '"1"'
    assert record in client.get(f"/{collection}").json()["items"]


def test_a_name_stands_for_an_id(client: httpx.Client, records: dict[str, dict[str, object]]) -> None:
    assert client.get("/tasks/Tests").json()["id"] == records["tasks"]["id"]
    assert records["tasks"]["phase_id"] == records["phases"]["id"]


@pytest.mark.parametrize("collection", COLLECTIONS)
def test_a_change_of_the_revision_that_was_read_is_made(
    client: httpx.Client, records: dict[str, dict[str, object]], collection: str
) -> None:
    change = {"title": "New"} if collection == "tasks" else {"name": "New"}
    answer = client.patch(f"/{collection}/{records[collection]['id']}", json=change, headers={"If-Match": '"1"'})
    assert answer.status_code == 200, answer.text
    assert answer.json() == {
        **records[collection],
        **change,
        "revision": 2,
        "updated_at": answer.json()["updated_at"],
    }
    assert answer.headers["ETag"] == '"2"'


@pytest.mark.parametrize("collection", COLLECTIONS)
def test_a_change_of_another_revision_is_refused_and_changes_nothing(
    client: httpx.Client, records: dict[str, dict[str, object]], collection: str
) -> None:
    address = f"/{collection}/{records[collection]['id']}"
    change = {"title": "New"} if collection == "tasks" else {"name": "New"}
    assert problem(client.patch(address, json=change)) == (428, "revision_required")
    for tag, expected in (
        ('"7"', (412, "revision_mismatch")),
        ('W/"1"', (412, "revision_mismatch")),
        ('"x", "0"', (412, "revision_mismatch")),
        ("1", (412, "revision_mismatch")),
    ):
        assert problem(client.patch(address, json=change, headers={"If-Match": tag})) == expected
        assert problem(client.delete(address, headers={"If-Match": tag})) == expected
    assert client.get(address).json() == records[collection]


@pytest.mark.parametrize("tag", ["*", '"7", "1"'])
def test_any_revision_or_one_of_several_may_be_meant(
    client: httpx.Client, records: dict[str, dict[str, object]], tag: str
) -> None:
    answer = client.patch("/projects/textkit", json={"description": "d"}, headers={"If-Match": tag})
    assert answer.status_code == 200
    assert answer.json()["description"] == "d"


@pytest.mark.parametrize("collection", COLLECTIONS[::-1])
def test_what_was_removed_is_gone(client: httpx.Client, records: dict[str, dict[str, object]], collection: str) -> None:
    address = f"/{collection}/{records[collection]['id']}"
    assert client.delete(address, headers={"If-Match": '"1"'}).json() == {"runs": []}
    assert problem(client.get(address)) == (404, "not_found")
    assert problem(client.delete(address)) == (404, "not_found")


def test_a_reader_that_has_it_already_gets_nothing(client: httpx.Client, records: dict[str, dict[str, object]]) -> None:
    answer = client.get("/projects/textkit", headers={"If-None-Match": '"0", W/"1"'})
    assert (answer.status_code, answer.content, answer.headers["ETag"]) == (304, b"", '"1"')
    assert client.get("/projects/textkit", headers={"If-None-Match": '"2"'}).status_code == 200


@pytest.mark.parametrize("collection", COLLECTIONS)
def test_a_key_makes_a_creation_happen_once(
    client: httpx.Client, records: dict[str, dict[str, object]], collection: str
) -> None:
    bodies = {
        "projects": {"name": "once"},
        "phases": {"project_id": "textkit", "name": "once"},
        "tasks": {"project_id": "textkit", "title": "once"},
    }
    key = {"Idempotency-Key": "k1"}
    first = client.post(f"/{collection}", json=bodies[collection], headers=key)
    again = client.post(f"/{collection}", json=bodies[collection], headers=key)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert len(client.get(f"/{collection}").json()["items"]) == 2
    other = {**bodies[collection], **({"title": "other"} if collection == "tasks" else {"name": "other"})}
    assert problem(client.post(f"/{collection}", json=other, headers=key)) == (409, "conflict")


def test_pages_follow_each_other_without_gap_or_repetition(client: httpx.Client) -> None:
    names = [made(client, "projects", name=f"p{number}")["name"] for number in range(5)]
    found, cursor = [], None
    while True:
        page = client.get("/projects", params={"limit": 2, **({"cursor": cursor} if cursor else {})}).json()
        found += [project["name"] for project in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert found == names


def test_tasks_are_found_by_project_phase_and_status(
    client: httpx.Client, records: dict[str, dict[str, object]]
) -> None:
    made(client, "projects", name="other")
    made(client, "tasks", project_id="other", title="Elsewhere")
    made(client, "tasks", project_id="textkit", title="Without a phase")

    def titles(**where: str) -> list[str]:
        return [task["title"] for task in client.get("/tasks", params=where).json()["items"]]

    assert titles(project_id="textkit") == ["Tests", "Without a phase"]
    assert titles(project_id="textkit", phase_id="Check") == ["Tests"]
    assert titles(status="done") == []
    assert problem(client.get("/tasks", params={"project_id": "nobody"})) == (404, "not_found")


def test_a_sparse_view_has_the_named_fields_alone_and_says_so(
    client: httpx.Client, records: dict[str, dict[str, object]]
) -> None:
    answer = client.get("/tasks", params={"fields": "id,title"})
    assert answer.headers["Content-Type"] == "application/vnd.task-manager.partial+json"
    assert answer.json() == {"items": [{"id": records["tasks"]["id"], "title": "Tests"}], "next_cursor": None}
    assert client.get("/tasks/Tests", params={"fields": "status"}).json() == {"status": "todo"}
    wrong = client.get("/tasks/Tests", params={"fields": "statu"})
    assert problem(wrong) == (422, "invalid_input")
    assert wrong.json()["remedy"] == "Did you mean status?"


def test_a_null_takes_a_value_away_and_what_is_left_out_stays(
    client: httpx.Client, records: dict[str, dict[str, object]]
) -> None:
    answer = client.patch("/tasks/Tests", json={"phase_id": None}, headers={"If-Match": "*"})
    assert answer.json()["phase_id"] is None
    assert answer.json()["inputs"] == records["tasks"]["inputs"]

"""Of every operation: what is wrong with a request is told by status and code, and nothing is changed by it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from task_manager.rest_api.api import create_app
from task_manager.store import Connection, Store, tables
from tests.rest_api.asking import made, problem, task_with_pipeline
from tests.rest_api.server import RunningApi

METHODS = ("get", "post", "patch", "delete")
VALID_BODIES: dict[str, dict[str, Any]] = {
    "NewProject": {"name": "other"},
    "NewPhase": {"project_id": "work", "name": "other"},
    "NewTask": {"project_id": "work", "title": "other"},
    "NewContainer": {"image": "busybox"},
    "RunSelection": {"run_ids": ["run-0"]},
    "NewSchedule": {"name": "other", "cron": "@daily", "task_id": "Job"},
    "Times": {"cron": "@daily"},
}
"""Of the schemas that something must be given for; the others take an empty object."""


@dataclass(frozen=True)
class Asked:
    """A request that is wrong, and what is answered to it."""

    method: str
    path: str
    expected: tuple[tuple[int, str], ...]
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None


@pytest.fixture
def operations(api: RunningApi) -> list[tuple[str, str, dict[str, Any]]]:
    document = create_app(api.application).openapi()
    return [
        (method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        # Bodies that are signed are whatever their sender signs; webhooks have tests of their own.
        if method in METHODS and "webhooks" not in operation["tags"]
    ]


def address(path: str, **given: str) -> str:
    """A path with its parameters filled in: with what is there, but for those that are given."""
    kept = {"project_id": "work", "phase_id": "Build", "task_id": "Job", "schedule_id": "nightly"}
    there = {**kept, "template_id": "python-tests"}
    names = {"run_id": "run-0", "container_id": "container-0", "workflow_id": "workflow-0", "step_id": "a", "name": "a"}
    for name, value in {**there, **names, **given}.items():
        path = path.replace(f"{{{name}}}", value)
    return path


def body_of(operation: dict[str, Any]) -> dict[str, Any] | None:
    if "requestBody" not in operation:
        return None
    schema = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    return VALID_BODIES.get(schema, {})


def wrong_bodies(method: str, path: str, operation: dict[str, Any]) -> Iterator[Asked]:
    if "requestBody" in operation:
        for content in (b"", b"{", b"[]", b"null", b'{"no_such_field": 1}', b"\xff"):
            expected = ((400, "invalid_request"),)
            yield Asked(method, address(path), expected, headers={"If-Match": "*"}, content=content)


def unknown_ids(method: str, path: str, operation: dict[str, Any]) -> Iterator[Asked]:
    names = [one["name"] for one in operation.get("parameters", ()) if one["in"] == "path"]
    for name in names:
        yield Asked(method, address(path, **{name: "nothing-0"}), ((404, "not_found"),), headers={"If-Match": "*"})
        for bad in ("%00", "a" * 201):
            yield Asked(method, address(path, **{name: bad}), ((400, "invalid_request"),), headers={"If-Match": "*"})


def wrong_queries(method: str, path: str, operation: dict[str, Any]) -> Iterator[Asked]:
    for parameter in operation.get("parameters", ()):
        name, schema = parameter["name"], parameter["schema"]
        if parameter["in"] == "query":
            for value, expected in _wrong_values(name, schema):
                yield Asked(method, address(path), (expected,), query={name: value})
        if name == "last-event-id" and schema["type"] == "integer":
            yield Asked(method, address(path), ((400, "invalid_request"),), headers={"Last-Event-ID": "one"})


def _wrong_values(name: str, schema: dict[str, Any]) -> Iterator[tuple[str, tuple[int, str]]]:
    invalid = (400, "invalid_request")
    if schema.get("type") == "integer":
        yield from ((value, invalid) for value in ("many", "-1", "1.5", "9" * 30))
    if schema.get("type") == "boolean":
        yield "perhaps", invalid
    if "enum" in schema or "$ref" in schema or schema.get("format") == "date-time":
        yield "nothing of the kind", invalid
    if "pattern" in schema:
        yield "\x00", invalid
    if name == "cursor":
        yield from ((value, (422, "invalid_input")) for value in ("nonsense", "WyJhIiwgMV0", "%"))


def wrong_revisions(method: str, path: str, operation: dict[str, Any]) -> Iterator[Asked]:
    if any(one["name"] == "if-match" for one in operation.get("parameters", ())):
        for tag in ('"999"', "1", "nonsense", 'W/"1"'):
            yield Asked(method, address(path), ((412, "revision_mismatch"),), headers={"If-Match": tag}, content=b"{}")
        if method == "patch":
            yield Asked(method, address(path), ((428, "revision_required"),), content=b"{}")


def wrong_keys(method: str, path: str, operation: dict[str, Any]) -> Iterator[Asked]:
    if any(one["name"] == "idempotency-key" for one in operation.get("parameters", ())):
        for key in ("", "a" * 201, "two words"):
            yield Asked(method, address(path), ((400, "invalid_request"),), headers={"Idempotency-Key": key})


def contents(c: Connection) -> dict[str, list[Any]]:
    """Everything that is stored."""
    return {name: list(c.execute(table.select())) for name, table in tables.metadata.tables.items()}


def stored(store: Store) -> dict[str, list[Any]]:
    return store.run_sync(contents)


def test_no_wrong_request_is_taken(
    client: httpx.Client, api: RunningApi, operations: list[tuple[str, str, dict[str, Any]]]
) -> None:
    task_with_pipeline(client)
    made(client, "phases", project_id="work", name="Build")
    made(client, "schedules", name="nightly", cron="@daily", task_id="Job")
    before = stored(api.application.store)
    wrongs = (wrong_bodies, unknown_ids, wrong_queries, wrong_revisions, wrong_keys)
    count = 0
    unexpected: list[str] = []
    for method, path, operation in operations:
        for asked in (one for wrong in wrongs for one in wrong(method, path, operation)):
            body = {"json": body_of(operation)} if asked.content is None else {"content": asked.content}
            headers = {"Content-Type": "application/json", **asked.headers}
            answer = client.request(method, asked.path, params=asked.query or None, headers=headers, **body)
            if answer.status_code < 400 or problem(answer) not in asked.expected:
                unexpected.append(f"{asked}: {answer.status_code} {answer.text[:200]}")
            count += 1
    assert unexpected == []
    assert count > 300
    assert stored(api.application.store) == before

"""What tests ask again and again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx


def made(client: httpx.Client, collection: str, **fields: object) -> dict[str, Any]:
    """Create a record and check that the answer says where it is."""
    answer = client.post(f"/{collection}", json=fields)
    assert answer.status_code == 201, answer.text
    record: dict[str, Any] = answer.json()
    assert answer.headers["Location"] == f"/api/v1/{collection}/{record['id']}"
    return record


def problem(answer: httpx.Response) -> tuple[int, str]:
    """The status and the code of a problem, whose document must be whole."""
    assert answer.headers["Content-Type"] == "application/problem+json", answer.text
    document = answer.json()
    assert set(document) == {"type", "title", "status", "detail", "code", "remedy", "details"}
    assert document["status"] == answer.status_code
    assert document["type"] == f"urn:task-manager:problem:{document['code']}"
    assert document["detail"]
    return answer.status_code, document["code"]


def step(step_id: str = "only", **more: object) -> dict[str, object]:
    """A step that an engine which runs nothing can run."""
    return {"id": step_id, "image": "busybox", "command": ["true"], **more}


def task_with_pipeline(client: httpx.Client, title: str = "Job", *steps: dict[str, object]) -> dict[str, Any]:
    """A task of the project `work`, which is made with the first."""
    if client.get("/projects/work").status_code == 404:
        made(client, "projects", name="work")
    return made(client, "tasks", project_id="work", title=title, pipeline={"steps": list(steps) or [step()]})


def server_sent(lines: Iterator[str]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Each event of a stream: its id, its kind and its data."""
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif "data" in fields:
            yield fields["id"], fields["event"], json.loads(fields["data"])
            fields = {}

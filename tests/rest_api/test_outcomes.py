"""What runs left is read over HTTP: logs, results, diagnoses, artifacts whole and in parts."""

from __future__ import annotations

import httpx
import pytest

from task_manager.testing import FakeEngine, FakeExec
from tests.rest_api.asking import problem, step, task_with_pipeline
from tests.rest_api.test_runs import ended

CONTENT = "0123456789"


@pytest.fixture
def run(client: httpx.Client, engine: FakeEngine) -> str:
    """The id of a run whose first step left logs and an artifact, and whose second failed."""
    outcomes: dict[tuple[str, ...], FakeExec] = {
        ("write",): FakeExec(stdout="one\ntwo\nthree\n", files={"/task/out.txt": CONTENT}),
        ("false",): FakeExec(exit_code=3, stderr="no such file\n"),
    }
    engine._answer = lambda call: outcomes[call.arguments]
    outputs = [{"name": "text", "path": "/task/out.txt"}]
    task_with_pipeline(
        client,
        "Job",
        step("first", command=["write"], outputs=outputs),
        step("second", command=["false"], needs=["first"]),
    )
    started: str = client.post("/tasks/Job/runs", json={}).json()["id"]
    ended(client, started)
    return started


def test_logs_results_and_diagnoses_are_read(client: httpx.Client, run: str) -> None:
    log = client.get(f"/runs/{run}/logs", params={"step": "first", "tail": 2}).json()
    assert [(line["number"], line["text"]) for line in log["lines"]] == [(2, "two"), (3, "three")]
    assert log["total_lines"] == 3
    found = client.get(f"/runs/{run}/logs", params={"step": "first", "pattern": "^o"}).json()
    assert [line["text"] for line in found["lines"]] == ["one"]
    assert client.get(f"/runs/{run}/logs", params={"stream": "stderr"}).json()["step_id"] == "second"
    assert problem(client.get(f"/runs/{run}/logs", params={"step": "none"})) == (404, "not_found")
    assert problem(client.get(f"/runs/{run}/logs", params={"pattern": "("})) == (422, "invalid_input")
    assert problem(client.get(f"/runs/{run}/logs", params={"stream": "both"})) == (400, "invalid_request")
    diagnosis = client.get(f"/runs/{run}/diagnosis").json()["diagnosis"]
    assert (diagnosis["step_id"], diagnosis["exit_code"]) == ("second", 3)
    assert client.get(f"/runs/{run}/result").json()["status"] == "failed"


def test_an_artifact_is_downloaded_whole_and_in_parts(client: httpx.Client, run: str) -> None:
    (artifact,) = client.get(f"/runs/{run}/artifacts").json()["items"]
    address = f"/runs/{run}/artifacts/{artifact['name']}"
    whole = client.get(address)
    assert (whole.status_code, whole.text, whole.headers["ETag"]) == (200, CONTENT, f'"{artifact["digest"]}"')
    for asked, text, told in (
        ("bytes=2-4", "234", "bytes 2-4/10"),
        ("bytes=7-", "789", "bytes 7-9/10"),
        ("bytes=-3", "789", "bytes 7-9/10"),
        ("bytes=8-99", "89", "bytes 8-9/10"),
    ):
        part = client.get(address, headers={"Range": asked, "If-Range": whole.headers["ETag"]})
        assert (part.status_code, part.text, part.headers["Content-Range"]) == (206, text, told)
    for ignored in ("lines=1-2", "bytes=4-2", "bytes=-", "bytes=0-1,3-4"):
        assert client.get(address, headers={"Range": ignored}).text == CONTENT
    assert client.get(address, headers={"Range": "bytes=0-1", "If-Range": '"other"'}).text == CONTENT
    assert problem(client.get(address, headers={"Range": "bytes=10-"})) == (416, "range_not_satisfiable")
    assert problem(client.get(address, headers={"Range": "bytes=-0"})) == (416, "range_not_satisfiable")
    assert problem(client.get(f"/runs/{run}/artifacts/nothing")) == (404, "not_found")

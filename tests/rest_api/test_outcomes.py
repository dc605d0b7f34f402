"""What runs left is read over HTTP: logs, results, diagnoses, artifacts whole and in parts."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable

import httpx
import pytest

from task_manager.artifacts import run_folder
from task_manager.testing import FakeEngine, FakeExec
from tests.rest_api.asking import problem, server_sent, step, task_with_pipeline
from tests.rest_api.conftest import ended, until
from tests.rest_api.server import RunningApi

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
    kept = client.get(address, headers={"If-None-Match": whole.headers["ETag"]})
    assert (kept.status_code, kept.content) == (304, b"")
    head = client.head(address)
    assert (head.status_code, head.content, head.headers["Content-Length"]) == (200, b"", str(len(CONTENT)))
    assert head.headers["ETag"] == whole.headers["ETag"]
    assert problem(client.get(address, headers={"Range": "bytes=10-"})) == (416, "range_not_satisfiable")
    assert problem(client.get(address, headers={"Range": "bytes=-0"})) == (416, "range_not_satisfiable")
    assert problem(client.get(f"/runs/{run}/artifacts/nothing")) == (404, "not_found")


def test_a_folder_is_listed_and_downloaded_by_file_and_as_an_archive(client: httpx.Client, engine: FakeEngine) -> None:
    files = {"/task/site/index.html": "<p>hello</p>", "/task/site/data/one.txt": CONTENT}
    engine._answer = lambda _: FakeExec(files=files)
    outputs = [{"name": "site", "path": "/task/site", "type": "directory"}]
    task_with_pipeline(client, "Site", step("build", outputs=outputs))
    run = client.post("/tasks/Site/runs", json={}).json()["id"]
    assert ended(client, run)["status"] == "succeeded"
    folder, address = f"/runs/{run}/folders/build/site", f"/runs/{run}/artifacts/build/site"
    listed = client.get(folder).json()["items"]
    assert listed == [{"path": "data/one.txt", "size": 10}, {"path": "index.html", "size": 12}]
    page = client.get(address, params={"path": "index.html"})
    assert (page.text, page.headers["Content-Type"]) == ("<p>hello</p>", "text/html; charset=utf-8")
    part = client.get(address, params={"path": "data/one.txt"}, headers={"Range": "bytes=2-4"})
    assert (part.status_code, part.text) == (206, "234")
    archive = client.get(address)
    assert archive.headers["Content-Type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(archive.content)) as opened:
        assert {name: opened.read(name).decode() for name in opened.namelist()} == {
            path.removeprefix("/task/site/"): text for path, text in files.items()
        }
    for outside in ("../../../task-manager.db", "/etc/passwd", "data"):
        assert problem(client.get(address, params={"path": outside})) == (404, "not_found")
    assert client.get(address).content == archive.content


def test_what_steps_write_is_followed_to_the_end_of_the_run_and_from_where_one_was(
    client: httpx.Client, run: str
) -> None:
    with client.stream("GET", f"/runs/{run}/logs/stream") as stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        events = list(server_sent(stream.iter_lines()))
    assert [(data["step_id"], data["stream"], [line["text"] for line in data["lines"]]) for _, _, data in events] == [
        ("first", "stdout", ["one", "two", "three"]),
        ("second", "stderr", ["no such file"]),
    ]
    assert {kind for _, kind, _ in events} == {"lines"}
    last = {"Last-Event-ID": events[-1][0]}
    assert client.get(f"/runs/{run}/logs/stream", headers=last).status_code == 204
    with client.stream("GET", f"/runs/{run}/logs/stream", headers={"Last-Event-ID": events[0][0]}) as stream:
        assert list(server_sent(stream.iter_lines())) == events[1:]
    headers = {"Last-Event-ID": "first%2Fstdout=2"}
    with client.stream("GET", f"/runs/{run}/logs/stream?step=first&stream=stdout", headers=headers) as stream:
        ((_, _, rest),) = server_sent(stream.iter_lines())
    assert rest["lines"] == [{"number": 3, "text": "three"}]
    assert problem(client.get(f"/runs/{run}/logs/stream", params={"step": "third"})) == (404, "not_found")
    for wrong in ("nonsense", "a=1", "a%2Fb=x", "a%2Fb=-1"):
        answer = client.get(f"/runs/{run}/logs/stream", headers={"Last-Event-ID": wrong})
        assert problem(answer) == (422, "invalid_input")


def test_lines_are_followed_as_they_are_written(
    client: httpx.Client, api: RunningApi, held: Callable[[], object]
) -> None:
    task_with_pipeline(client, "Slow")
    run = client.post("/tasks/Slow/runs", json={}).json()["id"]
    with client.stream("GET", f"/runs/{run}/logs/stream") as stream:
        lines = stream.iter_lines()
        assert next(lines) == "retry: 1000"
        until(client, run, lambda status: any(one["status"] == "running" for one in status["steps"]))
        log = run_folder(api.application.store.data_dir, run) / "only" / "stdout.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text("begun\n")
        assert next(server_sent(lines))[2]["lines"] == [{"number": 1, "text": "begun"}]
        held()
        assert ended(client, run)["status"] == "succeeded"

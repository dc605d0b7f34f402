"""The protocol of `dagger session`, which every SDK speaks."""

import json
import socket
import subprocess
from pathlib import Path

import dagger
import httpx
import pytest

from tests.embedded_engine.engine import COMMAND, EngineProcess


def test_the_first_line_has_exactly_the_port_and_the_token(engine: EngineProcess) -> None:
    assert set(json.loads(engine.first_line)) == {"port", "session_token"}


def test_the_session_ends_well_when_its_input_ends(tmp_path: Path) -> None:
    session = EngineProcess(tmp_path / "state")
    assert session.close() == 0


def test_a_session_without_trouble_writes_nothing_to_standard_error(tmp_path: Path) -> None:
    session = EngineProcess(tmp_path / "state")
    assert session.post("{version}") == {"data": {"version": "v0.21.8"}}
    session.close()
    assert session.log() == ""


def test_the_session_ends_well_without_any_input(tmp_path: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "session", "--state-dir", str(tmp_path / "state")],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0


def test_flags_of_the_dagger_command_line_do_not_break_it(tmp_path: Path) -> None:
    flags = [
        "--label",
        "dagger.io/sdk.name:python",
        "--workdir",
        str(tmp_path),
        "--project",
        "x",
        "--progress=plain",
        "-s",
    ]
    with EngineProcess(tmp_path / "state", *flags) as session:
        assert session.post("{version}") == {"data": {"version": "v0.21.8"}}


def test_a_request_without_the_token_is_refused(engine: EngineProcess) -> None:
    for auth in (None, ("wrong", ""), ("", engine.token)):
        answer = httpx.post(f"http://127.0.0.1:{engine.port}/query", json={"query": "{version}"}, auth=auth)
        assert answer.status_code == 401


def test_the_session_listens_on_loopback_alone(engine: EngineProcess) -> None:
    with socket.socket() as other, pytest.raises(OSError, match="refused"):
        other.connect(("127.0.0.2", engine.port))


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'{"query": 1}', b'{"query": "{version}", "variables": []}', b"\xff"]
)
def test_a_body_that_is_no_request_is_answered_with_an_error(engine: EngineProcess, body: bytes) -> None:
    answer = httpx.post(f"http://127.0.0.1:{engine.port}/query", content=body, auth=(engine.token, ""))
    assert (answer.status_code, answer.json()["data"]) == (200, None)
    assert answer.json()["errors"][0]["message"].startswith("the request")


@pytest.mark.parametrize(
    "query", ["{", "{nothing}", "{container{withExec}}", "{container{withExec(args:1){id}}}", "{container}"]
)
def test_a_wrong_query_is_answered_with_an_error(engine: EngineProcess, query: str) -> None:
    answer = engine.post(query)
    assert answer["data"] is None
    assert len(answer["errors"]) == 1


def test_an_error_names_fields_not_aliases_and_comes_alone(engine: EngineProcess) -> None:
    answer = engine.post('{mine: directory {one: file(path: "x") {size} two: file(path: "y") {size}}}')
    assert answer["data"] is None
    assert [error["path"] for error in answer["errors"]] == [["directory", "file", "size"]]
    assert answer["errors"][0]["message"] == "stat x: no such file or directory"


def test_a_field_that_is_not_offered_says_what_to_do(engine: EngineProcess) -> None:
    message = engine.post('{git(url: "https://example.com/x.git") {head {id}}}')["errors"][0]["message"]
    assert "Query.git is not supported by the embedded engine" in message
    assert "use a Dagger engine" in message


def test_variables_and_operation_names_are_taken(engine: EngineProcess) -> None:
    body = {
        "query": "query A {version} "
        'query B($name: String!) {directory {withNewFile(path: $name, contents: "") {entries}}}',
        "variables": {"name": "given"},
        "operationName": "B",
    }
    answer = httpx.post(f"http://127.0.0.1:{engine.port}/query", json=body, auth=(engine.token, ""))
    assert answer.json()["data"]["directory"]["withNewFile"]["entries"] == ["given"]


async def test_a_chain_may_be_hundreds_of_calls_deep(dag: dagger.Client) -> None:
    directory = dag.directory()
    for number in range(300):
        directory = directory.with_new_file("f", str(number))
    assert await directory.file("f").contents() == "299"


async def test_an_sdk_program_starts_the_session_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    starter = tmp_path / "engine"
    starter.write_text(f'#!/bin/sh\nexec {" ".join(COMMAND)} "$@"\n')
    starter.chmod(0o755)
    monkeypatch.setenv("_EXPERIMENTAL_DAGGER_CLI_BIN", str(starter))
    monkeypatch.setenv("TASK_MANAGER_ENGINE_STATE_DIR", str(tmp_path / "state"))
    (tmp_path / "hello.txt").write_text("from the working folder")
    async with dagger.Connection(dagger.Config(workdir=str(tmp_path))) as client:
        assert await client.host().file("hello.txt").contents() == "from the working folder"


def test_a_state_folder_that_cannot_be_used_is_one_clear_message(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = subprocess.run(
        [*COMMAND, "session", "--state-dir", str(tmp_path / "file" / "state")],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("task-manager-engine: state folder: ")
    assert "--state-dir" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_state_folder_of_another_layout_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "version").write_text("99")
    done = subprocess.run(
        [*COMMAND, "session", "--state-dir", str(tmp_path / "state")],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 3
    assert "has layout 99, this engine uses 1" in done.stderr


def test_whole_numbers_may_be_larger_than_32_bits(engine: EngineProcess, busybox_image: str) -> None:
    script = "dd if=/dev/zero of=/big bs=1 count=1 seek=5000000000 2>/dev/null"
    answer = engine.post(
        f'{{container {{from(address: "{busybox_image}") {{withMountedTemp(path: "/t", size: 6000000000)'
        f' {{withExec(args: ["sh", "-c", "{script}"]) {{file(path: "/big") {{size}}}}}}}}}}}}'
    )
    assert answer["data"]["container"]["from"]["withMountedTemp"]["withExec"]["file"]["size"] == 5_000_000_001


@pytest.mark.parametrize("number", ['"1"', "1.5", "true", "null"])
def test_what_is_no_whole_number_is_refused(engine: EngineProcess, number: str) -> None:
    answer = engine.post(f"{{container {{withExposedPort(port: {number}) {{id}}}}}}")
    assert answer["data"] is None

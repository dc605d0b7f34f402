"""The layer store: shared by sessions, whole or absent, and clear about a full disk."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from task_manager.embedded_engine.store.layers import LayerStore
from tests.embedded_engine.engine import EngineProcess

UUID = "cat /proc/sys/kernel/random/uuid"


def output_of(engine: EngineProcess, image: str, script: str) -> str:
    """Returns what a script prints in a container of a session."""
    query = f'{{container {{from(address: "{image}") {{withExec(args: ["sh", "-c", "{script}"]) {{stdout}}}}}}}}'
    answer = engine.post(query)
    assert "errors" not in answer, answer
    text: str = answer["data"]["container"]["from"]["withExec"]["stdout"]
    return text


def test_results_outlive_the_session(tmp_path: Path, busybox_image: str) -> None:
    with EngineProcess(tmp_path / "state") as engine:
        first = output_of(engine, busybox_image, UUID)
    with EngineProcess(tmp_path / "state") as engine:
        assert output_of(engine, busybox_image, UUID) == first


def test_results_outlive_a_killed_session(tmp_path: Path, busybox_image: str) -> None:
    engine = EngineProcess(tmp_path / "state")
    first = output_of(engine, busybox_image, UUID)
    engine.kill()
    with EngineProcess(tmp_path / "state") as following:
        assert output_of(following, busybox_image, UUID) == first


def test_sessions_at_the_same_time_share_results(tmp_path: Path, busybox_image: str) -> None:
    with EngineProcess(tmp_path / "state") as one, EngineProcess(tmp_path / "state") as other:
        assert output_of(one, busybox_image, UUID) == output_of(other, busybox_image, UUID)


def test_secrets_are_nowhere_on_disk(tmp_path: Path, busybox_image: str) -> None:
    with EngineProcess(tmp_path / "state") as engine:
        secret = engine.post('{setSecret(name: "t", plaintext: "very-secret-value") {id}}')["data"]["setSecret"]["id"]
        answer = engine.post(
            f'{{container {{from(address: "{busybox_image}") {{withSecretVariable(name: "T", secret: "{secret}")'
            f' {{withMountedSecret(path: "/s", source: "{secret}")'
            ' {withExec(args: ["sh", "-c", "echo $T; cat /s"]) {stdout}}}}}}'
        )
        assert answer["data"]["container"]["from"]["withSecretVariable"]["withMountedSecret"]["withExec"] == {
            "stdout": "***\n***"
        }
    found = subprocess.run(
        ["grep", "-r", "-l", "very-secret-value", str(tmp_path)], check=False, capture_output=True, text=True
    )
    assert found.stdout == ""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LayerStore]:
    """An open store."""
    opened = LayerStore(tmp_path / "store")
    opened.open()
    yield opened
    opened.close()


def commit(store: LayerStore, key: str) -> None:
    """Stores an empty result."""
    with store.workspace() as workspace:
        store.commit(workspace, key, {"outputs": []})


def test_a_result_is_there_for_every_session_of_the_folder(store: LayerStore) -> None:
    commit(store, "ab12")
    other = LayerStore(store.root)
    other.open()
    assert other.lookup("ab12") is not None
    other.close()


def test_the_first_of_two_equal_results_stays(store: LayerStore) -> None:
    with store.workspace() as one, store.workspace() as two:
        first = store.commit(one, "ab12", {"outputs": [], "who": 1})
        second = store.commit(two, "ab12", {"outputs": [], "who": 2})
    assert (first.data["who"], second.data["who"]) == (1, 1)


@pytest.mark.parametrize("text", ["", "{", '{"outputs"'])
def test_a_torn_record_counts_as_absent(store: LayerStore, text: str) -> None:
    commit(store, "ab12")
    (store.entry("ab12") / "record.json").write_text(text)
    other = LayerStore(store.root)
    other.open()
    assert other.lookup("ab12") is None
    commit(other, "ab12")
    assert other.lookup("ab12") is not None
    other.close()


def reopened_after_power_loss(store: LayerStore) -> LayerStore:
    """Returns the store as a session of a later boot opens it."""
    for record in (store.root / "entries").glob("*/*/record.json"):
        data = json.loads(record.read_text())
        record.write_text(json.dumps({**data, "boot": "earlier"}))
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    if (store.root / "synced" / boot).exists():
        (store.root / "synced" / boot).rename(store.root / "synced" / "earlier")
    later = LayerStore(store.root)
    later.open()
    return later


def test_what_was_never_flushed_does_not_count_after_a_loss_of_power(store: LayerStore) -> None:
    commit(store, "aa11")
    store.flush()
    commit(store, "bb22")
    later = reopened_after_power_loss(store)
    assert later.lookup("aa11") is not None
    assert later.lookup("bb22") is None
    later.close()


def test_a_result_whose_layers_are_gone_counts_as_absent(store: LayerStore) -> None:
    with store.workspace() as workspace:
        store.commit(workspace, "ab12", {"outputs": [{"layers": ["cd34/0"], "toolchain": False}]})
    other = LayerStore(store.root)
    other.open()
    assert other.lookup("ab12") is None
    other.close()


@settings(max_examples=20, deadline=None)
@given(keys=st.lists(st.text("0123456789abcdef", min_size=4, max_size=4), min_size=1, max_size=6))
def test_whatever_is_committed_is_found_again(keys: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    opened = LayerStore(tmp_path_factory.mktemp("laws") / "store")
    opened.open()
    for key in keys:
        commit(opened, key)
    again = LayerStore(opened.root)
    again.open()
    assert all(again.lookup(key) for key in keys)
    again.close()
    opened.close()
    assert os.listdir(opened.root / "tmp") == []  # noqa: PTH208


@contextmanager
def engine_on_small_disk(folder: Path, megabytes: int) -> Iterator[EngineProcess]:
    """Runs a session whose state folder is a file system of some megabytes."""
    state = folder / "state"
    state.mkdir()
    script = f'mount -t tmpfs -o size={megabytes}m,mode=755 small "{state}" && exec "$@"'
    namespace = ["--mount"] if os.geteuid() == 0 else ["--user", "--map-root-user", "--mount"]
    with EngineProcess(state, prefix=["unshare", *namespace, "sh", "-c", script, "sh"]) as engine:
        yield engine


def error_of(engine: EngineProcess, query: str) -> str:
    """Returns the message of the error that a query is answered with."""
    answer = engine.post(query)
    message: str = answer["errors"][0]["message"]
    return message


def entries_in(engine: EngineProcess, state: Path) -> list[str]:
    """Returns the results in a store that only the session's namespace sees."""
    folder = Path(f"/proc/{engine.process.pid}/root{state}/entries")
    return [path.name for path in folder.glob("*/*")]


def test_an_image_that_does_not_fit_is_a_clear_error_and_leaves_nothing(tmp_path: Path, busybox_image: str) -> None:
    with engine_on_small_disk(tmp_path, 1) as engine:
        message = error_of(engine, f'{{container {{from(address: "{busybox_image}") {{rootfs {{entries}}}}}}}}')
        assert f"the state folder {tmp_path / 'state'} is full" in message
        assert entries_in(engine, tmp_path / "state") == []
        assert "errors" not in engine.post('{directory {withNewFile(path: "f", contents: "") {entries}}}')


def test_output_that_does_not_fit_ends_the_command_with_a_clear_error(tmp_path: Path, busybox_image: str) -> None:
    with engine_on_small_disk(tmp_path, 8) as engine:
        before = output_of(engine, busybox_image, "echo fits")
        kept = set(entries_in(engine, tmp_path / "state"))
        query = f'{{container {{from(address: "{busybox_image}") {{withExec(args: ["yes"]) {{stdout}}}}}}}}'
        assert "is full" in error_of(engine, query)
        assert set(entries_in(engine, tmp_path / "state")) == kept
        assert output_of(engine, busybox_image, "echo fits") == before
        assert output_of(engine, busybox_image, "echo fits again") == "fits again\n"


def test_a_command_that_fills_the_disk_sees_that_itself(tmp_path: Path, busybox_image: str) -> None:
    with engine_on_small_disk(tmp_path, 8) as engine:
        command = '["dd", "if=/dev/zero", "of=/big", "bs=1M", "count=20"]'
        query = f'{{container {{from(address: "{busybox_image}") {{withExec(args: {command}) {{stdout}}}}}}}}'
        (error,) = engine.post(query)["errors"]
        # Where not even what it says about that can be written, the session says so.
        told = error.get("extensions", {}).get("stderr", "")
        assert "No space left on device" in told or "is full" in error["message"]
        assert output_of(engine, busybox_image, "echo fits again") == "fits again\n"


def test_a_host_folder_that_does_not_fit_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source/big").write_bytes(os.urandom(3 << 20))
    with engine_on_small_disk(tmp_path, 2) as engine:
        message = error_of(engine, f'{{host {{directory(path: "{tmp_path}/source") {{entries}}}}}}')
        assert "is full" in message
        assert entries_in(engine, tmp_path / "state") == []

"""The store's size and soundness: what is removed first, what never, and what damage is found."""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from task_manager.embedded_engine.config import load_config
from task_manager.embedded_engine.errors import ConfigurationError
from task_manager.embedded_engine.quantities import format_size, parse_age, parse_size
from task_manager.embedded_engine.store.collection import Limits, collect, take_statistics
from task_manager.embedded_engine.store.inventory import Inventory, Item, building_on, dependents_first, last_uses
from task_manager.embedded_engine.store.layers import LayerStore
from task_manager.embedded_engine.store.leases import Leases
from task_manager.embedded_engine.store.seals import compute_seal
from task_manager.embedded_engine.store.verification import verify
from tests.embedded_engine.engine import EngineProcess, run_command
from tests.embedded_engine.waiting import wait_until

MEBIBYTE = 1 << 20
NOW = 1_700_000_000.0
OpenStore = Callable[[], LayerStore]


@pytest.fixture
def open_store(tmp_path: Path) -> Iterator[OpenStore]:
    """Opens sessions on one store."""
    opened: list[LayerStore] = []

    def open_one() -> LayerStore:
        store = LayerStore(tmp_path / "store")
        store.open()
        opened.append(store)
        return store

    yield open_one
    for store in opened:
        store.close()


def put(store: LayerStore, key: str, *below: str, used: float = NOW, size: int = MEBIBYTE, seal: bool = True) -> None:
    """Stores a result with one layer on those of other results, last used at a time."""
    with store.workspace() as workspace:
        layer = Path(workspace.upper(0, None)[0])
        (layer / "data").write_bytes(os.urandom(size))
        layers = [f"{name}/0" for name in (*below, key)]
        store.commit(workspace, key, {"outputs": [{"layers": layers, "toolchain": False}], "kind": "edit"})
    if seal:
        store.seal(60)
    os.utime(store.entry(key) / "record.json", (used, used))


def keys_in(store: LayerStore) -> set[str]:
    """Returns the keys of the results that are there."""
    return {path.name for path in (store.root / "entries").glob("*/*")}


def filled(open_store: OpenStore) -> LayerStore:
    """Returns a store with `base`, `left` and `right` on it, `alone`, last used in the order alone, left, right."""
    store = open_store()
    put(store, "ba5e", used=NOW - 400)
    put(store, "1ef7", "ba5e", used=NOW - 200)
    put(store, "4197", "ba5e", used=NOW - 100)
    put(store, "a10e", used=NOW - 300)
    store.release()
    return store


def test_the_least_recently_used_goes_first_and_a_base_counts_as_used_with_what_builds_on_it(
    open_store: OpenStore,
) -> None:
    store = filled(open_store)
    collected = collect(store, Limits(max_bytes=3 * MEBIBYTE + MEBIBYTE // 2), NOW)
    assert keys_in(store) == {"ba5e", "1ef7", "4197"}
    assert (collected.removed, collected.kept) == (1, 3)
    assert collected.freed >= MEBIBYTE
    collect(store, Limits(max_bytes=1), NOW)
    assert keys_in(store) == set()


def test_what_is_older_than_the_limit_goes(open_store: OpenStore) -> None:
    store = filled(open_store)
    collect(store, Limits(max_age=250), NOW)
    assert keys_in(store) == {"ba5e", "1ef7", "4197"}
    collect(store, Limits(max_age=150), NOW)
    assert keys_in(store) == {"ba5e", "4197"}


def test_without_limits_nothing_goes(open_store: OpenStore) -> None:
    store = filled(open_store)
    assert collect(store, Limits(), NOW).removed == 0
    assert len(keys_in(store)) == 4


def test_a_dry_run_tells_what_would_go_and_removes_nothing(open_store: OpenStore) -> None:
    store = filled(open_store)
    told = collect(store, Limits(max_bytes=0), NOW, dry_run=True)
    assert len(keys_in(store)) == 4
    assert collect(store, Limits(max_bytes=0), NOW) == told


def test_what_another_session_uses_stays_with_all_that_it_builds_on(open_store: OpenStore) -> None:
    store, user = filled(open_store), open_store()
    assert user.lookup("1ef7") is not None
    collected = collect(store, Limits(max_bytes=0), NOW)
    assert keys_in(store) == {"ba5e", "1ef7"}
    assert collected.in_use == 2
    user.release()
    collect(store, Limits(max_bytes=0), NOW)
    assert keys_in(store) == set()


def test_what_a_session_has_just_stored_is_in_use(open_store: OpenStore) -> None:
    store, other = open_store(), open_store()
    put(store, "ab12", seal=False)
    assert collect(other, Limits(max_bytes=0), NOW).removed == 0


def test_a_cache_volume_is_removed_when_no_session_uses_it(open_store: OpenStore) -> None:
    store, other = open_store(), open_store()
    (store.cache_volume("ab12") / "data").mkdir()
    assert collect(other, Limits(max_bytes=-1), NOW).removed == 0
    store.release()
    assert collect(other, Limits(max_bytes=-1), NOW).removed == 1
    assert list((store.root / "caches").iterdir()) == []


def test_asking_for_a_result_makes_it_recently_used(open_store: OpenStore) -> None:
    filled(open_store)
    before = time.time()
    user = open_store()
    assert user.lookup("a10e") is not None
    user.release()
    assert Inventory(user).items["a10e"].used >= before - 1


def test_what_a_session_built_meanwhile_keeps_its_base(open_store: OpenStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store = filled(open_store)
    refresh = Inventory.refresh
    calls = 0

    def meanwhile(inventory: Inventory) -> list[Item]:
        nonlocal calls
        calls += 1
        if calls == 2:  # all candidates have been chosen by now; a session that is over has built on one
            builder = LayerStore(store.root)
            builder.open()
            with builder.workspace() as workspace:
                data = {"outputs": [{"layers": ["a10e/0"], "toolchain": False}]}
                target = builder.entry("0dd5")
                target.parent.mkdir()
                (workspace.entry / "record.json").write_text(json.dumps({**data, "boot": builder._boot, "time": 0.0}))
                workspace.entry.rename(target)
            builder.close()
        return refresh(inventory)

    monkeypatch.setattr(Inventory, "refresh", meanwhile)
    collect(store, Limits(max_bytes=0), NOW)
    assert keys_in(store) == {"a10e", "0dd5"}


@pytest.mark.parametrize("renames", range(4))
def test_a_collection_that_dies_anywhere_leaves_a_sound_store(
    open_store: OpenStore, monkeypatch: pytest.MonkeyPatch, renames: int
) -> None:
    store = filled(open_store)
    rename = Path.rename
    left = renames

    def dying(path: Path, target: Path) -> Path:
        nonlocal left
        if left == 0:
            raise KeyboardInterrupt
        left -= 1
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", dying)
    with pytest.raises(KeyboardInterrupt):
        collect(store, Limits(max_bytes=0), NOW)
    monkeypatch.undo()
    assert len(keys_in(store)) == 4 - renames
    assert verify(store).damaged == ()


ITEMS = st.lists(st.tuples(st.integers(0, 9), st.sets(st.integers(0, 9), max_size=3)), min_size=1, max_size=10)


@given(ITEMS)
def test_order_and_last_use_follow_what_builds_on_what(plan: list[tuple[int, set[int]]]) -> None:
    items: Mapping[str, Item] = {
        str(number): Item(
            str(number), "edit", Path(), tuple(f"{need}/0" for need in needs if need < number), 1, float(used)
        )
        for number, (used, needs) in enumerate(plan)
    }
    order = [item.key for item in dependents_first(items)]
    uses = last_uses(items)
    assert sorted(order) == sorted(items)
    for item in items.values():
        assert all(order.index(item.key) < order.index(need) for need in item.needs)
        assert all(uses[item.key] <= uses[need] for need in item.needs)
        assert all(item.key in building_on(items, [need]) for need in item.needs)


def test_statistics_count_by_kind_and_tell_what_is_reclaimable(open_store: OpenStore) -> None:
    store, user = filled(open_store), open_store()
    user.lookup("a10e")
    store.cache_volume("ab12")
    found = take_statistics(store, NOW)
    assert (found.entries, found.kinds["edit"]["entries"], found.kinds["cache volume"]["entries"]) == (5, 4, 1)
    assert found.bytes >= found.reclaimable + MEBIBYTE
    assert found.reclaimable >= 3 * MEBIBYTE
    assert found.oldest_use == NOW - 400
    assert found.sessions == 1


def flip_byte(path: Path) -> None:
    """Changes one byte of a file and puts its time back, as a failing disk does."""
    status = path.stat()
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def truncate(path: Path) -> None:
    """Takes the end of a file away."""
    os.truncate(path, path.stat().st_size // 2)


DAMAGES: dict[str, Callable[[Path], None]] = {
    "a flipped bit": lambda entry: flip_byte(entry / "0/data"),
    "a truncated file": lambda entry: truncate(entry / "0/data"),
    "a missing file": lambda entry: (entry / "0/data").unlink(),
    "an additional file": lambda entry: (entry / "0/more").touch(),
    "another mode": lambda entry: (entry / "0/data").chmod(0o777),
    "an opaque folder": lambda entry: os.setxattr(entry / "0", "user.overlay.opaque", b"y"),
    "a missing layer": lambda entry: shutil.rmtree(entry / "0"),
    "a torn record": lambda entry: truncate(entry / "record.json"),
    "no record": lambda entry: (entry / "record.json").unlink(),
    "another record": lambda entry: flip_byte(entry / "record.json"),
    "a torn seal": lambda entry: truncate(entry / "seal.json"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_found_and_repair_drops_it_with_all_that_builds_on_it(open_store: OpenStore, damage: str) -> None:
    store = filled(open_store)
    assert verify(store).damaged == ()
    DAMAGES[damage](store.entry("ba5e"))
    found = verify(store)
    assert "ba5e" in {item.key for item in found.damaged}
    assert not found.sound
    assert len(keys_in(store)) == 4
    repaired = verify(store, repair=True)
    assert keys_in(store) == {"a10e"}
    assert repaired.sound
    assert verify(store).damaged == ()


def test_what_is_damaged_but_in_use_stays_and_is_told(open_store: OpenStore) -> None:
    store, user = filled(open_store), open_store()
    user.lookup("1ef7")
    flip_byte(store.entry("1ef7") / "0/data")
    found = verify(store, repair=True)
    assert [(item.key, item.dropped) for item in found.damaged] == [("1ef7", False)]
    assert not found.sound


def test_results_without_a_seal_get_one_at_the_first_verification(open_store: OpenStore) -> None:
    store = open_store()
    put(store, "ab12", seal=False)
    assert (verify(store).recorded, verify(store).recorded) == (1, 0)
    flip_byte(store.entry("ab12") / "0/data")
    assert [item.key for item in verify(store).damaged] == ["ab12"]


def test_what_a_loss_of_power_took_is_no_damage_and_repair_drops_it(open_store: OpenStore) -> None:
    store = open_store()
    put(store, "ab12", seal=False)
    record = store.entry("ab12") / "record.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), "boot": "earlier"}))
    store.release()
    later = open_store()
    found = verify(later, repair=True)
    assert (found.lost, found.damaged, keys_in(later)) == (1, (), set())


def test_a_damaged_result_that_was_dropped_can_be_stored_again(open_store: OpenStore) -> None:
    store = filled(open_store)
    (store.entry("ba5e") / "0/data").unlink()
    verify(store, repair=True)
    following = open_store()
    assert following.lookup("ba5e") is None
    put(following, "ba5e")
    assert open_store().lookup("ba5e") is not None


def test_a_result_whose_base_is_gone_can_be_stored_again(open_store: OpenStore) -> None:
    store = filled(open_store)
    store.entry("ba5e").rename(store.root / "tmp/elsewhere")
    following = open_store()
    put(following, "1ef7")
    assert open_store().lookup("1ef7") is not None


def test_a_seal_does_not_depend_on_reading_or_on_further_names(open_store: OpenStore, tmp_path: Path) -> None:
    store = filled(open_store)
    entry = store.entry("ba5e")
    before = compute_seal(entry)
    (entry / "0/data").read_bytes()
    (store.root / "tmp/other").hardlink_to(entry / "0/data")
    assert store.lookup("ba5e") is not None
    assert compute_seal(entry) == before


def test_sealing_stops_when_there_is_no_time(open_store: OpenStore) -> None:
    store = open_store()
    put(store, "ab12", seal=False)
    assert compute_seal(store.entry("ab12"), lambda: False) is None
    store.seal(0)
    assert not (store.entry("ab12") / "seal.json").exists()
    store.seal(60)
    assert (store.entry("ab12") / "seal.json").exists()


def test_leases_are_shared_by_holders_and_exclude_those_who_take(tmp_path: Path) -> None:
    one, two, taker = (Leases(tmp_path) for _ in range(3))
    one.hold(["a"])
    two.hold(["a"])
    assert not taker.take("a")
    one.release_all()
    assert not taker.take("a")
    two.release_all()
    assert taker.take("a")
    assert taker.take("b")
    taker.release_all()


@given(st.integers(0, 1 << 50))
def test_a_formatted_size_is_read_as_about_the_same(size: int) -> None:
    assert parse_size(format_size(size)) == pytest.approx(size, rel=0.06)


@pytest.mark.parametrize(
    ("text", "size"), [("0", 0), ("1048576", MEBIBYTE), ("5GiB", 5 << 30), ("5G", 5 << 30), ("1.5kb", 1500)]
)
def test_sizes_are_read(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(("text", "age"), [("90s", 90), ("30d", 30 * 86400), ("12h", 43200), ("2 w", 14 * 86400)])
def test_ages_are_read(text: str, age: float) -> None:
    assert parse_age(text) == age


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("max_bytes", "5GiB", 5 << 30),
        ("max_bytes", 1000, 1000),
        ("max_bytes", None, None),
        ("max_bytes", "none", None),
        ("max_age", "30d", 30 * 86400.0),
        ("max_age", 60, 60.0),
        ("max_age", "none", None),
    ],
)
def test_limits_are_settings(tmp_path: Path, key: str, value: object, expected: object) -> None:
    (tmp_path / "c.json").write_text(json.dumps({key: value}))
    assert getattr(load_config(str(tmp_path / "c.json"), None, {}), key) == expected


@pytest.mark.parametrize(
    ("key", "value"), [("max_bytes", "much"), ("max_bytes", -1), ("max_age", "30"), ("max_age", 0)]
)
def test_a_limit_that_cannot_be_used_is_named(tmp_path: Path, key: str, value: object) -> None:
    (tmp_path / "c.json").write_text(json.dumps({key: value}))
    with pytest.raises(ConfigurationError, match=f"{key} must be"):
        load_config(str(tmp_path / "c.json"), None, {})


def run(engine: EngineProcess, image: str, script: str) -> str:
    """Returns what a script prints in a container of a session."""
    query = f'{{container {{from(address: "{image}") {{withExec(args: ["sh", "-c", "{script}"]) {{stdout}}}}}}}}'
    answer = engine.post(query)
    assert "errors" not in answer, answer
    text: str = answer["data"]["container"]["from"]["withExec"]["stdout"]
    return text


def cache(*arguments: str | Path, code: int = 0) -> dict[str, object]:
    """Calls `cache` with --json in a process of its own, expects an exit code and returns the document."""
    done = run_command("cache", *map(str, arguments), "--json")
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    document: dict[str, object] = json.loads(done.stdout)
    return document


def test_a_real_store_is_sound_shown_pruned_and_used_again(tmp_path: Path, busybox_image: str) -> None:
    state = tmp_path / "state"
    with EngineProcess(state) as engine:
        run(engine, busybox_image, "echo one > /one")
        assert cache("stats", "--state-dir", state)["sessions"] == 1
        assert cache("prune", "--max-bytes", "0", "--state-dir", state)["removed"] == 0
        assert run(engine, busybox_image, "cat /etc/passwd | wc -l; echo two > /two").strip().isdigit()
    stats = cache("stats", "--state-dir", state)
    kinds = stats["kinds"]
    assert isinstance(kinds, dict)
    assert {"command", "image layer"} <= kinds.keys()
    assert stats["reclaimable"] == stats["bytes"]
    found = cache("verify", "--state-dir", state)
    assert (found["damaged"], found["recorded"], found["sound"]) == ([], 0, True)
    told = cache("prune", "--max-bytes", "0", "--dry-run", "--state-dir", state)
    assert told["removed"] == stats["entries"]
    assert cache("prune", "--max-age", "1d", "--state-dir", state)["removed"] == 0
    assert cache("prune", "--max-bytes", "0", "--state-dir", state)["freed"] == told["freed"]
    assert cache("stats", "--state-dir", state)["entries"] == 0
    with EngineProcess(state) as engine:
        assert run(engine, busybox_image, "echo again") == "again\n"


def test_damage_in_a_real_store_is_found_repaired_and_made_again(tmp_path: Path, busybox_image: str) -> None:
    state = tmp_path / "state"
    script = "echo content > /file; cat /file"
    with EngineProcess(state) as engine:
        run(engine, busybox_image, script)
    (damaged,) = [path for path in (state / "entries").glob("*/*/stdout") if path.read_bytes() == b"content\n"]
    flip_byte(damaged)
    assert cache("verify", "--state-dir", state, code=1)["sound"] is False
    assert "digest" in run_command("cache", "verify", "--state-dir", str(state)).stdout
    repaired = cache("verify", "--repair", "--state-dir", state, code=1)
    assert (repaired["sound"], repaired["dropped"]) == (True, 1)
    cache("verify", "--state-dir", state)
    with EngineProcess(state) as engine:
        assert run(engine, busybox_image, script) == "content\n"


def test_a_damaged_kept_answer_is_not_used_and_repaired(tmp_path: Path) -> None:
    state = tmp_path / "state"
    introspection = "query IntrospectionQuery { __schema { queryType { name } } }"
    with EngineProcess(state) as engine:
        first = engine.post(introspection)
    (answer,) = (state / "answers").iterdir()
    flip_byte(answer)
    assert len(cache("verify", "--state-dir", state, code=1)["damaged"]) == 1  # type: ignore[arg-type]
    with EngineProcess(state) as engine:
        assert engine.post(introspection) == first
    assert cache("verify", "--state-dir", state)["sound"] is True


def test_a_session_prunes_at_its_end_what_is_above_the_limit(tmp_path: Path, busybox_image: str) -> None:
    (tmp_path / "c.json").write_text('{"max_bytes": 1}')
    with EngineProcess(tmp_path / "state", "--config", str(tmp_path / "c.json")) as engine:
        run(engine, busybox_image, "echo one > /one")
    assert cache("stats", "--state-dir", tmp_path / "state")["entries"] == 0


def test_a_session_prunes_soon_after_its_start_what_is_above_the_limit(tmp_path: Path, busybox_image: str) -> None:
    state = tmp_path / "state"
    with EngineProcess(state) as engine:
        run(engine, busybox_image, "echo one > /one")
    (tmp_path / "c.json").write_text('{"max_bytes": 1}')
    with EngineProcess(state, "--config", str(tmp_path / "c.json")):
        wait_until(lambda: not list((state / "entries").glob("*/*")), seconds=20)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["prune", "--max-bytes", "five"], "is not a size such as"),
        (["prune", "--max-age", "30"], "is not an age such as"),
        (["prune", "--max-bytes", "-5"], "--max-bytes"),
        (["shrink"], "invalid choice"),
        ([], "ACTION"),
        (["stats", "--state-dir", "/dev/null"], "is not a folder"),
    ],
)
def test_bad_input_is_one_clear_message(arguments: list[str], message: str) -> None:
    done = run_command("cache", *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("action", ["stats", "prune", "verify"])
def test_where_nothing_was_stored_there_is_nothing_and_nothing_is_made(tmp_path: Path, action: str) -> None:
    done = run_command("cache", action, "--state-dir", str(tmp_path / "absent"))
    assert done.returncode == 0
    assert str(tmp_path / "absent") in done.stdout
    assert not (tmp_path / "absent").exists()

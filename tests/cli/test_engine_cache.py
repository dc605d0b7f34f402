"""The engine's store by the command line: shown, pruned, verified; clear about what was wrong."""

from pathlib import Path

import pytest

from task_manager.embedded_engine.store.layers import LayerStore
from tests.cli.conftest import Cli

SIZE = 1 << 20


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """A store with one sealed result of a MiB; returns that result's file."""
    store = LayerStore(tmp_path / "data" / "engine")
    store.root.mkdir(parents=True)
    store.open()
    with store.workspace() as workspace:
        layer = Path(workspace.upper(0, None)[0])
        (layer / "data").write_bytes(b"x" * SIZE)
        store.commit(workspace, "ab12", {"outputs": [{"layers": ["ab12/0"], "toolchain": False}], "kind": "edit"})
    store.seal(60)
    store.close()
    return store.entry("ab12") / "0/data"


@pytest.mark.usefixtures("stored")
def test_what_is_stored_is_shown_and_pruned(cli: Cli) -> None:
    stats = cli("engine", "cache", "stats", "--json").data
    assert stats["kinds"]["edit"]["entries"] == 1
    assert stats["reclaimable"] >= SIZE
    assert "edit" in cli("engine", "cache", "stats").stdout
    assert cli("engine", "cache", "prune", "--max-bytes", "0", "--dry-run", "--json").data["removed"] == 1
    assert cli("engine", "cache", "prune", "--max-age", "30d").stdout.startswith("Removed 0")
    assert cli("engine", "cache", "prune").stdout.startswith("Removed 0")
    assert cli("engine", "cache", "prune", "--max-bytes", "0").stdout.startswith("Removed 1 (1")
    assert cli("engine", "cache", "stats", "--json").data["entries"] == 0


@pytest.mark.usefixtures("stored")
def test_without_limits_those_of_the_settings_count(cli: Cli) -> None:
    limits = {"TASK_MANAGER_ENGINE_CACHE_MAX_BYTES": "1kB", "TASK_MANAGER_ENGINE_CACHE_MAX_AGE": "30d"}
    done = cli("engine", "cache", "prune", "--json", env=limits).data
    assert (done["removed"], done["max_bytes"], done["max_age"]) == (1, 1000, 30 * 86400)


def test_damage_ends_with_1_and_can_be_repaired(cli: Cli, stored: Path) -> None:
    assert "Nothing is damaged" in cli("engine", "cache", "verify").stdout
    stored.write_bytes(b"y" * SIZE)
    told = cli("engine", "cache", "verify", code=1).stdout
    assert "ab12" in told
    assert "--repair" in told
    assert cli("engine", "cache", "verify", "--json", code=1).data["sound"] is False
    assert "made again" in cli("engine", "cache", "verify", "--repair", code=1).stdout
    assert cli("engine", "cache", "verify", "--json").data["sound"] is True


def test_where_nothing_was_stored_that_is_said(cli: Cli, tmp_path: Path) -> None:
    assert "Nothing is stored yet" in cli("engine", "cache", "stats").stdout
    assert not (tmp_path / "data" / "engine").exists()


@pytest.mark.parametrize(("option", "value"), [("--max-bytes", "five"), ("--max-age", "30"), ("--max-bytes", "-1")])
def test_a_limit_that_cannot_be_used_ends_with_2(cli: Cli, option: str, value: str) -> None:
    error = cli("engine", "cache", "prune", option, value, "--json", code=2).error
    assert error["code"] == "invalid_input"
    assert value in error["message"]


def test_a_store_of_another_layout_ends_with_3(cli: Cli, stored: Path, tmp_path: Path) -> None:
    (tmp_path / "data/engine/version").write_text("99")
    assert "layout 99" in cli("engine", "cache", "verify", "--json", code=3).error["message"]
    assert stored.exists()

"""`task-manager mcp install` and `task-manager token`."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Cli

PLACES = {
    "claude-code": ("work/.mcp.json", "mcpServers"),
    "claude-desktop": ("home/.config/Claude/claude_desktop_config.json", "mcpServers"),
    "cursor": ("home/.cursor/mcp.json", "mcpServers"),
    "vscode": ("work/.vscode/mcp.json", "servers"),
}


@pytest.fixture(autouse=True)
def usual_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setattr("sys.platform", "linux")


@pytest.mark.parametrize("client", PLACES)
def test_a_client_is_configured_and_keeps_what_it_has(cli: Cli, tmp_path: Path, client: str) -> None:
    place, key = PLACES[client]
    file = tmp_path / place
    file.parent.mkdir(parents=True, exist_ok=True)
    others: dict[str, Any] = {"theme": "dark", key: {"other": {"command": "other"}}}
    file.write_text(json.dumps(others))
    cli("mcp", "install", client)
    written = json.loads(file.read_text())
    entry = written[key].pop("task_manager")
    assert written == others
    assert (Path(entry["command"]).is_file(), entry["args"][-1]) == (True, "mcp")
    before = file.stat().st_mtime_ns
    assert cli("mcp", "install", client, "--json").data["written"] is False
    assert file.stat().st_mtime_ns == before


def test_printing_writes_nothing(cli: Cli, tmp_path: Path) -> None:
    printed = json.loads(cli("mcp", "install", "cursor", "--print", "--data-dir", tmp_path / "d").stdout)
    assert str(tmp_path / "d") in printed["mcpServers"]["task_manager"]["args"]
    assert not (tmp_path / "home/.cursor/mcp.json").exists()


def test_a_file_that_is_not_understood_stays_as_it_is(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "work/.mcp.json"
    file.write_text("{ // mine\n}")
    error = cli("mcp", "install", "claude-code", "--json", code=2).error
    assert "left as it is" in error["remedy"]
    assert file.read_text() == "{ // mine\n}"


def test_tokens_are_made_listed_and_revoked(cli: Cli) -> None:
    made = cli("token", "create", "claude", "--scope", "read", "--days", "30", "--json").data
    assert made["token"].startswith("tm_")
    listed = cli("token", "list", "--json").data["items"]
    assert [(one["name"], one["scope"]) for one in listed] == [("claude", "read")]
    assert made["token"] not in json.dumps(listed)
    assert "already" in cli("token", "create", "claude", "--json", code=2).error["message"]
    cli("token", "revoke", "claude")
    assert cli("token", "list", "--json").data["items"] == []
    assert cli("token", "revoke", "claud", code=2).stderr

"""Hooks by the command line."""

from pathlib import Path

from tests.cli.conftest import Cli


def test_a_hook_is_added_listed_and_removed(cli: Cli, textkit: Path) -> None:
    where = ("--url", "https://example.org/hook", "--secret", "env:CHAT")
    added = cli("hook", "add", "chat", *where, "--status", "failed", "--project", "textkit", "--json").data["hook"]
    assert (added["form"], added["statuses"], added["secret"]) == ("webhook", ["failed"], "env:CHAT")
    assert "https://example.org/hook" in cli("hook", "list").stdout
    assert cli("hook", "deliveries", "chat", "--state", "dead", "--json").data["items"] == []
    cli("hook", "remove", "chat", "--yes")
    assert cli("hook", "list", "--json").data["items"] == []


def test_what_cannot_be_used_is_told(cli: Cli) -> None:
    assert "status" in cli("hook", "add", "h", "--url", "https://example.org", "--status", "finished", code=2).stderr
    assert "address such as" in cli("hook", "add", "h", "--url", "example.org", code=2).stderr
    assert "token" in cli("hook", "add", "h", "--form", "github-status", code=2).stderr
    assert "no delivery" in cli("hook", "redeliver", "delivery-0", code=2).stderr

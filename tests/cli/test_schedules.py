"""Schedules by the command line."""

from pathlib import Path

from tests.cli.conftest import Cli

NIGHTLY = ("--cron", "0 3 * * *", "--timezone", "Europe/Berlin")


def test_a_schedule_is_added_shown_changed_paused_resumed_and_removed(cli: Cli, textkit: Path) -> None:
    added = cli("schedule", "add", "nightly", *NIGHTLY, "--task", "Test", "--missed", "skip", "--json").data["schedule"]
    assert (added["cron"], added["missed"], added["overlap"], added["use_cache"]) == (
        "0 3 * * *",
        "skip",
        "skip",
        False,
    )
    assert "0 3 * * *" in cli("schedule", "list").stdout
    shown = cli("schedule", "show", "nightly").stdout
    assert "0 3 * * * in Europe/Berlin" in shown
    assert "No due time has come yet." in shown
    changed = cli("schedule", "update", added["id"], "--cron", "@hourly", "--use-cache", "--revision", "1", "--json")
    assert changed.data["schedule"]["use_cache"]
    assert "is paused" in cli("schedule", "pause", "nightly").stdout
    assert "paused" in cli("schedule", "list").stdout
    assert "due next at" in cli("schedule", "resume", "nightly").stdout
    assert "--yes" in cli("schedule", "remove", "nightly", "--json", code=2).stderr
    cli("schedule", "remove", "nightly", "--yes")
    assert cli("schedule", "list", "--json").data["items"] == []


def test_the_next_times_are_told_of_a_schedule_and_of_any_expression(cli: Cli, textkit: Path) -> None:
    assert "task-manager server" in cli("schedule", "add", "nightly", *NIGHTLY, "--project", "textkit").stdout
    lines = cli("schedule", "next", "nightly", "-n", "3").stdout.splitlines()
    assert [line.split()[2] for line in lines] == ["03:00"] * 3
    found = cli("schedule", "next", "--cron", "30 6 * * 1-5", "--count", "10", "--json").data
    assert (len(found["items"]), found["timezone"]) == (10, "UTC")
    assert all(time.endswith("T06:30:00Z") for time in found["items"])


def test_what_cannot_be_used_is_told_and_nothing_is_kept(cli: Cli, textkit: Path) -> None:
    add = ("schedule", "add", "s", "--task", "Test")
    assert "30 6 * * 1-5" in cli(*add, "--cron", "61 * * * *", code=2).stderr
    assert "never comes" in cli(*add, "--cron", "0 0 30 2 *", code=2).stderr
    assert "Europe/Berlin" in cli(*add, "--cron", "@daily", "--timezone", "europe/berlin", code=2).stderr
    assert "did you mean" in cli("schedule", "add", "s", "--cron", "@daily", "--task", "Tset", code=2).stderr.lower()
    assert "either a task or a project" in cli("schedule", "add", "s", "--cron", "@daily", code=2).stderr
    assert "--cron" in cli("schedule", "next", code=2).stderr
    assert cli("schedule", "list", "--json").data["items"] == []

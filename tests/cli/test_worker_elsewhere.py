"""With `worker = elsewhere`, as in the deployments, commands queue runs and start no worker."""

import pytest

from tests.cli.conftest import Cli


def test_a_run_waits_for_a_worker_that_others_start(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASK_MANAGER_WORKER", "elsewhere")
    cli("project", "create", "sample")
    cli("task", "create", "sample", "Greet", "--template", "shell-command", "--input", "script=echo hello")
    started = cli("run", "start", "Greet", "--detach", "--json").data
    run_id = started.get("id") or started["run"]["id"]
    assert cli("run", "status", run_id, "--json").data["run"]["status"] == "queued"
    assert cli("worker", "status", "--json").data["items"] == []

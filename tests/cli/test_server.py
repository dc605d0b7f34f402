"""`task-manager server` ends as its users mean it to."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_server_that_is_asked_to_end_ends_well_and_says_nothing_of_it(tmp_path: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-m", "task_manager", "server", "--port", "0", "--data-dir", str(tmp_path)]
    environment = {**os.environ, "TASK_MANAGER_WORKER": "here"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as server:
        assert server.stdout is not None
        assert "http://127.0.0.1:" in server.stdout.readline()
        server.send_signal(number)
        output, errors = server.communicate(timeout=60)
    assert (server.returncode, output, errors) == (0, "", "")

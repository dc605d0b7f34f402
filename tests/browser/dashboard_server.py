"""A server process on loopback, with a data folder of its own, which runs small steps on the embedded engine."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from task_manager.pipeline import HOST_TOOLCHAIN
from tests.embedded_engine.waiting import wait_until
from tests.environment.ports import claimed_port

PATIENCE = 120
"""Seconds after which something that was waited for is given up."""


class DashboardServer:
    """A server process that can be stopped and started again at the same address.

    Args:
        folder: Its data folder, home and log are made there.
        arguments: Further arguments of `task-manager server`.
    """

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.folder = folder
        self.data_dir = folder / "data"
        self.port = claimed_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._arguments = arguments
        self._process: subprocess.Popen[bytes] | None = None
        self.api = httpx.Client(base_url=f"{self.url}/api/v1", timeout=PATIENCE, trust_env=False)

    @property
    def environment(self) -> dict[str, str]:
        """What the server and commands beside it are started with."""
        outer = {name: value for name, value in os.environ.items() if not name.startswith(("TASK_MANAGER_", "XDG_"))}
        return outer | {
            "HOME": str(self.folder),
            "TASK_MANAGER_DATA_DIR": str(self.data_dir),
            "TASK_MANAGER_ENGINE": "embedded",
            "TASK_MANAGER_IMAGES": "host",
            "TASK_MANAGER_WORKER": "here",
            "TASK_MANAGER_RETRY": '{"strategy": "none"}',
        }

    def start(self) -> None:
        """Start it, and wait until it answers."""
        command = [sys.executable, "-m", "task_manager", "server", "--port", str(self.port), *self._arguments]
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        wait_until(self._answers, seconds=PATIENCE, what="the server answers")

    def stop(self) -> float:
        """End it as a service manager does; the seconds that it took."""
        assert self._process is not None
        begin = time.monotonic()
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(PATIENCE)
        return time.monotonic() - begin

    @property
    def is_running(self) -> bool:
        """Whether its process is there."""
        return self._process is not None and self._process.poll() is None

    @property
    def memory(self) -> int:
        """The bytes that its process has in memory."""
        assert self._process is not None
        pages = Path(f"/proc/{self._process.pid}/statm").read_text(encoding="ascii").split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    @property
    def log(self) -> str:
        """What it wrote."""
        return (self.folder / "server.log").read_text()

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"{self.url}/healthz", trust_env=False).status_code == httpx.codes.OK
        return False

    def made(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Make a record over the API."""
        answer = self.api.post(f"/{kind}", json=fields)
        assert answer.is_success, answer.text
        made: dict[str, Any] = answer.json()
        return made

    def task(self, title: str, project: str, *steps: dict[str, Any], **pipeline: Any) -> dict[str, Any]:
        """Make a task with a pipeline of its own."""
        return self.made("tasks", title=title, project_id=project, pipeline={"steps": list(steps), **pipeline})

    def run(self, task_id: str) -> str:
        """Start a task's run; its id."""
        run_id: str = self.made(f"tasks/{task_id}/runs")["id"]
        return run_id

    def ended(self, run_id: str) -> str:
        """The status in which a run ended, once it has."""
        status: dict[str, Any] = {}

        def over() -> bool:
            status.update(self.api.get(f"/runs/{run_id}/status").json())
            return bool(status["over"])

        wait_until(over, seconds=PATIENCE, what=f"{run_id} is over")
        return str(status["status"])


@contextlib.contextmanager
def running(folder: Path, *arguments: str) -> Iterator[DashboardServer]:
    """A running server, ended afterwards."""
    server = DashboardServer(folder, *arguments)
    try:
        server.start()
        yield server
    finally:
        if server.is_running:
            server.stop()
        server.api.close()


def shell(step_id: str, script: str, **fields: Any) -> dict[str, Any]:
    """A step that runs a script of the shell on this machine's toolchain."""
    return {"id": step_id, "image": HOST_TOOLCHAIN, "command": ["sh", "-c", script], "network": False, **fields}

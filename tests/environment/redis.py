"""A real Redis server for tests: one process on a port of loopback, which keeps nothing."""

import contextlib
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.environment.packages import require
from tests.environment.ports import claimed_port

_START_SECONDS: Final = 60
_POLL_SECONDS: Final = 0.02


@dataclass
class RedisServer:
    """A running server.

    Attributes:
        port: Where it listens.
    """

    port: int
    _process: subprocess.Popen[bytes]

    def url(self, database: int = 0) -> str:
        """The address of a database."""
        return f"redis://127.0.0.1:{self.port}/{database}"

    def kill(self) -> None:
        """Ends it at once, as a power failure does."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def stop(self) -> None:
        """Leaves its connections open and answers nothing."""
        self._process.send_signal(signal.SIGSTOP)


@contextlib.contextmanager
def running_redis(folder: Path) -> Iterator[RedisServer]:
    """Runs a server until the block ends; skips the test where none is installed."""
    require("redis-server")
    port = claimed_port()
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", str(folder)]
    # The server must not outlive a test run that was killed.
    command = ["setpriv", "--pdeathsig", "KILL", "redis-server", *options]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        _wait_for(port, process, folder / "log")
        yield RedisServer(port, process)
    finally:
        process.kill()
        process.wait()


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(_POLL_SECONDS)
    raise RuntimeError(f"Redis did not start: {log.read_text()}")

"""A real PostgreSQL server for tests: one process on a Unix socket in a folder of its own, as an unprivileged user."""

import contextlib
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psycopg
import pytest
from psycopg import sql

from tests.environment import oci
from tests.environment.packages import require

START_SECONDS: Final = 60
_POLL_SECONDS: Final = 0.02
_DEBIAN_SERVERS: Final = Path("/usr/lib/postgresql")
_ENVIRONMENT: Final = {"PATH": oci.SYSTEM_PATH, "LC_ALL": "C.UTF-8"}
_FAST: Final = ("fsync=off", "full_page_writes=off", "synchronous_commit=off", "max_connections=200")


@dataclass(frozen=True)
class PostgresqlServer:
    """A running server that lets everybody in who reaches its socket.

    Attributes:
        socket_folder: Where its socket is.
        process: Its process id.
    """

    socket_folder: Path
    process: int
    _numbers: Iterator[int] = field(default_factory=itertools.count, repr=False)

    def url(self, database: str, *, scheme: str = "postgresql") -> str:
        """The address of a database."""
        return f"{scheme}://postgres@/{database}?host={self.socket_folder}"

    def execute(self, statement: sql.SQL | sql.Composed) -> None:
        """Runs a statement as the administrator, outside of a transaction."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement)

    def new_database(self) -> str:
        """Creates an empty database; returns its name."""
        name = f"test_{next(self._numbers)}"
        self.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return name


@contextlib.contextmanager
def running_postgresql() -> Iterator[PostgresqlServer]:
    """Runs a server until the block ends; skips the test where none is installed."""
    require("postgresql")
    programs = _programs()
    # Below /tmp: an unprivileged user cannot reach pytest's folders, and a socket's path is short.
    folder = Path(tempfile.mkdtemp(prefix="postgresql-", dir="/tmp"))
    try:
        identity = _unprivileged(folder)
        data = folder / "data"
        initialise = [str(programs / "initdb"), "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "-N"]
        subprocess.run(["setpriv", *identity, *initialise], check=True, capture_output=True, env=_ENVIRONMENT)
        settings = [f"-c{setting}" for setting in (*_FAST, "listen_addresses=", f"unix_socket_directories={folder}")]
        with _running([*identity, str(programs / "postgres"), "-D", str(data), *settings], folder) as server:
            yield server
    finally:
        shutil.rmtree(folder)


def _programs() -> Path:
    """The folder with the newest server's programs, which Debian does not put into the path."""
    found = [path.parent for path in _DEBIAN_SERVERS.glob("*/bin/initdb")]
    if not found:
        pytest.skip("no PostgreSQL server found: install the package postgresql")
    return max(found, key=lambda programs: int(programs.parent.name))


def _unprivileged(folder: Path) -> list[str]:
    """Gives the folder to an ordinary user; returns setpriv's options to become that user. The server refuses root."""
    if os.geteuid() != 0:
        return []
    user = pwd.getpwnam("nobody")
    os.chown(folder, user.pw_uid, user.pw_gid)
    return [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]


@contextlib.contextmanager
def _running(command: list[str], folder: Path) -> Iterator[PostgresqlServer]:
    log = folder / "log"
    with log.open("wb") as output:
        # The server must not outlive a test run that was killed.
        started = ["setpriv", "--pdeathsig", "KILL", *command]
        process = subprocess.Popen(started, stdout=output, stderr=subprocess.STDOUT, env=_ENVIRONMENT)
    try:
        server = PostgresqlServer(folder, process.pid)
        _wait_for(server, process, log)
        yield server
    finally:
        process.send_signal(signal.SIGQUIT)  # "Immediate shutdown": it writes nothing, for nothing is kept.
        process.wait()


def _wait_for(server: PostgresqlServer, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(psycopg.OperationalError):
            psycopg.connect(server.url("postgres")).close()
            return
        time.sleep(_POLL_SECONDS)
    raise RuntimeError(f"PostgreSQL did not start: {log.read_text()}")

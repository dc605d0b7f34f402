"""Real session processes, for tests."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

COMMAND = (sys.executable, "-m", "task_manager.embedded_engine")
END_SECONDS = 30


def run_command(*arguments: str, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Runs the engine's command to its end."""
    return subprocess.run(
        [*COMMAND, *arguments],
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
        env={**os.environ, **(environment or {})},
    )


class SessionProcess:
    """A running `session` command, which announces where the Dagger API answers."""

    def __init__(self, command: Sequence[str], log_path: Path, *, environment: Mapping[str, str] | None = None) -> None:
        self.log_path = log_path
        with self.log_path.open("a") as log:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, **(environment or {})},
            )
        assert self.process.stdout
        self.first_line = self.process.stdout.readline()
        if not self.first_line:
            raise AssertionError(f"no session: {self.log()}")
        announced = json.loads(self.first_line)
        self.port: int = announced["port"]
        self.token: str = announced["session_token"]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(ProcessLookupError):
            self.close()

    def close(self) -> int:
        """Ends the session as SDKs do, by the end of its input; returns its exit code."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.close()
        code = self.process.wait(END_SECONDS)
        self.process.stdout.close()
        return code

    def kill(self) -> None:
        """Ends the session as a crash does."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.kill()
        self.process.wait(END_SECONDS)
        self.process.stdin.close()
        self.process.stdout.close()

    def log(self) -> str:
        """Returns what the session wrote to standard error."""
        return self.log_path.read_text()

    def post(self, query: str, *, timeout: float = 60) -> dict[str, Any]:
        """Sends a GraphQL query; returns the whole answer."""
        answer = httpx.post(
            f"http://127.0.0.1:{self.port}/query",
            json={"query": query},
            auth=(self.token, ""),
            timeout=timeout,
            trust_env=False,
        )
        assert answer.status_code == 200, answer.text
        content: dict[str, Any] = answer.json()
        return content

    def sdk_environment(self) -> dict[str, str]:
        """Returns the variables by which SDK programs find this session."""
        return {**os.environ, "DAGGER_SESSION_PORT": str(self.port), "DAGGER_SESSION_TOKEN": self.token}


class EngineProcess(SessionProcess):
    """A running `task-manager-engine session`."""

    def __init__(
        self,
        state_dir: Path,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
    ) -> None:
        command = [*prefix, *COMMAND, "session", "--state-dir", str(state_dir), *arguments]
        super().__init__(command, state_dir.with_name(state_dir.name + ".log"), environment=environment)

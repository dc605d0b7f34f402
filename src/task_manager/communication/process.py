"""The process behind a session: `… session` of the Dagger command line or of the embedded engine."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import json
import os
from collections.abc import Mapping, Sequence
from typing import Self

from task_manager.errors import EngineLost, EngineUnavailable

_STDERR_LINES = 40


class SessionProcess:
    """A running session process; it ends when its standard input is closed.

    The protocol is that of `dagger session`: the first line on standard output is JSON with `port` and
    `session_token`.
    """

    def __init__(self, process: asyncio.subprocess.Process, command: Sequence[str]) -> None:
        self._process = process
        self._command = tuple(command)
        self._stderr: collections.deque[str] = collections.deque(maxlen=_STDERR_LINES)
        self._drains: list[asyncio.Task[None]] = []
        self.port = 0
        self.token = ""

    @classmethod
    async def start(cls, command: Sequence[str], *, environment: Mapping[str, str], timeout: float) -> Self:
        """Start a session and wait until it says where it listens.

        Args:
            command: Program and arguments.
            environment: Variables added to this process's own.
            timeout: Seconds until the first line must have come.

        Raises:
            EngineUnavailable: The program is missing, ended, said something else, or stayed silent.
            EngineLost: It was killed before it said anything, which says nothing about the next one.
        """
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env={**os.environ, **environment},
                start_new_session=True,  # Ctrl-C in the terminal is for this process, which then ends the session
            )
        except OSError as error:
            raise EngineUnavailable(
                f"The engine's program {command[0]} cannot be started: {error.strerror}."
            ) from error
        session = cls(process, command)
        try:
            await session._handshake(timeout)
        except BaseException:
            await session.kill()
            raise
        return session

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process has not ended."""
        return self._process.returncode is None

    async def stop(self, seconds: float) -> None:
        """Close the session's standard input and wait so many seconds for its end; then kill it."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), seconds)
        await self.kill()

    async def kill(self) -> None:
        """End the process at once, if it still runs, and the readers of its output."""
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
        await self._process.wait()
        for drain in self._drains:
            drain.cancel()
        await asyncio.gather(*self._drains, return_exceptions=True)

    async def _handshake(self, timeout: float) -> None:
        stdout = self._piped(self._process.stdout)
        self._drains.append(asyncio.create_task(self._keep_tail(self._piped(self._process.stderr))))
        try:
            line = await asyncio.wait_for(stdout.readline(), timeout)
        except TimeoutError as error:
            raise EngineUnavailable(
                f"The engine said nothing within {timeout:g} s ({' '.join(self._command)}).",
                remedy="See `task-manager engine doctor`.",
            ) from error
        if not line:
            await self._ended_early()
        self._read_address(line)
        self._drains.append(asyncio.create_task(self._discard(stdout)))

    def _read_address(self, line: bytes) -> None:
        try:
            address = json.loads(line)
            self.port, self.token = int(address["port"]), str(address["session_token"])
        except (ValueError, KeyError, TypeError) as error:
            raise EngineUnavailable(
                f"The engine's first line is not a session's address: {line[:200]!r}.",
                remedy="Is the configured program the Dagger command line?",
            ) from error

    async def _ended_early(self) -> None:
        code = await self._process.wait()
        await asyncio.gather(*self._drains)
        said = "\n".join(self._stderr).strip()
        told = f": {said}" if said else "."
        details = {"exit_code": code}
        if code < 0:
            raise EngineLost(
                f"The engine was killed at its start by signal {-code}{told}",
                remedy="Start the run again.",
                details=details,
            )
        raise EngineUnavailable(
            f"The engine ended at its start with exit code {code}{told}",
            remedy="See `task-manager engine doctor`.",
            details=details,
        )

    async def _keep_tail(self, stream: asyncio.StreamReader) -> None:
        async for line in stream:
            self._stderr.append(line.decode(errors="replace").rstrip())

    @staticmethod
    def _piped(stream: asyncio.StreamReader | None) -> asyncio.StreamReader:
        if stream is None:
            raise EngineUnavailable("The engine's process was started without pipes.")
        return stream

    @staticmethod
    async def _discard(stream: asyncio.StreamReader) -> None:
        while await stream.read(65536):
            pass

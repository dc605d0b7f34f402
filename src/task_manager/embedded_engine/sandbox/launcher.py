"""The session's side of the launcher: start a command, take its output, wait, kill."""

import asyncio
import json
import os
import signal
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from task_manager.embedded_engine import kernel
from task_manager.embedded_engine.errors import EngineError
from task_manager.embedded_engine.sandbox.spec import SandboxSpec

_ALWAYS = kernel.CLONE_NEWNS | kernel.CLONE_NEWPID | kernel.CLONE_NEWIPC | kernel.CLONE_NEWUTS
_SIGNAL_BASE = 128
OutputSink = Callable[[bytes], None]


class SandboxError(EngineError):
    """A sandbox could not be built; nothing of the command ran.

    Args:
        message: What failed.
        code: The system's error number, 0 where there is none.
    """

    def __init__(self, message: str, code: int = 0) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Ended:
    """How a command ended, and the paths that were made in its root for mounts to land on."""

    exit_code: int
    created: tuple[str, ...]


class Launcher:
    """Starts commands through the launcher process."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._waiting: dict[int, asyncio.Future[int]] = {}
        self._started: set[int] = set()
        # By sandbox, the signals that are sent to it as soon as it is started.
        self._early: dict[int, list[int]] = {}
        self._number = 0
        connection.setblocking(False)

    def attach(self) -> None:
        """Begin to listen, in the running event loop."""
        asyncio.get_running_loop().add_reader(self._connection, self._on_message)

    def close(self) -> None:
        """Let the launcher go, and with it every sandbox."""
        asyncio.get_running_loop().remove_reader(self._connection)
        self._connection.close()

    async def run(
        self, spec: SandboxSpec, stdin: bytes, stdout: OutputSink, stderr: OutputSink, number: int | None = None
    ) -> Ended:
        """Run a command to its end; when cancelled, kill everything in its sandbox and wait until that is gone.

        Args:
            spec: The command and its surroundings.
            stdin: What it reads.
            stdout: Takes its standard output as it comes.
            stderr: Takes its standard error as it comes.
            number: What `signal` knows the sandbox by, from `next_number`; None where nobody signals it.

        Raises:
            SandboxError: The sandbox could not be built.
        """
        number = number or self.next_number()
        report = bytearray()
        # A sink that fails, on a full disk for example, ends the command: nobody would read its pipe.
        readers = [
            _PipeReader(sink, lambda: self.signal(number, signal.SIGKILL)) for sink in (stdout, stderr, report.extend)
        ]
        ended = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            await self._send(spec, number, stdin, [reader.writing for reader in readers])
            self._on_started(number)
            status = await self._ended(number, ended)
            for reader in readers:
                await reader.finished()
        finally:
            del self._waiting[number]
            self._started.discard(number)
            self._early.pop(number, None)
            for reader in readers:
                reader.close()
        return _outcome(status, bytes(report))

    async def _ended(self, number: int, ended: asyncio.Future[int]) -> int:
        try:
            return await asyncio.shield(ended)
        except asyncio.CancelledError:
            self.signal(number, signal.SIGKILL)
            await asyncio.wait([ended])
            raise

    def signal(self, number: int, signal_number: int) -> None:
        """Send a signal to process 1 of a sandbox, which passes SIGTERM on; SIGKILL ends everything in it.

        A sandbox that is yet to be started gets it when it is.
        """
        if number not in self._started:
            self._early.setdefault(number, []).append(signal_number)
            return
        with suppress(OSError):
            self._connection.send(json.dumps({"signal": number, "number": int(signal_number)}).encode())

    def _on_started(self, number: int) -> None:
        self._started.add(number)
        for early in self._early.pop(number, []):
            self.signal(number, early)

    async def wait_for_ports(self, address: str, ports: Sequence[int]) -> None:
        """Return when ports in the session's network accept connections, however long that takes.

        Raises:
            SandboxError: The network cannot be reached.
        """
        number = self.next_number()
        ended = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            self._connection.send(json.dumps({"probe": number, "address": address, "ports": list(ports)}).encode())
            self._started.add(number)
            if await self._ended(number, ended):
                raise SandboxError("the session's network cannot be reached")
        finally:
            del self._waiting[number]
            self._started.discard(number)

    def next_number(self) -> int:
        """Return a number for the next sandbox."""
        self._number += 1
        return self._number

    async def _send(self, spec: SandboxSpec, number: int, stdin: bytes, writing: list[int]) -> None:
        flags = _ALWAYS | (0 if spec.network == "host" else kernel.CLONE_NEWNET)
        networks = {"session_network": bool(spec.address), "outbound": spec.network == "outbound"}
        message = {"start": number, "flags": flags, **networks}
        request = json.dumps(message).encode()
        payload, source = _memory_file(spec.to_json()), _memory_file(stdin)
        try:
            while True:
                try:
                    socket.send_fds(self._connection, [request], [payload, source, *writing])
                    break
                except BlockingIOError:
                    await _writable(self._connection)
        except OSError as error:
            raise SandboxError(f"the launcher is gone: {error.strerror}", error.errno or 0) from error
        finally:
            for descriptor in (payload, source, *writing):
                os.close(descriptor)

    def _on_message(self) -> None:
        try:
            data = self._connection.recv(4096)
        except BlockingIOError:
            return
        if not data:
            self._on_lost()
            return
        message = json.loads(data)
        future = self._waiting.get(message["ended"])
        if future is not None and not future.done():
            future.set_result(message["status"])

    def _on_lost(self) -> None:
        asyncio.get_running_loop().remove_reader(self._connection)
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(SandboxError("the launcher ended unexpectedly; start a new session"))


class _PipeReader:
    """A pipe whose reading end feeds a sink from the event loop."""

    def __init__(self, sink: OutputSink, on_failure: Callable[[], None]) -> None:
        self._on_failure = on_failure
        self._reading, self.writing = os.pipe()
        self._sink = sink
        self._loop = asyncio.get_running_loop()
        self._end: asyncio.Future[None] = self._loop.create_future()
        os.set_blocking(self._reading, False)
        self._loop.add_reader(self._reading, self._on_readable)

    async def finished(self) -> None:
        """Wait for the end of the stream."""
        await self._end

    def close(self) -> None:
        """Stop reading."""
        self._loop.remove_reader(self._reading)
        os.close(self._reading)

    def _on_readable(self) -> None:
        try:
            data = os.read(self._reading, 1 << 16)
        except BlockingIOError:
            return
        if data:
            try:
                self._sink(data)
            except OSError as error:
                self._finish(error)
                self._on_failure()
        else:
            self._finish(None)

    def _finish(self, error: OSError | None) -> None:
        self._loop.remove_reader(self._reading)
        if self._end.done():
            return
        if error is None:
            self._end.set_result(None)
        else:
            self._end.set_exception(error)


def _memory_file(data: bytes) -> int:
    descriptor = os.memfd_create("task-manager-engine", os.MFD_CLOEXEC)
    with os.fdopen(os.dup(descriptor), "wb") as writer:
        writer.write(data)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


async def _writable(connection: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready = loop.create_future()
    loop.add_writer(connection, lambda: None if ready.done() else ready.set_result(None))
    try:
        await ready
    finally:
        loop.remove_writer(connection)


def _outcome(status: int, report: bytes) -> Ended:
    created: tuple[str, ...] = ()
    for line in report.splitlines():
        message = json.loads(line)
        if "error" in message:
            raise SandboxError(message["error"], message.get("errno", 0))
        created = tuple(message["created"])
    code = os.waitstatus_to_exitcode(status)
    return Ended(code if code >= 0 else _SIGNAL_BASE - code, created)

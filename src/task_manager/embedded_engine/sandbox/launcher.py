"""The session's side of the launcher: start a command, take its output, wait, kill."""

import asyncio
import errno
import json
import os
import socket
from collections.abc import Callable
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
        self._number = 0
        connection.setblocking(False)

    def attach(self) -> None:
        """Begin to listen, in the running event loop."""
        asyncio.get_running_loop().add_reader(self._connection, self._on_message)

    def close(self) -> None:
        """Let the launcher go, and with it every sandbox."""
        asyncio.get_running_loop().remove_reader(self._connection)
        self._connection.close()

    async def run(self, spec: SandboxSpec, stdin: bytes, stdout: OutputSink, stderr: OutputSink) -> Ended:
        """Run a command to its end; when cancelled, kill everything in its sandbox and wait until that is gone.

        Args:
            spec: The command and its surroundings.
            stdin: What it reads.
            stdout: Takes its standard output as it comes.
            stderr: Takes its standard error as it comes.

        Raises:
            SandboxError: The sandbox could not be built.
        """
        loop = asyncio.get_running_loop()
        readers = [_PipeReader(sink) for sink in (stdout, stderr)]
        report = bytearray()
        readers.append(_PipeReader(report.extend))
        self._number += 1
        number = self._number
        ended = self._waiting[number] = loop.create_future()
        try:
            await self._send(spec, number, stdin, [reader.writing for reader in readers])
            status = await self._ended(number, ended)
            for reader in readers:
                await reader.finished()
        finally:
            del self._waiting[number]
            for reader in readers:
                reader.close()
        return _outcome(status, bytes(report))

    async def _ended(self, number: int, ended: asyncio.Future[int]) -> int:
        try:
            return await asyncio.shield(ended)
        except asyncio.CancelledError:
            with suppress(OSError):
                self._connection.send(json.dumps({"kill": number}).encode())
            await asyncio.wait([ended])
            raise

    async def _send(self, spec: SandboxSpec, number: int, stdin: bytes, writing: list[int]) -> None:
        flags = _ALWAYS | (kernel.CLONE_NEWNET if spec.own_network else 0)
        request = json.dumps({"start": number, "flags": flags}).encode()
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

    def __init__(self, sink: OutputSink) -> None:
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
            raise SandboxError(message["error"], message.get("errno", errno.EIO))
        created = tuple(message["created"])
    code = os.waitstatus_to_exitcode(status)
    return Ended(code if code >= 0 else _SIGNAL_BASE - code, created)

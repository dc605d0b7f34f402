"""The launcher: a small process, started before anything heavy is loaded, that clones itself once per command.

It answers on a SEQPACKET socket. A request is JSON, with descriptors beside it: `{"start": n, "flags": f}` with the
spec (a
memory file), the command's standard input, output and error, and a report pipe; or `{"kill": n}`. When a sandbox is
gone with everything in it, the launcher sends `{"ended": n, "status": s}`, where `s` is a wait status.
"""

import gc
import json
import os
import select
import signal
import socket
from typing import NoReturn

from task_manager.embedded_engine import kernel
from task_manager.embedded_engine.sandbox import init
from task_manager.embedded_engine.sandbox.spec import SandboxSpec

_LARGEST_REQUEST = 4096
_DESCRIPTORS = 5


def start() -> tuple[int, socket.socket]:
    """Start the launcher and return its process id and the session's end of the socket.

    Call it while this process has one thread and few modules: every sandbox begins as a copy of this moment.
    """
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    process = os.fork()
    if process == 0:
        ours.close()
        _serve(its)
    its.close()
    return process, ours


class _Launcher:
    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._running: dict[int, int] = {}

    def serve(self) -> None:
        """Answer requests until the session goes away."""
        waking, wake = os.pipe()
        os.set_blocking(wake, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        while True:
            ready, _, _ = select.select([self._connection.fileno(), waking], [], [])
            if waking in ready:
                os.read(waking, 4096)
                self._reap()
            if self._connection.fileno() in ready and not self._answer():
                return

    def _answer(self) -> bool:
        data, descriptors, _, _ = socket.recv_fds(self._connection, _LARGEST_REQUEST, _DESCRIPTORS)
        if not data:
            return False
        request = json.loads(data)
        if "kill" in request:
            self._kill(request["kill"])
            return True
        try:
            self._start(request["start"], request["flags"], descriptors)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        return True

    def _start(self, number: int, flags: int, descriptors: list[int]) -> None:
        payload, stdin, stdout, stderr, report = descriptors
        try:
            process = kernel.clone(flags)
        except OSError as error:
            os.write(report, json.dumps({"error": f"no new namespaces: {error.strerror}"}).encode())
            self._tell(number, 1 << 8)
            return
        if process == 0:
            _become_init(payload, (stdin, stdout, stderr), report)
        self._running[process] = number

    def _kill(self, number: int) -> None:
        for process, running in self._running.items():
            if running == number:
                os.kill(process, signal.SIGKILL)

    def _reap(self) -> None:
        while self._running:
            process, status = os.waitpid(-1, os.WNOHANG)
            if process == 0:
                return
            self._tell(self._running.pop(process), status)

    def _tell(self, number: int, status: int) -> None:
        self._connection.send(json.dumps({"ended": number, "status": status}).encode())


def _serve(connection: socket.socket) -> NoReturn:
    try:
        kernel.die_with_parent()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.chdir("/")
        # Copies share this memory: a collection in each would touch, and so copy, all of it.
        gc.disable()
        gc.freeze()
        _Launcher(connection).serve()
    finally:
        os._exit(0)


def _become_init(payload: int, standard: tuple[int, int, int], report: int) -> NoReturn:
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        with os.fdopen(os.dup(payload), "rb") as file:
            spec = SandboxSpec.from_json(file.read())
        init.run(spec, standard, report)
    finally:
        os._exit(1)

"""The launcher: a small process, started before anything heavy is loaded, that clones itself once per command.

It answers on a SEQPACKET socket. Requests are JSON:

- `{"start": n, "flags": f, "session_network": b, "outbound": b}`, with descriptors beside it: the spec (a memory
  file), the command's standard input, output and error, and a report pipe;
- `{"signal": n, "number": s}`, to process 1 of sandbox n;
- `{"probe": n, "address": a, "ports": [p]}`, which ends when those ports of the session's network accept connections.

When a sandbox is gone with everything in it, the launcher sends `{"ended": n, "status": s}`, `s` being a wait status.
"""

import gc
import json
import os
import select
import signal
import socket
from typing import NoReturn

from task_manager.embedded_engine import kernel
from task_manager.embedded_engine.sandbox import init, network
from task_manager.embedded_engine.sandbox.seccomp import available_filter
from task_manager.embedded_engine.sandbox.spec import SandboxSpec
from task_manager.embedded_engine.sandbox.uplink import Carrier, Uplinks

_LARGEST_REQUEST = 4096
_DESCRIPTORS = 5


def start(carrier: Carrier | None) -> tuple[int, socket.socket]:
    """Start the launcher and return its process id and the session's end of the socket.

    Call it while this process has one thread and few modules: every sandbox begins as a copy of this moment.

    Args:
        carrier: What gives sandboxes a way out; None for none.
    """
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    process = os.fork()
    if process == 0:
        ours.close()
        _serve(its, carrier)
    its.close()
    return process, ours


class _Launcher:
    def __init__(self, connection: socket.socket, uplinks: Uplinks, call_filter: bytes) -> None:
        self._connection = connection
        self._call_filter = call_filter
        self._bounds_processes = kernel.bounds_process_namespaces()
        self._uplinks = uplinks
        self._running: dict[int, int] = {}
        self._network = -1

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
        if "signal" in request:
            self._signal(request["signal"], request["number"])
        elif "probe" in request:
            self._probe(request["probe"], request["address"], request["ports"])
        else:
            try:
                self._start(request, descriptors)
            finally:
                for descriptor in descriptors:
                    os.close(descriptor)
        return True

    def _ensure_network(self) -> None:
        if self._network < 0:
            self._network = network.create()

    def _probe(self, number: int, address: str, ports: list[int]) -> None:
        try:
            self._ensure_network()
        except OSError:
            self._tell(number, 1 << 8)
            return
        process = os.fork()
        if process == 0:
            _wait_for_ports(self._network, address, ports)
        self._running[process] = number

    def _start(self, request: dict[str, int], descriptors: list[int]) -> None:
        number, flags = request["start"], request["flags"]
        payload, stdin, stdout, stderr, report = descriptors
        uplink = None
        try:
            if request["session_network"]:
                self._ensure_network()
            if request["outbound"] and (uplink := self._uplinks.take()):
                flags &= ~kernel.CLONE_NEWNET
            process = kernel.clone(flags)
        except OSError as error:
            if uplink:
                self._uplinks.give_back(uplink, reusable=True)
            os.write(report, json.dumps({"error": f"no new namespaces: {error.strerror}"}).encode())
            self._tell(number, 1 << 8)
            return
        if process == 0:
            surroundings = init.Surroundings(self._network, uplink, self._call_filter, self._bounds_processes)
            _become_init(payload, (stdin, stdout, stderr), report, surroundings)
        self._running[process] = number
        if uplink is not None:
            self._uplinks.lend(process, uplink, reusable=not request["session_network"])

    def _signal(self, number: int, signal_number: int) -> None:
        for process, running in self._running.items():
            if running == number:
                os.kill(process, signal_number)

    def _reap(self) -> None:
        while True:
            try:
                process, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if process == 0:
                return
            if process in self._running:
                self._tell(self._running.pop(process), status)
            self._uplinks.reaped(process, status)

    def _tell(self, number: int, status: int) -> None:
        self._connection.send(json.dumps({"ended": number, "status": status}).encode())


def _serve(connection: socket.socket, carrier: Carrier | None) -> NoReturn:
    try:
        kernel.die_with_parent()
        kernel.forget_inherited_signals()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        # A sandbox begins with it blocked, not ignored: what it is sent early waits until it can pass it on.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        os.chdir("/")
        # Copies share this memory: a collection in each would touch, and so copy, all of it.
        gc.disable()
        gc.freeze()
        _Launcher(connection, Uplinks(carrier), available_filter()).serve()
    finally:
        os._exit(0)


def _wait_for_ports(session_network: int, address: str, ports: list[int]) -> NoReturn:
    try:
        kernel.die_with_parent()
        signal.set_wakeup_fd(-1)
        network.wait_for_ports(session_network, address, ports)
        os._exit(0)
    finally:
        os._exit(1)


def _become_init(
    payload: int, standard: tuple[int, int, int], report: int, surroundings: init.Surroundings
) -> NoReturn:
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        with os.fdopen(os.dup(payload), "rb") as file:
            spec = SandboxSpec.from_json(file.read())
        init.run(spec, standard, report, surroundings)
    finally:
        os._exit(1)

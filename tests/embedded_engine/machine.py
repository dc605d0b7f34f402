"""A machine of its own for a session: network namespaces in which everything that a command sends ends.

    python -m tests.embedded_engine.machine DESCRIPTOR

The machine has one address and a neighbour, to which its default route leads; the neighbour passes nothing on. A
helper process holds both namespaces and makes the sockets that tests use in them.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from task_manager.embedded_engine import kernel
from tests.embedded_engine.engine import EngineProcess

# What programs that connect networks must be able to open.
TUNNELS = "/dev/net/tun"
# RFC 5737's networks for documentation, here between namespaces alone.
ADDRESS, NEIGHBOUR, BEYOND = "203.0.113.1", "203.0.113.2", "198.51.100.1"


class Machine:
    """A network namespace with an address, and one beside it with another; each has a loopback."""

    def __init__(self) -> None:
        self._control, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._lock = threading.Lock()
        user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
        self._helper = subprocess.Popen(
            ["unshare", "--net", *user, sys.executable, "-m", __name__, str(its.fileno())], pass_fds=[its.fileno()]
        )
        its.close()
        if not self._control.recv(1):
            raise AssertionError("no machine could be made")
        same_user = ["--user", "--preserve-credentials"] if user else []
        self._prefix = (shutil.which("nsenter") or "nsenter", "--target", str(self._helper.pid), "--net", *same_user)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._control.close()
        self._helper.wait(10)

    @contextmanager
    def session(self, state_dir: Path, environment: Mapping[str, str] | None = None) -> Iterator[EngineProcess]:
        """Runs an engine session on the machine; its port is one of the tests' own loopback."""
        with EngineProcess(state_dir, environment=environment, prefix=self._prefix) as session:
            listener = socket.create_server(("127.0.0.1", 0))
            inner, session.port = session.port, listener.getsockname()[1]
            accepting = threading.Thread(target=self._forward, args=(listener, inner))
            accepting.start()
            try:
                yield session
            finally:
                listener.shutdown(socket.SHUT_RDWR)
                accepting.join()
                listener.close()

    def command(self, *arguments: str) -> list[str]:
        """Returns the command that runs another one on the machine."""
        return [*self._prefix, *arguments]

    def listening(self, address: str, *, datagrams: bool = False) -> socket.socket:
        """Returns a socket bound to a free port of an address of the machine's or of the neighbour's."""
        return self._socket({"bind": address, "datagrams": datagrams})

    def connected(self, address: str, port: int) -> socket.socket:
        """Returns a connection that the machine made."""
        return self._socket({"connect": address, "port": port})

    def _socket(self, request: dict[str, Any]) -> socket.socket:
        with self._lock:
            self._control.send(json.dumps(request).encode())
            answer, descriptors, _, _ = socket.recv_fds(self._control, 4096, 1)
        if not descriptors:
            raise OSError(answer.decode())
        return socket.socket(fileno=descriptors[0])

    def _forward(self, listener: socket.socket, port: int) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = self.connected("127.0.0.1", port)
                for source, target in ((client, server), (server, client)):
                    threading.Thread(target=_copy, args=(source, target), daemon=True).start()


class Listener:
    """Answers every connection to a TCP port of a machine's address with a line of HTTP, and counts them."""

    def __init__(self, machine: Machine, address: str) -> None:
        self._socket = machine.listening(address)
        self.address, self.port = self._socket.getsockname()[:2]
        self.accepted = 0
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                self.accepted += 1
                with connection:
                    connection.recv(4096)
                    connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhere\n")

    def close(self) -> None:
        """Stops listening."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()


def fetch(address: str, port: int) -> str:
    """Returns a script that prints `here` if a listener answers, else `nothing`."""
    return f"timeout 1 wget -qO- http://{address}:{port}/ 2>/dev/null || echo nothing"


def only_programs(folder: Path, *names: str) -> dict[str, str]:
    """Returns an environment in which no other programs are found than some, and those that map ids."""
    folder.mkdir()
    for name in (*names, "newuidmap", "newgidmap"):
        if path := shutil.which(name):
            (folder / name).symlink_to(path)
    return {"PATH": str(folder)}


def with_broken_pasta(folder: Path) -> dict[str, str]:
    """Returns an environment in which the program that connects networks fails, and counts its starts."""
    environment = only_programs(folder)
    program = folder / "pasta"
    program.write_text(f"#!/bin/sh\necho started >> {folder}/starts\necho no such tunnel\nexit 1\n")
    program.chmod(0o755)
    return environment


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def _namespace() -> int:
    return os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def _ip(*commands: str) -> None:
    for command in commands:
        subprocess.run(["ip", *command.split()], check=True)


def _build() -> tuple[int, int]:
    """Makes the neighbour and connects it; returns both namespaces, and stays in the machine's."""
    own = _namespace()
    kernel.unshare(kernel.CLONE_NEWNET)
    neighbour = _namespace()
    kernel.enter_namespace(own)
    with subprocess.Popen(["sleep", "60"], preexec_fn=lambda: kernel.enter_namespace(neighbour)) as waiting:  # noqa: PLW1509 - one thread
        _ip("link set lo up", f"link add one type veth peer name two netns {waiting.pid}")
        waiting.kill()
    _ip("link set one up", f"address add {ADDRESS}/24 dev one")
    kernel.enter_namespace(neighbour)
    _ip("link set lo up", "link set two up", f"address add {NEIGHBOUR}/24 dev two", f"address add {BEYOND}/32 dev lo")
    kernel.enter_namespace(own)
    _ip(f"route add default via {NEIGHBOUR}")
    return own, neighbour


def _made(request: dict[str, Any], own: int, neighbour: int) -> socket.socket:
    if "connect" in request:
        return socket.create_connection((request["connect"], request["port"]))
    kernel.enter_namespace(neighbour if request["bind"] in (NEIGHBOUR, BEYOND) else own)
    try:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM if request["datagrams"] else socket.SOCK_STREAM)
    finally:
        kernel.enter_namespace(own)
    made.bind((request["bind"], 0))
    if not request["datagrams"]:
        made.listen()
    return made


def _serve(control: socket.socket) -> None:
    own, neighbour = _build()
    control.send(b"1")
    while data := control.recv(4096):
        try:
            with _made(json.loads(data), own, neighbour) as made:
                socket.send_fds(control, [b"1"], [made.fileno()])
        except OSError as error:
            control.send(str(error).encode())


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))

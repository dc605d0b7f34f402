"""A way out through the host's own routes, for root: a pair of interfaces for each network, and address translation.

A process of its own does this, begun before the session gives up its hold on the host's network: the gateway. It has
a range of addresses that no other gateway has, marks that by an abstract socket, unix(7), of the host's network, and
keeps its rules in a table of its own:

- what comes from a network goes out under the host's address;
- it reaches neither the host, save for its name servers, nor another network.

Interfaces end with the networks that they lead to. The gateway removes its table when the last who could ask it for
anything is gone; a table whose gateway was killed is removed by the next one.
"""

import os
import re
import select
import signal
import socket
import struct
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from task_manager.embedded_engine import kernel
from task_manager.embedded_engine.sandbox.links import add_address, add_default_route, add_pair, raise_interface

# RFC 1918 space beside the networks of sessions and of the programs that carry connections.
RANGES = range(215, 255)
INTERFACE = "out0"
_CAP_NET_ADMIN, _CAP_SYS_ADMIN = 12, 21
_TABLE, _SOCKET = "task_manager_engine_", "\0task-manager-engine-gateway-"
_PREFIX_LENGTH, _SLOTS = 30, 1 << 14
_CONNECT = b"connect"
_FIRST_INHERITED = 3
_SETTINGS, _SETTINGS_6 = Path("/proc/sys/net/ipv4/conf"), Path("/proc/sys/net/ipv6/conf")
# From a network: nothing but names of the host, and nothing of another network.
_RULES = """\
table ip {table} {{
  chain input {{
    type filter hook input priority -10; policy accept;
    iifname "{interfaces}" meta l4proto {{ tcp, udp }} th dport 53 accept
    iifname "{interfaces}" drop
  }}
  chain forward {{
    type filter hook forward priority -10; policy accept;
    iifname "{interfaces}" oifname "tm*" drop
  }}
  chain postrouting {{
    type nat hook postrouting priority 100; policy accept;
    ip saddr {addresses} oifname != "{interfaces}" masquerade
  }}
}}
"""


class GatewayError(Exception):
    """There can be no gateway; the message says why."""


def start(nft: str) -> int:
    """Start a gateway; return the socket that it is asked by, with which it ends.

    Call it while this process has one thread, in the network that is to be gone out through.

    Args:
        nft: The path of nft(8).

    Raises:
        GatewayError: There can be none.
    """
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if os.fork() == 0:
        ours.close()
        _be_gateway(its, nft)
    its.close()
    answer = ours.recv(1 << 12)
    if answer != _CONNECT:
        ours.close()
        raise GatewayError(answer.decode("utf-8", "replace") or "its process ended")
    return ours.detach()


def ask(gateway: int, namespace: int, complaints: int) -> None:
    """Ask a gateway to connect a network namespace.

    Args:
        gateway: The socket.
        namespace: A descriptor of the namespace.
        complaints: A pipe that takes what fails, and ends then, or with the gateway.
    """
    with socket.socket(fileno=os.dup(gateway)) as connection:
        socket.send_fds(connection, [_CONNECT], [namespace, complaints])


def free_ranges(routes: str) -> list[int]:
    """Return the numbers N of the ranges 10.N.0.0/16 that no route of the host leads into.

    Args:
        routes: The text of /proc/net/route.
    """
    used: set[int] = set()
    for line in routes.splitlines()[1:]:
        fields = line.split()
        destination, mask = (struct.pack("=I", int(fields[index], 16)) for index in (1, 7))
        if mask == bytes(4):
            continue
        used.update(number for number in RANGES if _overlap(bytes((10, number, 0, 0)), destination, mask))
    return [number for number in RANGES if number not in used]


def _overlap(ours: bytes, theirs: bytes, mask: bytes) -> bool:
    common = bytes(a & b for a, b in zip(mask, bytes((255, 255, 0, 0)), strict=True))
    return all(a & m == b & m for a, b, m in zip(ours, theirs, common, strict=True))


def is_allowed() -> bool:
    """Return whether this process may do what a gateway does."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("CapEff:"):
            held = int(line.split()[1], 16)
            return all(held >> number & 1 for number in (_CAP_NET_ADMIN, _CAP_SYS_ADMIN))
    return False


def _be_gateway(connection: socket.socket, nft: str) -> NoReturn:
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        # Whoever waits for the end of the session's streams does not wait for this process.
        empty = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        for target in range(_FIRST_INHERITED):
            os.dup2(empty, target)
        _run_gateway(connection, nft)
    finally:
        os._exit(0)


def _run_gateway(connection: socket.socket, nft: str) -> None:
    try:
        gateway = _Gateway(connection, nft)
    except (OSError, GatewayError) as error:
        connection.send(str(error).encode())
        return
    try:
        connection.send(_CONNECT)
        gateway.serve()
    finally:
        gateway.close()


class _Gateway:
    def __init__(self, connection: socket.socket, nft: str) -> None:
        self._connection = connection
        self._nft = nft
        self._complaints: set[int] = set()
        self._slot = 0
        self._number, self._mark = self._taken_range()
        self._forwarding: list[Path] = []
        self._remove_leftovers()
        self._run(["-f", "-"], _rules(self._number))
        try:
            self._forward()
        except OSError:
            self.close()
            raise

    def serve(self) -> None:
        """Connect networks until nobody can ask for it any more."""
        watched = select.poll()
        watched.register(self._connection, select.POLLIN)
        while True:
            for descriptor, _ in watched.poll():
                if descriptor != self._connection.fileno():
                    watched.unregister(descriptor)
                    os.close(descriptor)
                    continue
                data, descriptors, _, _ = socket.recv_fds(self._connection, len(_CONNECT), 2)
                if not data:
                    return
                if (complaints := self._answer(descriptors)) is not None:
                    # It tells of an error as soon as nobody reads it.
                    watched.register(complaints, 0)

    def close(self) -> None:
        """Take back what was set up."""
        with suppress(GatewayError):
            self._run(["delete", "table", "ip", _table(self._number)])
        if not any(_is_alive(number) for number in RANGES if number != self._number):
            for setting in self._forwarding:
                with suppress(OSError):
                    setting.write_text("0", encoding="ascii")
        self._mark.close()

    def _answer(self, descriptors: Sequence[int]) -> int | None:
        """Connect a network; return the pipe for complaints, None where there was one."""
        namespace, complaints = descriptors
        try:
            self._connect(namespace)
        except OSError as error:
            with suppress(OSError):
                os.write(complaints, f"{error.strerror}\n".encode())
            os.close(complaints)
            return None
        finally:
            os.close(namespace)
        return complaints

    def _connect(self, namespace: int) -> None:
        name = self._free_name()
        outer, inner = (f"10.{self._number}.{self._slot >> 6}.{(self._slot & 63) * 4 + end}" for end in (1, 2))
        add_pair(name, INTERFACE, namespace)
        add_address(name, outer, _PREFIX_LENGTH)
        (_SETTINGS / name / "forwarding").write_text("1", encoding="ascii")
        with suppress(FileNotFoundError):
            # No rule of ours is about its local addresses.
            (_SETTINGS_6 / name / "disable_ipv6").write_text("1", encoding="ascii")
        raise_interface(name)
        child = os.fork()
        if child == 0:
            _configure(namespace, inner, outer)
        _, status = os.waitpid(child, 0)
        if status:
            code = os.waitstatus_to_exitcode(status)
            raise OSError(code, os.strerror(code))

    def _free_name(self) -> str:
        """Return the name of an interface that is not there; it says which addresses are its own."""
        for _ in range(_SLOTS):
            self._slot = (self._slot + 1) % _SLOTS
            name = f"{_prefix(self._number)}{self._slot}"
            try:
                socket.if_nametoindex(name)
            except OSError:
                return name
        raise OSError("every address is taken")

    def _taken_range(self) -> tuple[int, socket.socket]:
        """Take the first range of addresses that is free, and mark it as taken.

        Raises:
            GatewayError: There is none.
        """
        for number in free_ranges(Path("/proc/net/route").read_text(encoding="ascii")):
            mark = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                mark.bind(f"{_SOCKET}{number}")
            except OSError:
                mark.close()
                continue
            return number, mark
        raise GatewayError("routes of the host lead into every range of addresses from 10.215.0.0/16 to 10.254.0.0/16")

    def _remove_leftovers(self) -> None:
        """Remove the tables of gateways that were killed."""
        for number in re.findall(rf"table ip {_TABLE}([0-9]+)\b", self._run(["list", "tables", "ip"])):
            if int(number) == self._number or not _is_alive(int(number)):
                with suppress(GatewayError):
                    self._run(["delete", "table", "ip", _table(int(number))])

    def _forward(self) -> None:
        """Let answers in by the interfaces that the default routes lead out of.

        Raises:
            OSError: The kernel's settings cannot be changed.
        """
        routes = (line.split() for line in Path("/proc/net/route").read_text(encoding="ascii").splitlines()[1:])
        for name in sorted({fields[0] for fields in routes if int(fields[1], 16) == int(fields[7], 16) == 0}):
            setting = _SETTINGS / name / "forwarding"
            if setting.read_text(encoding="ascii").strip() == "0":
                setting.write_text("1", encoding="ascii")
                self._forwarding.append(setting)

    def _run(self, arguments: Sequence[str], given: str = "") -> str:
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
        done = subprocess.run(
            [self._nft, *arguments], input=given, capture_output=True, text=True, check=False, env=environment
        )
        if done.returncode:
            raise GatewayError(f"nft: {' '.join(done.stderr.split())}")
        return done.stdout


def _configure(namespace: int, address: str, gateway: str) -> NoReturn:
    """Give a network its address and its route; end with the number of the error."""
    code = 1
    try:
        kernel.enter_namespace(namespace)
        add_address(INTERFACE, address, _PREFIX_LENGTH)
        raise_interface(INTERFACE)
        add_default_route(INTERFACE, gateway)
        code = 0
    except OSError as error:
        code = error.errno or code
    finally:
        os._exit(code)


def _rules(number: int) -> str:
    return _RULES.format(table=_table(number), interfaces=f"{_prefix(number)}*", addresses=f"10.{number}.0.0/16")


def _table(number: int) -> str:
    return f"{_TABLE}{number}"


def _prefix(number: int) -> str:
    return f"tm{number}-"


def _is_alive(number: int) -> bool:
    """Return whether a gateway has a range: whether its mark is there."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.bind(f"{_SOCKET}{number}")
        except OSError:
            return True
    return False

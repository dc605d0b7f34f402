"""Network namespaces with a way out, made ahead of the commands that run in them.

A program that needs no privilege on the host, pasta(1) or slirp4netns(1), carries each namespace's connections: the
host sees them as that program's own. A keeper, process 1 of a process namespace of its own, holds the namespace, so
that the program ends with the keeper and the keeper with the launcher.
"""

import os
import re
import select
import signal
from collections.abc import Callable, Collection
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from typing import NoReturn

from task_manager.embedded_engine import kernel
from task_manager.embedded_engine.sandbox import gateway
from task_manager.embedded_engine.sandbox.links import DefaultRoute, raise_interface

INTERFACE = "tap0"
TUNNELS = "/dev/net/tun"
# RFC 1918 space beside the session network's; slirp4netns answers names at the third address, pasta where it is told.
_NETWORK, _PREFIX_LENGTH = "10.214.0.0", 24
_ADDRESS, _GATEWAY, NAME_SERVER = "10.214.0.2", "10.214.0.1", "10.214.0.3"
# Namespaces that wait for commands; each costs the memory of its program.
_SPARE = 4
# So many programs in a row that connect nothing are enough to stop trying.
_MOST_FAILURES = 3
_NOT_CONNECTED = 2
_FIRST_INHERITED = 3
_LOCAL_SERVER = re.compile(r"nameserver\s+(127\.|::1)")
_LONGEST_MESSAGE = 1000
READY_SECONDS = 10.0


@dataclass(frozen=True)
class Carrier:
    """What connects network namespaces.

    Attributes:
        name: `pasta` or `slirp4netns`, a program for each namespace; `nft`, one gateway for all of them.
        path: The program.
        gateway: The socket of a gateway that runs already; -1 for a program.
    """

    name: str
    path: str
    gateway: int = -1

    def arguments(self, namespace: str) -> list[str]:
        """Return the command that connects the namespace at a path; neither maps anything to the host's loopback."""
        if self.name == "slirp4netns":
            place = [f"--cidr={_NETWORK}/{_PREFIX_LENGTH}", "--netns-type=path", namespace, INTERFACE]
            return [self.path, "--configure", "--mtu=65520", "--disable-host-loopback", *place]
        # Without these, ports that are free inside are passed on to the host's loopback, and the gateway stands for it.
        closed = ["-t", "none", "-u", "none", "-T", "none", "-U", "none", "--no-map-gw"]
        place = ["-a", _ADDRESS, "-n", str(_PREFIX_LENGTH), "-g", _GATEWAY, "--dns-forward", NAME_SERVER]
        # Otherwise it becomes `nobody`, who may not enter the namespace; it gives up its capabilities by itself.
        identity = ["--runas", "0:0"]
        return [
            self.path,
            "-f",
            "-q",
            "--config-net",
            "-I",
            INTERFACE,
            *identity,
            *closed,
            *place,
            "--netns",
            namespace,
        ]


def find_carrier(find: Callable[[str], str | None]) -> Carrier | None:
    """Return the program to use.

    Args:
        find: Returns the path of a program by its name, such as `shutil.which`.
    """
    found = ((name, find(name)) for name in ("pasta", "slirp4netns"))
    return next((Carrier(name, path) for name, path in found if path), None)


def open_way_out(find: Callable[[str], str | None]) -> tuple[Carrier | None, str]:
    """Return what gives commands a way out, started where it has to be, or why there is nothing.

    Call it while this process has one thread, in the host's network and user namespace.

    Args:
        find: Returns the path of a program by its name, such as `shutil.which`.
    """
    carrier = find_carrier(find)
    if not (reason := obstacle(carrier)):
        return carrier, ""
    if not gateway.is_allowed():
        return None, reason
    if (nft := find("nft")) is None:
        return None, f"{reason}; nor is nft (package nftables)"
    try:
        return Carrier("nft", nft, gateway.start(nft)), ""
    except gateway.GatewayError as error:
        return None, f"{reason}; no addresses can be translated: {error}"


def obstacle(carrier: Carrier | None) -> str:
    """Return why commands get no way out, as far as that is known ahead; empty where nothing is in the way."""
    if carrier is None:
        return "neither pasta nor slirp4netns is installed"
    try:
        os.close(os.open(TUNNELS, os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        return f"{carrier.name} is installed, but {TUNNELS} cannot be opened: {(error.strerror or '').lower()}"
    return ""


def reachable_name_servers(configuration: str) -> str:
    """Return a resolv.conf(5) whose name servers can be reached by an uplink: not those on the host's loopback."""
    lines: list[str] = []
    for line in configuration.splitlines():
        words = line.split()
        if words[:1] == ["nameserver"] and len(words) > 1 and words[1].startswith(("127.", "::1")):
            line = f"nameserver {NAME_SERVER}"  # noqa: PLW2901 - which asks the host's
        if not (line in lines and words[:1] == ["nameserver"]):
            lines.append(line)
    return "".join(f"{line}\n" for line in lines)


def outer_name_servers(configuration: str, upstream: str) -> str:
    """Return a resolv.conf(5) without the name servers on the host's loopback, which a gateway does not lead to.

    Args:
        configuration: The host's.
        upstream: The one that a name server on the loopback asks by, used where the host's has no other.
    """
    lines = [line for line in configuration.splitlines() if not _LOCAL_SERVER.match(line)]
    if any(line.startswith("nameserver") for line in lines) or not upstream:
        return "".join(f"{line}\n" for line in lines)
    return upstream


@dataclass(frozen=True)
class Uplink:
    """A connected network namespace.

    Attributes:
        keeper: The process that holds it.
        namespace: A descriptor of it.
        ready: A pipe that ends as soon as it is connected, or cannot be.
        counters: Its protocol counters, those of IPv4 and those of IPv6.
    """

    keeper: int
    namespace: int
    ready: int
    counters: tuple[int, int]

    def wait(self) -> None:
        """Return when it is connected, or is known not to be."""
        select.select([self.ready], [], [], READY_SECONDS)

    def is_untouched(self) -> bool:
        """Return whether no connection was opened and no datagram sent in it so far."""
        version_4, version_6 = (os.pread(counter, 1 << 14, 0).decode("ascii") for counter in self.counters)
        sent = [_counter(version_4, "Tcp", "ActiveOpens"), _counter(version_4, "Udp", "OutDatagrams")]
        sent += [int(line.split()[1]) for line in version_6.splitlines() if line.startswith("Udp6OutDatagrams")]
        return not any(sent)


class Uplinks:
    """Hands out connected network namespaces, each to one command at a time.

    A namespace serves another command only if the one before left no trace in it: no connection that lingers, no
    answer under way. The others are replaced, while the session does something else.
    """

    def __init__(self, carrier: Carrier | None) -> None:
        self._carrier = carrier
        self._spare: list[Uplink] = []
        self._lent: dict[int, tuple[Uplink, bool]] = {}
        self._keepers: set[int] = set()
        self._failures = 0

    def take(self) -> Uplink | None:
        """Return an uplink that nobody else has; None where no program can connect one."""
        if self._carrier is not None and not self._spare:
            with suppress(OSError):
                self._spare.append(self._make(self._carrier))
        return self._spare.pop() if self._spare else None

    def lend(self, process: int, uplink: Uplink, *, reusable: bool) -> None:
        """Note that a sandbox's process 1 runs in an uplink, which serves others afterwards if it is reusable."""
        self._lent[process] = (uplink, reusable)

    def reaped(self, process: int, status: int) -> None:
        """Note that a process of the launcher ended, a sandbox's or a keeper, with a wait status."""
        if process in self._keepers:
            self._keepers.discard(process)
            self._on_failed(process, os.waitstatus_to_exitcode(status))
        elif process in self._lent:
            uplink, reusable = self._lent.pop(process)
            self.give_back(uplink, reusable=reusable)

    def give_back(self, uplink: Uplink, *, reusable: bool) -> None:
        """Keep an uplink for another command, or replace it."""
        alive = self._is_alive(uplink)
        if alive:
            self._failures = 0
        if reusable and alive and len(self._spare) < _SPARE and uplink.is_untouched():
            self._spare.append(uplink)
            return
        self._close(uplink)
        if alive and not self._spare and self._carrier is not None:
            with suppress(OSError):
                self._spare.append(self._make(self._carrier))

    def _on_failed(self, keeper: int, code: int) -> None:
        self._failures += code == _NOT_CONNECTED
        if self._failures >= _MOST_FAILURES:
            self._carrier = None
        for uplink in [uplink for uplink in self._spare if uplink.keeper == keeper]:
            self._spare.remove(uplink)
            self._close(uplink)

    def _is_alive(self, uplink: Uplink) -> bool:
        """Return whether its keeper is at work; of one that has ended, `reaped` may be told later."""
        if uplink.keeper not in self._keepers:
            return False
        return os.waitid(os.P_PID, uplink.keeper, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None

    def _close(self, uplink: Uplink) -> None:
        if self._is_alive(uplink):
            self._keepers.discard(uplink.keeper)
            os.kill(uplink.keeper, signal.SIGKILL)
        for descriptor in (uplink.namespace, uplink.ready, *uplink.counters):
            os.close(descriptor)

    def _make(self, carrier: Carrier) -> Uplink:
        ready, writing = os.pipe()
        with ExitStack() as opened:
            opened.callback(os.close, ready)
            keeper = kernel.clone(kernel.CLONE_NEWPID)
            if keeper == 0:
                _keep(carrier, writing, quiet=self._failures > 0)
            os.close(writing)
            self._keepers.add(keeper)
            if not os.read(ready, 1):
                raise OSError("a network namespace cannot be made")
            descriptors = []
            for path in ("ns/net", "net/snmp", "net/snmp6"):
                descriptors.append(os.open(f"/proc/{keeper}/{path}", os.O_RDONLY | os.O_CLOEXEC))
                opened.callback(os.close, descriptors[-1])
            opened.pop_all()
        return Uplink(keeper, descriptors[0], ready, (descriptors[1], descriptors[2]))


def _counter(text: str, protocol: str, name: str) -> int:
    """Return a counter of /proc/net/snmp, which has a line of names and one of values for each protocol."""
    names, values = (line.split() for line in text.splitlines() if line.startswith(f"{protocol}:"))
    return int(values[names.index(name)])


def _keep(carrier: Carrier, ready: int, *, quiet: bool) -> NoReturn:
    """Be the keeper: move to a new network namespace, have it connected, and hold it until killed.

    Args:
        carrier: What connects it.
        ready: A pipe that takes a byte when the namespace is there, and ends when it is connected or cannot be.
        quiet: Whether nothing is said when it cannot be.
    """
    try:
        kernel.die_with_parent()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        # The launcher is at work on a command, whose output ends only when nobody else holds its pipes.
        _close_all_but({ready, carrier.gateway})
        # Outer /proc, inner process: the number by which the program finds this process.
        namespace = f"/proc/{os.readlink('/proc/self')}/ns/net"  # noqa: PTH115 - what is imported here stays in memory
        messages, go = _prepare(carrier, namespace) if carrier.gateway < 0 else os.pipe()
        kernel.unshare(kernel.CLONE_NEWNET)
        raise_interface("lo")
        os.write(ready, b"1")
        with closing(DefaultRoute()) as route:
            # The program has given up most capabilities when it opens the namespace; proc(5) lets it do so only if
            # this process has no more than it.
            kernel.set_capabilities(frozenset())
            if carrier.gateway >= 0:
                gateway.ask(carrier.gateway, _own_network(), go)
            os.close(go)
            failure = _connected(route, messages)
        if failure is not None:
            if not quiet:
                os.write(2, f"WARNING commands reach no other machine: {carrier.name} ended: {failure}\n".encode())
            os._exit(_NOT_CONNECTED)
        os.close(ready)
        while os.read(messages, 1 << 12):
            pass
    finally:
        os._exit(1)


def _close_all_but(kept: Collection[int]) -> None:
    first = _FIRST_INHERITED
    for descriptor in sorted(kept):
        if descriptor >= first:
            os.closerange(first, descriptor)
            first = descriptor + 1
    os.closerange(first, os.sysconf("SC_OPEN_MAX"))


def _own_network() -> int:
    return os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def _prepare(carrier: Carrier, namespace: str) -> tuple[int, int]:
    """Start the program, which stays in the host's network.

    Returns:
        A pipe with what it writes, which ends with it, and one to close when it shall begin.
    """
    messages, writing = os.pipe()
    waiting, go = os.pipe()
    if os.fork() == 0:
        os.close(go)
        os.read(waiting, 1)
        _become_program(carrier, namespace, writing)
    os.close(waiting)
    os.close(writing)
    return messages, go


def _become_program(carrier: Carrier, namespace: str, writing: int) -> NoReturn:
    try:
        empty = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        for target, descriptor in ((0, empty), (1, writing), (2, writing)):
            os.dup2(descriptor, target)
        kernel.default_signals()
        os.execve(carrier.path, carrier.arguments(namespace), {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})  # noqa: S606
    finally:
        os._exit(1)


def _connected(route: DefaultRoute, messages: int) -> str | None:
    """Wait for the program to give the namespace a default route; return what it said when it ends without."""
    said = b""
    while True:
        readable, _, _ = select.select([route.fileno(), messages], [], [])
        if route.fileno() in readable and route.is_there():
            return None
        if messages in readable:
            data = os.read(messages, 1 << 12)
            if not data:
                return " ".join(said[-_LONGEST_MESSAGE:].decode("utf-8", "replace").split())
            said += data

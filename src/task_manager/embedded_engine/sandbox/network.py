"""The session's own network: a namespace with a bridge that services and those who use them are plugged into.

It has no way out; for that, its members have another interface. The namespace lives as long as somebody holds its
descriptor, which is the launcher.
"""

import os
import socket
import time

from task_manager.embedded_engine import kernel
from task_manager.embedded_engine.sandbox.links import (
    add_address,
    add_bridge,
    add_pair,
    isolate_port,
    join_bridge,
    raise_interface,
)

# RFC 1918 space that container engines do not take by default.
_BRIDGE, _BRIDGE_ADDRESS, PREFIX_LENGTH = "session0", "10.213.0.1", 16
_INTERFACE = "eth0"
_RETRY_SECONDS = 0.02
_CONNECT_SECONDS = 1.0


def address_of(number: int) -> str:
    """Return the address of a session's sandbox by number, from 0 on.

    Raises:
        ValueError: The network has no more addresses.
    """
    high, low = divmod(number + 2, 256)
    if high > 255:  # noqa: PLR2004 - a byte
        raise ValueError("the session's network is full")
    return f"10.213.{high}.{low}"


def create() -> int:
    """Make the network and return a descriptor of its namespace.

    Raises:
        OSError: The kernel refused.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        _build(reading, writing)
    os.close(writing)
    try:
        if not os.read(reading, 1):
            raise OSError("the session's network cannot be made")
        return os.open(f"/proc/{child}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        # The child waits for this end of the pipe, so that its namespace can be opened meanwhile.
        os.kill(child, 9)
        os.close(reading)
        os.waitpid(child, 0)


def _build(reading: int, writing: int) -> None:
    try:
        os.close(reading)
        kernel.die_with_parent()
        kernel.unshare(kernel.CLONE_NEWNET)
        add_bridge(_BRIDGE)
        add_address(_BRIDGE, _BRIDGE_ADDRESS, PREFIX_LENGTH)
        raise_interface("lo")
        raise_interface(_BRIDGE)
        os.write(writing, b"1")
        time.sleep(60)
    finally:
        os._exit(1)


def plug_in(network: int, address: str, *, isolated: bool) -> None:
    """Connect this process's network namespace to the session's network.

    Args:
        network: A descriptor of the session network's namespace.
        address: This process's address there.
        isolated: Whether it reaches, and is reached by, only those that are not isolated.

    Raises:
        OSError: The kernel refused.
    """
    peer = "v" + "".join(f"{int(part):02x}" for part in address.split("."))
    own = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        add_pair(_INTERFACE, peer, network)
        kernel.enter_namespace(network)
        join_bridge(peer, _BRIDGE)
        if isolated:
            isolate_port(peer)
        raise_interface(peer)
    finally:
        kernel.enter_namespace(own)
        os.close(own)
    add_address(_INTERFACE, address, PREFIX_LENGTH)
    raise_interface(_INTERFACE)


def wait_for_ports(network: int, address: str, ports: list[int]) -> None:
    """Return when everything on some TCP ports of an address accepts connections; ask as long as it takes.

    Raises:
        OSError: The network cannot be entered.
    """
    kernel.enter_namespace(network)
    for port in ports:
        while not _accepts(address, port):
            time.sleep(_RETRY_SECONDS)


def _accepts(address: str, port: int) -> bool:
    try:
        with socket.create_connection((address, port), _CONNECT_SECONDS):
            return True
    except OSError:
        return False

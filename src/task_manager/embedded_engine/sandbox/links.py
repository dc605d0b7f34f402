"""Network interfaces and addresses, by rtnetlink(7).

Constants: linux/rtnetlink.h, linux/if_link.h, linux/veth.h.
"""

import errno
import os
import socket
import struct
from contextlib import closing

_NETLINK_ROUTE = 0
_RTM_NEWLINK, _RTM_NEWADDR, _RTM_NEWROUTE = 16, 20, 24
_IPV4_ROUTES, _IPV6_ROUTES = 0x40, 0x400
_UNICAST = 1
_MAIN_TABLE, _BOOT_PROTOCOL = 254, 3
_RTA_OIF, _RTA_GATEWAY = 4, 5
_REQUEST, _ACK, _EXCLUSIVE, _CREATE = 0x1, 0x4, 0x200, 0x400
_NLMSG_ERROR = 2
_IFLA_IFNAME, _IFLA_MASTER, _IFLA_LINKINFO, _IFLA_NET_NS_FD = 3, 10, 18, 28
_IFLA_INFO_KIND, _IFLA_INFO_DATA, _IFLA_INFO_SLAVE_KIND, _IFLA_INFO_SLAVE_DATA = 1, 2, 4, 5
_IFLA_BRPORT_ISOLATED = 33
_VETH_INFO_PEER = 1
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_IFF_UP = 0x1
_HEADER = struct.Struct("=IHHII")
_LINK = struct.Struct("=BxHiII")
_ADDRESS = struct.Struct("=BBBBI")
# struct rtmsg: family, lengths of destination and source, type of service, table, protocol, scope, type, flags.
_ROUTE = struct.Struct("=8BI")


def raise_interface(name: str) -> None:
    """Bring an interface up.

    Raises:
        OSError: The kernel refused.
    """
    _send(_RTM_NEWLINK, 0, _LINK.pack(0, 0, socket.if_nametoindex(name), _IFF_UP, _IFF_UP))


def add_bridge(name: str) -> None:
    """Make a bridge.

    Raises:
        OSError: The kernel refused.
    """
    kind = _attribute(_IFLA_LINKINFO, _attribute(_IFLA_INFO_KIND, b"bridge"))
    _send(_RTM_NEWLINK, _CREATE | _EXCLUSIVE, _LINK.pack(0, 0, 0, 0, 0) + _named(name) + kind)


def add_pair(name: str, peer: str, peer_namespace: int) -> None:
    """Make two interfaces that are each other's other end, one here and one in another network namespace.

    Raises:
        OSError: The kernel refused.
    """
    place = _attribute(_IFLA_NET_NS_FD, struct.pack("=I", peer_namespace))
    other = _attribute(_VETH_INFO_PEER, _LINK.pack(0, 0, 0, 0, 0) + _named(peer) + place)
    info = _attribute(_IFLA_INFO_KIND, b"veth") + _attribute(_IFLA_INFO_DATA, other)
    body = _LINK.pack(0, 0, 0, 0, 0) + _named(name) + _attribute(_IFLA_LINKINFO, info)
    _send(_RTM_NEWLINK, _CREATE | _EXCLUSIVE, body)


def join_bridge(name: str, bridge: str) -> None:
    """Plug an interface into a bridge.

    Raises:
        OSError: The kernel refused.
    """
    master = _attribute(_IFLA_MASTER, struct.pack("=I", socket.if_nametoindex(bridge)))
    _send(_RTM_NEWLINK, 0, _LINK.pack(0, 0, socket.if_nametoindex(name), 0, 0) + master)


def isolate_port(name: str) -> None:
    """Keep what is plugged into a bridge by this interface from reaching other such ports of it.

    Raises:
        OSError: The kernel refused; before Linux 4.18 it knows no such ports.
    """
    isolated = _attribute(_IFLA_INFO_SLAVE_DATA, _attribute(_IFLA_BRPORT_ISOLATED, b"\1"))
    info = _attribute(_IFLA_LINKINFO, _attribute(_IFLA_INFO_SLAVE_KIND, b"bridge") + isolated)
    _send(_RTM_NEWLINK, 0, _LINK.pack(0, 0, socket.if_nametoindex(name), 0, 0) + info)


class DefaultRoute:
    """Tells when this process's network namespace gets a default route."""

    def __init__(self) -> None:
        self._news = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_ROUTE)
        self._news.bind((0, _IPV4_ROUTES | _IPV6_ROUTES))

    def fileno(self) -> int:
        """Return a descriptor that can be read when there is news of routes."""
        return self._news.fileno()

    def close(self) -> None:
        """Stop listening."""
        self._news.close()

    def is_there(self) -> bool:
        """Read news, and return whether it tells of a default route."""
        data = self._news.recv(1 << 16)
        while data:
            length, kind, *_ = _HEADER.unpack_from(data)
            if kind == _RTM_NEWROUTE:
                _, destination_length, _, _, _, _, _, route, _ = _ROUTE.unpack_from(data, _HEADER.size)
                if destination_length == 0 and route == _UNICAST:
                    return True
            data = data[(length + 3) & ~3 :]
        return False


def add_address(name: str, address: str, prefix_length: int) -> None:
    """Give an interface an IPv4 address.

    Raises:
        OSError: The kernel refused.
    """
    packed = socket.inet_aton(address)
    header = _ADDRESS.pack(socket.AF_INET, prefix_length, 0, 0, socket.if_nametoindex(name))
    body = header + _attribute(_IFA_LOCAL, packed) + _attribute(_IFA_ADDRESS, packed)
    _send(_RTM_NEWADDR, _CREATE | _EXCLUSIVE, body)


def add_default_route(name: str, gateway: str) -> None:
    """Let everything that has no route of its own go to an IPv4 address by an interface.

    Raises:
        OSError: The kernel refused.
    """
    header = _ROUTE.pack(socket.AF_INET, 0, 0, 0, _MAIN_TABLE, _BOOT_PROTOCOL, 0, _UNICAST, 0)
    interface = struct.pack("=I", socket.if_nametoindex(name))
    body = header + _attribute(_RTA_GATEWAY, socket.inet_aton(gateway)) + _attribute(_RTA_OIF, interface)
    _send(_RTM_NEWROUTE, _CREATE | _EXCLUSIVE, body)


def _named(name: str) -> bytes:
    return _attribute(_IFLA_IFNAME, name.encode() + b"\0")


def _attribute(kind: int, data: bytes) -> bytes:
    length = len(data) + 4
    return struct.pack("=HH", length, kind) + data + b"\0" * (-length % 4)


def _send(kind: int, flags: int, body: bytes) -> None:
    with closing(socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_ROUTE)) as route:
        length = _HEADER.size + len(body)
        route.send(_HEADER.pack(length, kind, _REQUEST | _ACK | flags, 1, 0) + body)
        answer = route.recv(1 << 16)
    _, answered, _, _, _ = _HEADER.unpack_from(answer)
    if answered != _NLMSG_ERROR:
        raise OSError(errno.EPROTO, "the kernel answered a link request with something else")
    code: int = struct.unpack_from("=i", answer, _HEADER.size)[0]
    if code:
        raise OSError(-code, os.strerror(-code))

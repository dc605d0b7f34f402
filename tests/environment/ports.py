"""Ports of loopback for programs that are told theirs before they listen."""

from __future__ import annotations

import random
import socket
from pathlib import Path
from typing import Final

_FIRST: Final = 10_000
_claims: Final[list[socket.socket]] = []


def claimed_port() -> int:
    """A port that is free, and that no other test is given as long as this process lives.

    It is none of those that the system gives to connections: such a one may be taken by anybody before the program
    listens, or while it is started again.
    """
    lowest_given = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()[0])
    candidates = range(_FIRST, lowest_given)
    return next(port for port in random.sample(candidates, len(candidates)) if try_claim(port))


def try_claim(port: int) -> bool:
    """Claim a port as long as this process lives; False when it is another one's."""
    claim = socket.socket(socket.AF_UNIX)
    try:
        # An abstract name (unix(7)) is one process's, whoever runs it, and goes with the process.
        claim.bind(f"\0task-manager-tests/port/{port}")
        with socket.socket() as tried:
            tried.bind(("127.0.0.1", port))
    except OSError:
        claim.close()
        return False
    _claims.append(claim)
    return True

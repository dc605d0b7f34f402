"""Who makes the call that is being answered, and what it may do."""

from __future__ import annotations

import re
from contextvars import ContextVar
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

_UNFIT: Final = re.compile(r"[^\w.@/ -]+")
_LONGEST_NAME: Final = 80


class Access(IntEnum):
    """What a caller may do; each includes what comes before it."""

    READ = 1
    """Look."""
    RUN = 2
    """Create, change and run."""
    ADMIN = 3
    """Remove."""


@dataclass(frozen=True)
class Caller:
    """Who makes a call.

    Attributes:
        name: As events and the inbox know it.
        access: What it may do.
    """

    name: str = "local"
    access: Access = Access.ADMIN


LOCAL: Final = Caller()
"""Whoever calls without a server, in this process."""

_current: ContextVar[Caller] = ContextVar("caller", default=LOCAL)


def current_caller() -> Caller:
    """Who makes the call that is being answered."""
    return _current.get()


def set_caller(caller: Caller) -> None:
    """From here on in this task, calls are answered for that caller."""
    _current.set(caller)


def client_name(name: str | None) -> str:
    """The name of a client that says who it is, as events show it."""
    fit = _UNFIT.sub("", name or "").strip()[:_LONGEST_NAME]
    return f"mcp:{fit}" if fit else "mcp"

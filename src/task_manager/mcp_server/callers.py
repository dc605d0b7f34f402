"""Who makes the call that is being answered."""

from __future__ import annotations

import re
from contextvars import ContextVar
from typing import Final

from task_manager.identity import Identity

_UNFIT: Final = re.compile(r"[^\w.@/ -]+")
_LONGEST_NAME: Final = 80

LOCAL: Final = Identity("local")
"""Whoever calls without a server, in this process."""

_current: ContextVar[Identity] = ContextVar("caller", default=LOCAL)


def current_caller() -> Identity:
    """Who makes the call that is being answered; its name is known."""
    return _current.get()


def caller_name() -> str:
    """The name of who makes the call that is being answered, as events and the inbox know it."""
    return current_caller().name or "local"


def set_caller(caller: Identity) -> None:
    """From here on in this task, calls are answered for that caller."""
    _current.set(caller)


def client_name(name: str | None) -> str:
    """The name of a client that says who it is, as events show it."""
    fit = _UNFIT.sub("", name or "").strip()[:_LONGEST_NAME]
    return f"mcp:{fit}" if fit else "mcp"

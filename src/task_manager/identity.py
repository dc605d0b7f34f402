"""Who makes a request, and what the request may do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from task_manager.models import TokenScope

IDENTITY_KEY: Final = "task_manager.identity"
"""Where an HTTP request's scope has its identity."""

_ORDER: Final = tuple(TokenScope)


@dataclass(frozen=True)
class Identity:
    """Who makes a request.

    Attributes:
        name: As events and the inbox know it; none: as the client names itself.
        scope: What it may do.
    """

    name: str | None = None
    scope: TokenScope = TokenScope.ADMIN

    def allows(self, needed: TokenScope) -> bool:
        """Whether it may do what needs that scope."""
        return _ORDER.index(self.scope) >= _ORDER.index(needed)

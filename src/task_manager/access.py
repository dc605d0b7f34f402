"""Access tokens: made, shown once, recognised by their digests, revoked."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from task_manager.errors import InvalidInput
from task_manager.models import AccessToken, TokenScope, new_id, utc_now
from task_manager.store import Store, access_tokens
from task_manager.task_rules import checked

PREFIX: Final = "tm_"
"""What every token begins with, so that people and scanners of secrets know one."""

_RANDOM_BYTES: Final = 32
_NOTED_EVERY: Final = timedelta(minutes=1)


class AccessControl:
    """Knows who may come in.

    Args:
        store: Where tokens are kept.
        clock: The time, in UTC.
    """

    def __init__(self, store: Store, clock: Callable[[], datetime] = utc_now) -> None:
        self._store = store
        self._clock = clock

    async def create(
        self, name: str, scope: TokenScope, *, lifetime: timedelta | None = None
    ) -> tuple[AccessToken, str]:
        """Make a token.

        Args:
            name: Unique; the event log bears it.
            scope: What it allows.
            lifetime: How long it is accepted; none: until it is revoked.

        Returns:
            Its record, and the token, which is shown here and never again.

        Raises:
            InvalidInput: The name does not fit or is taken.
        """
        if lifetime is not None and lifetime <= timedelta():
            raise InvalidInput("A token's lifetime is more than nothing.")
        now = self._clock()
        secret = PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)
        fields = {
            "id": new_id("token"),
            "name": name,
            "scope": scope,
            "digest": _digest(secret),
            "created_at": now,
            "expires_at": now + lifetime if lifetime else None,
        }
        return await self._store.run(access_tokens.insert, checked(AccessToken, fields)), secret

    async def list(self) -> tuple[AccessToken, ...]:
        """All tokens, oldest first."""
        return await self._store.run(access_tokens.all_)

    async def revoke(self, id_or_name: str) -> AccessToken:
        """Refuse a token from now on.

        Raises:
            NotFound: There is none of that id or name.
        """
        return await self._store.run(access_tokens.remove, id_or_name)

    async def recognise(self, secret: str) -> AccessToken | None:
        """The token's record; None when it is unknown, revoked or expired."""
        digest = _digest(secret)
        token = await self._store.run(access_tokens.of_digest, digest)
        now = self._clock()
        if token is None or not hmac.compare_digest(token.digest, digest):
            return None
        if token.expires_at is not None and token.expires_at <= now:
            return None
        if token.used_at is None or now - token.used_at >= _NOTED_EVERY:
            await self._store.run(access_tokens.used, token.id, now=now)
        return token


def _digest(secret: str) -> str:
    # A slow hash protects what people choose; these are random.
    return hashlib.sha256(secret.encode()).hexdigest()

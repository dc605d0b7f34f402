"""Access tokens: made, shown once, recognised by their digests, revoked; and browsers that logged in with one."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import Final

from task_manager.errors import InvalidInput
from task_manager.models import AccessToken, LoginSession, TokenScope, new_id, utc_now
from task_manager.store import Store, access_tokens, login_sessions
from task_manager.task_rules import checked

PREFIX: Final = "tm_"
"""What every token begins with, so that people and scanners of secrets know one."""

SESSION_LIFETIME: Final = timedelta(days=30)
"""How long a browser stays logged in, at most; not longer than its token is accepted."""

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
        if token is None or not hmac.compare_digest(token.digest, digest):
            return None
        return await self._used(token)

    async def log_in(self, secret: str) -> tuple[LoginSession, str] | None:
        """Let a browser in that shows a token.

        Returns:
            Its session, and what the browser shows from now on in the token's place; None when the token is unknown,
            revoked or expired.
        """
        token = await self.recognise(secret)
        if token is None:
            return None
        now = self._clock()
        shown = secrets.token_urlsafe(_RANDOM_BYTES)
        session = LoginSession(token=token, digest=_digest(shown), created_at=now, expires_at=now + SESSION_LIFETIME)
        await self._store.run(login_sessions.insert, session)
        return session, shown

    async def recognise_session(self, shown: str) -> LoginSession | None:
        """The session of a browser; None when it has ended, or its token is accepted no more."""
        digest = _digest(shown)
        session = await self._store.run(login_sessions.of_digest, digest)
        if session is None or not hmac.compare_digest(session.digest, digest):
            return None
        if session.expires_at <= self._clock() or await self._used(session.token) is None:
            return None
        return session

    async def log_out(self, shown: str) -> None:
        """End the session of a browser, if there is one."""
        await self._store.run(login_sessions.remove, _digest(shown))

    async def accepted(self, digests: Collection[str]) -> frozenset[str]:
        """Which of these digests, of tokens or of sessions, are accepted still."""
        return await self._store.run(login_sessions.accepted, digests, self._clock())

    async def _used(self, token: AccessToken) -> AccessToken | None:
        """Note that a token was used; None when it has expired."""
        now = self._clock()
        if token.expires_at is not None and token.expires_at <= now:
            return None
        if token.used_at is None or now - token.used_at >= _NOTED_EVERY:
            await self._store.run(access_tokens.used, token.id, now=now)
        return token


def _digest(secret: str) -> str:
    # A slow hash protects what people choose; these are random.
    return hashlib.sha256(secret.encode()).hexdigest()

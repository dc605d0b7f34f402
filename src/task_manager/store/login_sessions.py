"""Browsers that logged in, in the store, as digests of what they hold."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection, delete, or_, select

from task_manager.models import LoginSession
from task_manager.store import access_tokens, tables
from task_manager.store.database import read_only

_columns = tables.login_sessions.c
_tokens = tables.access_tokens.c


def insert(c: Connection, session: LoginSession) -> None:
    """Store a new one; those that have expired are removed."""
    c.execute(delete(tables.login_sessions).where(_columns.expires_at <= session.created_at))
    row = session.model_dump(exclude={"token"})
    c.execute(tables.login_sessions.insert(), {**row, "token_id": session.token.id})


@read_only
def of_digest(c: Connection, digest: str) -> LoginSession | None:
    """The one of that digest, with its token; None when there is none."""
    row = c.execute(select(tables.login_sessions).where(_columns.digest == digest)).mappings().first()
    if row is None:
        return None
    token = access_tokens.get(c, row["token_id"])
    return LoginSession(token=token, digest=row["digest"], created_at=row["created_at"], expires_at=row["expires_at"])


def remove(c: Connection, digest: str) -> None:
    """Remove the one of that digest, if it is there."""
    c.execute(delete(tables.login_sessions).where(_columns.digest == digest))


@read_only
def accepted(c: Connection, digests: Collection[str], now: datetime) -> frozenset[str]:
    """Which of these digests, of tokens or of sessions, are accepted still."""
    token_is_live = or_(_tokens.expires_at.is_(None), _tokens.expires_at > now)
    of_tokens = select(_tokens.digest).where(_tokens.digest.in_(digests), token_is_live)
    of_sessions = (
        select(_columns.digest)
        .join(tables.access_tokens, _tokens.id == _columns.token_id)
        .where(_columns.digest.in_(digests), _columns.expires_at > now, token_is_live)
    )
    return frozenset(c.scalars(of_tokens.union_all(of_sessions)))

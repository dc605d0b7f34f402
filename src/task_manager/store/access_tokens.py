"""Access tokens in the store, as digests."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, delete, select, update

from task_manager.errors import NameTaken
from task_manager.models import AccessToken
from task_manager.store import tables
from task_manager.store.database import read_only
from task_manager.store.records import IdentifiedTable, called

_tokens = IdentifiedTable("token", AccessToken, tables.access_tokens)
_columns = tables.access_tokens.c


def insert(c: Connection, token: AccessToken) -> AccessToken:
    """Store a new token.

    Raises:
        NameTaken: Another one has its name.
    """
    if c.execute(select(_columns.id).where(_columns.name == token.name)).first() is not None:
        raise NameTaken(
            f"There is a token {token.name!r} already.", remedy="Choose another name, or revoke that one first."
        )
    c.execute(tables.access_tokens.insert(), _tokens.row(token))
    return token


@read_only
def all_(c: Connection) -> tuple[AccessToken, ...]:
    """All tokens, oldest first."""
    return _tokens.all(c, _tokens.matching().order_by(_columns.id))


@read_only
def of_digest(c: Connection, digest: str) -> AccessToken | None:
    """The token of that digest; None when there is none."""
    return _tokens.first(c, _tokens.matching(digest=digest))


def get(c: Connection, token_id: str) -> AccessToken:
    """The token of that id.

    Raises:
        NotFound: There is none.
    """
    return _tokens.get(c, token_id)


def used(c: Connection, token_id: str, *, now: datetime) -> None:
    """Note that a token was used."""
    c.execute(update(tables.access_tokens).where(_columns.id == token_id).values(used_at=now))


def remove(c: Connection, id_or_name: str) -> AccessToken:
    """Remove the token of that id or name.

    Raises:
        NotFound: There is none; near misses are named.
    """
    token = called("token", all_(c), id_or_name)
    c.execute(delete(tables.access_tokens).where(_columns.id == token.id))
    return token

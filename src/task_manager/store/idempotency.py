"""Idempotency keys: a call that is made again with the same key has the outcome of the first."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from pydantic import JsonValue
from sqlalchemy import Connection, insert, select

from task_manager.errors import Conflict, InvalidInput
from task_manager.pipeline import content_digest
from task_manager.store import tables

LONGEST_KEY: Final = 200
_columns = tables.idempotency_keys.c


def known(c: Connection, operation: str, key: str, arguments: JsonValue) -> str | None:
    """The record that came of the call with this key; None when there was none yet.

    Args:
        c: The transaction.
        operation: What was called.
        key: The caller's key, up to 200 characters.
        arguments: What it was called with.

    Raises:
        InvalidInput: The key is empty or too long.
        Conflict: The key was used with other arguments.
    """
    if not key.strip() or len(key) > LONGEST_KEY:
        raise InvalidInput(f"An idempotency key has 1 to {LONGEST_KEY} characters.", details={"length": len(key)})
    query = select(_columns.digest, _columns.record_id).where(_columns.operation == operation, _columns.key == key)
    row = c.execute(query).one_or_none()
    if row is None:
        return None
    if row.digest != content_digest(arguments):
        raise Conflict(
            f"The idempotency key {key!r} was used before with other arguments; that made {row.record_id}.",
            remedy="Use another key, or the same arguments.",
            details={"key": key, "record": row.record_id},
        )
    return str(row.record_id)


def remember(c: Connection, operation: str, key: str, arguments: JsonValue, record_id: str, *, now: datetime) -> None:
    """Note what came of a call; in the transaction that made it."""
    row = {"operation": operation, "key": key, "digest": content_digest(arguments), "record_id": record_id}
    c.execute(insert(tables.idempotency_keys), {**row, "created_at": now})

"""Idempotency keys: a call that is made again with the same key has the outcome of the first."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol, TypeVar

from pydantic import JsonValue
from sqlalchemy import Connection, insert, select

from task_manager.errors import Conflict, InvalidInput
from task_manager.pipeline import content_digest
from task_manager.store import tables
from task_manager.store.database import read_only

LONGEST_KEY: Final = 200
_PART: Final = "part of "
_columns = tables.idempotency_keys.c


class Identified(Protocol):
    """A record with an id."""

    @property
    def id(self) -> str:
        """The id."""


Record = TypeVar("Record", bound=Identified)


@dataclass(frozen=True)
class Call:
    """A call that may be made again.

    Attributes:
        operation: What is called, at most 50 characters.
        key: The caller's name for the call, 1 to 200 characters; none: each call is another one.
        arguments: What it is called with.
    """

    operation: str
    key: str | None
    arguments: Mapping[str, JsonValue]


@read_only
def known(c: Connection, call: Call) -> tuple[str, ...] | None:
    """The records that came of a call before; None when it is made the first time, or has no key.

    Raises:
        InvalidInput: The key is empty or too long.
        Conflict: The key was used with other arguments.
    """
    if call.key is None:
        return None
    if not call.key.strip() or len(call.key) > LONGEST_KEY:
        raise InvalidInput(f"An idempotency key has 1 to {LONGEST_KEY} characters.", details={"length": len(call.key)})
    query = select(_columns.digest, _columns.record_id)
    row = c.execute(query.where(_columns.operation == call.operation, _columns.key == call.key)).one_or_none()
    if row is None:
        return None
    if row.digest != content_digest(dict(call.arguments)):
        raise Conflict(
            f"The idempotency key {call.key!r} was used before with other arguments; that made {row.record_id}.",
            remedy="Use another key, or the same arguments.",
            details={"key": call.key, "record": row.record_id},
        )
    parts = select(_columns.record_id).where(
        _columns.operation == _PART + call.operation, _columns.key.startswith(_part_key(call.key))
    )
    return (str(row.record_id), *c.scalars(parts.order_by(_columns.key)))


def remember(c: Connection, call: Call, record_ids: Sequence[str], *, now: datetime) -> None:
    """Note what came of a call with a key, at least one record; in the transaction that made it."""
    if call.key is None:
        return
    keys = [(call.operation, call.key)]
    keys += [(_PART + call.operation, f"{_part_key(call.key)}{n:06}") for n in range(1, len(record_ids))]
    common = {"digest": content_digest(dict(call.arguments)), "created_at": now}
    rows = [
        {"operation": operation, "key": key, "record_id": record_id, **common}
        for (operation, key), record_id in zip(keys, record_ids, strict=True)
    ]
    c.execute(insert(tables.idempotency_keys), rows)


@read_only
def find(c: Connection, call: Call, get: Callable[[Connection, str], Record]) -> tuple[Record, ...] | None:
    """Like `known`, with the records as they are now.

    Raises:
        NotFound: One was removed since.
    """
    ids = known(c, call)
    return None if ids is None else tuple([get(c, record_id) for record_id in ids])


def make_once(
    c: Connection,
    call: Call,
    get: Callable[[Connection, str], Record],
    make: Callable[[Connection], Sequence[Record]],
    *,
    now: datetime,
) -> tuple[Record, ...]:
    """What came of a call before, or else what is made now."""
    found = find(c, call, get)
    if found is None:
        found = tuple(make(c))
        remember(c, call, [record.id for record in found], now=now)
    return found


@read_only
def key_of(c: Connection, record_id: str) -> str | None:
    """The key of the call that made a record; None when it had none."""
    of_record = (
        select(tables.idempotency_keys).where(_columns.record_id == record_id).order_by(_columns.created_at).limit(1)
    )
    row = c.execute(of_record).one_or_none()
    if row is None or not row.operation.startswith(_PART):
        return None if row is None else str(row.key)
    whole = select(_columns.key).where(
        _columns.operation == row.operation.removeprefix(_PART),
        _columns.digest == row.digest,
        _columns.created_at == row.created_at,
    )
    return next((str(key) for key in c.scalars(whole) if row.key.startswith(_part_key(key))), None)


def _part_key(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest() + ":"

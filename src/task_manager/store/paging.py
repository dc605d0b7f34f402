"""Pages of a list: each goes on where the one before ended, whatever was added or removed in between."""

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import Column, Select

from task_manager.errors import InvalidInput

T = TypeVar("T")

DEFAULT_LIMIT = 50
MAX_LIMIT = 500


@dataclass(frozen=True)
class Page(Generic[T]):
    """A part of a list.

    Attributes:
        items: The records, in the list's order.
        next_cursor: What to ask for the next page with; None on the last one.
    """

    items: tuple[T, ...]
    next_cursor: str | None = None


def encode_cursor(key: Sequence[str | int]) -> str:
    """The key of a page's last record, as text that fits into an address."""
    return base64.urlsafe_b64encode(json.dumps(list(key)).encode()).decode().rstrip("=")


def after(
    query: Select[Any], cursor: str | None, order: Sequence[Column[Any]], *, newest_first: bool = False
) -> Select[Any]:
    """The query in an order, from a cursor on.

    Args:
        query: Any selection that has the columns.
        cursor: What a page gave as `next_cursor`; none: from the beginning.
        order: The columns of the order; together unique.
        newest_first: Whether the order is descending.

    Raises:
        InvalidInput: The cursor is not one of that order.
    """
    ordered = query.order_by(*(column.desc() if newest_first else column for column in order))
    if cursor is None:
        return ordered
    (*before, last), (*equal, end) = order, decode_cursor(cursor, [column.type.python_type for column in order])
    condition = last < end if newest_first else last > end
    for column, value in zip(reversed(before), reversed(equal), strict=True):
        beyond = column < value if newest_first else column > value
        condition = beyond | ((column == value) & condition)
    return ordered.where(condition)


def decode_cursor(cursor: str, types: Sequence[type]) -> list[str | int]:
    """The key that a cursor holds.

    Args:
        cursor: What a page gave as `next_cursor`.
        types: The type of each part of the key.

    Raises:
        InvalidInput: It is not a cursor of that list.
    """
    try:
        key = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError):
        key = None
    if not isinstance(key, list) or [type(part) for part in key] != list(types):
        raise InvalidInput(
            f"{cursor!r} is not a cursor of this list.",
            remedy="Pass the next_cursor of the page before, or none for the first page.",
        )
    return key


def check_limit(limit: int) -> int:
    """The limit, when it can be used.

    Raises:
        InvalidInput: It is not from 1 to `MAX_LIMIT`.
    """
    if not 1 <= limit <= MAX_LIMIT:
        raise InvalidInput(f"The limit of a page is from 1 to {MAX_LIMIT}, not {limit}.")
    return limit

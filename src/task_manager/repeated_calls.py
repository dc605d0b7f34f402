"""Calls that are done once, however often they are made with the same idempotency key."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from task_manager.errors import Conflict
from task_manager.store import Connection, Store, idempotency
from task_manager.store.idempotency import Call, Record


async def find(store: Store, call: Call, get: Callable[[Connection, str], Record]) -> Record | None:
    """The record that a call made before, as it is now; None when it is made the first time, or has no key.

    Raises:
        Conflict: The key was used with other arguments.
        InvalidInput: The key is empty or too long.
        NotFound: The record was removed since.
    """
    found = await find_all(store, call, get)
    return None if found is None else found[0]


async def find_all(store: Store, call: Call, get: Callable[[Connection, str], Record]) -> tuple[Record, ...] | None:
    """Like `find`, for a call that makes several records."""
    return None if call.key is None else await store.run(idempotency.find, call, get)


async def once(
    store: Store,
    call: Call,
    get: Callable[[Connection, str], Record],
    make: Callable[[Connection], Record],
    *,
    now: datetime,
) -> Record:
    """Make a record in one transaction, unless the call made it before; of two at the same time, one makes it.

    Args:
        store: Where records and keys are kept.
        call: The call.
        get: Reads a record by its id.
        make: Makes the record.
        now: The time.

    Raises:
        Conflict: The key was used with other arguments.
        InvalidInput: The key is empty or too long.
        NotFound: The record was removed since.
    """
    return (await once_all(store, call, get, lambda c: (make(c),), now=now))[0]


async def once_all(
    store: Store,
    call: Call,
    get: Callable[[Connection, str], Record],
    make: Callable[[Connection], Sequence[Record]],
    *,
    now: datetime,
) -> tuple[Record, ...]:
    """Like `once`, for a call that makes several records."""
    try:
        return await store.run(idempotency.make_once, call, get, make, now=now)
    except Conflict:
        # Another process may have made the records of this key at the same time.
        found = await find_all(store, call, get)
        if found is None:
            raise
        return found

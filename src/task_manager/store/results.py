"""Results in the store, as JSON-like data."""

from typing import Any

from sqlalchemy import Connection, delete, insert, select

from task_manager.store import tables
from task_manager.store.database import read_only

_columns = tables.results.c


def put(c: Connection, run_id: str, data: dict[str, Any]) -> None:
    """Store a run's result in place of its earlier one.

    Args:
        c: The transaction.
        run_id: The run.
        data: JSON-like data.

    Raises:
        InvalidInput: The run does not exist, or the data cannot be written as JSON (a NaN, for example).
    """
    c.execute(delete(tables.results).where(_columns.run_id == run_id))
    c.execute(insert(tables.results), {"run_id": run_id, "data": data})


@read_only
def get(c: Connection, run_id: str) -> dict[str, Any] | None:
    """A run's result; None when it has none."""
    return c.scalar(select(_columns.data).where(_columns.run_id == run_id))

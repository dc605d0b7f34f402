"""Results that nobody has read yet: runs that are over, by who started them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, exists, insert, select

from task_manager.models import WorkflowRun
from task_manager.store import tables
from task_manager.store.database import read_only
from task_manager.store.paging import DEFAULT_LIMIT, Page
from task_manager.store.records import RecordTable
from task_manager.store.runs import ACTIVE

_runs = RecordTable("run", WorkflowRun, tables.runs, newest_first=True)
_columns = tables.read_results.c


@read_only
def unread(c: Connection, reader: str, *, limit: int = DEFAULT_LIMIT, cursor: str | None = None) -> Page[WorkflowRun]:
    """A page of the runs that a reader started, that are over, and whose end it has not seen; newest first.

    Args:
        c: The transaction.
        reader: Who asks.
        limit: How many at most.
        cursor: The `next_cursor` of the page before.

    Raises:
        InvalidInput: The limit or the cursor cannot be used.
    """
    read = exists().where(_columns.run_id == tables.runs.c.id, _columns.reader == reader)
    query = _runs.matching(actor=reader).where(tables.runs.c.status.not_in(sorted(ACTIVE)), ~read)
    return _runs.page(c, query, limit=limit, cursor=cursor)


def mark_read(c: Connection, run_id: str, reader: str, *, now: datetime) -> None:
    """Note that a reader has seen how a run ended; again does nothing."""
    known = select(_columns.run_id).where(_columns.run_id == run_id, _columns.reader == reader)
    if c.execute(known).first() is None:
        c.execute(insert(tables.read_results), {"run_id": run_id, "reader": reader, "read_at": now})

"""Workers in the store: who executes runs, and who has not been heard of."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, delete, insert, select, update

from task_manager.models import WorkerRecord, WorkerState
from task_manager.store import tables
from task_manager.store.database import read_only
from task_manager.store.prepared import Prepared
from task_manager.store.records import RecordTable

_workers = RecordTable("worker", WorkerRecord, tables.workers)
_columns = tables.workers.c
_all = Prepared(select(tables.workers).order_by(_columns.id))


def put(c: Connection, worker: WorkerRecord) -> None:
    """Store a worker in place of the one that had its place before."""
    c.execute(delete(tables.workers).where(_columns.id == worker.id))
    c.execute(insert(tables.workers), _workers.row(worker))


def seen(c: Connection, worker_id: str, *, state: WorkerState, now: datetime) -> bool:
    """Store a sign of life; False when somebody took the worker for dead."""
    changed = update(tables.workers).where(_columns.id == worker_id).values(seen_at=now, state=state.value)
    return c.execute(changed).rowcount == 1


def remove(c: Connection, worker_id: str, *, unseen_since: datetime | None = None) -> bool:
    """Remove a worker; False when it is not there (any more).

    Args:
        c: The transaction.
        worker_id: The worker.
        unseen_since: Only if it has shown no sign of life since.
    """
    query = delete(tables.workers).where(_columns.id == worker_id)
    if unseen_since is not None:
        query = query.where(_columns.seen_at < unseen_since)
    return c.execute(query).rowcount == 1


@read_only
def all_(c: Connection) -> tuple[WorkerRecord, ...]:
    """All workers, by id."""
    return _workers.all(c, _all)

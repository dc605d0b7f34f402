"""The store: records and the event log in a database, changed by operations that are one transaction each.

Open it with `Store.open`, then run the functions of `projects`, `phases`, `tasks`, `workflows`, `runs`,
`run_queries`, `steps`, `events`, `artifacts` and `results`, or functions made from them::

    store = Store.open(data_dir)
    task = await store.run(tasks.get, task_id)
"""

from sqlalchemy import Connection

# Hooks, schedules and triggers are left out: few processes need them, and those name their modules.
from task_manager.store import (
    access_tokens,
    artifacts,
    claims,
    events,
    idempotency,
    inbox,
    phases,
    projects,
    queue,
    results,
    run_queries,
    runs,
    steps,
    tasks,
    workers,
    workflows,
)
from task_manager.store.database import read_only
from task_manager.store.feed import EventFeed
from task_manager.store.paging import Page
from task_manager.store.store import Store

__all__ = [
    "Connection",
    "EventFeed",
    "Page",
    "Store",
    "access_tokens",
    "artifacts",
    "claims",
    "events",
    "idempotency",
    "inbox",
    "phases",
    "projects",
    "queue",
    "read_only",
    "results",
    "run_queries",
    "runs",
    "steps",
    "tasks",
    "workers",
    "workflows",
]

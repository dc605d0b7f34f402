"""Attempts as DBOS workflows: kept in a database, carried out by any worker that shares it, recovered after a crash.

A worker starts the attempts that it was handed over itself, at once: nobody has to look for them many times a second.
Only those of a worker that died go through a DBOS queue, to whichever worker that shares the database comes first.

A workflow has no steps of its own: what was recorded of a run stands in the product's store, and carrying an attempt
out again goes on from there.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Collection, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from dbos import DBOS, DBOSConfig, SetWorkflowID, WorkflowStatus

from task_manager.orchestration.protocol import Attempt, CarryOut

QUEUE: Final = "task-manager-runs"
WORKFLOW: Final = "task-manager-run"
APPLICATION_VERSION: Final = "1"
"""Raised when attempts that an earlier version began cannot be carried on; their workers are stopped before."""

DATABASE_FILE: Final = "orchestration.db"
_LOOK_SECONDS: Final = 1.0
_SELDOM_SECONDS: Final = 10.0
_MOST_RECOVERIES: Final = 1_000_000  # The store counts, and gives up much earlier.
_ENDED = ("SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED")
_REMOVED_AT_ONCE: Final = 500
_KEPT = ("ENQUEUED", "DELAYED", "PENDING")
_OWN_HANDLER: Final = "__dbos_console_log_handler__"


def sqlite_url(data_dir: Path) -> str:
    """The address of the orchestration's database in a data folder, made with a write-ahead log if need be."""
    file = data_dir / DATABASE_FILE
    if not file.exists():
        file.touch(mode=0o600)
        with closing(sqlite3.connect(file)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
    return f"sqlite:///{file}"


def postgresql_url(database_url: str) -> str:
    """The address of the orchestration's tables, in a schema of their own of the product's database."""
    return f"postgresql+psycopg://{database_url.partition('://')[2]}"


class DurableOrchestrator:
    """DBOS, of which there is one in a process.

    Args:
        database_url: Where DBOS keeps its tables: `sqlite:///…` or `postgresql+psycopg://…`.
        worker_id: This worker's place, which no other living process has.
        places: How many attempts this worker carries out at once.
        shared: Whether other workers share the database.
    """

    def __init__(self, database_url: str, *, worker_id: str, places: int, shared: bool) -> None:
        self._database_url = database_url
        self._worker_id = worker_id
        self._places = places
        self._shared = shared
        self._workflow: Callable[[str], Coroutine[Any, Any, None]] | None = None

    async def start(self, carry_out: CarryOut) -> None:
        """Launch DBOS; it recovers what this worker's place was interrupted in."""
        config: DBOSConfig = {
            "name": "task-manager",
            "system_database_url": self._database_url,
            "executor_id": self._worker_id,
            "application_version": APPLICATION_VERSION,
            "log_level": "ERROR",
        }
        DBOS(config=config)
        _log_as_others_do()

        async def body(key: str) -> None:
            await carry_out(Attempt.parse(key))

        self._workflow = DBOS.workflow(name=WORKFLOW, max_recovery_attempts=_MOST_RECOVERIES)(body)
        # In this thread, for DBOS calls workflows in the event loop that it is launched in.
        DBOS.launch()
        await DBOS.register_queue_async(
            QUEUE,
            worker_concurrency=self._places,
            polling_interval_sec=_LOOK_SECONDS if self._shared else _SELDOM_SECONDS,
            on_conflict="always_update",
        )

    async def hand_over(self, attempt: Attempt) -> None:
        """Start an attempt; one that another worker has is left to it."""
        if self._workflow is not None:
            with SetWorkflowID(attempt.key):
                await DBOS.start_workflow_async(self._workflow, attempt.key)

    async def unknown(self, attempts: Collection[Attempt]) -> Collection[Attempt]:
        """Those without a workflow, or whose workflow has ended; that one is forgotten, so that it can come again."""
        if not attempts:
            return []
        keys = [attempt.key for attempt in attempts]
        found = await DBOS.list_workflows_async(workflow_ids=keys, load_input=False, load_output=False)
        ended = [workflow.workflow_id for workflow in found if workflow.status not in _KEPT]
        if ended:
            await DBOS.delete_workflows_async(ended)
        kept = {workflow.workflow_id for workflow in found} - set(ended)
        return [attempt for attempt in attempts if attempt.key not in kept]

    async def adopt(self, worker_id: str) -> int:
        """Put the attempts that a worker began back into the queue."""
        begun: list[WorkflowStatus] = await DBOS.list_workflows_async(
            status=["PENDING"], executor_id=[worker_id], name=[WORKFLOW], load_input=False
        )
        for workflow in begun:
            await DBOS.resume_workflow_async(workflow.workflow_id, queue_name=QUEUE)
        return len(begun)

    async def forget_ended(self, before: datetime) -> int:
        """Remove the workflows of attempts that ended."""
        removed = 0
        while True:
            ended = await DBOS.list_workflows_async(
                name=[WORKFLOW],
                status=[*_ENDED],
                end_time=before.isoformat(),
                limit=_REMOVED_AT_ONCE,
                load_input=False,
                load_output=False,
            )
            if not ended:
                return removed
            await DBOS.delete_workflows_async([workflow.workflow_id for workflow in ended])
            removed += len(ended)

    async def stop(self) -> None:
        """End DBOS; the loop gets an executor of its own again, since DBOS takes its away with it."""
        DBOS.destroy(destroy_registry=True)
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor())


def _log_as_others_do() -> None:
    """Leave DBOS's lines to the handlers of the process, instead of one of its own."""
    logger = logging.getLogger("dbos")
    for handler in [one for one in logger.handlers if one.name == _OWN_HANDLER]:
        logger.removeHandler(handler)
    logger.propagate = True

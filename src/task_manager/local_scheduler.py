"""Executes runs inside the calling process: in dependency order, a limited number at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime

from task_manager.models import WorkflowRun, utc_now
from task_manager.run_executor import RunExecutor, end_cancelled
from task_manager.store import Store, runs, tasks
from task_manager.structured_log import get_logger
from task_manager.workflow_status import Reason, WorkflowStatus

log = get_logger(__name__)


class LocalScheduler:
    """Starts runs as tasks of the running event loop and keeps hold of them.

    Args:
        store: Where runs are.
        executor: Carries out one run.
        limit: How many runs execute at once.
        clock: The time, in UTC.
    """

    def __init__(
        self, store: Store, executor: RunExecutor, *, limit: int, clock: Callable[[], datetime] = utc_now
    ) -> None:
        self._store = store
        self._executor = executor
        self._clock = clock
        self._slots = asyncio.Semaphore(limit)
        self._running: dict[str, asyncio.Task[None]] = {}

    def start(self, run_id: str, *, after: Sequence[str] = ()) -> None:
        """Execute a run once the runs in `after`, started before it, have succeeded; skip it when one has not."""
        task = asyncio.create_task(self._carry(run_id, tuple(after)), name=f"run {run_id}")
        self._running[run_id] = task
        task.add_done_callback(lambda _: self._running.pop(run_id, None))

    async def wait(self, run_id: str) -> None:
        """Wait until a run that this process executes is over; at once for any other."""
        task = self._running.get(run_id)
        if task is not None:
            await asyncio.wait([task])

    async def cancel(self, run_id: str) -> None:
        """Stop a run that this process executes, and wait until it is over."""
        task = self._running.get(run_id)
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def close(self) -> None:
        """Stop all runs, the dependents first, and wait for their ends."""
        for run_id in reversed(tuple(self._running)):
            await self.cancel(run_id)

    async def _carry(self, run_id: str, after: Sequence[str]) -> None:
        try:
            blocking = await self._upstream_that_failed(after)
            if blocking is not None:
                title = (await self._store.run(tasks.get, blocking.task_id)).title
                await self._enter(run_id, WorkflowStatus.SKIPPED, _skipped(blocking, title))
                return
            await self._queue(run_id)
            async with self._slots:
                await self._executor.execute(run_id)
        except asyncio.CancelledError:
            await asyncio.shield(self._store.run(end_cancelled, run_id, now=self._clock()))
            raise
        except Exception:
            log.exception("run_not_carried_out", run_id=run_id)

    async def _upstream_that_failed(self, after: Sequence[str]) -> WorkflowRun | None:
        for upstream in after:
            await self.wait(upstream)
        for upstream in after:
            run = await self._store.run(runs.get, upstream)
            if run.status is not WorkflowStatus.SUCCEEDED:
                return run
        return None

    async def _queue(self, run_id: str) -> None:
        run = await self._store.run(runs.get, run_id)
        if run.status is not WorkflowStatus.QUEUED:
            reason = Reason(code="waiting_for_slot", text="Waits for a free place in this process.")
            await self._enter(run_id, WorkflowStatus.QUEUED, reason)

    async def _enter(self, run_id: str, status: WorkflowStatus, reason: Reason) -> None:
        await self._store.run(runs.transition, run_id, status, reason=reason, now=self._clock())


def _skipped(upstream: WorkflowRun, title: str) -> Reason:
    return Reason(
        code="upstream_failed",
        text=f"Not run, because task {title!r}, which it depends on, ended {upstream.status.replace('_', ' ')}.",
        details={"run": upstream.id, "task": upstream.task_id, "status": upstream.status},
    )

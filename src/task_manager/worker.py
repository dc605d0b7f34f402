"""The worker: hands the queue's runs over in order, executes them, and repairs what was interrupted."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, aclosing, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from importlib.metadata import version
from typing import Final, NoReturn

from task_manager.admission import DEAD_AFTER_SECONDS, Decision, Queue, RunLimits, decide, run_limits
from task_manager.artifact_retention import ArtifactRetention
from task_manager.artifacts import open_artifacts
from task_manager.cached_runs import CachedRuns
from task_manager.config import Settings
from task_manager.errors import NotFound, RunTaken, TaskManagerError
from task_manager.models import Event, EventKind, WorkerRecord, WorkerState, WorkflowRun, utc_now
from task_manager.orchestration import Attempt, Orchestrator
from task_manager.run_executor import RunExecutor
from task_manager.run_tracing import conclude, record_cached, traced_attempt
from task_manager.snapshots import Snapshots
from task_manager.store import Connection, Store, events, queue, read_only, runs, workers
from task_manager.structured_log import about, get_logger
from task_manager.tracing import SpanHandle
from task_manager.workflow_status import WorkflowStatus

log = get_logger(__name__)

SIGN_OF_LIFE_SECONDS: Final = 2.0
"""How often a worker says that it lives."""

_RECONCILE_SECONDS: Final = 5.0
_CARRIED_OUT: Final = frozenset({WorkflowStatus.PREPARING, WorkflowStatus.RUNNING, WorkflowStatus.PROCESSING})
_LOOK_SECONDS: Final = 1.0
_LONGEST_REST_SECONDS: Final = 0.01
_AFTER_ERROR_SECONDS: Final = 1.0
_TOGETHER_SECONDS: Final = 0.05
_LOOKED_AT: Final = 20
_DAY: Final = 24 * 3600
_TIDY_AFTER: Final = timedelta(minutes=1)
_TIDY_EVERY: Final = timedelta(hours=1)


class Worker:
    """Executes runs until it is stopped.

    Args:
        store: Where the queue is.
        executor: Carries a run's attempt out.
        orchestrator: Keeps the attempts that were handed over.
        settings: Limits.
        cache: Answers runs before they are executed; none: all are.
        worker_id: Its place, which no other living worker has.
        clock: The time, in UTC.
        dead_after: Seconds without a sign of life after which another worker counts as dead.
    """

    def __init__(
        self,
        store: Store,
        executor: RunExecutor,
        orchestrator: Orchestrator,
        settings: Settings,
        *,
        worker_id: str,
        cache: CachedRuns | None = None,
        clock: Callable[[], datetime] = utc_now,
        dead_after: float = DEAD_AFTER_SECONDS,
    ) -> None:
        self._store = store
        self._executor = executor
        self._orchestrator = orchestrator
        self._settings = settings
        self._clock = clock
        self._dead_after = dead_after
        self._cache = cache
        self._lookups: dict[str, asyncio.Task[None]] = {}
        self._missed: dict[str, int | None] = {}
        now = clock()
        self.record = WorkerRecord(
            id=worker_id,
            host=socket.gethostname(),
            pid=os.getpid(),
            version=version("task-manager-dagger"),
            capacity=settings.run_parallelism,
            settings_digest=settings.execution_digest,
            started_at=now,
            seen_at=now,
        )
        self._carried: set[Attempt] = set()
        self._places = asyncio.Semaphore(settings.run_parallelism)
        self._running: dict[str, asyncio.Task[WorkflowRun]] = {}
        self._loops: list[asyncio.Task[None]] = []
        self._woken = asyncio.Event()
        self._stopping = False
        self._reconcile_at = 0.0
        self._busy_at = now
        self._tidy_at = now + _TIDY_AFTER

    @property
    def idle_since(self) -> datetime | None:
        """Since when it has had nothing to do; none while it has."""
        return None if self._running or self._lookups else self._busy_at

    async def start(self) -> None:
        """Register, take up again what this place was interrupted in, and begin.

        Raises:
            StoreError: The store cannot be used.
        """
        sequence = await self._store.run(events.last_sequence)
        await self._store.run(workers.put, self.record)
        try:
            await self._orchestrator.start(self._carry_out)
        except BaseException:
            await self._store.run(workers.remove, self.record.id)
            raise
        self._loops = [
            asyncio.create_task(self._serve(), name="worker queue"),
            asyncio.create_task(self._follow(sequence), name="worker events"),
            asyncio.create_task(self._live(), name="worker signs of life"),
        ]

    async def stop(self, grace: float = 0.0) -> None:
        """Take no more runs, give those under way some time, hand the rest back, and end.

        Args:
            grace: Seconds that runs have to end in.
        """
        self._stopping = True
        self._woken.set()
        if self._running and grace > 0:
            with suppress(TaskManagerError):
                await self._store.run(workers.seen, self.record.id, state=WorkerState.STOPPING, now=self._clock())
            await asyncio.wait(tuple(self._running.values()), timeout=grace)
        await self._stop_running()
        for task in self._loops:
            task.cancel()
        lookups = tuple(self._lookups.values())
        for lookup in lookups:
            lookup.cancel()
        await asyncio.gather(*self._loops, *lookups, return_exceptions=True)
        if self._cache is not None:
            await self._cache.close()
        await self._orchestrator.stop()
        with suppress(TaskManagerError):
            await self._store.run(workers.remove, self.record.id)

    def wake(self) -> None:
        """Look at the queue now."""
        self._woken.set()

    async def _stop_running(self) -> None:
        running = dict(self._running)
        for task in running.values():
            task.cancel()
        if running:
            await asyncio.wait(tuple(running.values()))
        for run_id, task in running.items():
            if task.cancelled():
                await self._store.run(queue.hand_back, run_id, now=self._clock())

    async def _carry_out(self, attempt: Attempt) -> None:
        """Execute an attempt that was handed over here, or left by a worker that died, as soon as there is a place."""
        self._carried.add(attempt)
        try:
            async with self._places:
                await self._take(attempt)
        finally:
            self._carried.discard(attempt)
        self.wake()

    async def _take(self, attempt: Attempt) -> None:
        if self._stopping:
            await _never()
        run = await self._store.run(
            queue.take,
            attempt.run_id,
            attempt.number,
            worker_id=self.record.id,
            most_recoveries=self._settings.recoveries,
            now=self._clock(),
        )
        if run is not None:
            await self._execute(run)

    async def _execute(self, run: WorkflowRun) -> None:
        async with traced_attempt(self._store, run) as span:
            with _lines_about(run):
                task = await self._attempt(run)
                _conclude(task, span)

    async def _attempt(self, run: WorkflowRun) -> asyncio.Task[WorkflowRun]:
        """Have a run executed until that is over; the task tells how."""
        log.info("attempt_started", attempt=run.attempt, worker=self.record.id)
        task = asyncio.create_task(self._executor.execute(run.id), name=f"run {run.id}")
        self._running[run.id] = task
        try:
            await asyncio.wait([task])
        finally:
            task.cancel()
            self._running.pop(run.id, None)
            self._busy_at = self._clock()
        if task.cancelled():
            # Handed back: the attempt stays with the orchestrator, for whoever carries it out next.
            await _never()
        return task

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        while not self._stopping:
            began = loop.time()
            self._woken.clear()
            try:
                await self._look()
            except TaskManagerError as error:
                log.warning("queue_not_served", error=str(error))
                await asyncio.sleep(_AFTER_ERROR_SECONDS)
            # What happens one after the other is looked at together: the longer a look takes, the more of it.
            await asyncio.sleep(min(loop.time() - began, _LONGEST_REST_SECONDS))
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_SECONDS):
                    await self._woken.wait()

    async def _look(self) -> None:
        loop = asyncio.get_running_loop()
        if loop.time() >= self._reconcile_at:
            self._reconcile_at = loop.time() + _RECONCILE_SECONDS
            await self._take_over()
            await self._reconcile()
            await self._tidy_up()
        seen = await self._store.run(_glance)
        for run_id in seen.released:
            await self._store.run(queue.release, run_id, now=self._clock())
        limits = run_limits(self._settings, seen.workers, self._clock(), self._dead_after)
        here = self.record.capacity - len(self._carried)
        free = min(limits.places - seen.handed_over, here)
        if free <= 0 and self._cache is None:
            return
        for run in (await self._decide(limits, free)).admitted:
            if here > 0 and await self._hand_over(run):
                here -= 1

    async def _decide(self, limits: RunLimits, free: int) -> Decision:
        """Which runs start now; usually it is enough to look at the first ones."""
        most = 2 * free + _LOOKED_AT if self._cache is None else None
        waiting = self._looked_up(await self._store.run(queue.load, most=most))
        decision = decide(waiting, limits, self._clock())
        if len(waiting.candidates) == most and len(decision.admitted) < free:
            return decide(await self._store.run(queue.load), limits, self._clock())
        return decision

    def _looked_up(self, waiting: Queue) -> Queue:
        """The queue without the runs that the cache was not asked for yet; it is being asked."""
        if self._cache is None:
            return waiting
        known = {run.id for run in waiting.candidates}
        self._missed = {run_id: kept for run_id, kept in self._missed.items() if run_id in known}
        asked_for = [run for run in waiting.candidates if run.attempt == 1 and run.project_id not in waiting.paused]
        for run in asked_for:
            if run.id not in self._missed and run.id not in self._lookups:
                self._look_up(run)
        pending = {run.id for run in asked_for} - self._missed.keys()
        return replace(waiting, candidates=[run for run in waiting.candidates if run.id not in pending])

    def _look_up(self, run: WorkflowRun) -> None:
        with _lines_about(run):
            self._lookups[run.id] = asyncio.create_task(self._ask_cache(run.id), name=f"cache {run.id}")

    async def _ask_cache(self, run_id: str) -> None:
        try:
            answer = await self._cache.answer(run_id) if self._cache is not None else None
            if answer is not None and answer.ended:
                await record_cached(self._store, run_id)
            elif answer is not None:
                self._missed[run_id] = answer.kept_results
        finally:
            del self._lookups[run_id]
            self._busy_at = self._clock()
            self.wake()

    async def _hand_over(self, run: WorkflowRun) -> bool:
        """Begin a run here; False when that is left to another worker, or to the cache."""
        if self._stopping:
            return False
        keeps_result = not self._settings.cache.read_only
        missed = self._missed.get(run.id)
        if await self._store.run(queue.hand_over, run.id, run.attempt, missed, keeps_result=keeps_result):
            await self._orchestrator.hand_over(Attempt(run.id, run.attempt))
            return True
        # Another worker has it; or an equal run has left its result since: the cache is asked again.
        self._missed.pop(run.id, None)
        return False

    async def _take_over(self) -> None:
        """Take over from workers that died; their runs are taken up again by whoever is free."""
        unseen_since = self._clock() - timedelta(seconds=self._dead_after)
        for worker in await self._store.run(workers.all_):
            if worker.id != self.record.id and worker.seen_at < unseen_since:
                adopted = await self._orchestrator.adopt(worker.id)
                if await self._store.run(workers.remove, worker.id, unseen_since=unseen_since):
                    log.warning("worker_died", worker=worker.id, pid=worker.pid, adopted=adopted)

    async def _reconcile(self) -> None:
        """Hand over again what was noted as handed over and nobody has: its worker ended in between."""
        others = {worker.id for worker in await self._store.run(workers.all_)} - {self.record.id}
        under_way = await self._store.run(queue.handed_over)
        mine = [Attempt(run.id, run.attempt) for run in under_way if run.worker_id not in others]
        for attempt in await self._orchestrator.unknown(mine):
            await self._orchestrator.hand_over(attempt)

    async def _tidy_up(self) -> None:
        """At a quiet time, remove what runs that are over left and nobody needs."""
        now = self._clock()
        if self._running or now < self._tidy_at:
            return
        self._tidy_at = now + _TIDY_EVERY
        forgotten = await self._orchestrator.forget_ended(now - timedelta(hours=self._settings.attempt_hours))
        used = {run.snapshot for run in await self._store.run(runs.active) if run.snapshot is not None}
        unused_since = now.timestamp() - self._settings.snapshot_days * _DAY
        snapshots = Snapshots(self._store.data_dir)
        removed = await asyncio.to_thread(snapshots.remove_except, used, unused_since=unused_since)
        await self._prune()
        log.info("tidied_up", attempts=forgotten, snapshots=removed)

    async def _prune(self) -> None:
        """Remove artifacts beyond their limits, what nothing refers to, and cached results that count no more."""
        if self._cache is not None:
            await self._cache.remove_expired()
        try:
            kept = open_artifacts(self._settings, self._store.data_dir)
            pruned = await ArtifactRetention(self._store, kept, self._settings.artifacts, clock=self._clock).prune()
        except TaskManagerError as error:
            log.warning("artifacts_not_pruned", reason=error.message)
        else:
            log.info("artifacts_pruned", runs=pruned.runs, artifacts=pruned.artifacts)

    async def _follow(self, sequence: int) -> None:
        """Look at the queue when something happened, and end runs whose end was asked for."""
        while True:
            try:
                async with aclosing(self._store.feed.pages(after=sequence)) as pages:
                    async for page in pages:
                        sequence = page[-1].sequence
                        self._heed(page)
                        # What happens at about the same time is read together.
                        await asyncio.sleep(_TOGETHER_SECONDS)
            except TaskManagerError as error:
                # A wish to cancel comes this way alone, so one failed look must not be the last.
                log.warning("events_not_followed", error=str(error))
                await asyncio.sleep(_AFTER_ERROR_SECONDS)

    def _heed(self, page: Sequence[Event]) -> None:
        for event in page:
            if event.status is WorkflowStatus.CANCELLING:
                self._executor.end(event.run_id)
        if not all(event.kind is EventKind.STEP_STATUS or event.status in _CARRIED_OUT for event in page):
            self._woken.set()

    async def _live(self) -> None:
        while True:
            await asyncio.sleep(SIGN_OF_LIFE_SECONDS)
            state = WorkerState.STOPPING if self._stopping else WorkerState.RUNNING
            try:
                known = await self._store.run(workers.seen, self.record.id, state=state, now=self._clock())
                if not known:
                    await self._store.run(workers.put, self.record.evolve(seen_at=self._clock(), state=state))
            except TaskManagerError as error:
                log.warning("no_sign_of_life", error=str(error))


@dataclass(frozen=True)
class _Glance:
    """What tells whether anything is to be decided.

    Attributes:
        released: The waiting runs whose upstream runs are over, by id.
        workers: All that are known.
        handed_over: How many runs have a place.
    """

    released: Sequence[str]
    workers: Sequence[WorkerRecord]
    handed_over: int


@read_only
def _glance(c: Connection) -> _Glance:
    return _Glance(queue.released(c), workers.all_(c), queue.count_handed_over(c))


def _lines_about(run: WorkflowRun) -> AbstractContextManager[None]:
    return about(run_id=run.id, task_id=run.task_id, project_id=run.project_id)


def _conclude(task: asyncio.Task[WorkflowRun], span: SpanHandle) -> None:
    """Tell how an attempt ended; one that was left to another worker is none of this one's any more."""
    error = task.exception()
    if isinstance(error, RunTaken | NotFound):
        log.warning("run_left", reason=str(error))
    elif error is not None:
        raise error
    else:
        ended = task.result()
        code = ended.reason.code if ended.reason is not None else None
        conclude(span, ended)
        log.info("attempt_ended", status=ended.status.value, reason=code, seconds=ended.seconds)


async def _never() -> NoReturn:
    await asyncio.Future[None]()
    raise AssertionError("nobody resolves it")

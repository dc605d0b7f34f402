"""What may be done to runs that were started: wait, cancel, pause, repeat, ask why."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from task_manager.config import Settings
from task_manager.errors import InvalidInput, NotFound, TaskManagerError, WorkerError
from task_manager.execution import Execution
from task_manager.models import Project, WorkflowRun
from task_manager.queue_explanation import Wait, explain_queue, explain_wait
from task_manager.results.diagnosis import Diagnosis
from task_manager.run_diagnosis import diagnose_run
from task_manager.run_starting import RunStarter
from task_manager.store import Store, projects, queue, runs, tasks, workflows
from task_manager.store.idempotency import Call
from task_manager.structured_log import get_logger
from task_manager.worker_place import wanted
from task_manager.workflow_status import Reason

if TYPE_CHECKING:
    from task_manager.workflow_creation import WorkflowMaker

log = get_logger(__name__)

T = TypeVar("T")

_CANCEL_SECONDS = 10.0
_ENSURE_SECONDS = 0.5
_TRY_AGAIN_SECONDS = 10.0


@dataclass(frozen=True)
class Opened:
    """What exists between `initialize` and `shutdown`."""

    store: Store
    execution: Execution
    starter: RunStarter
    make_maker: Callable[[Store], WorkflowMaker]

    @cached_property
    def maker(self) -> WorkflowMaker:
        """Makes workflows; made when it is first used, for most processes make none."""
        return self.make_maker(self.store)


class RunControl:
    """The part of `TaskWorkflowIntegration` that deals with runs which were started.

    Args:
        settings: All settings.
        clock: The time, in UTC.
    """

    def __init__(self, settings: Settings, clock: Callable[[], datetime]) -> None:
        self.settings = settings
        self._clock = clock
        self._opened: Opened | None = None

    @property
    def store(self) -> Store:
        """The open store, for other use cases on the same data.

        Raises:
            InvalidInput: The integration is not open.
        """
        return self._open.store

    @property
    def _open(self) -> Opened:
        if self._opened is None:
            raise InvalidInput(
                "The integration is not open.", remedy="Use it as `async with`, or call initialize() first."
            )
        return self._opened

    async def wait_for_run(self, run_id: str, timeout: float | None = None) -> WorkflowRun:
        """Wait for a run's end.

        Args:
            run_id: The run, whichever process executes it.
            timeout: Seconds after which the run is returned as it is then; none: no limit.

        Raises:
            NotFound: There is no such run.
            WorkerError: No worker can be started; the run stays queued.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self.while_executing(self._ended(run_id))
        return await self._open.store.run(runs.get, run_id)

    async def cancel_run(self, run_id: str, *, actor: str = "local") -> WorkflowRun:
        """Stop a run and wait until its containers are gone; one that is over is returned as it is.

        A run of another process is stopped by that process; after ten seconds it is returned as it is then.

        Raises:
            NotFound: There is no such run.
        """
        reason = Reason(code="cancelled", text=f"Cancelled by {actor}.")
        run = await self._wish_cancelled(run_id, reason, actor)
        if run.status.is_terminal:
            return run
        await self._open.execution.ensure()
        return await self.wait_for_run(run_id, _CANCEL_SECONDS)

    async def cancel_runs(
        self, run_ids: Sequence[str], *, actor: str = "local"
    ) -> tuple[WorkflowRun | TaskManagerError, ...]:
        """Stop several runs at once, as `cancel_run` does one.

        Returns:
            For each its run, or why there is none, in the order in which they were named.
        """
        reason = Reason(code="cancelled", text=f"Cancelled by {actor}.")
        wished = [await _outcome(self._wish_cancelled(run_id, reason, actor)) for run_id in run_ids]
        if any(isinstance(run, WorkflowRun) and not run.status.is_terminal for run in wished):
            await self._open.execution.ensure()
        waiting = (
            _outcome(self.wait_for_run(run.id, _CANCEL_SECONDS))
            for run in wished
            if isinstance(run, WorkflowRun) and not run.status.is_terminal
        )
        ended = {run.id: run for run in await asyncio.gather(*waiting) if isinstance(run, WorkflowRun)}
        return tuple(ended.get(run.id, run) if isinstance(run, WorkflowRun) else run for run in wished)

    async def rerun_all(
        self, run_ids: Sequence[str], *, actor: str = "local", idempotency_key: str | None = None
    ) -> tuple[WorkflowRun | TaskManagerError, ...]:
        """Start several runs again, as `rerun` does one.

        Args:
            run_ids: Those that are over; a run that is named twice is started again once.
            actor: Who asks, for the event log.
            idempotency_key: Names this call: made again with the same key, it returns the same runs.

        Returns:
            For each the new run, or why there is none, in the order in which they were named.
        """
        again = {
            run_id: await _outcome(self.rerun(run_id, actor=actor, idempotency_key=_part(idempotency_key, run_id)))
            for run_id in dict.fromkeys(run_ids)
        }
        return tuple(again[run_id] for run_id in run_ids)

    async def cancel_project(self, project_id: str, *, actor: str = "local") -> tuple[WorkflowRun, ...]:
        """Stop all runs of a project, those that wait for others first; return them as they ended.

        Raises:
            NotFound: There is no such project.
        """
        project = await self._open.store.run(projects.find, project_id)
        active = await self._open.store.run(runs.active, project_id=project.id)
        reason = Reason(code="cancelled", text=f"Cancelled with its project by {actor}.")
        for run in reversed(active):
            await self._wish_cancelled(run.id, reason, actor)
        await self._open.execution.ensure()
        return tuple([await self.wait_for_run(run.id, _CANCEL_SECONDS) for run in active])

    async def pause_project(self, project_id: str) -> Project:
        """Start no more runs of a project until it is resumed; those under way go on. Again does nothing.

        Raises:
            NotFound: There is no such project.
        """
        return await self._open.store.run(projects.pause, project_id, now=self._clock())

    async def resume_project(self, project_id: str) -> Project:
        """Let a project's runs start again; one that is not paused stays as it is.

        Raises:
            NotFound: There is no such project.
        """
        project = await self._open.store.run(projects.resume, project_id, now=self._clock())
        await self._have_executed()
        return project

    async def rerun(
        self, run_id: str, *, from_step: str | None = None, actor: str = "local", idempotency_key: str | None = None
    ) -> WorkflowRun:
        """Start a run again with the same workflow, inputs and sources.

        Args:
            run_id: The run, which must be over.
            from_step: The step from which on everything is run again; those before it are answered from the engine's
                layers. None: what the engine has is used throughout, except for steps that failed.
            actor: Who asks, for the event log.
            idempotency_key: Names this call: made again with the same key, it returns the same run.

        Returns:
            The new run.

        Raises:
            NotFound: There is no such run, or its workflow has no such step.
            InvalidInput: The run is not over.
            Conflict: The key was used with other arguments.
        """
        run = await self._open.store.run(runs.get, run_id)
        if not run.status.is_terminal:
            raise InvalidInput(
                f"Run {run.id} is {run.status}; only one that is over can be run again.",
                remedy=f"Wait for its end, or cancel it: task-manager run cancel {run.id}.",
            )
        workflow = await self._open.store.run(workflows.get, run.workflow_id)
        if from_step is not None:
            names = [step.id for step in workflow.pipeline.steps] if workflow.pipeline else []
            if from_step not in names:
                raise NotFound("step", from_step, known=names)
        task = await self._open.store.run(tasks.get, run.task_id)
        warning = await self._open.execution.prepare()
        call = Call("rerun", idempotency_key, {"run": run.id, "from_step": from_step})
        again = await self._open.starter.start_again(
            run, task, workflow, from_step=from_step, actor=actor, call=call, warning=warning
        )
        await self._have_executed()
        return again

    async def why_waiting(self, run_id: str) -> Wait:
        """What a run waits for.

        Raises:
            NotFound: There is no such run.
        """
        return await explain_wait(self._open.store, self.settings, run_id, now=self._clock())

    async def list_queue(self, project_id: str | None = None, *, limit: int | None = None) -> tuple[Wait, ...]:
        """The runs that are not over, in the order in which they start, each with what it waits for.

        Args:
            project_id: Of this project alone, by id or name.
            limit: How many at most; none: all.

        Raises:
            NotFound: There is no such project.
        """
        store = self._open.store
        project = None if project_id is None else (await store.run(projects.find, project_id)).id
        return await explain_queue(store, self.settings, project_id=project, limit=limit, now=self._clock())

    async def get_diagnosis(self, run_id: str) -> Diagnosis | None:
        """Why a run failed: its class, the lines that tell, what changed since the last success, what to do next.

        Args:
            run_id: The run; of one that is tried again, the last attempt's failure.

        Returns:
            None for a run that succeeded, or that has not failed so far.

        Raises:
            NotFound: There is no such run.
        """
        return await diagnose_run(self._open.store, await self._open.store.run(runs.get, run_id))

    async def while_executing(self, waiting: Coroutine[Any, Any, T]) -> T:
        """Wait for something that runs bring about, and start a worker when the one that there was has died.

        Raises:
            WorkerError: No worker can be started.
        """
        waited = asyncio.ensure_future(waiting)
        guard = asyncio.create_task(self._keep_executing())
        try:
            await asyncio.wait([waited, guard], return_when=asyncio.FIRST_COMPLETED)
            if not waited.done():
                await guard
            return await waited
        finally:
            for task in (waited, guard):
                task.cancel()
            await asyncio.wait([waited, guard])

    @contextlib.asynccontextmanager
    async def holding_worker(self) -> AsyncIterator[None]:
        """As long as it is entered, there is a worker: it does not leave when idle, and is replaced when it died.

        Where it cannot be started, that is logged, and tried again.

        Raises:
            StoreUnwritable: The data folder cannot be written.
        """
        with wanted(self.settings.data_dir):
            holding = asyncio.create_task(self._hold_worker(), name="hold worker")
            try:
                yield
            finally:
                holding.cancel()
                await asyncio.wait([holding])

    async def _hold_worker(self) -> None:
        while True:
            try:
                await self._open.execution.ensure()
                await self._keep_executing()
            except WorkerError as error:
                log.warning("no_worker", error=str(error))
                await asyncio.sleep(_TRY_AGAIN_SECONDS)

    async def _have_executed(self) -> None:
        """Have a worker for what was just queued, which stays queued without one; who waits for it meets the error."""
        try:
            await self._open.execution.ensure()
        except WorkerError as error:
            log.warning("no_worker", error=str(error))

    async def _wish_cancelled(self, run_id: str, reason: Reason, actor: str) -> WorkflowRun:
        return await self._open.store.run(queue.wish_cancelled, run_id, reason=reason, actor=actor, now=self._clock())

    async def _ended(self, run_id: str) -> None:
        async with contextlib.aclosing(self._open.store.feed.pages(run_id=run_id)) as pages:
            async for page in pages:
                if any(event.status is not None and event.status.is_terminal for event in page):
                    return

    async def _keep_executing(self) -> None:
        """Start a worker when the one that there was has died."""
        while True:
            await asyncio.sleep(_ENSURE_SECONDS)
            await self._open.execution.ensure()


async def _outcome(made: Awaitable[WorkflowRun]) -> WorkflowRun | TaskManagerError:
    try:
        return await made
    except TaskManagerError as error:
        return error


def _part(key: str | None, run_id: str) -> str | None:
    """The key of the part of a call that is about one run."""
    return None if key is None else hashlib.sha256(f"{key} {run_id}".encode()).hexdigest()

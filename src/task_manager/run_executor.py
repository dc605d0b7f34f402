"""Executes one run: a coroutine over a run id that reads everything from the store.

Whoever calls it (a use case in the same process, or a worker) needs to hand over nothing but the id.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeAlias

from pydantic import JsonValue

from task_manager import graph
from task_manager.artifacts import (
    clear_run_folder,
    inputs_folder,
    keep_outputs,
    open_artifacts,
    outputs_folder,
    run_folder,
)
from task_manager.cached_runs import CachedRuns
from task_manager.communication import DaggerCommunicationManager
from task_manager.config import Settings, is_secret_name
from task_manager.errors import OutputInvalid, RunTaken, SourceNotFound, StoreError, TaskManagerError
from task_manager.logs import Scrubber, tail, write_logs
from task_manager.models import Artifact, Project, StepRecord, Task, Workflow, WorkflowRun, utc_now
from task_manager.pipeline import Pipeline, Step
from task_manager.pipeline_converter import ExecutionPlan, optimise
from task_manager.pipeline_runner import PipelineRunner
from task_manager.result_forms import keep_forms
from task_manager.result_processor import ResultProcessor
from task_manager.results.schemas import Problem
from task_manager.retry_policy import RUN_TIMED_OUT
from task_manager.run_diagnosis import diagnose_run
from task_manager.run_recovery import Allowance, RunRecovery
from task_manager.running.function_step import FUNCTION_STEP, run_function_step
from task_manager.running.reasons import reason_of
from task_manager.running.records import RunContext, StepOutcome, pending_records
from task_manager.running.secret_values import reason_without_secrets, scrubber_of, without_secrets
from task_manager.snapshots import Snapshots
from task_manager.store import (
    Connection,
    Store,
    artifacts,
    projects,
    queue,
    results,
    runs,
    steps,
    tasks,
    workflows,
)
from task_manager.structured_log import get_logger, scrub
from task_manager.task_sources import resolve_task_sources
from task_manager.workflow_status import Reason, StepStatus, WorkflowStatus

log = get_logger(__name__)

_End: TypeAlias = tuple[WorkflowStatus, Reason | None]


@dataclass(frozen=True)
class _Job:
    """A run with everything that it is about.

    Attributes:
        records: Of its steps, as they were when its state was read.
        last_failures: In which run each step failed most recently; the engine's cache must not answer it.
        source_folder: Where its sources are; none: it has none.
    """

    run: WorkflowRun
    workflow: Workflow
    task: Task
    project: Project
    records: Sequence[StepRecord]
    last_failures: Mapping[str, str]
    folder: Path
    snapshot: Path | None
    allowance: Allowance
    scrubber: Scrubber

    @property
    def source_folder(self) -> Path | None:
        if self.snapshot is not None:
            return self.snapshot
        source = self.task.source_folder or self.project.source_folder
        return Path(source) if source else None


class RunExecutor:
    """Carries runs through preparing, running and processing to their end.

    Args:
        store: Where runs are read and written.
        communication: The way to the engine.
        settings: Limits and defaults.
        cache: Keeps what runs gave; none: nothing is kept.
        worker_id: In whose name; once another worker has a run, this one writes nothing of it any more.
        clock: The time, in UTC.
        jitter: Numbers between 0 and 1 that spread retries.
    """

    def __init__(
        self,
        store: Store,
        communication: DaggerCommunicationManager,
        settings: Settings,
        *,
        worker_id: str,
        cache: CachedRuns | None = None,
        clock: Callable[[], datetime] = utc_now,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._worker_id = worker_id
        self._cache = cache
        self._store = store
        self._communication = communication
        self._settings = settings
        self._clock = clock
        self._wishes: dict[str, asyncio.Event] = {}
        self._runner = PipelineRunner(communication, settings, clock=clock)
        self._processor = ResultProcessor()
        self._recovery = RunRecovery(store, communication, settings, clock=clock, jitter=jitter)
        self._artifacts = open_artifacts(settings, store.data_dir)

    async def execute(self, run_id: str) -> WorkflowRun:
        """Execute a run that is `preparing` to the end of its attempt.

        Cancelling this coroutine stops the run's containers and writes nothing: whoever does so says what becomes of
        the run. After the wish `cancelling` in the store they are stopped too, and `cancelled` is written.

        Returns:
            The run as it ended, or `retrying`.

        Raises:
            NotFound: There is no such run.
            RunTaken: Another worker has it.
            StoreError: The store cannot be written.
        """
        wish = self._wishes.setdefault(run_id, asyncio.Event())
        try:
            return await self._execute(await self._load(run_id), wish)
        finally:
            del self._wishes[run_id]

    def end(self, run_id: str) -> None:
        """Stop a run that is executed here, for its status became `cancelling`; any other is none of its business."""
        if run_id in self._wishes:
            self._wishes[run_id].set()

    async def _execute(self, job: _Job, wish: asyncio.Event) -> WorkflowRun:
        scrub(job.scrubber.text)
        if job.run.status is WorkflowStatus.CANCELLING:
            wish.set()
        limit = self._time_limit(job)
        try:
            async with asyncio.timeout(limit):
                ended = await self._unless_cancelled(job, wish)
        except TimeoutError:
            text = f"The run was stopped after {limit:g} s, its time limit."
            ended = WorkflowStatus.TIMED_OUT, Reason(code=RUN_TIMED_OUT, text=text)
        except (RunTaken, StoreError):
            raise
        except TaskManagerError as error:
            ended = WorkflowStatus.FAILED, reason_of(error)
        except Exception as error:
            log.exception("run_crashed", run_id=job.run.id)
            text = f"The run met an unexpected error: {type(error).__name__}: {error}"
            ended = WorkflowStatus.FAILED, Reason(code="internal_error", text=text)
        if ended is None:
            await asyncio.to_thread(clear_run_folder, job.folder)
            return await self._store.run(queue.end_cancelled, job.run.id, now=self._clock())
        return await self._end(job, *ended)

    async def _end(self, job: _Job, status: WorkflowStatus, reason: Reason | None) -> WorkflowRun:
        reason = reason_without_secrets(reason, job.scrubber)
        await asyncio.to_thread(clear_run_folder, job.folder)
        retry = None
        if reason is not None and status is not WorkflowStatus.SUCCEEDED:
            await self._store.run(queue.end_steps, job.run.id, now=self._clock())
            retry = await self._recovery.retry(job.run, job.workflow.pipeline, status, reason)
        if retry is None:
            if self._cache is not None:
                # Before the run ends: those that wait for it look there at once.
                await self._cache.keep(job.run.id, status, reason)
            return await self._store.run(
                queue.end, job.run.id, status, reason=reason, worker_id=self._worker_id, now=self._clock()
            )
        now = self._clock()
        due_at = now + timedelta(seconds=retry.delay)
        return await self._store.run(queue.retry, job.run.id, reason=retry.reason, due_at=due_at, now=now)

    async def _load(self, run_id: str) -> _Job:
        run, workflow, task, project, records, last_failures = await self._store.run(_begin, run_id)
        return _Job(
            run,
            workflow,
            task,
            project,
            records,
            last_failures,
            run_folder(self._store.data_dir, run.id),
            Snapshots(self._store.data_dir).path(run.snapshot) if run.snapshot else None,
            await self._recovery.allowance(run),
            await self._scrubber(workflow.pipeline),
        )

    async def _scrubber(self, pipeline: Pipeline | None) -> Scrubber:
        settings = [value for name, value in self._settings.environment.items() if is_secret_name(name)]
        if pipeline is None or not any(step.secrets for step in pipeline.steps):
            return Scrubber(settings)
        return await asyncio.to_thread(scrubber_of, pipeline, settings)

    def _time_limit(self, job: _Job) -> float | None:
        own = job.workflow.pipeline.timeout if job.workflow.pipeline else None
        limit = own or self._settings.default_run_timeout
        return job.allowance.limit(limit) if limit else None

    async def _unless_cancelled(self, job: _Job, wish: asyncio.Event) -> _End | None:
        """Carry the run out; None when somebody wished for its end meanwhile, and it was stopped."""
        work = asyncio.create_task(self._carry_out(job))
        wished = asyncio.create_task(wish.wait())
        try:
            await asyncio.wait([work, wished], return_when=asyncio.FIRST_COMPLETED)
            return await work if work.done() else None
        finally:
            wished.cancel()
            work.cancel()
            await asyncio.wait([work, wished])

    async def _carry_out(self, job: _Job) -> _End:
        if job.workflow.pipeline is None:
            outcomes = await self._run_function(job)
        else:
            outcomes = await self._run_pipeline(job, job.workflow.pipeline)
        run, records = await self._store.run(_enter_processing, job.run.id, self._worker_id, self._clock())
        return await self._process(replace(job, run=run, records=records), outcomes)

    async def _run_pipeline(self, job: _Job, pipeline: Pipeline) -> tuple[StepOutcome, ...]:
        plan = optimise(job.allowance.applied(pipeline, self._settings.default_step_timeout))
        context = await self._context(job, pipeline)
        observer = _Recorder(self._store, job, plan, self._clock)
        await observer.record_dropped()
        prepared = await self._runner.prepare(plan, context, observer)
        await self._enter(job.run.id, WorkflowStatus.RUNNING, engine=prepared.session.description)
        outcomes = await self._runner.run(prepared, observer)
        return (*outcomes, *_stood_for(outcomes, plan, pipeline))

    async def _run_function(self, job: _Job) -> tuple[StepOutcome, ...]:
        plan = ExecutionPlan(pipeline=Pipeline(steps=(FUNCTION_STEP,)), layers=((FUNCTION_STEP.id,),))
        observer = _Recorder(self._store, job, plan, self._clock)
        async with self._communication.guard() as session:
            await self._enter(job.run.id, WorkflowStatus.RUNNING, engine=session.description)
        outcome = await run_function_step(
            self._communication, self._settings, job.workflow, job.folder, observer, clock=self._clock
        )
        return (without_secrets(outcome, job.scrubber),)

    async def _context(self, job: _Job, pipeline: Pipeline) -> RunContext:
        if job.source_folder is not None:
            await asyncio.to_thread(_require_source, job, job.source_folder)
        return RunContext(
            run_id=job.run.id,
            run_folder=job.folder,
            source_folder=job.source_folder,
            task_sources=await resolve_task_sources(
                self._store, self._artifacts, job.task, pipeline, inputs_folder(job.folder)
            ),
            fresh=job.run.skip_cache or job.allowance.fresh,
            epochs={**job.last_failures, **dict.fromkeys(_from(pipeline, job.run.from_step), job.run.id)},
            scrubber=job.scrubber,
            alone=job.allowance.alone,
        )

    async def _process(self, job: _Job, outcomes: Sequence[StepOutcome]) -> _End:
        kept, too_large = await keep_outputs(
            self._artifacts,
            [exported for outcome in outcomes for exported in outcome.outputs],
            self._settings.limits,
            run_id=job.run.id,
            root=outputs_folder(job.folder),
            now=self._clock(),
            scrubber=job.scrubber,
        )
        for artifact in kept:
            await self._store.run(artifacts.put, artifact)
        status, reason = _conclusion(outcomes)
        if too_large is not None and status is WorkflowStatus.SUCCEEDED:
            status, reason = WorkflowStatus.FAILED, reason_of(too_large)
        return await self._store_result(job, kept, status, reason)

    async def _store_result(
        self,
        job: _Job,
        kept: Sequence[Artifact],
        status: WorkflowStatus,
        reason: Reason | None,
    ) -> _End:
        now = self._clock()
        ended = job.run.evolve(status=status, reason=reason, finished_at=now)
        result = await asyncio.to_thread(
            self._processor.process,
            run=ended,
            task=job.task,
            workflow=job.workflow,
            steps=job.records,
            artifacts=kept,
            root=outputs_folder(job.folder),
            now=now,
            diagnosis=await diagnose_run(self._store, ended),
        )
        if result.problems and status is WorkflowStatus.SUCCEEDED:
            status, reason = WorkflowStatus.FAILED, _output_reason(result.problems)
            diagnosis = await diagnose_run(self._store, ended.evolve(status=status, reason=reason))
            result = result.model_copy(update={"status": status, "diagnosis": diagnosis})
        await self._store.run(results.put, job.run.id, result.model_dump(mode="json"))
        forms = job.workflow.pipeline.result.forms if job.workflow.pipeline else ()
        await keep_forms(self._store, self._artifacts, result, forms, folder=job.folder, now=now, scrubber=job.scrubber)
        return status, reason

    async def _enter(
        self, run_id: str, status: WorkflowStatus, reason: Reason | None = None, *, engine: str | None = None
    ) -> WorkflowRun:
        also = {} if engine is None else {"engine": engine}
        return await self._store.run(
            runs.transition, run_id, status, reason=reason, now=self._clock(), also=also, worker_id=self._worker_id
        )


def _begin(
    c: Connection, run_id: str
) -> tuple[WorkflowRun, Workflow, Task, Project, Sequence[StepRecord], Mapping[str, str]]:
    """Plan a run's steps, and read what has to be known to carry it out."""
    run = runs.get(c, run_id)
    workflow = workflows.get(c, run.workflow_id)
    planned = workflow.pipeline.steps if workflow.pipeline else (FUNCTION_STEP,)
    return (
        run,
        workflow,
        tasks.get(c, run.task_id),
        projects.get(c, run.project_id),
        queue.plan_steps(c, run, pending_records(run_id, planned)),
        steps.last_failures(c, run.task_id, before=run_id),
    )


def _enter_processing(
    c: Connection, run_id: str, worker_id: str, now: datetime
) -> tuple[WorkflowRun, Sequence[StepRecord]]:
    run = runs.transition(c, run_id, WorkflowStatus.PROCESSING, now=now, worker_id=worker_id)
    return run, steps.of_run(c, run_id)


class _Recorder:
    """Writes what the runner tells into the store, also for steps that another one stands for."""

    def __init__(
        self,
        store: Store,
        job: _Job,
        plan: ExecutionPlan,
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._job = job
        self._clock = clock
        self._dropped = plan.dropped
        self._records = {record.step_id: record for record in job.records}
        self._stands_for: dict[str, list[str]] = {}
        for removed, kept in plan.aliases.items():
            self._stands_for.setdefault(kept, []).append(removed)

    async def step_started(self, step: Step, image: str, image_digest: str | None) -> None:
        now = self._clock()
        for step_id in self._all(step):
            record = self._records[step_id].evolve(
                status=StepStatus.RUNNING,
                image=image,
                image_digest=image_digest,
                started_at=now,
                log=self._log_place(self._job.folder / step.id),
            )
            await self._change(record, None)

    async def step_ended(self, outcome: StepOutcome) -> None:
        folder = self._job.folder / outcome.step.id
        outcome = await asyncio.to_thread(_logged, outcome, self._job.scrubber, folder)
        ran = outcome.attempts > 0
        for step_id in self._all(outcome.step):
            before = self._records[step_id]
            await self._change(_ended(before, outcome, self._log_place(folder) if ran else before.log), outcome.reason)

    async def warned(self, reason: Reason) -> None:
        await self._store.run(runs.warn, self._job.run.id, reason, now=self._clock())

    async def record_dropped(self) -> None:
        reason = Reason(code="without_effect", text="Not run, because it has no command and leaves nothing behind.")
        for step_id in self._dropped:
            record = self._records[step_id].evolve(status=StepStatus.SKIPPED, error=reason.text)
            await self._change(record, reason)

    def _all(self, step: Step) -> list[str]:
        return [step.id, *self._stands_for.get(step.id, [])]

    def _log_place(self, folder: Path) -> str:
        return folder.relative_to(self._store.data_dir).as_posix()

    async def _change(self, record: StepRecord, reason: Reason | None) -> None:
        """Write a step's new state; when a run is taken up again, what its steps were in before is no news."""
        before = self._records[record.step_id].status
        succeeded_before = before is StepStatus.SUCCEEDED and record.status is StepStatus.RUNNING
        if before is record.status or succeeded_before:
            return
        self._records[record.step_id] = record
        await self._store.run(steps.change, record, reason=reason, now=self._clock())


def _logged(outcome: StepOutcome, scrubber: Scrubber, folder: Path) -> StepOutcome:
    outcome = without_secrets(outcome, scrubber)
    if outcome.attempts > 0:
        write_logs(folder, outcome.stdout, outcome.stderr)
    return outcome


def _ended(before: StepRecord, outcome: StepOutcome, log_place: str | None) -> StepRecord:
    return before.evolve(
        status=outcome.status,
        image=outcome.image or before.image,
        image_digest=outcome.image_digest or before.image_digest,
        attempts=outcome.attempts,
        cached=outcome.cached,
        started_at=outcome.started_at or before.started_at,
        finished_at=outcome.finished_at,
        exit_code=outcome.exit_code,
        error=outcome.reason.text if outcome.reason else "",
        stdout_tail=tail(outcome.stdout),
        stderr_tail=tail(outcome.stderr),
        log=log_place,
    )


def _stood_for(outcomes: Sequence[StepOutcome], plan: ExecutionPlan, pipeline: Pipeline) -> tuple[StepOutcome, ...]:
    """The outcomes of the steps that were merged into others: those others' outcomes, under their own names."""
    ended = {outcome.step.id: outcome for outcome in outcomes}
    return tuple(
        replace(
            ended[kept],
            step=pipeline.step(removed),
            outputs=tuple(replace(exported, step_id=removed) for exported in ended[kept].outputs),
        )
        for removed, kept in plan.aliases.items()
    )


def _conclusion(outcomes: Sequence[StepOutcome]) -> _End:
    """What the steps' ends mean for the run: the first that did not end well decides, a time-out before a failure."""
    for step_status, status in (
        (StepStatus.TIMED_OUT, WorkflowStatus.TIMED_OUT),
        (StepStatus.FAILED, WorkflowStatus.FAILED),
    ):
        for outcome in outcomes:
            if outcome.status is step_status:
                return status, outcome.reason
    return WorkflowStatus.SUCCEEDED, None


def _from(pipeline: Pipeline, first: str | None) -> set[str]:
    """The steps that a run repeats from one on: that one, and those that need it, directly or by others."""
    repeated = {first} if first is not None else set[str]()
    for layer in graph.layers({step.id: sorted(step.upstream) for step in pipeline.steps}):
        repeated.update(step_id for step_id in layer if repeated & pipeline.step(step_id).upstream)
    return repeated


def _output_reason(problems: Sequence[Problem]) -> Reason:
    """The first problem in words, all of them as facts."""
    more = f" ({len(problems) - 1} more)" if len(problems) > 1 else ""
    facts: list[JsonValue] = [one.model_dump(mode="json") for one in problems]
    return Reason(code=OutputInvalid.code, text=f"{problems[0].message}{more}", details={"problems": facts})


def _require_source(job: _Job, folder: Path) -> None:
    if not folder.is_dir():
        raise SourceNotFound(
            f"The source folder {folder} of task {job.task.title!r} does not exist.",
            remedy="Set another: task-manager task update TASK --source FOLDER.",
            details={"task": job.task.id, "folder": str(folder)},
        )

"""Executes pipelines: each step a container, built and run with the official Dagger SDK and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Final

from task_manager.artifacts import outputs_folder
from task_manager.communication import (
    ContainerState,
    DaggerCommunicationManager,
    EngineKind,
    EngineSession,
)
from task_manager.communication.containers import containers_of_step, state_of_step
from task_manager.communication.images import Needs, ResolvedImage, needs_by_image, resolve_image
from task_manager.config import Settings
from task_manager.errors import (
    EngineCircuitOpen,
    EngineError,
    EngineLost,
    EngineUnavailable,
    OutputInvalid,
    StepFailed,
    StepTimedOut,
    TaskManagerError,
)
from task_manager.models import utc_now
from task_manager.pipeline import Step
from task_manager.pipeline_converter import ExecutionPlan
from task_manager.running.containers import StepContainers, command_line
from task_manager.running.live_logs import LiveLogs
from task_manager.running.outputs import export_outputs
from task_manager.running.reasons import reason_of
from task_manager.running.records import RunContext, RunObserver, StepOutcome
from task_manager.running.run_session import ReconnectPolicy, RunSession, reconnecting
from task_manager.running.step_places import StepPlaces
from task_manager.running.step_tracing import step_told
from task_manager.workflow_status import Reason, StepStatus

if TYPE_CHECKING:
    import dagger

CACHED_OUTPUT_GONE: Final = "cached_output_gone"
"""The code of the reason of a step that the engine's cache answered without an output."""

_RETRIED = frozenset({StepStatus.FAILED, StepStatus.TIMED_OUT})


@dataclass(frozen=True)
class PreparedRun:
    """A plan whose images are there, in the session that has them."""

    plan: ExecutionPlan
    context: RunContext
    session: EngineSession
    images: Mapping[str, ResolvedImage]


_MAY_COME_BACK = (EngineLost, EngineCircuitOpen)
"""Without these an engine that cannot be had at all would keep a run waiting that never had one."""


class PipelineRunner:
    """Runs pipelines in the communication manager's session; its step limit holds over all runs of the process."""

    def __init__(
        self,
        communication: DaggerCommunicationManager,
        settings: Settings,
        *,
        policy: ReconnectPolicy | None = None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        """Take the way to the engine.

        Args:
            communication: Hands out sessions.
            settings: Limits and defaults.
            policy: What is done when the engine dies under a run; by default as the settings say.
            clock: The time, in UTC.
        """
        self._communication = communication
        self._settings = settings
        self._policy = policy or ReconnectPolicy(times=settings.engine_reconnects)
        self._clock = clock
        self._places = StepPlaces(settings.parallelism)

    async def prepare(self, plan: ExecutionPlan, context: RunContext, observer: RunObserver) -> PreparedRun:
        """Make the images ready, and tell which ones something else stands in for.

        Raises:
            EngineError: No engine, no image, or programs that the host's toolchain lacks.
        """
        needs_of = needs_by_image(plan.pipeline.steps)
        session, images = await reconnecting(lambda: self._resolve(needs_of), self._policy, retried=_MAY_COME_BACK)
        warnings = [image.warning for image in images.values() if image.warning is not None]
        for warning in [*warnings, *_network_warnings(session, plan.pipeline.steps)]:
            await observer.warned(warning)
        return PreparedRun(plan, context, session, images)

    async def _resolve(self, needs_of: Mapping[str, Needs]) -> tuple[EngineSession, dict[str, ResolvedImage]]:
        async with self._communication.guard() as session:
            resolved = await asyncio.gather(
                *(resolve_image(session, image, needs, self._settings.images) for image, needs in needs_of.items())
            )
        return session, dict(zip(needs_of, resolved, strict=True))

    async def run(self, prepared: PreparedRun, observer: RunObserver) -> tuple[StepOutcome, ...]:
        """Run all steps, each as soon as those before it have succeeded.

        A step that fails ends nothing but the steps that need it. Cancelling this coroutine stops the running
        steps. When the engine dies, the steps that were running are run again in a new session, where those before
        them come from the engine's layers; after as many times as the policy has, they fail with `engine_lost`.

        Returns:
            How each step ended, in the pipeline's order; steps merged into another have that one's outcome.
        """
        run = _Run(
            prepared,
            observer,
            communication=self._communication,
            settings=self._settings,
            policy=self._policy,
            clock=self._clock,
            places=self._places,
        )
        try:
            outcomes = await run.all_steps()
        finally:
            self._communication.containers.unregister_run(prepared.context.run_id)
        return outcomes


class _Run:
    def __init__(
        self,
        prepared: PreparedRun,
        observer: RunObserver,
        *,
        communication: DaggerCommunicationManager,
        settings: Settings,
        policy: ReconnectPolicy,
        clock: Callable[[], datetime],
        places: StepPlaces,
    ) -> None:
        self._prepared = prepared
        self._observer = observer
        self._communication = communication
        self._settings = settings
        self._policy = policy
        self._clock = clock
        self._places = places
        self._logs = LiveLogs(prepared.context.run_folder, int(settings.limits.output_bytes), prepared.context.scrubber)
        self._session = RunSession(
            communication, prepared.session, prepared.images, self._describing(), moved=self._go_on_in
        )

    async def all_steps(self) -> tuple[StepOutcome, ...]:
        await self._logs.follow(self._prepared.session.live_output, self._prepared.context.run_id)
        try:
            return await self._all_steps()
        finally:
            await self._logs.close()

    def _describing(self) -> StepContainers:
        session, context = self._prepared.session, self._prepared.context
        return StepContainers(
            session.client,
            context,
            self._settings.environment,
            self._prepared.images,
            live_output=session.live_output,
        )

    async def _go_on_in(self, session: EngineSession) -> None:
        await self._logs.follow(session.live_output, self._prepared.context.run_id)
        text = f"The engine died while the run was under way; the run went on in a new session ({session.description})."
        await self._observer.warned(Reason(code="engine_reconnected", text=text))

    async def _all_steps(self) -> tuple[StepOutcome, ...]:
        tasks: dict[str, asyncio.Task[StepOutcome]] = {}
        try:
            async with asyncio.TaskGroup() as group:
                for step_id in (step_id for layer in self._prepared.plan.layers for step_id in layer):
                    step = self._prepared.plan.pipeline.step(step_id)
                    upstream = [tasks[needed] for needed in sorted(step.upstream)]
                    tasks[step_id] = group.create_task(self._after(step, upstream))
        except BaseExceptionGroup as group_error:
            raise group_error.exceptions[0] from group_error
        return tuple(tasks[step.id].result() for step in self._prepared.plan.pipeline.steps)

    async def _after(self, step: Step, upstream: Sequence[asyncio.Task[StepOutcome]]) -> StepOutcome:
        try:
            before = await asyncio.gather(*upstream)
            failed = [outcome.step.id for outcome in before if outcome.status is not StepStatus.SUCCEEDED]
            outcome = self._skipped(step, failed) if failed else await self._in_place(step)
        except asyncio.CancelledError:
            self._logs.finish(step.id)
            await asyncio.shield(self._observer.step_ended(self._cancelled(step)))
            raise
        self._logs.finish(step.id)
        await self._observer.step_ended(outcome)
        return outcome

    async def _in_place(self, step: Step) -> StepOutcome:
        async with self._places.taken(alone=self._prepared.context.alone):
            with step_told(step.id) as telling:
                outcome = await self._carried_out(step)
                telling.ended(outcome)
        return outcome

    async def _carried_out(self, step: Step) -> StepOutcome:
        started = self._clock()
        image = self._prepared.images[step.image]
        await self._observer.step_started(step, image.reference, image.digest)
        self._register(step, image, ContainerState.RUNNING, started)
        outcome = await self._attempts(step)
        outcome = replace(
            outcome,
            image=image.reference,
            image_digest=image.digest,
            started_at=started,
            finished_at=self._clock(),
            cached=await self._logs.cached(step.id) if outcome.exit_code is not None else None,
        )
        outcome = _told_by_the_cache(outcome)
        self._register(step, image, state_of_step(outcome.status), started, outcome.finished_at)
        return outcome

    async def _attempts(self, step: Step) -> StepOutcome:
        for attempt in range(1, step.retries + 2):
            try:
                outcome = await reconnecting(partial(self._attempt, step, attempt), self._policy)
            except EngineError as error:
                return StepOutcome(step, StepStatus.FAILED, attempts=attempt, reason=reason_of(error))
            outcome = replace(outcome, attempts=attempt)
            if outcome.status not in _RETRIED:
                break
        return outcome

    async def _attempt(self, step: Step, attempt: int) -> StepOutcome:
        """Run a step once.

        Raises:
            EngineLost, EngineUnavailable, EngineCircuitOpen: There is no engine, or none any more.
        """
        limit = step.timeout or self._settings.default_step_timeout
        try:
            async with asyncio.timeout(limit), self._session.use() as containers:
                return await self._execute(containers, step, attempt)
        except TimeoutError:
            error = StepTimedOut(
                f"Step {step.id} was stopped after {limit:g} s, its time limit.",
                remedy="Make it faster, or raise the step's `timeout`.",
                details={"step": step.id, "timeout": limit},
            )
            stdout, stderr = self._logs.written(step.id)
            return StepOutcome(step, StepStatus.TIMED_OUT, stdout=stdout, stderr=stderr, reason=reason_of(error))
        except StepFailed as error:
            return self._raised(step, error)
        except (EngineLost, EngineUnavailable, EngineCircuitOpen):
            raise
        except TaskManagerError as error:
            return StepOutcome(step, StepStatus.FAILED, reason=reason_of(error))

    async def _execute(self, containers: StepContainers, step: Step, attempt: int) -> StepOutcome:
        with containers.telling(step):
            ran = await (await containers.describe(step, attempt)).sync()
        if command_line(step) is None:
            return await self._with_outputs(containers, StepOutcome(step, StepStatus.SUCCEEDED), ran, attempt)
        code, stdout, stderr = await asyncio.gather(ran.exit_code(), ran.stdout(), ran.stderr())
        outcome = StepOutcome(
            step,
            StepStatus.SUCCEEDED if code == 0 else StepStatus.FAILED,
            exit_code=code,
            stdout=self._cut(stdout),
            stderr=self._cut(stderr),
            reason=None if code == 0 else _exit_reason(step, code),
        )
        return await self._with_outputs(containers, outcome, ran, attempt)

    async def _with_outputs(
        self, containers: StepContainers, outcome: StepOutcome, container: dagger.Container, attempt: int
    ) -> StepOutcome:
        """Bring the outputs to the host, also those of a failed command: a test report is wanted just then."""
        step = outcome.step
        failed = outcome.status is not StepStatus.SUCCEEDED
        folder = outputs_folder(self._prepared.context.run_folder) / step.id
        left = await export_outputs(step, container, folder, lenient=failed)
        if left.missing is not None:
            outcome = replace(outcome, status=StepStatus.FAILED, reason=reason_of(left.missing))
        containers.finished(step, attempt, container, left.there)
        return replace(outcome, outputs=left.exported)

    def _raised(self, step: Step, error: StepFailed) -> StepOutcome:
        code = error.details.get("exit_code")
        return StepOutcome(
            step,
            StepStatus.FAILED,
            exit_code=code if isinstance(code, int) else None,
            stdout=self._cut(str(error.details.get("stdout", ""))),
            stderr=self._cut(str(error.details.get("stderr", ""))),
            reason=_exit_reason(step, code),
        )

    def _skipped(self, step: Step, failed: Sequence[str]) -> StepOutcome:
        reason = Reason(
            code="upstream_failed",
            text=f"Not run, because {', '.join(failed)} did not succeed.",
            details={"steps": list(failed)},
        )
        return StepOutcome(step, StepStatus.SKIPPED, image=step.image, reason=reason)

    def _cancelled(self, step: Step) -> StepOutcome:
        reason = Reason(code="cancelled", text="Stopped with its run.")
        return StepOutcome(step, StepStatus.CANCELLED, image=step.image, reason=reason, finished_at=self._clock())

    def _register(
        self,
        step: Step,
        image: ResolvedImage,
        state: ContainerState,
        started: datetime,
        finished: datetime | None = None,
    ) -> None:
        run_id = self._prepared.context.run_id
        for record in containers_of_step(
            run_id, step, image.reference, state, started_at=started, finished_at=finished
        ):
            self._communication.containers.register(record)

    def _cut(self, text: str) -> str:
        limit = int(self._settings.limits.output_bytes)
        data = text.encode()
        return text if len(data) <= limit else data[-limit:].decode(errors="ignore")


def _told_by_the_cache(outcome: StepOutcome) -> StepOutcome:
    """A step that the engine's cache answered did not run: what is missing is gone there, or is asked for anew."""
    reason = outcome.reason
    if not outcome.cached or reason is None or reason.code != OutputInvalid.code:
        return outcome
    return replace(outcome, reason=reason.model_copy(update={"code": CACHED_OUTPUT_GONE}))


def _exit_reason(step: Step, code: object) -> Reason:
    return Reason(
        code=StepFailed.code,
        text=f"Step {step.id} ended with exit code {code}.",
        details={"step": step.id, "exit_code": code if isinstance(code, int) else None},
    )


def _network_warnings(session: EngineSession, steps: Sequence[Step]) -> list[Reason]:
    """Only the embedded engine knows the label that takes a step's network away."""
    isolated = [step.id for step in steps if not step.network]
    if session.kind is EngineKind.EMBEDDED or not isolated:
        return []
    text = f"The engine ({session.description}) gives every step a network, also {', '.join(isolated)}."
    return [Reason(code="network_not_isolated", text=text, details={"steps": list(isolated)})]

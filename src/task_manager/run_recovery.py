"""What is done about a failure, by its class: nothing, another attempt, with more time, or on a repaired cache."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Final

from pydantic import JsonValue

from task_manager.communication import DaggerCommunicationManager
from task_manager.config import Settings
from task_manager.engine_cache import cache_statistics, prune_cache, verify_cache
from task_manager.errors import EngineLost, TaskManagerError
from task_manager.failure_rules import Classification, FailureClass, Remedy
from task_manager.models import Event, WorkflowRun
from task_manager.pipeline import Pipeline
from task_manager.results.diagnosis import RECOVERY, Tried, tried
from task_manager.results.failures import Failure
from task_manager.results.wording import size_text
from task_manager.retry_policy import RetryCause, RetryPolicy, retry_cause
from task_manager.run_diagnosis import events_of_run, failure_of_run
from task_manager.store import Store, runs, steps
from task_manager.structured_log import get_logger
from task_manager.workflow_status import Reason, WorkflowStatus

log = get_logger(__name__)

_LONGEST: Final = 7 * 24 * 3600.0
_EMBEDDED: Final = "embedded"
_CHECK_SECONDS: Final = 30.0


@dataclass(frozen=True)
class Retry:
    """Another attempt.

    Attributes:
        delay: Seconds until then.
        reason: Why the last one failed, and what is done about it.
    """

    delay: float
    reason: Reason


@dataclass(frozen=True)
class Allowance:
    """What an attempt may do otherwise than the first.

    Attributes:
        time_factor: How many times longer its time limits are.
        fresh: Whether no step may be answered from the engine's cache.
        alone: Whether each step runs alone on its worker.
    """

    time_factor: float = 1.0
    fresh: bool = False
    alone: bool = False

    def limit(self, seconds: float) -> float:
        """A time limit in seconds, as it is in this attempt."""
        return min(seconds * self.time_factor, max(seconds, _LONGEST))

    def applied(self, pipeline: Pipeline, default: float) -> Pipeline:
        """A pipeline with its steps' limits as they are in this attempt; `default` for steps that state none."""
        if self.time_factor == 1:
            return pipeline
        steps = tuple(
            step.model_copy(update={"timeout": self.limit(step.timeout or default)}) for step in pipeline.steps
        )
        return pipeline.model_copy(update={"steps": steps})


class RunRecovery:
    """Decides what is done about the failures of runs, and does it.

    Args:
        store: Where runs are.
        communication: The way to the engine.
        settings: The retry policy of pipelines that have none.
        clock: The time, in UTC.
        jitter: Numbers between 0 and 1 that spread retries.
    """

    def __init__(
        self,
        store: Store,
        communication: DaggerCommunicationManager,
        settings: Settings,
        *,
        clock: Callable[[], datetime],
        jitter: Callable[[], float],
    ) -> None:
        self._store = store
        self._communication = communication
        self._settings = settings
        self._clock = clock
        self._jitter = jitter

    async def retry(
        self, run: WorkflowRun, pipeline: Pipeline | None, status: WorkflowStatus, reason: Reason
    ) -> Retry | None:
        """Another attempt for a run that is about to end, if one may help.

        Args:
            run: The run.
            pipeline: What it executes; its retry policy wins over the setting's.
            status: How it is about to end.
            reason: Why.

        Returns:
            None when it ends: its failure is of no class that is tried again, the attempts are used up, or it failed in
            the same way twice in a row. That it did is added to the run's warnings.
        """
        if reason.code == EngineLost.code and self._settings.engine_reconnects:
            return None  # Its steps were tried again already, as often as that setting says.
        run = await self._store.run(runs.get, run.id)  # by now it may have an engine
        happened = await events_of_run(self._store, run.id)
        failure = await failure_of_run(self._store, run.evolve(status=status, reason=reason), happened)
        policy = _policy(pipeline, self._settings)
        if failure is None:
            return None
        failure = await self._as_the_cache_tells(run, failure, policy, happened)
        delay = policy.delay_after(run.attempt, failure.classification, self._jitter())
        if delay is None:
            return None
        if _repeats(failure, tried(happened), policy):
            await self._store.run(runs.warn, run.id, _given_up(failure), now=self._clock())
            return None
        action = await self._prepare(run, failure.classification, delay, policy)
        following = _following(_last_allowance(happened), failure.classification, policy)
        told = {**_told(failure, action), **asdict(following)}
        return Retry(delay, reason.model_copy(update={"details": {**reason.details, RECOVERY: told}}))

    async def allowance(self, run: WorkflowRun) -> Allowance:
        """What the run's attempt may do otherwise than the first, after what happened before."""
        return Allowance() if run.attempt == 1 else _last_allowance(await events_of_run(self._store, run.id))

    async def _prepare(self, run: WorkflowRun, failure: Classification, delay: float, policy: RetryPolicy) -> str:
        """Do what the failure's kind asks for; return what is done, in one sentence or two."""
        again = f"Tried again after {delay:.2g} s"
        if failure.remedy is Remedy.REPAIR_ENGINE_CACHE and _EMBEDDED in (run.engine or ""):
            return f"{await self._repaired()} {again}; every step runs anew."
        if retry_cause(failure) is RetryCause.DISK and _EMBEDDED in (run.engine or ""):
            return f"{await self._halved()} {again}."
        if retry_cause(failure) is RetryCause.MEMORY:
            return f"{again}, each step alone on its worker."
        if _gets_longer(failure, policy):
            return f"{again}, with {policy.time_factor:g} times the time."
        return f"{again}."

    async def _as_the_cache_tells(
        self, run: WorkflowRun, failure: Failure, policy: RetryPolicy, happened: Sequence[Event]
    ) -> Failure:
        """The failure, or one of the engine's cache where that explains it: a file that it lost fails a command."""
        found = failure.classification
        damaged = replace(
            found, failure_class=FailureClass.INFRASTRUCTURE, again=True, remedy=Remedy.REPAIR_ENGINE_CACHE
        )
        if (
            found.remedy is not Remedy.CHECK_ENGINE_CACHE
            or _EMBEDDED not in (run.engine or "")
            or policy.delay_after(run.attempt, damaged, 0.0) is None
            or _last_allowance(happened).fresh
            or not any(step.cached for step in await self._store.run(steps.of_run, run.id))
        ):
            return failure
        return replace(failure, classification=damaged) if await self._is_cache_damaged() else failure

    async def _is_cache_damaged(self) -> bool:
        try:
            async with asyncio.timeout(_CHECK_SECONDS):
                found = await verify_cache(self._settings, repair=False)
        except (TimeoutError, TaskManagerError) as error:
            log.warning("engine_cache_not_verified", error=str(error))
            return False
        return not found.sound

    async def _halved(self) -> str:
        """The embedded engine's cache is made half as large: what was unused the longest goes."""
        try:
            before = await cache_statistics(self._settings)
            pruned = await prune_cache(self._settings, max_bytes=str(before.bytes // 2), max_age=None, dry_run=False)
        except TaskManagerError as error:
            log.warning("engine_cache_not_pruned", error=error.message)
            return f"The engine's cache could not be made smaller: {error.message}"
        return f"Of the engine's cache {pruned.removed} entries ({size_text(pruned.freed)}) were removed."

    async def _repaired(self) -> str:
        """The engine is started anew, because what a session uses cannot be removed; other runs here go on in it."""
        try:
            await self._communication.renew_session()
            found = await verify_cache(self._settings, repair=True)
        except TaskManagerError as error:
            log.warning("engine_cache_not_repaired", error=error.message)
            return f"The engine's cache could not be repaired: {error.message}"
        return f"Of the engine's cache {found.dropped} entries were damaged, and removed."


def _policy(pipeline: Pipeline | None, settings: Settings) -> RetryPolicy:
    own = pipeline.retry if pipeline else None
    return own or settings.retry


def _last_allowance(happened: Sequence[Event]) -> Allowance:
    for event in reversed(happened):
        told = event.reason.details.get(RECOVERY) if event.reason else None
        if isinstance(told, dict) and "time_factor" in told:
            return Allowance(float(str(told["time_factor"])), bool(told.get("fresh")), bool(told.get("alone")))
    return Allowance()


def _following(allowance: Allowance, failure: Classification, policy: RetryPolicy) -> Allowance:
    factor = policy.time_factor if _gets_longer(failure, policy) else 1.0
    alone = allowance.alone or retry_cause(failure) is RetryCause.MEMORY
    return Allowance(allowance.time_factor * factor, failure.remedy is Remedy.REPAIR_ENGINE_CACHE, alone)


def _gets_longer(failure: Classification, policy: RetryPolicy) -> bool:
    return retry_cause(failure) is RetryCause.TIME_OUT and policy.time_factor > 1


def _repeats(failure: Failure, earlier: Sequence[Tried], policy: RetryPolicy) -> bool:
    """Whether the command failed in the same way twice in a row, with nothing done otherwise.

    The engine's and registries' failures look the same each time, and pass all the same.
    """
    last = next((one for one in reversed(earlier) if one.fingerprint), None)
    if failure.classification.failure_class is FailureClass.INFRASTRUCTURE or last is None:
        return False
    return last.fingerprint == failure.fingerprint and not _gets_longer(failure.classification, policy)


def _given_up(failure: Failure) -> Reason:
    text = "Not tried again: it failed in the same way twice in a row."
    return Reason(code="same_failure_again", text=text, details={RECOVERY: _told(failure, text)})


def _told(failure: Failure, action: str) -> dict[str, JsonValue]:
    found = failure.classification
    return {
        "failure_class": found.failure_class.value,
        "rule": found.rule,
        "fingerprint": failure.fingerprint,
        "action": action,
    }

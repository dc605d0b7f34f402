"""Answers runs from the cache before they are executed, and keeps what executed runs gave.

Whatever is wrong with the cache, a run is executed: nothing here fails one.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from task_manager.artifacts import open_artifacts
from task_manager.cache_policy import WorkflowCachePolicy
from task_manager.caching.decisions import Refusal, policy_of, why_no_key, why_not_asked, why_not_kept
from task_manager.caching.entries import CacheEntry
from task_manager.caching.keys import key_of
from task_manager.communication import DaggerCommunicationManager
from task_manager.config import Settings
from task_manager.errors import TaskManagerError
from task_manager.models import (
    CacheOutcome,
    CacheRecord,
    KeyComponent,
    Project,
    StepRecord,
    Task,
    Workflow,
    WorkflowRun,
    utc_now,
)
from task_manager.results.wording import seconds_text
from task_manager.run_keys import ENGINE_UNKNOWN, IMAGE_UNKNOWN, STEPS, KeyUnknown, RunKeys, Subject
from task_manager.snapshots import Snapshots
from task_manager.store import (
    Connection,
    Store,
    artifacts,
    cache,
    projects,
    read_only,
    results,
    runs,
    steps,
    tasks,
    workflows,
)
from task_manager.structured_log import get_logger
from task_manager.workflow_cache import Found, Missing, WorkflowCache, open_cache
from task_manager.workflow_status import Reason, WorkflowStatus

log = get_logger(__name__)

CACHED: Final = "cached"
"""The code of the reason of a run that the cache answered."""

_DAY: Final = 86400
_UNITS: Final = {"s": 1, "min": 60, "h": 3600, "d": _DAY, "w": 7 * _DAY}


@dataclass(frozen=True)
class Answer:
    """What became of a run that the cache was asked for.

    Attributes:
        ended: Whether it ended with what the cache had for it; else it has to be executed.
        kept_results: How many equal runs had left a result before the cache was asked; none where it could not be.
    """

    ended: bool
    kept_results: int | None = None


class CachedRuns:
    """The cache, as runs use it.

    Args:
        store: Where runs are read and written.
        communication: Tells of engine and images.
        settings: All settings.
        cache: By default as the settings say, opened with the first run.
        clock: The time, in UTC.
    """

    def __init__(
        self,
        store: Store,
        communication: DaggerCommunicationManager,
        settings: Settings,
        *,
        cache: WorkflowCache | None = None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._store = store
        self._communication = communication
        self._settings = settings
        self._clock = clock
        self._given = cache
        self._counted: dict[tuple[str, str], int] = {}
        self._counting = asyncio.Lock()
        self._snapshots = Snapshots(store.data_dir)
        self._artifacts = open_artifacts(settings, store.data_dir)

    @property
    def cache(self) -> WorkflowCache:
        """The tiers, opened now if they are not.

        Raises:
            InvalidConfiguration: A tier's address cannot be used.
        """
        if self._given is None:
            self._given = open_cache(self._settings, self._store.data_dir, self._clock)
        return self._given

    @property
    def keys(self) -> RunKeys:
        """What computes keys."""
        return RunKeys(self._store, self._communication, self._settings, self.cache)

    async def answer(self, run_id: str) -> Answer:
        """End a queued run with what the cache has for it, if it has something."""
        try:
            return await self._answer(await self.load(run_id))
        except TaskManagerError as error:
            log.warning("cache_not_asked", run_id=run_id, reason=str(error))
        except Exception:
            log.exception("cache_not_asked", run_id=run_id)
        return Answer(ended=False)

    async def keep(self, run_id: str, status: WorkflowStatus, reason: Reason | None) -> None:
        """Keep the result of a run that is about to end, where its workflow's policy says so."""
        try:
            await self._keep(await self.load(run_id), status, reason)
            await self.count_events()
        except TaskManagerError as error:
            log.warning("result_not_cached", run_id=run_id, reason=str(error))
        except Exception:
            log.exception("result_not_cached", run_id=run_id)

    async def load(self, run_id: str) -> Subject:
        """A run with everything that its key is about.

        Raises:
            NotFound: There is no such run.
        """
        run, workflow, task, project = await self._store.run(_about, run_id)
        listing = await asyncio.to_thread(self._snapshots.listing, run.snapshot) if run.snapshot else None
        return Subject(run, workflow, task, project, listing)

    async def remove_expired(self) -> None:
        """Remove the results that count no more; what they were made of stays known."""
        try:
            removed = await self.cache.remove_expired(await self._store.run(cache.keys))
        except TaskManagerError as error:
            log.warning("expired_results_not_removed", reason=error.message)
        else:
            log.info("expired_results_removed", results=removed)

    async def count_events(self) -> None:
        """Add to the store's counts what happened to the tiers in this process since they were last added."""
        if self._given is None:
            return
        async with self._counting:
            happened = self._given.metrics.happened()
            more = {event: count - self._counted.get(event, 0) for event, count in happened.items()}
            more = {event: count for event, count in more.items() if count}
            if more:
                await self._store.run(cache.count_events, more)
                self._counted = happened

    async def close(self) -> None:
        """Count what happened, and end the tiers' connections."""
        if self._given is not None:
            with suppress(TaskManagerError):
                await self.count_events()
            await self._given.close()

    async def _answer(self, subject: Subject) -> Answer:
        run = _run_of(subject)
        refusal = why_no_key(subject.workflow, self._settings.cache)
        if refusal is not None:
            return await self._off(run, refusal)
        try:
            components = await self._components(subject)
        except KeyUnknown as unknown:
            return await self._off(run, Refusal(unknown.code, unknown.text))
        refusal = why_not_asked(run)
        if refusal is not None:
            return await self._off(run, refusal, components)
        key = key_of_run(components)
        kept = await self._store.run(cache.kept_results, key)
        found = await self.look_up(key)
        record = self._record(run, components, found)
        if isinstance(found, Missing):
            await self._noted(run, record)
            return Answer(ended=False, kept_results=kept)
        return Answer(ended=await self._end(run, record, found))

    async def _components(self, subject: Subject) -> tuple[KeyComponent, ...]:
        """Those that were computed before, for a run that waited for an equal one."""
        run = _run_of(subject)
        known = await self._store.run(cache.of_run, run.id) if run.cache_key else None
        return known.components if known and known.components else await self.keys.components(subject)

    async def look_up(self, key: str) -> Found | Missing:
        """The entry of a key, if all that it left is still there."""
        found = await self.cache.get(key)
        if isinstance(found, Missing):
            return found if found.removed is not None else await self._never_or_gone(key, found)
        left = {artifact.digest: artifact.name for artifact in found.entry.artifacts}
        gone = await self._artifacts.missing(left) if left else ()
        if not gone:
            return found
        names = ", ".join(left[digest] for digest in gone)
        return Missing("artifacts_missing", f"The result of run {found.entry.run_id} is there, but not: {names}.")

    async def _never_or_gone(self, key: str, missing: Missing) -> Missing:
        """No tier knows of an entry: what makes room for others, or is damaged, leaves no trace there."""
        if not await self._store.run(cache.kept_results, key):
            return missing
        text = "The result of an equal run is in no tier any more: it made room for others, was damaged, or was lost."
        return Missing("gone", text)

    def _record(self, run: WorkflowRun, components: Sequence[KeyComponent], found: Found | Missing) -> CacheRecord:
        hit = isinstance(found, Found)
        return CacheRecord(
            run_id=run.id,
            key=key_of_run(components),
            outcome=CacheOutcome.HIT if hit else CacheOutcome.MISS,
            reason=CACHED if isinstance(found, Found) else found.reason,
            text="" if isinstance(found, Found) else found.text,
            tier=found.tier if isinstance(found, Found) else None,
            saved_seconds=found.entry.seconds if isinstance(found, Found) else None,
            components=tuple(components),
            created_at=self._clock(),
        )

    async def _off(self, run: WorkflowRun, refusal: Refusal, components: Sequence[KeyComponent] = ()) -> Answer:
        record = CacheRecord(
            run_id=run.id,
            key=key_of_run(components) if components else None,
            outcome=CacheOutcome.OFF,
            reason=refusal.code,
            text=refusal.text,
            components=tuple(components),
            created_at=self._clock(),
        )
        await self._noted(run, record)
        return Answer(ended=False)

    async def _noted(self, run: WorkflowRun, record: CacheRecord) -> None:
        """Note it, unless another worker was faster and executes the run, or has ended it."""
        if await self._store.run(cache.note_asked, record):
            self._count(run, record)

    def _count(self, run: WorkflowRun, record: CacheRecord) -> None:
        if record.reason == "disabled":
            return
        metrics, template = self.cache.metrics, run.template_id or ""
        metrics.lookups.labels(record.outcome.value, record.reason, template, run.project_id).inc()
        if record.saved_seconds is not None:
            metrics.saved.labels(template, run.project_id).inc(record.saved_seconds)

    async def _end(self, run: WorkflowRun, record: CacheRecord, found: Found) -> bool:
        entry, now = found.entry, self._clock()
        age = max((now - entry.created_at).total_seconds(), 0.0)
        ended = await self._store.run(
            cache.answer,
            record,
            status=entry.status,
            reason=_reason(entry, found.tier, age),
            original_run_id=entry.run_id,
            engine=entry.engine,
            warnings=entry.warnings,
            planned=[_as_cached(step, run) for step in entry.steps],
            left=[artifact.evolve(run_id=run.id) for artifact in entry.artifacts],
            result={
                **entry.result,
                "run_id": run.id,
                "task_id": run.task_id,
                "project_id": run.project_id,
                "cached": True,
                "original_run_id": entry.run_id,
                "age_seconds": age,
            },
            now=now,
        )
        if ended is not None:
            self._count(run, record)
        return ended is not None

    async def _keep(self, subject: Subject, status: WorkflowStatus, reason: Reason | None) -> None:
        run = _run_of(subject)
        record = await self._store.run(cache.of_run, run.id)
        planned = await self._store.run(steps.of_run, run.id)
        if record is not None and record.reason in (ENGINE_UNKNOWN, IMAGE_UNKNOWN):
            record = await self._known_by_now(subject, record)
        if record is None or record.key is None or run.started_at is None:
            return
        policy, now = policy_of(subject.workflow), self._clock()
        seconds = (now - run.started_at).total_seconds()
        branch = await asyncio.to_thread(current_branch, subject.source_folder) if policy.branches else None
        refusal = why_not_kept(
            policy, self._settings.cache, status=status, reason=reason, seconds=seconds, branch=branch
        )
        record = await self._as_executed(subject, record, planned)
        result = await self._store.run(results.get, run.id)
        stored = False
        if refusal is None and result is not None and record.key is not None:
            entry = CacheEntry(
                key=record.key,
                components=record.components,
                run_id=run.id,
                task_id=run.task_id,
                task_title=subject.task.title,
                project_id=run.project_id,
                template_id=run.template_id,
                tags=policy.tags,
                status=status,
                reason=reason,
                seconds=seconds,
                engine=run.engine,
                warnings=run.warnings,
                created_at=now,
                expires_at=self._expiry(policy, status, now),
                steps=planned,
                artifacts=await self._store.run(artifacts.of_run, run.id),
                result=result,
            )
            stored = await self.cache.put(entry)
        await self._store.run(cache.note, record.evolve(stored=stored))

    async def _known_by_now(self, subject: Subject, record: CacheRecord) -> CacheRecord:
        """The record with its key, as far as the engine that executed the run tells what was not known before."""
        try:
            components = await self.keys.components(subject)
        except KeyUnknown:
            return record
        return record.evolve(key=key_of_run(components), components=components)

    async def _as_executed(self, subject: Subject, record: CacheRecord, planned: Sequence[StepRecord]) -> CacheRecord:
        """The record by the images that the steps really ran on; each is remembered."""
        noted = next(one for one in record.components if one.name == "images")
        images = dict(noted.parts)
        for reference, digest in _images_of(subject, planned).items():
            used = self.keys.used(reference, digest)
            if used is not None:
                images[reference] = used
                await self.keys.remember(reference, digest or used)
        if images == noted.parts:
            return record
        components = await self.keys.components(subject, images)
        return record.evolve(key=key_of_run(components), components=components)

    def _expiry(self, policy: WorkflowCachePolicy, status: WorkflowStatus, now: datetime) -> datetime | None:
        lifetimes = [policy.ttl, None if policy.ttl is not None else age_seconds(self._settings.cache.ttl)]
        if status is not WorkflowStatus.SUCCEEDED:
            lifetimes.append(policy.failures)
        known = [seconds for seconds in lifetimes if seconds is not None]
        return now + timedelta(seconds=min(known)) if known else None


@read_only
def _about(c: Connection, run_id: str) -> tuple[WorkflowRun, Workflow, Task, Project]:
    """A run with its workflow, task and project, of one moment."""
    run = runs.get(c, run_id)
    return (
        run,
        workflows.get(c, run.workflow_id),
        tasks.get(c, run.task_id),
        projects.get(c, run.project_id),
    )


def key_of_run(components: Sequence[KeyComponent]) -> str:
    """The key of a run's components, without what is only told of its steps."""
    return key_of([one for one in components if one.name != STEPS])


def age_seconds(age: str | None) -> float | None:
    """Seconds of an age such as `30d`; none for none."""
    match = re.fullmatch(r"([0-9]+)([a-z]+)", age or "")
    return int(match[1]) * _UNITS[match[2]] if match else None


def current_branch(folder: Path | None) -> str | None:
    """The git branch that a folder, or the folder that it lies in, is on; none where it is on none."""
    for place in (folder, *folder.parents) if folder else ():
        found = place / ".git"
        try:
            if found.is_file():
                found = place / found.read_text().removeprefix("gitdir:").strip()
            head = (found / "HEAD").read_text().strip()
        except OSError:
            continue
        return head.removeprefix("ref: refs/heads/") if head.startswith("ref: refs/heads/") else None
    return None


def _run_of(subject: Subject) -> WorkflowRun:
    if subject.run is None:
        raise ValueError("this is about a run that was started")
    return subject.run


def _reason(entry: CacheEntry, tier: str, age: float) -> Reason:
    saved = f"saved {seconds_text(entry.seconds)}" if entry.seconds else ""
    details: Mapping[str, Any] = {
        "original_run": entry.run_id,
        "age_seconds": age,
        "saved_seconds": entry.seconds,
        "tier": tier,
        "cached": True,
    }
    if entry.status is WorkflowStatus.SUCCEEDED or entry.reason is None:
        text = f"The result of run {entry.run_id}, {_ago(age)}, which is equal{'; ' + saved if saved else ''}."
        return Reason(code=CACHED, text=text, details=dict(details))
    text = f"{entry.reason.text} (From the cache: run {entry.run_id}, {_ago(age)}.)"
    return Reason(code=entry.reason.code, text=text, details={**entry.reason.details, **details})


def _ago(seconds: float) -> str:
    for name, length in (("day", _DAY), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            count = int(seconds // length)
            return f"{count} {name}{'s' if count > 1 else ''} ago"
    return "less than a minute ago"


def _as_cached(step: StepRecord, run: WorkflowRun) -> StepRecord:
    """A step's record in a run that the cache answered: it did not run there."""
    return step.evolve(run_id=run.id, attempt=run.attempt, attempts=0, cached=True, started_at=None, finished_at=None)


def _images_of(subject: Subject, planned: Sequence[StepRecord]) -> dict[str, str | None]:
    """For each image that a step names, what the engine said that it ran on."""
    named = {step.id: step.image for step in (subject.workflow.pipeline.steps if subject.workflow.pipeline else ())}
    return {
        named[record.step_id]: record.image_digest
        for record in planned
        if record.step_id in named and record.image_digest is not None
    }

"""Questions about the cache, and its upkeep: `CacheQueries`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from task_manager.cache_figures import CacheFigures, figures_of
from task_manager.cached_runs import CachedRuns, key_of_run
from task_manager.caching.decisions import why_no_key
from task_manager.caching.entries import CacheEntry
from task_manager.caching.explain import Difference, differences, summary
from task_manager.caching.keys import selected
from task_manager.communication import DaggerCommunicationManager
from task_manager.config import Settings
from task_manager.models import (
    CacheOutcome,
    CacheRecord,
    KeyComponent,
    StepRecord,
    Task,
    Workflow,
    WorkflowRun,
    utc_now,
)
from task_manager.pipeline_converter import PipelineConverter
from task_manager.run_keys import STEPS, KeyUnknown, Subject, host_sources
from task_manager.run_starting import listing_of
from task_manager.snapshots import Snapshots
from task_manager.source_listing import Listing, changed_paths
from task_manager.store import Page, Store, cache, projects, runs, steps, tasks, workflows
from task_manager.store.paging import decode_cursor, encode_cursor
from task_manager.workflow_cache import Found, Selection, Verification
from task_manager.workflow_creation import WorkflowMaker
from task_manager.workflow_templates import WorkflowTemplateRegistry

_MOST_FILES = 200


@dataclass(frozen=True)
class ChangedFile:
    """A file of the source folder that differs: `added`, `removed` or `changed`."""

    path: str
    change: str


@dataclass(frozen=True)
class Comparison:
    """What differs from an earlier run.

    Attributes:
        run_id: The earlier run.
        differences: Parts of the key that differ; of sources, see `files`.
        files: The source files that differ, as far as that is known still.
        steps: The steps that depend on something that differs.
    """

    run_id: str
    differences: tuple[Difference, ...]
    files: tuple[ChangedFile, ...]
    steps: tuple[str, ...]


@dataclass(frozen=True)
class CacheExplanation:
    """What the cache was for a run, and why.

    Attributes:
        record: As it was noted; none before the cache was asked.
        text: All of it in one sentence.
        compared: With the nearest earlier run; none where there is none.
    """

    run: WorkflowRun
    record: CacheRecord | None
    text: str
    compared: Comparison | None


@dataclass(frozen=True)
class StepPrediction:
    """What would become of a step.

    Attributes:
        outcome: `hit`: it would not run, or the engine has an equal one; `miss`: it would run.
        text: Why.
        seconds: How long it took the last time; none where it is not known.
    """

    step_id: str
    outcome: CacheOutcome
    text: str
    seconds: float | None


@dataclass(frozen=True)
class CachePrediction:
    """What the cache would be for a task's run if it were started now.

    Attributes:
        outcome: Hit, miss, or off.
        saved_seconds: What it would save, steps that the engine would answer included.
        compared: With the nearest earlier run, for a miss.
    """

    task_id: str
    task: str
    outcome: CacheOutcome
    reason: str
    text: str
    key: str | None
    original_run_id: str | None
    saved_seconds: float
    steps: tuple[StepPrediction, ...]
    compared: Comparison | None


class CacheQueries:
    """What people ask about the cache, and do with it.

    Args:
        store: Where runs are.
        settings: All settings.
        communication: Tells of engine and images; no session is opened.
        templates: For predictions of tasks that have no workflow yet.
        clock: The time, in UTC.
    """

    def __init__(
        self,
        store: Store,
        settings: Settings,
        communication: DaggerCommunicationManager,
        templates: WorkflowTemplateRegistry,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._store = store
        self._settings = settings
        self._cached = CachedRuns(store, communication, settings, clock=clock)
        self._maker = WorkflowMaker(store, PipelineConverter(templates), clock)
        self._snapshots = Snapshots(store.data_dir)

    async def explain(self, run_id: str) -> CacheExplanation:
        """What the cache was for a run, and what differs from the nearest earlier one.

        Raises:
            NotFound: There is no such run.
        """
        run = await self._store.run(runs.get, run_id)
        record = await self._store.run(cache.of_run, run.id)
        compared = None
        if record is not None and record.components:
            subject = await self._cached.load(run.id)
            compared = await self._compare(run, record.components, subject)
        return CacheExplanation(run, record, _explained(run, record, compared), compared)

    async def predict(self, task_id: str) -> CachePrediction:
        """What the cache would be for a task if it were started now; nothing is written.

        What comes of tasks that it depends on is taken as it is now.

        Raises:
            NotFound: There is no such task.
            InvalidInput: The task cannot be converted.
        """
        task = await self._store.run(tasks.find, task_id)
        project = await self._store.run(projects.get, task.project_id)
        workflow = await self._workflow(task)
        refusal = why_no_key(workflow, self._settings.cache)
        if refusal is not None:
            return await self._not_asked(task, workflow, refusal.code, refusal.text)
        folder = task.source_folder or project.source_folder
        listing = await asyncio.to_thread(listing_of, self._snapshots, workflow, folder)
        subject = Subject(None, workflow, task, project, listing)
        try:
            components = await self._cached.keys.components(subject)
        except KeyUnknown as unknown:
            return await self._not_asked(task, workflow, unknown.code, unknown.text)
        found = await self._cached.look_up(key_of_run(components))
        if isinstance(found, Found):
            return _predicted_hit(task, found)
        compared = await self._compare(None, components, subject)
        predicted = await self._predicted_steps(workflow, components, compared)
        why = f"{found.text} {_compared_text(compared)}".strip()
        return CachePrediction(
            task_id=task.id,
            task=task.title,
            outcome=CacheOutcome.MISS,
            reason=found.reason,
            text=why,
            key=key_of_run(components),
            original_run_id=None,
            saved_seconds=sum(step.seconds or 0.0 for step in predicted if step.outcome is CacheOutcome.HIT),
            steps=predicted,
            compared=compared,
        )

    async def figures(self, project_id: str | None = None) -> CacheFigures:
        """How the cache has done, of a project or of all."""
        counted = [row for row in await self._store.run(cache.counts) if project_id in (None, row["project_id"])]
        named = {row["project_id"]: await self._project_name(row["project_id"]) for row in counted}
        await self._cached.count_events()
        happened = await self._store.run(cache.event_counts)
        return figures_of(counted, happened, named, await self._cached.cache.states())

    async def entries(self, selection: Selection) -> list[tuple[CacheEntry, tuple[str, ...]]]:
        """The entries that are meant, newest first, each with the tiers that have it."""
        now = utc_now()
        known = await self._store.run(cache.keys)
        found = [held async for held in self._cached.cache.entries(known) if selection.covers(held[0], now)]
        return sorted(found, key=lambda held: _place(held[0]), reverse=True)

    async def page(
        self, selection: Selection, *, limit: int, cursor: str | None
    ) -> tuple[Page[tuple[CacheEntry, tuple[str, ...]]], int]:
        """A page of the entries that are meant, newest first, each with the tiers that have it; and how many there are.

        Raises:
            InvalidInput: The cursor is of another list.
        """
        found = await self.entries(selection)
        after = decode_cursor(cursor, (str, str)) if cursor is not None else None
        rest = [held for held in found if after is None or _place(held[0]) < after]
        more = encode_cursor(_place(rest[limit - 1][0])) if len(rest) > limit else None
        return Page(tuple(rest[:limit]), more), len(found)

    async def clear(self, selection: Selection, *, dry_run: bool) -> tuple[CacheEntry, ...]:
        """Remove the entries that are meant, or only tell which they are; what they were made of stays known."""
        known = await self._store.run(cache.keys)
        return await self._cached.cache.clear(selection, dry_run=dry_run, known=known)

    async def verify(self) -> Verification:
        """Read every entry; remove those that are damaged."""
        return await self._cached.cache.verify(await self._store.run(cache.keys))

    async def close(self) -> None:
        """End the tiers' connections."""
        await self._cached.close()

    async def _project_name(self, project_id: str) -> str:
        return (await self._store.run(projects.get, project_id)).name

    async def _workflow(self, task: Task) -> Workflow:
        current = await self._store.run(workflows.current, task.id)
        if current is not None and current.task_digest == task.definition_digest:
            return current
        return self._maker.draft(task, await self._maker.convert(task))

    async def _not_asked(self, task: Task, workflow: Workflow, code: str, text: str) -> CachePrediction:
        known = await self._last_steps(await self._store.run(runs.latest, task.id))
        return CachePrediction(
            task_id=task.id,
            task=task.title,
            outcome=CacheOutcome.OFF,
            reason=code,
            text=text,
            key=None,
            original_run_id=None,
            saved_seconds=0.0,
            steps=tuple(
                StepPrediction(step.id, CacheOutcome.MISS, "Runs.", _seconds(known, step.id))
                for step in (workflow.pipeline.steps if workflow.pipeline else ())
            ),
            compared=None,
        )

    async def _compare(
        self, run: WorkflowRun | None, components: Sequence[KeyComponent], subject: Subject
    ) -> Comparison | None:
        """What differs from the earlier run whose key differs in the fewest components; of equals the newest."""
        task, template = subject.task.id, subject.workflow.template_id
        earlier = await self._store.run(
            cache.earlier, task_id=task, template_id=template, before=run.id if run else None
        )
        nearest = min(earlier, key=lambda record: len(_differing(record.components, components)), default=None)
        if nearest is None:
            return None
        found = differences(nearest.components, components)
        other = await self._store.run(runs.get, nearest.run_id)
        files = await asyncio.to_thread(self._changed_files, subject, other.snapshot)
        return Comparison(
            run_id=nearest.run_id,
            differences=tuple(one for one in found if one.component != STEPS),
            files=files,
            steps=tuple(one.part for one in found if one.component == STEPS and one.after is not None),
        )

    def _changed_files(self, subject: Subject, snapshot: str | None) -> tuple[ChangedFile, ...]:
        before = self._snapshots.listing(snapshot) if snapshot else None
        if before is None or subject.listing is None:
            return ()
        changes = dict(changed_paths(before, subject.listing))
        used = _used(subject.workflow, dict.fromkeys(changes, ""))
        return tuple(ChangedFile(path, change) for path, change in changes.items() if path in used)[:_MOST_FILES]

    async def _predicted_steps(
        self, workflow: Workflow, components: Sequence[KeyComponent], compared: Comparison | None
    ) -> tuple[StepPrediction, ...]:
        known = await self._last_steps(await self._store.run(runs.get, compared.run_id) if compared else None)
        changed = set(compared.steps) if compared else None
        predicted = []
        for step in workflow.pipeline.steps if workflow.pipeline else ():
            same = changed is not None and step.id not in changed and step.id in known
            done = same and known[step.id].status.value == "succeeded" and step.cache.value == "auto"
            text = (
                f"Equal to the step of run {compared.run_id}: the engine has it, as long as it keeps its layers."
                if done and compared
                else "Runs: something that it depends on differs."
                if changed is not None and step.id in changed
                else "Runs."
            )
            outcome = CacheOutcome.HIT if done else CacheOutcome.MISS
            predicted.append(StepPrediction(step.id, outcome, text, _seconds(known, step.id)))
        return tuple(predicted)

    async def _last_steps(self, run: WorkflowRun | None) -> dict[str, StepRecord]:
        if run is None:
            return {}
        return {step.step_id: step for step in await self._store.run(steps.of_run, run.id)}


def _differing(before: Sequence[KeyComponent], after: Sequence[KeyComponent]) -> set[str]:
    return {one.component for one in differences(before, after) if one.component != STEPS}


def _used(workflow: Workflow, paths: Listing) -> set[str]:
    """Those of the paths that a step takes; all for a function, which may read every one."""
    if workflow.pipeline is None:
        return set(paths)
    used: set[str] = set()
    for _, source in host_sources(workflow.pipeline):
        prefix = "" if source.path in (".", "") else f"{source.path.strip('/')}/"
        used.update(f"{prefix}{path}".rstrip("/") for path, _ in selected(paths, source))
    return used


def _explained(run: WorkflowRun, record: CacheRecord | None, compared: Comparison | None) -> str:
    if record is None:
        return "The cache was not asked for this run yet." if not run.status.is_terminal else "The cache was not asked."
    if record.outcome is CacheOutcome.HIT:
        return f"Hit in the tier {record.tier}: it has the result of run {run.original_run_id}."
    if record.outcome is CacheOutcome.OFF:
        return f"Not asked: {record.text} {_compared_text(compared)}".strip()
    if compared is not None and not compared.differences:
        return f"Miss, though run {compared.run_id} is equal: {record.text}"
    return f"Miss: {record.text} {_compared_text(compared)}".strip()


def _compared_text(compared: Comparison | None) -> str:
    if compared is None:
        return "There is no earlier run to compare with."
    if not compared.differences:
        return f"Run {compared.run_id} is equal."
    return f"From run {compared.run_id}, the nearest, differ: {summary(compared.differences)}."


def _predicted_hit(task: Task, found: Found) -> CachePrediction:
    entry = found.entry
    return CachePrediction(
        task_id=task.id,
        task=task.title,
        outcome=CacheOutcome.HIT,
        reason="cached",
        text=f"Hit in the tier {found.tier}: run {entry.run_id} is equal.",
        key=entry.key,
        original_run_id=entry.run_id,
        saved_seconds=entry.seconds,
        steps=tuple(
            StepPrediction(step.step_id, CacheOutcome.HIT, "Does not run.", step.seconds) for step in entry.steps
        ),
        compared=None,
    )


def _seconds(known: Mapping[str, StepRecord], step_id: str) -> float | None:
    return known[step_id].seconds if step_id in known else None


def _place(entry: CacheEntry) -> list[str | int]:
    """What entries are ordered by; times in UTC of one length are in order as texts."""
    return [entry.created_at.astimezone(UTC).isoformat(timespec="microseconds"), entry.key]

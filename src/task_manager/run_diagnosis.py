"""Why a run failed: what the store tells about it, its steps, its events and its task's other runs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

from task_manager.errors import StoreError
from task_manager.models import Event, Workflow, WorkflowRun
from task_manager.pipeline import TaskSource
from task_manager.results.diagnosis import Diagnosis, History, diagnosis_of, flake_among
from task_manager.results.failures import Failure, failure_of
from task_manager.results.run_changes import Change, ChangeKind, RunFacts, changes_between
from task_manager.snapshots import Snapshots, SourceDifferences
from task_manager.store import Store, events, run_history, steps, tasks, workflows
from task_manager.workflow_status import WorkflowStatus

_COMPARED = frozenset({WorkflowStatus.FAILED, WorkflowStatus.TIMED_OUT, WorkflowStatus.RETRYING})


async def diagnose_run(store: Store, run: WorkflowRun) -> Diagnosis | None:
    """Why a run failed, and what can be done.

    Args:
        store: Where everything about it is.
        run: With the status and reason that it has, or is about to get.

    Returns:
        None for a run that succeeded, or has not failed so far.
    """
    if run.status is WorkflowStatus.SUCCEEDED:
        return None
    happened = await events_of_run(store, run.id)
    failure = await failure_of_run(store, run, happened)
    if failure is None:
        return None
    history = await _history(store, run) if run.status in _COMPARED else History()
    return diagnosis_of(run, failure, happened, history)


async def failure_of_run(store: Store, run: WorkflowRun, happened: Sequence[Event]) -> Failure | None:
    """How a run failed; arguments and result as for `diagnose_run`, with the run's events."""
    workflow = await store.run(workflows.get, run.workflow_id)
    records = await store.run(steps.of_run, run.id)
    return failure_of(run, records, happened, workflow.pipeline.failures if workflow.pipeline else ())


async def events_of_run(store: Store, run_id: str) -> list[Event]:
    """What happened to a run, in order."""
    found: list[Event] = []
    while page := await store.run(events.after, found[-1].sequence if found else 0, run_id=run_id):
        found += page
    return found


async def _history(store: Store, run: WorkflowRun) -> History:
    facts = await _facts(store, run)
    before = await store.run(run_history.last_success, run)
    changes = None
    if before is not None:
        earlier = await _facts(store, before)
        changes = changes_between(earlier, facts, await asyncio.to_thread(_files, store, before, run))
    return History(changes, flake_among(run, await _with_same_inputs(store, facts)))


async def _facts(store: Store, run: WorkflowRun) -> RunFacts:
    workflow = await store.run(workflows.get, run.workflow_id)
    records = await store.run(steps.of_run, run.id)
    return RunFacts(run, workflow, records, await _inputs(store, run, workflow))


async def _with_same_inputs(store: Store, facts: RunFacts) -> list[WorkflowRun]:
    """The task's other runs with the same sources, pipeline, parameters and inputs from other tasks."""
    known = {facts.workflow.id: facts.workflow}
    found = []
    for other in await store.run(run_history.with_sources, facts.run):
        if other.workflow_id not in known:
            known[other.workflow_id] = await store.run(workflows.get, other.workflow_id)
        if _content(known[other.workflow_id], other) == _content(facts.workflow, facts.run):
            found.append(other)
    return [other for other in found if await _inputs(store, other, facts.workflow) == facts.inputs]


def _content(workflow: Workflow, run: WorkflowRun) -> tuple[object, ...]:
    return workflow.pipeline, workflow.function, workflow.parameters, run.parameters


async def _inputs(store: Store, run: WorkflowRun, workflow: Workflow) -> dict[str, str]:
    named = {
        source.task
        for step in (workflow.pipeline.steps if workflow.pipeline else ())
        for source in step.sources
        if isinstance(source, TaskSource)
    }
    if not named:
        return {}
    task = await store.run(tasks.get, run.task_id)
    upstream = [await store.run(tasks.get, task_id) for task_id in task.dependencies]
    taken = [other for other in upstream if other.id in named or other.title in named]
    return await store.run(run_history.inputs_of, run, taken)


def _files(store: Store, before: WorkflowRun, after: WorkflowRun) -> list[Change]:
    """The files of the sources that differ; where a snapshot is gone, that the sources differ as a whole."""
    if before.snapshot == after.snapshot:
        return []
    whole = [Change(kind=ChangeKind.SOURCE, name="sources", before=before.snapshot, after=after.snapshot)]
    if before.snapshot is None or after.snapshot is None:
        return whole
    try:
        found = Snapshots(store.data_dir).differences(before.snapshot, after.snapshot)
    except StoreError:
        return whole
    return list(_file_changes(found)) if found else whole


def _file_changes(found: SourceDifferences) -> Iterator[Change]:
    for names, before, after in (
        (found.changed, "as it was", "changed"),
        (found.added, None, "added"),
        (found.removed, "there", None),
    ):
        yield from (Change(kind=ChangeKind.SOURCE, name=name, before=before, after=after) for name in names)

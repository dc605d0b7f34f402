"""Starting runs: their sources are kept, their rows written, calls with a key done once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from task_manager.models import Task, Workflow, WorkflowRun, new_id
from task_manager.pipeline import HostSource
from task_manager.repeated_calls import once_all
from task_manager.run_tracing import about_run
from task_manager.snapshots import Snapshots
from task_manager.source_listing import Listing
from task_manager.store import Connection, Store, projects, queue, runs
from task_manager.store.idempotency import Call
from task_manager.tracing import SpanHandle, current_context, span
from task_manager.workflow_status import Reason


@dataclass(frozen=True)
class Start:
    """A run that is to be started.

    Attributes:
        task: Its task.
        workflow: The task's workflow.
        after: The tasks among those started together, and the runs under way, that it waits for; by id.
    """

    task: Task
    workflow: Workflow
    after: Sequence[str] = ()


class RunStarter:
    """Writes new runs into the store.

    Args:
        store: Where runs are kept.
        clock: The time, in UTC.
    """

    def __init__(self, store: Store, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock
        self._snapshots = Snapshots(store.data_dir)

    async def start(
        self,
        starts: Sequence[Start],
        *,
        skip_cache: bool,
        actor: str,
        call: Call,
        warning: Reason | None = None,
    ) -> tuple[WorkflowRun, ...]:
        """Write new runs, all or none, queued or waiting, with their sources as they are now.

        Args:
            starts: Of which tasks, each after those that it waits for.
            skip_cache: Whether no step may be answered from an earlier run.
            actor: Who asks.
            call: The call that they come of; of two with the same key at the same time one makes the runs.
            warning: What people should know about how they are going to be executed.

        Raises:
            StoreError: The sources cannot be kept.
            Conflict: The call's key was used with other arguments.
        """
        with span("execute", {"task_manager.runs": len(starts), "task_manager.actor": actor}) as traced:
            new = {
                start.task.id: self._new(
                    start.task,
                    start.workflow,
                    actor=actor,
                    skip_cache=skip_cache,
                    parameters=start.workflow.parameters,
                    snapshot=await self._snapshot(start.task, start.workflow),
                    warnings=_warnings(start.workflow, warning),
                )
                for start in starts
            }
            after = [[new[one].id if one in new else one for one in start.after] for start in starts]
            runs_after = tuple(zip(new.values(), after, strict=True))
            started = await once_all(self._store, call, runs.get, partial(_start, runs_after), now=self._clock())
            _tell(traced, started)
            return started

    async def start_again(
        self,
        run: WorkflowRun,
        task: Task,
        workflow: Workflow,
        *,
        from_step: str | None,
        actor: str,
        call: Call,
        warning: Reason | None = None,
    ) -> WorkflowRun:
        """Write a run that repeats another one, with the sources of that one as far as they are still there."""
        kept = run.snapshot is not None and self._snapshots.path(run.snapshot).is_dir()
        with span("execute", {"task_manager.runs": 1, "task_manager.actor": actor}) as traced:
            again = self._new(
                task,
                workflow,
                actor=actor,
                skip_cache=run.skip_cache and from_step is None,
                parameters=run.parameters,
                snapshot=run.snapshot if kept else await self._snapshot(task, workflow),
                warnings=_warnings(workflow, warning),
                rerun_of=run.id,
                from_step=from_step,
            )
            runs_after = ((again, ()),)
            started = await once_all(self._store, call, runs.get, partial(_start, runs_after), now=again.created_at)
            _tell(traced, started)
            return started[0]

    def _new(self, task: Task, workflow: Workflow, **fields: Any) -> WorkflowRun:
        now = self._clock()
        return WorkflowRun(
            id=new_id("run"),
            workflow_id=workflow.id,
            workflow_version=workflow.version,
            task_id=task.id,
            project_id=task.project_id,
            priority=task.priority,
            template_id=workflow.template_id,
            created_at=now,
            updated_at=now,
            **fields,
            **(current_context() or {}),
        )

    async def _snapshot(self, task: Task, workflow: Workflow) -> str | None:
        if not _reads_sources(workflow):
            return None
        project = await self._store.run(projects.get, task.project_id)
        named = task.source_folder or project.source_folder
        if named is None:
            return None
        return await asyncio.to_thread(self._keep, Path(named), ignored=_reads_ignored(workflow))

    def _keep(self, folder: Path, *, ignored: bool) -> str | None:
        # Of a folder that is missing the run itself tells.
        return self._snapshots.take(folder, ignored=ignored) if folder.is_dir() else None


def _tell(traced: SpanHandle, started: Sequence[WorkflowRun]) -> None:
    """Name the run that was started, where it is one."""
    if len(started) == 1:
        traced.set(about_run(started[0]))


def _warnings(workflow: Workflow, warning: Reason | None) -> tuple[str, ...]:
    return (*workflow.warnings, *([warning.text] if warning else []))


def listing_of(snapshots: Snapshots, workflow: Workflow, folder: str | None) -> Listing | None:
    """What a workflow's snapshot of a folder would hold if it were taken now; none without a folder.

    Raises:
        StoreError: A file cannot be read.
    """
    if folder is None or not _reads_sources(workflow) or not Path(folder).is_dir():
        return None
    return snapshots.read(Path(folder), ignored=_reads_ignored(workflow))


def _reads_sources(workflow: Workflow) -> bool:
    return bool(_host_sources(workflow) or workflow.function)


def _reads_ignored(workflow: Workflow) -> bool:
    return any(not source.gitignore for source in _host_sources(workflow))


def _host_sources(workflow: Workflow) -> list[HostSource]:
    steps = workflow.pipeline.steps if workflow.pipeline else ()
    return [source for step in steps for source in step.sources if isinstance(source, HostSource)]


def _start(new: Sequence[tuple[WorkflowRun, Sequence[str]]], c: Connection) -> list[WorkflowRun]:
    return [queue.start(c, run, after, now=run.created_at) for run, after in new]

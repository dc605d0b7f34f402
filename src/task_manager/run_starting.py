"""Starting runs: their sources are kept, their rows written, calls with a key done once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from task_manager.errors import Conflict
from task_manager.models import Task, Workflow, WorkflowRun, new_id
from task_manager.pipeline import HostSource
from task_manager.snapshots import Snapshots
from task_manager.store import Connection, Store, idempotency, projects, queue, runs
from task_manager.workflow_status import Reason


@dataclass(frozen=True)
class Call:
    """A call that may be made again.

    Attributes:
        key: The caller's name for it; none: each call is another one.
        arguments: What it was made with.
    """

    operation: str
    key: str | None
    arguments: Mapping[str, JsonValue]


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

    async def known(self, call: Call) -> WorkflowRun | None:
        """The run that a call made before; None when it is the first.

        Raises:
            Conflict: The key was used with other arguments.
            InvalidInput: The key cannot be used.
        """
        if call.key is None:
            return None
        return await self._store.run(_known, call)

    async def start(
        self,
        task: Task,
        workflow: Workflow,
        *,
        skip_cache: bool,
        actor: str,
        after: Sequence[str] = (),
        call: Call | None = None,
        warning: Reason | None = None,
    ) -> WorkflowRun:
        """Write a task's new run, queued or waiting, with its sources as they are now.

        Args:
            task: The task.
            workflow: Its workflow.
            skip_cache: Whether no step may be answered from an earlier run.
            actor: Who asks.
            after: The runs that it waits for.
            call: The call that it comes of; of two with the same key at the same time one makes the run.
            warning: What people should know about how it is going to be executed.

        Raises:
            StoreError: The sources cannot be kept.
            Conflict: The call's key was used with other arguments.
        """
        run = self._new(
            task,
            workflow,
            actor=actor,
            skip_cache=skip_cache,
            parameters=workflow.parameters,
            snapshot=await self._snapshot(task, workflow),
            warnings=_warnings(workflow, warning),
        )
        try:
            return await self._store.run(_start, run, tuple(after), call)
        except Conflict:
            # Another process may have made the run of this key at the same time.
            known = await self.known(call) if call else None
            if known is None:
                raise
            return known

    async def start_again(
        self,
        run: WorkflowRun,
        task: Task,
        workflow: Workflow,
        *,
        from_step: str | None,
        actor: str,
        warning: Reason | None = None,
    ) -> WorkflowRun:
        """Write a run that repeats another one, with the sources of that one as far as they are still there."""
        kept = run.snapshot is not None and self._snapshots.path(run.snapshot).is_dir()
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
        return await self._store.run(_start, again, (), None)

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
        )

    async def _snapshot(self, task: Task, workflow: Workflow) -> str | None:
        project = await self._store.run(projects.get, task.project_id)
        named = task.source_folder or project.source_folder
        hosts = _host_sources(workflow)
        if named is None or not (hosts or workflow.function):
            return None
        ignored = any(not source.gitignore for source in hosts)
        return await asyncio.to_thread(self._keep, Path(named), ignored=ignored)

    def _keep(self, folder: Path, *, ignored: bool) -> str | None:
        # Of a folder that is missing the run itself tells.
        return self._snapshots.take(folder, ignored=ignored) if folder.is_dir() else None


def _warnings(workflow: Workflow, warning: Reason | None) -> tuple[str, ...]:
    return (*workflow.warnings, *([warning.text] if warning else []))


def _host_sources(workflow: Workflow) -> list[HostSource]:
    steps = workflow.pipeline.steps if workflow.pipeline else ()
    return [source for step in steps for source in step.sources if isinstance(source, HostSource)]


def _known(c: Connection, call: Call) -> WorkflowRun | None:
    found = idempotency.known(c, call.operation, call.key or "", dict(call.arguments))
    return runs.get(c, found) if found else None


def _start(c: Connection, run: WorkflowRun, after: Sequence[str], call: Call | None) -> WorkflowRun:
    if call is not None and call.key is not None:
        known = _known(c, call)
        if known is not None:
            return known
        idempotency.remember(c, call.operation, call.key, dict(call.arguments), run.id, now=run.created_at)
    return queue.start(c, run, after, now=run.created_at)

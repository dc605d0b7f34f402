"""What a trace shows of a run: how long it waited and for what, its attempts, and whether the cache answered it."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final

from task_manager import tracing
from task_manager.errors import TaskManagerError
from task_manager.models import Event, EventKind, WorkflowRun
from task_manager.store import Store, events, runs
from task_manager.workflow_status import WorkflowStatus

WAITING: Final = frozenset({WorkflowStatus.WAITING, WorkflowStatus.QUEUED, WorkflowStatus.RETRYING})
"""The states before an attempt; each is a span of its name."""

_PAGE: Final = 500


def about_run(run: WorkflowRun) -> dict[str, tracing.Attribute]:
    """The attributes that say which run a span is about."""
    return {
        "task_manager.run.id": run.id,
        "task_manager.task.id": run.task_id,
        "task_manager.project.id": run.project_id,
        "task_manager.template": run.template_id,
    }


@asynccontextmanager
async def traced_attempt(store: Store, run: WorkflowRun) -> AsyncIterator[tracing.SpanHandle]:
    """Record an attempt that begins now and ends with the block, and before it what the run waited for.

    Args:
        store: Has the run's events.
        run: The run, `preparing`.
    """
    with tracing.continued(_context(run)):
        if tracing.is_on():
            with suppress(TaskManagerError):
                _record_waits(run, await _states(store, run.id))
        numbers = {"task_manager.run.attempt": run.attempt, "task_manager.run.recoveries": run.recoveries}
        with tracing.span("run", {**about_run(run), **numbers}) as span:
            yield span


def conclude(span: tracing.SpanHandle, run: WorkflowRun) -> None:
    """Say how an attempt ended."""
    span.set({"task_manager.run.status": run.status.value, "task_manager.run.engine": run.engine})
    if run.status not in (WorkflowStatus.SUCCEEDED, WorkflowStatus.CANCELLED):
        span.failed(run.reason.code if run.reason is not None else run.status.value)


async def record_cached(store: Store, run_id: str) -> None:
    """Record a run that the cache has answered, and before it what it waited for."""
    if not tracing.is_on():
        return
    with suppress(TaskManagerError):
        run = await store.run(runs.get, run_id)
        _record_answer(run, await _states(store, run.id))


def _record_answer(run: WorkflowRun, states: Sequence[Event]) -> None:
    with tracing.continued(_context(run)):
        _record_waits(run, states[:-1])
        begin = states[-2].time if len(states) > 1 else run.created_at
        ended = {"task_manager.run.status": run.status.value, "task_manager.run.cached": True}
        tracing.record_span("run", begin, run.finished_at or begin, {**about_run(run), **ended})


def _context(run: WorkflowRun) -> dict[str, str] | None:
    if run.traceparent is None:
        return None
    return {"traceparent": run.traceparent, **({"tracestate": run.tracestate} if run.tracestate else {})}


def _record_waits(run: WorkflowRun, states: Sequence[Event]) -> None:
    """Record the states before the last one, back to the attempt before."""
    waits = itertools.takewhile(lambda pair: pair[0].status in WAITING, reversed([*itertools.pairwise(states)]))
    for state, following in reversed([*waits]):
        if state.status is not None:
            attributes = {**about_run(run), "task_manager.run.attempt": state.attempt}
            tracing.record_span(state.status.value, state.time, following.time, attributes)


async def _states(store: Store, run_id: str) -> list[Event]:
    """The events of a run that say which state it entered, in order."""
    found: list[Event] = []
    known = 0
    while page := await store.run(events.after, known, run_id=run_id, limit=_PAGE):
        found += [event for event in page if event.kind is EventKind.RUN_STATUS]
        known = page[-1].sequence
    return found

"""The other runs of a task, for what they tell about one of them."""

from collections.abc import Collection
from typing import Final

from sqlalchemy import Connection

from task_manager.models import Task, WorkflowRun
from task_manager.store import artifacts, runs, tables
from task_manager.store.database import read_only
from task_manager.workflow_status import WorkflowStatus

MOST_RUNS: Final = 50
"""How many runs are looked at, at most."""

_columns = tables.runs.c
_EXECUTED: Final = (WorkflowStatus.SUCCEEDED, WorkflowStatus.FAILED, WorkflowStatus.TIMED_OUT)


@read_only
def last_success(c: Connection, run: WorkflowRun) -> WorkflowRun | None:
    """The newest run of the task that was started before and succeeded; None when there is none."""
    succeeded = (_columns.task_id == run.task_id) & (_columns.status == WorkflowStatus.SUCCEEDED.value)
    found = runs.newest(c, succeeded & (_columns.id < run.id), limit=1)
    return found[0] if found else None


@read_only
def with_sources(c: Connection, run: WorkflowRun) -> tuple[WorkflowRun, ...]:
    """The task's other runs that read the same sources and came to an end by themselves, newest first."""
    return runs.newest(
        c,
        (_columns.task_id == run.task_id)
        & (_columns.id != run.id)
        & _columns.snapshot.is_not_distinct_from(run.snapshot)
        & _columns.status.in_([status.value for status in _EXECUTED]),
        limit=MOST_RUNS,
    )


@read_only
def inputs_of(c: Connection, run: WorkflowRun, upstream: Collection[Task]) -> dict[str, str]:
    """What a run found of other tasks when it was started: the digests of their artifacts, by `TITLE: ARTIFACT`."""
    found: dict[str, str] = {}
    for task in upstream:
        succeeded = (_columns.task_id == task.id) & (_columns.status == WorkflowStatus.SUCCEEDED.value)
        before = _columns.finished_at <= (run.started_at or run.created_at)
        for latest in runs.newest(c, succeeded & before, limit=1):
            of_run = artifacts.of_run(c, latest.id)
            found.update({f"{task.title}: {artifact.name}": artifact.digest for artifact in of_run})
    return found

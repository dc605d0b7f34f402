"""How one run or one task is, as of one moment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from task_manager.models import StepRecord, Task, Workflow, WorkflowRun
from task_manager.run_statistics import Progress
from task_manager.store import results, run_queries, runs, steps, tasks, workflows
from task_manager.store.database import read_only


@dataclass(frozen=True)
class RunOverview:
    """How a run is.

    Attributes:
        result: As it is stored, JSON-like; none before there is one.
    """

    run: WorkflowRun
    steps: tuple[StepRecord, ...]
    progress: Progress
    result: dict[str, Any] | None


@dataclass(frozen=True)
class TaskOverview:
    """How a task is: with its current workflow and its latest run, where there are any."""

    task: Task
    workflow: Workflow | None
    latest: RunOverview | None


@read_only
def of_run(c: Connection, run_id: str, now: datetime) -> RunOverview:
    """How the run of that id is.

    Raises:
        NotFound: There is no such run.
    """
    return _overview(c, runs.get(c, run_id), now)


@read_only
def of_task(c: Connection, id_or_title: str, now: datetime) -> TaskOverview:
    """How the task of that id or title is.

    Raises:
        NotFound: There is no such task.
        InvalidInput: Several have that title.
    """
    task = tasks.find(c, id_or_title)
    latest = runs.latest(c, task.id)
    return TaskOverview(task, workflows.current(c, task.id), _overview(c, latest, now) if latest else None)


def _overview(c: Connection, run: WorkflowRun, now: datetime) -> RunOverview:
    records = steps.of_run(c, run.id)
    progress = run_queries.progress_among(c, run, records, now)
    return RunOverview(run, records, progress, results.get(c, run.id))

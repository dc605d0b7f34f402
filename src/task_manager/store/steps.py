"""Step records in the store."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, func, select, update

from task_manager.errors import InvalidInput, NotFound
from task_manager.models import EventKind, StepRecord
from task_manager.store import events, runs, tables
from task_manager.store.database import read_only
from task_manager.store.prepared import Prepared, is_one_of
from task_manager.store.records import RecordTable
from task_manager.workflow_status import Reason, StepStatus

_steps = RecordTable("step", StepRecord, tables.steps, order=("run_id", "step_id"))
_columns = tables.steps.c
_one = (_columns.run_id == bindparam("known_run")) & (_columns.step_id == bindparam("known_step"))
_update = Prepared(update(tables.steps).where(_one), {column.name for column in _columns} - {"run_id", "step_id"})
_delete = Prepared(delete(tables.steps).where(_columns.run_id == bindparam("of_run")))
_of_run = Prepared(
    select(tables.steps).where(_columns.run_id == bindparam("of_run")).order_by(_columns.position, _columns.step_id)
)
_last_failures = Prepared(
    select(_columns.step_id, func.max(_columns.run_id).label("failed_in"))
    .join(tables.runs, tables.runs.c.id == _columns.run_id)
    .where(
        tables.runs.c.task_id == bindparam("of_task"),
        tables.runs.c.id < bindparam("before"),
        is_one_of(_columns.status, (StepStatus.FAILED, StepStatus.TIMED_OUT)),
    )
    .group_by(_columns.step_id)
)


def plan(c: Connection, records: Sequence[StepRecord]) -> tuple[StepRecord, ...]:
    """Store the records of a run's steps; those that the run had are replaced.

    Returns:
        The records as they were stored.

    Raises:
        InvalidInput: The records belong to several runs, or to none that exists.
    """
    run_ids = {record.run_id for record in records}
    if len(run_ids) > 1:
        raise InvalidInput(f"The steps belong to several runs: {', '.join(sorted(run_ids))}.")
    for run_id in run_ids:
        _delete.execute(c, {"of_run": run_id})
    planned = tuple(_printable(record) for record in records)
    _steps.insert_all(c, planned)
    return planned


def change(c: Connection, record: StepRecord, *, reason: Reason | None = None, now: datetime) -> StepRecord:
    """Store what is known of a planned step by now, and append the event of its status.

    Args:
        c: The transaction.
        record: NUL characters in its texts, which PostgreSQL cannot keep, become U+FFFD.
        reason: Why the step is in its status.
        now: The time of the change.

    Returns:
        The record as it was stored.

    Raises:
        NotFound: The run has no such step, or there is no such run.
    """
    stored = _printable(record)
    row = _steps.row(stored)
    key = {"known_run": row.pop("run_id"), "known_step": row.pop("step_id")}
    if _update.execute(c, {**row, **key}) == 0:
        raise NotFound("step", record.step_id, known=[step.step_id for step in of_run(c, record.run_id)])
    event = runs.event_of(
        runs.get(c, record.run_id),
        EventKind.STEP_STATUS,
        time=now,
        step_id=record.step_id,
        step_status=record.status,
        reason=reason,
    )
    events.append(c, event)
    return stored


@read_only
def of_run(c: Connection, run_id: str) -> tuple[StepRecord, ...]:
    """The records of a run's steps, in their order."""
    return _steps.all(c, _of_run, {"of_run": run_id})


@read_only
def last_failures(c: Connection, task_id: str, *, before: str) -> dict[str, str]:
    """For each step that failed or timed out in a run of the task before a given one, the newest such run's id."""
    rows = _last_failures.all(c, {"of_task": task_id, "before": before})
    return {str(row["step_id"]): str(row["failed_in"]) for row in rows}


def _printable(record: StepRecord) -> StepRecord:
    """The record without NUL characters: a program's output may have any."""
    texts = {name: getattr(record, name) for name in ("error", "stdout_tail", "stderr_tail")}
    return record.model_copy(
        update={name: text.replace("\0", "\N{REPLACEMENT CHARACTER}") for name, text in texts.items()}
    )

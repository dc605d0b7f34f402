"""Step records in the store."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, func, select, update

from task_manager.errors import InvalidInput, NotFound
from task_manager.models import EventKind, StepRecord
from task_manager.store import events, runs, tables
from task_manager.store.database import read_only
from task_manager.store.records import RecordTable
from task_manager.workflow_status import Reason, StepStatus

_steps = RecordTable("step", StepRecord, tables.steps, order=("run_id", "step_id"))
_columns = tables.steps.c
_UNSUCCESSFUL = (StepStatus.FAILED.value, StepStatus.TIMED_OUT.value)
_update = update(tables.steps).where(
    _columns.run_id == bindparam("known_run"), _columns.step_id == bindparam("known_step")
)


def plan(c: Connection, records: Sequence[StepRecord]) -> None:
    """Store the records of a run's steps; those that the run had are replaced.

    Raises:
        InvalidInput: The records belong to several runs, or to none that exists.
    """
    run_ids = {record.run_id for record in records}
    if len(run_ids) > 1:
        raise InvalidInput(f"The steps belong to several runs: {', '.join(sorted(run_ids))}.")
    for run_id in run_ids:
        c.execute(delete(tables.steps).where(_columns.run_id == run_id))
    _steps.insert_all(c, [_printable(record) for record in records])


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
    if c.execute(_update, {**row, **key}).rowcount == 0:
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
    return _steps.all(c, _steps.matching(run_id=run_id).order_by(_columns.position, _columns.step_id))


@read_only
def last_failures(c: Connection, task_id: str, *, before: str) -> dict[str, str]:
    """For each step that failed or timed out in a run of the task before a given one, the newest such run's id."""
    query = (
        select(_columns.step_id, func.max(_columns.run_id))
        .join(tables.runs, tables.runs.c.id == _columns.run_id)
        .where(tables.runs.c.task_id == task_id, tables.runs.c.id < before, _columns.status.in_(_UNSUCCESSFUL))
        .group_by(_columns.step_id)
    )
    return {str(step_id): str(run_id) for step_id, run_id in c.execute(query)}


def _printable(record: StepRecord) -> StepRecord:
    """The record without NUL characters: a program's output may have any."""
    texts = {name: getattr(record, name) for name in ("error", "stdout_tail", "stderr_tail")}
    return record.model_copy(
        update={name: text.replace("\0", "\N{REPLACEMENT CHARACTER}") for name, text in texts.items()}
    )

"""What the cache was for each run, and runs that it answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, bindparam, delete, func, insert, select, true, update

from task_manager.models import Artifact, CacheRecord, StepRecord, WorkflowRun
from task_manager.store import artifacts, results, runs, steps, tables
from task_manager.store.database import read_only
from task_manager.store.prepared import Prepared
from task_manager.store.records import RecordTable
from task_manager.workflow_status import Reason, WorkflowStatus

_records = RecordTable("cache record", CacheRecord, tables.cache_records, order=("run_id",))
_columns = tables.cache_records.c
_runs = tables.runs.c
_delete = Prepared(delete(tables.cache_records).where(_columns.run_id == bindparam("of_run")))
_kept_results = Prepared(
    select(func.count().label("results"))
    .select_from(tables.cache_records)
    .where(_columns.key == bindparam("of_key"), _columns.stored == true())
)


def note(c: Connection, record: CacheRecord) -> None:
    """Store what the cache was for a run in place of what was noted before, and give the run its key."""
    _put(c, record)
    run = runs.get_locked(c, record.run_id)
    if run.cache_key != record.key:
        runs.change(c, run, {"cache_key": record.key})


def _put(c: Connection, record: CacheRecord) -> None:
    _delete.execute(c, {"of_run": record.run_id})
    _records.insert(c, record)


def note_asked(c: Connection, record: CacheRecord) -> bool:
    """Store what a look-up found for a run that waits to be executed; False when it does not wait any more."""
    if not _waits(runs.get_locked(c, record.run_id)):
        return False
    note(c, record)
    return True


def _waits(run: WorkflowRun) -> bool:
    return run.status is WorkflowStatus.QUEUED and run.dispatched < run.attempt


@read_only
def of_run(c: Connection, run_id: str) -> CacheRecord | None:
    """What the cache was for a run; none when it was not asked yet."""
    return _records.first(c, _records.matching(run_id=run_id))


def answer(
    c: Connection,
    record: CacheRecord,
    *,
    status: WorkflowStatus,
    reason: Reason,
    original_run_id: str,
    engine: str | None,
    warnings: Sequence[str],
    planned: Sequence[StepRecord],
    left: Sequence[Artifact],
    result: Mapping[str, Any],
    now: datetime,
) -> WorkflowRun | None:
    """End a run with the result that the cache had for it.

    Args:
        c: The transaction.
        record: What the cache was for it.
        status: How it ends.
        reason: Why.
        original_run_id: Whose result it is.
        engine: What executed that one.
        warnings: What people should know about how that one was executed.
        planned: Its steps' records.
        left: Its artifacts.
        result: Its result, JSON-like.
        now: The time.

    Returns:
        The run; none when it is not waiting to be executed any more, and nothing was changed.
    """
    run = runs.get_locked(c, record.run_id)
    if not _waits(run):
        return None
    _put(c, record)
    steps.plan(c, planned)
    for artifact in left:
        artifacts.put(c, artifact)
    results.put(c, run.id, dict(result))
    also = {
        "cache_key": record.key,
        "original_run_id": original_run_id,
        "engine": engine,
        "warnings": tuple(dict.fromkeys((*run.warnings, *warnings))),
    }
    return runs.transition(c, run.id, status, reason=reason, now=now, also=also)


@read_only
def earlier(
    c: Connection, *, task_id: str, template_id: str | None, before: str | None, limit: int = 200
) -> tuple[CacheRecord, ...]:
    """Records with components of earlier runs, newest first: of a task, then of others made from the same template.

    Args:
        c: The transaction.
        task_id: The task.
        template_id: The template; none: of the task alone.
        before: Only of runs before this one; none: of all.
        limit: How many at most, of each.
    """
    query: Select[Any] = (
        select(tables.cache_records).join(tables.runs, _runs.id == _columns.run_id).where(_columns.key.is_not(None))
    )
    if before is not None:
        query = query.where(_runs.id < before)
    same_task = query.where(_runs.task_id == task_id)
    same_kind = query.where(_runs.task_id != task_id, _runs.template_id == template_id)
    found: list[CacheRecord] = []
    for part in (same_task, same_kind):
        found += _records.all(c, part.order_by(_runs.id.desc()).limit(limit))
    return tuple(found)


@read_only
def keys(c: Connection) -> tuple[str, ...]:
    """The keys under which results of runs were kept, once each."""
    return tuple(c.scalars(select(_columns.key).where(_columns.stored.is_(True)).distinct()))


@read_only
def kept_results(c: Connection, key: str) -> int:
    """How many runs with a key have left a result: more than before a look-up means that it is worth another one."""
    found = _kept_results.first(c, {"of_key": key})
    return int(found["results"]) if found else 0


def count_events(c: Connection, happened: Mapping[tuple[str, str], int]) -> None:
    """Add to how often things happened to tiers.

    Args:
        c: The transaction.
        happened: How often more, by a name such as `evictions` and the tier.
    """
    columns = tables.cache_counts.c
    for (name, tier), count in sorted(happened.items()):
        one = (columns.name == name) & (columns.tier == tier)
        changed = c.execute(update(tables.cache_counts).where(one).values(count=columns.count + count))
        if not changed.rowcount:
            c.execute(insert(tables.cache_counts), {"name": name, "tier": tier, "count": count})


@read_only
def event_counts(c: Connection) -> dict[tuple[str, str], int]:
    """How often things happened to tiers, by name and tier."""
    columns = tables.cache_counts.c
    return {(name, tier): count for name, tier, count in c.execute(select(columns.name, columns.tier, columns.count))}


@read_only
def counts(c: Connection) -> list[Mapping[str, Any]]:
    """How many runs there are of each outcome and reason, by project and template, with the seconds that were saved."""
    query = (
        select(
            _columns.outcome,
            _columns.reason,
            _columns.tier,
            _runs.project_id,
            _runs.template_id,
            func.count().label("runs"),
            func.coalesce(func.sum(_columns.saved_seconds), 0.0).label("saved_seconds"),
        )
        .join(tables.runs, _runs.id == _columns.run_id)
        .group_by(_columns.outcome, _columns.reason, _columns.tier, _runs.project_id, _runs.template_id)
    )
    return [dict(row) for row in c.execute(query).mappings()]

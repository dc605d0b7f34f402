"""Questions about runs: which there are, how many, how they went, how far one is. Nothing here writes."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVarTuple

from sqlalchemy import JSON, ColumnElement, Connection, Select, bindparam, exists, func, literal, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from task_manager.errors import InvalidInput
from task_manager.models import StepRecord, WorkflowRun, WorkflowType
from task_manager.run_statistics import Progress, RunGroup, RunStatistics, progress_of, summarised
from task_manager.store import runs, steps, tables
from task_manager.store.database import read_only
from task_manager.store.paging import DEFAULT_LIMIT, Page
from task_manager.store.records import RecordTable
from task_manager.workflow_status import WorkflowStatus

ESTIMATED_FROM: Final = 10
"""How many earlier runs an estimate is made from, at most."""

_CACHED: Final = "cached"
_runs = RecordTable("run", WorkflowRun, tables.runs, newest_first=True)
_columns = tables.runs.c
_tasks = tables.tasks.c
_workflows = tables.workflows.c


def _successful(alike: ColumnElement[bool]) -> Select[float | None]:
    """The durations of the newest successful runs that were executed."""
    return (
        select(_columns.seconds)
        .where(alike, _columns.status == WorkflowStatus.SUCCEEDED.value, _columns.seconds.is_not(None))
        .where(func.coalesce(_columns.reason["code"].as_string(), "") != literal(_CACHED))
        .order_by(_columns.id.desc())
        .limit(ESTIMATED_FROM)
    )


# Made once: making them takes longer than asking them.
_EARLIER: Final = (
    _successful(_columns.workflow_id == bindparam("of_workflow")),
    _successful(
        (_columns.task_id == bindparam("of_task")) & _columns.template_id.is_not_distinct_from(bindparam("of_template"))
    ),
)


@dataclass(frozen=True)
class RunFilter:
    """Which runs are meant; what is not given is not looked at.

    Attributes:
        statuses: In one of these; empty: in any.
        template_id: Of workflows made from this template.
        workflow_type: Of workflows of this type.
        project_id: Of this project.
        task_id: Of this task.
        actor: Started by this one.
        since: Created at that time or later.
        until: Created before that time.
        text: With this in the task's title or the workflow's name, in capitals or not.
    """

    statuses: frozenset[WorkflowStatus] = frozenset()
    template_id: str | None = None
    workflow_type: WorkflowType | None = None
    project_id: str | None = None
    task_id: str | None = None
    actor: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    text: str | None = None

    def __post_init__(self) -> None:
        """Check what was given.

        Raises:
            InvalidInput: A time has no zone, or the range has no time in it; a text cannot be looked for.
        """
        for name, moment in (("since", self.since), ("until", self.until)):
            if moment is not None and moment.tzinfo is None:
                raise InvalidInput(f"The time {name!r} is without a time zone: {moment.isoformat()}.")
        if self.since is not None and self.until is not None and self.since >= self.until:
            raise InvalidInput(
                f"No time is from {self.since.isoformat()} until {self.until.isoformat()}.",
                remedy="Give a beginning that is before the end.",
            )
        if self.text is not None and "\0" in self.text:
            raise InvalidInput("No title or name has a NUL character.")


Ts = TypeVarTuple("Ts")

ALL: Final = RunFilter()


class Collected(FunctionElement[list[float | None]]):
    """The values of a group as a list; databases have different names for it."""

    type = JSON()
    inherit_cache = True


@compiles(Collected, "postgresql")
def _on_postgresql(element: Collected, compiler: SQLCompiler, **options: Any) -> str:
    return f"json_agg({compiler.process(element.clauses, **options)})"


@compiles(Collected, "sqlite")
def _on_sqlite(element: Collected, compiler: SQLCompiler, **options: Any) -> str:
    return f"json_group_array({compiler.process(element.clauses, **options)})"


@read_only
def list_(
    c: Connection, where: RunFilter = ALL, *, limit: int = DEFAULT_LIMIT, cursor: str | None = None
) -> Page[WorkflowRun]:
    """A page of runs, newest first.

    Args:
        c: The transaction.
        where: Which.
        limit: How many at most.
        cursor: The `next_cursor` of the page before.

    Raises:
        InvalidInput: The limit or the cursor cannot be used.
    """
    return _runs.page(c, narrowed(select(tables.runs), where), limit=limit, cursor=cursor)


@read_only
def count_by_status(c: Connection, where: RunFilter = ALL) -> dict[WorkflowStatus, int]:
    """How many of these runs are in each status; 0 for statuses without any."""
    query = narrowed(select(_columns.status, func.count()), where).group_by(_columns.status)
    return dict.fromkeys(WorkflowStatus, 0) | {WorkflowStatus(status): count for status, count in c.execute(query)}


@read_only
def statistics(c: Connection, where: RunFilter = ALL) -> RunStatistics:
    """How these runs went, all together, by template and by workflow type."""
    grouped = narrowed(
        select(
            _columns.workflow_id,
            _columns.status,
            func.count().label("runs"),
            Collected(_columns.seconds).label("seconds"),
            func.coalesce(func.sum(_columns.steps_cached), 0).label("steps_cached"),
            func.coalesce(func.sum(_columns.steps_counted), 0).label("steps_counted"),
        ),
        where,
    )
    groups = grouped.group_by(_columns.workflow_id, _columns.status).subquery()
    query = select(_workflows.template_id, _workflows.workflow_type, *list(groups.c)[1:])
    found = c.execute(query.join(groups, groups.c.workflow_id == _workflows.id))
    return summarised([RunGroup(row[0], WorkflowType(row[1]), WorkflowStatus(row[2]), *row[3:]) for row in found])


@read_only
def progress(c: Connection, run_id: str, now: datetime) -> Progress:
    """How far a run is, and how long it is likely to take from now on.

    The estimate is made from the newest successful runs of its workflow; while this version of the workflow has none,
    from those of the task's other versions that were made from the same template.

    Args:
        c: The transaction.
        run_id: The run.
        now: The time.

    Raises:
        NotFound: There is no such run.
    """
    run = runs.get(c, run_id)
    return progress_among(c, run, steps.of_run(c, run_id), now)


def progress_among(c: Connection, run: WorkflowRun, records: Collection[StepRecord], now: datetime) -> Progress:
    """The same for a run whose steps' records are known."""
    elapsed = None if run.started_at is None else (now - run.started_at).total_seconds()
    return progress_of(run, records, _earlier_seconds(c, run), elapsed)


def _earlier_seconds(c: Connection, run: WorkflowRun) -> list[float]:
    """The durations of earlier runs that an estimate for this one is made from, newest first."""
    if run.status.is_terminal:
        return []
    values = {"of_workflow": run.workflow_id, "of_task": run.task_id, "of_template": run.template_id}
    for query in _EARLIER:
        found = [float(seconds or 0) for seconds in c.scalars(query, values)]
        if found:
            return found
    return []


def narrowed(query: Select[*Ts], where: RunFilter) -> Select[*Ts]:
    """A query about runs, asked of those that are meant."""
    for name in ("template_id", "project_id", "task_id", "actor"):
        if (wanted := getattr(where, name)) is not None:
            query = query.where(_columns[name] == wanted)
    if where.statuses:
        query = query.where(_columns.status.in_(sorted(where.statuses)))
    if where.since is not None:
        query = query.where(_columns.created_at >= where.since)
    if where.until is not None:
        query = query.where(_columns.created_at < where.until)
    if where.workflow_type is not None:
        # Not `IN`: most runs are of one type, and are found in their order.
        of_type = (_workflows.id == _columns.workflow_id) & (_workflows.workflow_type == where.workflow_type.value)
        query = query.where(exists().where(of_type))
    return query.where(_has(where.text)) if where.text else query


def _has(text: str) -> ColumnElement[bool]:
    titled = select(_tasks.id).where(_tasks.title.icontains(text, autoescape=True))
    named = select(_workflows.id).where(_workflows.name.icontains(text, autoescape=True))
    return _columns.task_id.in_(titled) | _columns.workflow_id.in_(named)

"""`task-manager run list` and `run stats`: which runs there are, and how they went."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, get_args

import typer
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from task_manager.cli.arguments import Cursor, Limit, ProjectOption, complete_templates
from task_manager.cli.choices import RunStatusName, WorkflowTypeName
from task_manager.cli.output import fields, table
from task_manager.cli.session import Session
from task_manager.cli.statuses import moment_text, status_text

if TYPE_CHECKING:
    from task_manager.run_statistics import NamedSummary, RunStatistics, RunSummary
    from task_manager.store import Store
    from task_manager.store.run_queries import RunFilter

_MOMENT = "a date, a date with a time, or how long ago: 30min, 2h, 7d"
_EVERY_RUN = "all"

_STATUSES: tuple[str, ...] = get_args(RunStatusName)


def _known_statuses(names: list[str] | None) -> list[str] | None:
    """The names, when all are states; typer has no choices for options that may be repeated."""
    for name in names or ():
        if name not in _STATUSES:
            raise typer.BadParameter(f"{name!r} is not one of {', '.join(map(repr, _STATUSES))}.")
    return names


TaskFilter = Annotated[str | None, typer.Option(metavar="TASK", help="Of this task.")]
StatusFilter = Annotated[
    list[str] | None,
    typer.Option(
        metavar=f"[{'|'.join(_STATUSES)}]",
        help="In this state. Repeatable.",
        callback=_known_statuses,
        autocompletion=lambda incomplete: [name for name in _STATUSES if name.startswith(incomplete)],
    ),
]
TemplateFilter = Annotated[
    str | None,
    typer.Option(
        "--template", "-t", metavar="TEMPLATE", help="Made from this template.", autocompletion=complete_templates
    ),
]
TypeFilter = Annotated[
    WorkflowTypeName | None, typer.Option("--type", help="Of workflows of this type.", show_default=False)
]
ActorFilter = Annotated[str | None, typer.Option(metavar="NAME", help="Started by this one.")]
Since = Annotated[str | None, typer.Option(metavar="WHEN", help=f"Created then or later: {_MOMENT}.")]
Until = Annotated[str | None, typer.Option(metavar="WHEN", help="Created before then; written likewise.")]
TextFilter = Annotated[
    str | None, typer.Option(metavar="TEXT", help="With this in the task's title or the workflow's name.")
]


async def list_(
    session: Session,
    *,
    project: ProjectOption = None,
    task: TaskFilter = None,
    status: StatusFilter = None,
    template: TemplateFilter = None,
    workflow_type: TypeFilter = None,
    actor: ActorFilter = None,
    since: Since = None,
    until: Until = None,
    text: TextFilter = None,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> None:
    """List runs, the newest first."""
    from task_manager.cli.execution import titles_of
    from task_manager.cli.live import time_text
    from task_manager.models import utc_now

    async with session.application() as application:
        where = await _filter(
            application.store,
            project=project,
            task=task,
            status=status,
            workflow_type=workflow_type,
            since=since,
            until=until,
            template_id=template,
            actor=actor,
            text=text,
        )
        page = await application.runs.list(where, limit=limit, cursor=cursor)
        titles = await titles_of(application, page.items)
    rows = [
        (
            run.id,
            titles[run.task_id],
            status_text(run.status),
            time_text(run),
            moment_text(run.created_at, utc_now()),
        )
        for run in page.items
    ]
    session.output.show_page(
        page,
        table(["!Run", "Task", "!Status", "!>Time", "!Created"], rows, empty="There are no runs."),
    )


async def stats(
    session: Session,
    *,
    project: ProjectOption = None,
    task: TaskFilter = None,
    status: StatusFilter = None,
    template: TemplateFilter = None,
    workflow_type: TypeFilter = None,
    actor: ActorFilter = None,
    since: Since = None,
    until: Until = None,
    text: TextFilter = None,
) -> None:
    """Show how runs went: states, durations, success rate, steps from earlier runs; by template and by type.

    The success rate leaves out what was cancelled or skipped. Durations are of runs that have begun and ended.
    """
    async with session.application() as application:
        where = await _filter(
            application.store,
            project=project,
            task=task,
            status=status,
            workflow_type=workflow_type,
            since=since,
            until=until,
            template_id=template,
            actor=actor,
            text=text,
        )
        found = await application.runs.statistics(where)
    session.output.show(found, _statistics(found))


async def _filter(
    store: Store,
    *,
    project: str | None,
    task: str | None,
    status: list[str] | None,
    workflow_type: WorkflowTypeName | None,
    since: str | None,
    until: str | None,
    **given: str | None,
) -> RunFilter:
    """What the options ask for.

    Raises:
        InvalidInput: A moment cannot be understood, or no time is between them.
        NotFound: There is no such project or task.
    """
    from task_manager.cli.lookup import find_scope
    from task_manager.cli.moments import moment
    from task_manager.models import WorkflowType, utc_now
    from task_manager.store.run_queries import RunFilter
    from task_manager.workflow_status import WorkflowStatus

    now = utc_now()
    return RunFilter(
        **await find_scope(store, project, task),
        statuses=frozenset(WorkflowStatus(name) for name in status or ()),
        workflow_type=WorkflowType(workflow_type) if workflow_type else None,
        since=moment(since, now) if since else None,
        until=moment(until, now) if until else None,
        **given,
    )


def _statistics(found: RunStatistics) -> RenderableType:
    if not found.total.runs:
        return Text("There are no runs.", style="dim")
    states = Text("  ").join(
        Text.assemble(status_text(status), f" {count:,}") for status, count in found.total.by_status.items()
    )
    heading = fields([("Runs", f"{found.total.runs:,}"), ("States", states)])
    tables = [
        _table("Template", found.by_template, "own definitions"),
        _table("Workflow type", found.by_type, ""),
        table(["All runs", *_COLUMNS], [(_EVERY_RUN, *_numbers(found.total))], empty=""),
    ]
    return Group(Padding(heading, (0, 0, 1, 0)), *(Padding(part, (0, 0, 1, 0)) for part in tables))


_COLUMNS = ["!>Runs", "!>Succeeded", "!>Half within", "!>95 % within", "!>Steps cached"]


def _table(heading: str, summaries: tuple[NamedSummary, ...], unnamed: str) -> RenderableType:
    rows = [(one.name or unnamed, *_numbers(one.summary)) for one in summaries]
    return table([heading, *_COLUMNS], rows, empty="")


def _numbers(summary: RunSummary) -> tuple[str, ...]:
    from task_manager.results.wording import seconds_text

    return (
        f"{summary.runs:,}",
        _percent(summary.success_rate),
        seconds_text(summary.p50_seconds),
        seconds_text(summary.p95_seconds),
        _percent(summary.cached_share),
    )


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.0%}"

"""`task-manager schedule`: what is started at which times."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from task_manager.cli.arguments import (
    IdempotencyKey,
    Inputs,
    Revision,
    Yes,
    confirm_removal,
    given,
    parse_inputs,
)
from task_manager.cli.choices import MissedTimesName, OverlapName
from task_manager.cli.command import command, group
from task_manager.cli.output import table
from task_manager.cli.session import Session
from task_manager.cli.statuses import status_text

if TYPE_CHECKING:
    from task_manager.schedule_records import Occurrence, Schedule

Name = Annotated[str, typer.Argument(help="Its name or id.")]
Cron = Annotated[
    str | None,
    typer.Option(
        metavar="'MINUTE HOUR DAY MONTH WEEKDAY'", help="When: as in '30 6 * * 1-5'; or @hourly, @daily, @weekly."
    ),
]
Zone = Annotated[str | None, typer.Option("--timezone", metavar="ZONE", help="Whose clocks: as Europe/Berlin; or UTC.")]
Missed = Annotated[
    MissedTimesName | None, typer.Option(help="Times at which nothing was there to start it: make up for one, or none.")
]
Overlapping = Annotated[
    OverlapName | None, typer.Option(help="While a run of the last time goes on: start nothing, or another one.")
]
UseCache = Annotated[
    bool | None, typer.Option("--use-cache/--no-cache", help="Let results of earlier runs answer; else all runs anew.")
]


def add_commands(app: typer.Typer) -> None:
    """Add the group `schedule`."""
    schedule = group(app, "schedule", "Say what is started at which times.")
    command(
        schedule,
        "add",
        example="task-manager schedule add nightly --cron '0 3 * * *' --timezone Europe/Berlin --task 'Run the tests'\n"
        "task-manager schedule add weekly --cron @weekly --project site",
    )(add)
    command(schedule, "list", example="task-manager schedule list")(list_)
    command(schedule, "show", example="task-manager schedule show nightly")(show)
    command(schedule, "update", example="task-manager schedule update nightly --cron '30 4 * * *'")(update)
    command(schedule, "pause", example="task-manager schedule pause nightly")(pause)
    command(schedule, "resume", example="task-manager schedule resume nightly")(resume)
    command(schedule, "remove", example="task-manager schedule remove nightly")(remove)
    command(
        schedule,
        "next",
        example="task-manager schedule next nightly\n"
        "task-manager schedule next --cron '30 6 * * 1-5' --timezone Europe/Berlin --count 10",
    )(next_)


async def add(
    session: Session,
    name: Annotated[str, typer.Argument(help="Unique.")],
    *,
    cron: Annotated[
        str,
        typer.Option(
            metavar="'MINUTE HOUR DAY MONTH WEEKDAY'", help="When: as in '30 6 * * 1-5'; or @hourly, @daily, @weekly."
        ),
    ],
    timezone: Zone = None,
    task: Annotated[str | None, typer.Option(help="The task to execute, by id or title.")] = None,
    project: Annotated[str | None, typer.Option(help="The project to execute, or to make tasks in.")] = None,
    template: Annotated[str | None, typer.Option(help="With a project: make a task of it each time.")] = None,
    parameter: Inputs = None,
    missed: Missed = None,
    overlap: Overlapping = None,
    use_cache: UseCache = None,
    idempotency_key: IdempotencyKey = None,
) -> None:
    """Start a task, a project, or a task made of a template, again and again at certain times.

    `task-manager server` and workers see to it; what came while none of them was there is caught up, once.
    """
    fields = given(
        name=name,
        cron=cron,
        timezone=timezone,
        task_id=task,
        project_id=project,
        template_id=template,
        parameters=parse_inputs(parameter or ()),
        missed=missed,
        overlap=overlap,
        use_cache=use_cache,
    )
    async with session.application() as application:
        schedule = await application.schedules.add(fields, idempotency_key=idempotency_key)
    text = f"{_told(schedule)} A server or a worker must run then: task-manager server."
    session.output.show({"schedule": schedule}, text)


async def list_(session: Session) -> None:
    """List the schedules."""
    from task_manager.cli.targets import target_texts

    async with session.application() as application:
        found = await application.schedules.list()
        starts = await target_texts(application.store, found)
    rows = [
        (
            one.name,
            one.cron,
            started,
            _local(one.last_due_at, one.timezone) if one.last_due_at else "",
            _local(one.next_due_at, one.timezone) if one.next_due_at else Text("paused", style="dim"),
        )
        for one, started in zip(found, starts, strict=True)
    ]
    headings = ["!Name", "!When", "Starts", "!Last", "!Next"]
    empty = "There are no schedules: task-manager schedule add."
    session.output.show({"items": found}, table(headings, rows, empty=empty))


async def show(session: Session, name: Name) -> None:
    """Show a schedule, and what became of its last due times."""
    from task_manager.cli.targets import target_texts

    async with session.application() as application:
        schedule = await application.schedules.get(name)
        page = await application.schedules.occurrences(schedule.id, limit=20)
        (started,) = await target_texts(application.store, [schedule])
    facts = [
        ("Schedule", f"{schedule.name} ({schedule.id})"),
        ("When", f"{schedule.cron} in {schedule.timezone}"),
        ("Starts", started),
        ("Missed times", schedule.missed.value),
        ("Beside a run", schedule.overlap.value),
        ("Cache", "used" if schedule.use_cache else "not used"),
        ("Made by", schedule.created_by),
        ("Next", _local(schedule.next_due_at, schedule.timezone) if schedule.next_due_at else "paused"),
    ]
    rows = [(_local(one.due_at, schedule.timezone), status_text(one.state.value), _became(one)) for one in page.items]
    session.output.show(
        {"schedule": schedule, "occurrences": page.items},
        "\n".join(f"{about + ':':<14}{text}" for about, text in facts) + "\n",
        table(["!Due", "!State", "Runs, or why not"], rows, empty="No due time has come yet."),
    )


async def update(
    session: Session,
    name: Name,
    *,
    rename: Annotated[str | None, typer.Option("--name", help="A new name.")] = None,
    cron: Cron = None,
    timezone: Zone = None,
    parameter: Inputs = None,
    missed: Missed = None,
    overlap: Overlapping = None,
    use_cache: UseCache = None,
    revision: Revision = None,
) -> None:
    """Change a schedule; what is left out stays as it is."""
    changes = given(
        name=rename,
        cron=cron,
        timezone=timezone,
        parameters=parse_inputs(parameter) if parameter else None,
        missed=missed,
        overlap=overlap,
        use_cache=use_cache,
    )
    async with session.application() as application:
        schedule = await application.schedules.update(name, changes, revision)
    session.output.show({"schedule": schedule}, _told(schedule))


async def pause(session: Session, name: Name) -> None:
    """Start nothing until the schedule is resumed."""
    async with session.application() as application:
        schedule = await application.schedules.pause(name)
    session.output.show({"schedule": schedule}, _told(schedule))


async def resume(session: Session, name: Name) -> None:
    """Let a schedule start again, from its next due time on."""
    async with session.application() as application:
        schedule = await application.schedules.resume(name)
    session.output.show({"schedule": schedule}, _told(schedule))


async def remove(session: Session, name: Name, *, yes: Yes = False) -> None:
    """Remove a schedule; what it started stays."""
    async with session.application() as application:
        found = await application.schedules.get(name)
        confirm_removal(session, f"schedule {found.name}", yes=yes)
        removed = await application.schedules.remove(found.id)
    session.output.show({"removed": removed}, f"Schedule {removed.name} is removed.")


async def next_(
    session: Session,
    name: Annotated[str | None, typer.Argument(help="A schedule, by name or id; else --cron.")] = None,
    *,
    cron: Cron = None,
    timezone: Zone = None,
    count: Annotated[int, typer.Option("--count", "-n", min=1, max=1000, help="How many.")] = 5,
) -> None:
    """Show the next due times of a schedule, or of an expression that is not kept yet."""
    from task_manager.errors import InvalidInput

    if (name is None) == (cron is None):
        raise InvalidInput(
            "Due times are those of a schedule or of an expression.",
            remedy="Give the name of a schedule, or --cron '30 6 * * 1-5'.",
        )
    async with session.application() as application:
        kept = await application.schedules.get(name) if name is not None else None
        zone = timezone or (kept.timezone if kept else "UTC")
        times = application.schedules.upcoming(kept.cron if kept else str(cron), zone, count)
    data = {"items": [f"{one:%Y-%m-%dT%H:%M:%SZ}" for one in times], "timezone": zone}
    session.output.show(data, "\n".join(_local(one, zone) for one in times))


def _told(schedule: Schedule) -> str:
    if schedule.next_due_at is None:
        return f"Schedule {schedule.name} is paused."
    return f"Schedule {schedule.name} is due next at {_local(schedule.next_due_at, schedule.timezone)}."


def _became(occurrence: Occurrence) -> str:
    return occurrence.note or ", ".join(occurrence.run_ids)


def _local(moment: datetime, zone: str) -> str:
    """A moment by the clocks of a zone."""
    from zoneinfo import ZoneInfo

    return f"{moment.astimezone(ZoneInfo(zone)):%a %Y-%m-%d %H:%M %Z}"

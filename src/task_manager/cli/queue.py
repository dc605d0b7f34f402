"""`task-manager queue`: which runs wait, and what for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer
from rich.text import Text

from task_manager.cli.arguments import ProjectOption, RunArgument
from task_manager.cli.command import command, group
from task_manager.cli.output import fields, table
from task_manager.cli.session import Session
from task_manager.cli.statuses import moment_text, status_text

if TYPE_CHECKING:
    from task_manager.queue_explanation import Wait


def add_commands(app: typer.Typer) -> None:
    """Add the group `queue`."""
    queue = group(app, "queue", "See which runs wait, and what for.")
    command(queue, "list", example="task-manager queue list --project textkit")(list_)
    command(queue, "why", example="task-manager queue why RUN")(why)


async def list_(session: Session, project: ProjectOption = None) -> None:
    """List the runs that are not over, in the order in which they start."""
    from task_manager.cli.execution import titles_of
    from task_manager.models import utc_now

    async with session.application() as application:
        waits = await (await application.workflows()).list_queue(project)
        titles = await titles_of(application, [wait.run for wait in waits])
    rows = [
        (
            wait.run.id,
            titles[wait.run.task_id],
            status_text(wait.run.status),
            wait.run.priority.value,
            moment_text(wait.run.created_at, utc_now()),
            Text(_waits_for(wait), style="dim"),
        )
        for wait in waits
    ]
    session.output.show(
        {"items": [wait_data(wait) for wait in waits]},
        table(["!Run", "Task", "!Status", "!Priority", "!Created", "Waits for"], rows, empty="No run waits."),
    )


async def why(session: Session, run_id: RunArgument) -> None:
    """Say what a run waits for: tasks by name, its place in the queue, a limit, a worker; and about how long."""
    from task_manager.cli.lookup import find_run
    from task_manager.results.wording import seconds_text

    async with session.application() as application:
        run = await find_run(application.store, run_id)
        wait = await (await application.workflows()).why_waiting(run.id)
    over = "It is over." if wait.run.status.is_terminal else "Nothing: it is under way."
    session.output.show(
        wait_data(wait),
        fields(
            [
                ("Run", wait.run.id),
                ("Status", status_text(wait.run.status)),
                ("Waits for", _waits_for(wait) or over),
                ("Position", str(wait.position) if wait.position else None),
                ("Starts in about", seconds_text(wait.seconds) if wait.seconds is not None else None),
            ]
        ),
    )


def _waits_for(wait: Wait) -> str:
    return wait.reason.text.removeprefix("Waits for ") if wait.reason else ""


def wait_data(wait: Wait) -> dict[str, Any]:
    """What a run waits for, as JSON-like data."""
    return {
        "run": wait.run,
        "reason": wait.reason,
        "upstream": [{"run": up.run_id, "task": up.task, "status": up.status} for up in wait.upstream],
        "position": wait.position,
        "seconds": wait.seconds,
    }

"""`task-manager phase`: the phases of projects."""

from __future__ import annotations

from typing import Annotated

import typer

from task_manager.cli.arguments import (
    Cursor,
    IdempotencyKey,
    Limit,
    ProjectArgument,
    ProjectOption,
    Revision,
    Yes,
    confirm_removal,
    given,
)
from task_manager.cli.command import command, group
from task_manager.cli.output import table
from task_manager.cli.session import Session

PhaseArgument = Annotated[str, typer.Argument(metavar="PHASE", help="Its id, or its name with --project.")]
Order = Annotated[int | None, typer.Option(min=0, help="Its place among the project's phases, from 0.")]


def add_commands(app: typer.Typer) -> None:
    """Add the group `phase`."""
    phase = group(app, "phase", "Create, list, change and remove the phases of projects.")
    command(phase, "create", example="task-manager phase create textkit Deliver")(create)
    command(phase, "list", example="task-manager phase list textkit")(list_)
    command(phase, "update", example="task-manager phase update Deliver --project textkit --name Ship")(update)
    command(phase, "delete", example="task-manager phase delete Deliver --project textkit --yes")(delete)


async def create(
    session: Session,
    *,
    project: ProjectArgument,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Unique in the project.")],
    order: Order = None,
    key: IdempotencyKey = None,
) -> None:
    """Create a phase; without --order it stands after the others."""
    async with session.application() as application:
        phase = await application.tasks.create_phase(project, name, order, idempotency_key=key)
    session.output.show(phase, f"Created phase {phase.name}: {phase.id}")


async def list_(session: Session, *, project: ProjectArgument, limit: Limit = 50, cursor: Cursor = None) -> None:
    """List a project's phases in their order."""
    async with session.application() as application:
        page = await application.tasks.list_phases(project, limit=limit, cursor=cursor)
    session.output.show_page(
        page,
        table(
            ["!Phase", "!>Order", "Name"],
            [(one.id, str(one.order), one.name) for one in page.items],
            empty="It has no phases.",
        ),
    )


async def update(
    session: Session,
    *,
    phase: PhaseArgument,
    project: ProjectOption = None,
    name: Annotated[str | None, typer.Option(help="A new name.")] = None,
    order: Order = None,
    revision: Revision = None,
) -> None:
    """Change a phase."""
    changes = given(name=name, order=order)
    async with session.application() as application:
        found = await application.tasks.get_phase(phase, project)
        changed = await application.tasks.update_phase(found.id, changes, revision)
    session.output.show(changed, f"Changed phase {changed.name}.")


async def delete(session: Session, *, phase: PhaseArgument, project: ProjectOption = None, yes: Yes = False) -> None:
    """Remove a phase with its tasks and all that belongs to them."""
    async with session.application() as application:
        found = await application.tasks.get_phase(phase, project)
        confirm_removal(session, f"phase {found.name!r} with its tasks, their runs and artifacts", yes=yes)
        await application.tasks.delete_phase(found.id)
    session.output.show({"deleted": found.id}, f"Removed phase {found.name}.")

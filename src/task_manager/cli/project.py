"""`task-manager project`: projects, and running all tasks of one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import RenderableType
from rich.text import Text

from task_manager.cli.arguments import (
    Cursor,
    Detach,
    IdempotencyKey,
    Limit,
    ProjectArgument,
    Revision,
    SkipCache,
    Yes,
    confirm_removal,
    given,
)
from task_manager.cli.choices import TaskStatusName, WorkflowTypeName
from task_manager.cli.command import command, group
from task_manager.cli.output import fields, table, write_file
from task_manager.cli.session import Session
from task_manager.cli.statuses import status_text

if TYPE_CHECKING:
    from task_manager.application import Application
    from task_manager.models import Project, Task, WorkflowRun

Source = Annotated[Path | None, typer.Option(help="The folder that its tasks work on.")]
Description = Annotated[str | None, typer.Option(help="For people.")]


def add_commands(app: typer.Typer) -> None:
    """Add the group `project`."""
    project = group(app, "project", "Create, list, show, change, remove and run projects.")
    command(
        project,
        "create",
        example="task-manager project create textkit --source ~/textkit\n"
        "task-manager project create --from task-manager.yaml",
    )(create)
    command(project, "list", example="task-manager project list")(list_)
    command(project, "show", example="task-manager project show textkit")(show)
    command(
        project,
        "export",
        example="task-manager project export textkit --output task-manager.yaml\n"
        "task-manager project export textkit > task-manager.yaml",
    )(export)
    command(project, "status", example="task-manager project status textkit --json")(status)
    command(project, "update", example="task-manager project update textkit --source ~/elsewhere")(update)
    command(project, "cancel", example="task-manager project cancel textkit")(cancel)
    command(project, "pause", example="task-manager project pause textkit")(pause)
    command(project, "resume", example="task-manager project resume textkit")(resume)
    command(project, "delete", example="task-manager project delete textkit --yes")(delete)
    command(
        project,
        "run",
        example="task-manager project run textkit\ntask-manager project run textkit --phase Check",
        uses_engine=True,
    )(run)


async def create(
    session: Session,
    *,
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Unique among all projects.")] = None,
    description: Description = None,
    source: Source = None,
    file: Annotated[
        Path | None, typer.Option("--from", metavar="FILE", help="Take project, phases and tasks from this file.")
    ] = None,
    key: IdempotencyKey = None,
) -> None:
    """Create a project, empty or with everything that a project file states.

    A file is taken whole or not at all: nothing is created when something in it is wrong.
    """
    from task_manager.errors import InvalidInput

    if file and (name or description or source):
        raise InvalidInput("--from goes alone: the file states name, description and source folder.")
    if not file and not name:
        raise InvalidInput("A project needs a name.", remedy="Give one, or a file with --from.")
    async with session.application() as application:
        if file:
            project, count = await _create_from_file(application, file, key)
        else:
            create = application.tasks.create_project
            project, count = await create(name or "", description or "", source, idempotency_key=key), 0
    tasks = f" with {count} task{'s' if count != 1 else ''}" if count else ""
    session.output.show(project, f"Created project {project.name}{tasks}: {project.id}")


async def _create_from_file(application: Application, file: Path, key: str | None) -> tuple[Project, int]:
    from task_manager.models import utc_now
    from task_manager.project_file import create_project, read_project_file

    templates = {template.id for template in application.templates.list()}
    contents = read_project_file(file, templates=templates)
    project = await create_project(application.store, contents, file.parent, utc_now(), idempotency_key=key)
    return project, len(contents.tasks)


async def list_(session: Session, *, limit: Limit = 50, cursor: Cursor = None) -> None:
    """List the projects, the oldest first."""
    async with session.application() as application:
        page = await application.tasks.list_projects(limit=limit, cursor=cursor)
    session.output.show_page(
        page,
        table(
            ["!Project", "Name", "Source folder"],
            [(one.id, one.name, one.source_folder) for one in page.items],
            empty="There are no projects.",
        ),
    )


async def show(session: Session, project: ProjectArgument) -> None:
    """Show a project with its phases and tasks."""
    from task_manager.store import phases, tasks

    async with session.application() as application:
        found = await application.tasks.get_project(project)
        parts = await application.store.run(phases.list_, project_id=found.id, limit=500)
        work = await application.store.run(tasks.of_project, found.id)
    names = {phase.id: phase.name for phase in parts.items}
    session.output.show(
        {"project": found, "phases": parts.items, "tasks": work},
        *_paused_mark(found),
        _project_view(found, [phase.name for phase in parts.items]),
        Text(),
        _task_table(work, names),
    )


async def export(
    session: Session,
    project: ProjectArgument,
    *,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Where to; by default printed.")] = None,
) -> None:
    """Write a project with its phases and tasks as a project file, for `project create --from` and `ci`.

    Source folders are relative to the file where they lie beside it; printed, to the working folder.
    """
    from task_manager.project_export import project_file_data, project_file_of
    from task_manager.store import phases, tasks
    from task_manager.yaml_text import yaml_text

    folder = output.absolute().parent if output else Path.cwd()
    async with session.application() as application:
        found = await application.tasks.get_project(project)
        parts = await application.store.run(phases.list_, project_id=found.id, limit=500)
        work = await application.store.run(tasks.of_project, found.id)
    data = project_file_data(project_file_of(found, parts.items, work, folder.resolve()))
    text = yaml_text(data)
    if output is None:
        session.output.show(data, text.rstrip("\n"))
        return
    write_file(output, text)
    session.output.show({"written": output}, str(output))


async def status(session: Session, project: ProjectArgument) -> None:
    """Show how far a project's tasks are, each with its latest run."""
    from task_manager.cli.live import time_text

    async with session.application() as application:
        found = await application.tasks.get_project(project)
        work = await _latest_runs(application, found)
    rows = [
        (
            task.title,
            status_text(task.status),
            status_text(latest.status) if latest else "",
            time_text(latest) if latest else "",
            Text(latest.reason.text if latest and latest.reason else "", style="dim"),
        )
        for task, latest in work
    ]
    counts: dict[str, int] = {}
    for task, _ in work:
        counts[task.status] = counts.get(task.status, 0) + 1
    session.output.show(
        {"project": found, "counts": counts, "items": [{"task": task, "run": latest} for task, latest in work]},
        *_paused_mark(found),
        table(["Task", "!Status", "!Latest run", "!>Time", "Why"], rows, empty="It has no tasks."),
    )


async def update(
    session: Session,
    *,
    project: ProjectArgument,
    name: Annotated[str | None, typer.Option(help="A new name.")] = None,
    description: Description = None,
    source: Source = None,
    revision: Revision = None,
) -> None:
    """Change a project."""
    changes = given(name=name, description=description, source_folder=source)
    async with session.application() as application:
        changed = await application.tasks.update_project(project, changes, revision)
    session.output.show(changed, f"Changed project {changed.name}.")


async def delete(session: Session, *, project: ProjectArgument, yes: Yes = False) -> None:
    """Remove a project with its phases, tasks, workflows, runs, results and artifacts."""
    async with session.application() as application:
        found = await application.tasks.get_project(project)
        confirm_removal(session, f"project {found.name!r} with all its tasks, runs and artifacts", yes=yes)
        await application.tasks.delete_project(found.id)
    session.output.show({"deleted": found.id}, f"Removed project {found.name}.")


async def run(
    session: Session,
    *,
    project: ProjectArgument,
    phase: Annotated[str | None, typer.Option(metavar="PHASE", help="Only the tasks of this phase.")] = None,
    status: Annotated[
        TaskStatusName | None, typer.Option(help="Only the tasks in this status.", show_default=False)
    ] = None,
    workflow_type: Annotated[
        WorkflowTypeName | None, typer.Option("--type", help="What all workflows must be.", show_default=False)
    ] = None,
    skip_cache: SkipCache = False,
    detach: Detach = False,
    key: IdempotencyKey = None,
) -> None:
    """Run the workflows of a project's tasks, in parallel as far as their dependencies allow, and wait for their ends.

    A task whose dependency does not succeed is skipped. Ctrl-C cancels all of them.
    """
    from task_manager.cli.execution import carry_out, finish, require_worker
    from task_manager.cli.run_views import project_data, project_report

    async with session.application() as application:
        require_worker(application, detach=detach)
        found = await application.tasks.get_project(project)
        phase_id = (await application.tasks.get_phase(phase, found.id)).id if phase else None
        started = await (await application.workflows()).execute_workflows_for_project(
            found.id, workflow_type, phase_id, status, skip_cache, idempotency_key=key
        )
        if detach:
            text = f"Started {len(started)} runs; see: task-manager project status {found.name}"
            session.output.show({"project": found, "items": started}, text)
            return
        states = await carry_out(session, application, started)
    session.output.show(project_data(found, states), Text(), project_report(states, session.output.width))
    finish([state for _, state in states])


async def cancel(session: Session, *, project: ProjectArgument) -> None:
    """Cancel all runs of a project that are not over, and wait until their containers are gone."""
    async with session.application() as application:
        found = await application.tasks.get_project(project)
        ended = await (await application.workflows()).cancel_project(found.id)
    text = f"Cancelled {len(ended)} run{'s' if len(ended) != 1 else ''}." if ended else "No run of it is under way."
    session.output.show({"project": found, "items": ended}, text)


async def pause(session: Session, *, project: ProjectArgument) -> None:
    """Start no more runs of a project until it is resumed; those under way go on."""
    async with session.application() as application:
        paused = await (await application.workflows()).pause_project(project)
    session.output.show(paused, f"Paused project {paused.name}; go on by: task-manager project resume {paused.name}")


async def resume(session: Session, *, project: ProjectArgument) -> None:
    """Let the runs of a paused project start again."""
    async with session.application() as application:
        resumed = await (await application.workflows()).resume_project(project)
    session.output.show(resumed, f"Resumed project {resumed.name}.")


async def _latest_runs(application: Application, project: Project) -> list[tuple[Task, WorkflowRun | None]]:
    from task_manager.store import runs, tasks

    work = await application.store.run(tasks.of_project, project.id)
    return [(task, await application.store.run(runs.latest, task.id)) for task in work]


def _paused_mark(project: Project) -> list[RenderableType]:
    if project.paused_at is None:
        return []
    return [Text(f"Paused: no more runs start until: task-manager project resume {project.name}", style="yellow")]


def _project_view(project: Project, phases: list[str]) -> RenderableType:
    return fields(
        [
            ("Project", Text(project.name, style="bold")),
            ("Id", project.id),
            ("Description", project.description),
            ("Source folder", project.source_folder),
            ("Phases", ", ".join(phases)),
        ]
    )


def _task_table(work: tuple[Task, ...], phases: dict[str, str]) -> RenderableType:
    titles = {task.id: task.title for task in work}
    rows: list[tuple[Any, ...]] = [
        (
            task.title,
            status_text(task.status),
            phases.get(task.phase_id or "", ""),
            task.template_id or ("definition" if task.pipeline else task.type),
            ", ".join(titles[needed] for needed in task.dependencies),
        )
        for task in work
    ]
    return table(["Task", "!Status", "Phase", "Workflow", "After"], rows, empty="It has no tasks.")

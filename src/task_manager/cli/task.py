"""`task-manager task`: tasks."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from task_manager.cli.arguments import (
    Cursor,
    IdempotencyKey,
    Inputs,
    Limit,
    ProjectArgument,
    ProjectOption,
    Revision,
    TaskArgument,
    TemplateOption,
    Yes,
    confirm_removal,
    given,
    parse_inputs,
)
from task_manager.cli.choices import PriorityName, TaskStatusName
from task_manager.cli.command import command, group
from task_manager.cli.output import fields, table, value_text
from task_manager.cli.run import start
from task_manager.cli.session import Session
from task_manager.cli.statuses import status_text

if TYPE_CHECKING:
    from task_manager.application import Application
    from task_manager.dagger_integration import WorkflowState
    from task_manager.models import Task

Description = Annotated[str | None, typer.Option(help="For people.")]
Type = Annotated[str | None, typer.Option(help="What kind of work it is, such as test, lint, build, training, data.")]
PriorityOption = Annotated[PriorityName | None, typer.Option(help="How urgent it is.", show_default=False)]
PhaseOption = Annotated[str | None, typer.Option(metavar="PHASE", help="A phase of its project, by id or name.")]
Source = Annotated[Path | None, typer.Option(help="The folder that it works on; by default the project's.")]
Definition = Annotated[
    Path | None, typer.Option("--pipeline", metavar="FILE", help="A custom definition: YAML, TOML or JSON.")
]
Criteria = Annotated[list[str] | None, typer.Option("--criterion", help="When it is done. Repeatable.")]


class Clearable(StrEnum):
    """What of a task can be made empty."""

    DESCRIPTION = "description"
    PHASE = "phase"
    SOURCE = "source"
    TEMPLATE = "template"
    PIPELINE = "pipeline"
    INPUTS = "inputs"
    DEPENDENCIES = "dependencies"
    LABELS = "labels"


_EMPTY: dict[Clearable, tuple[str, Any]] = {
    Clearable.DESCRIPTION: ("description", ""),
    Clearable.PHASE: ("phase_id", None),
    Clearable.SOURCE: ("source_folder", None),
    Clearable.TEMPLATE: ("template_id", None),
    Clearable.PIPELINE: ("pipeline", None),
    Clearable.INPUTS: ("inputs", {}),
    Clearable.DEPENDENCIES: ("dependencies", ()),
    Clearable.LABELS: ("labels", ()),
}


def add_commands(app: typer.Typer) -> None:
    """Add the group `task`."""
    task = group(app, "task", "Create, list, show, change, remove and run tasks.")
    command(
        task,
        "create",
        example='task-manager task create textkit "Run the tests" --template python-tests\n'
        'task-manager task create textkit "Build" --type build --depends-on "Run the tests"',
    )(create)
    command(task, "list", example="task-manager task list --project textkit --status todo")(list_)
    command(task, "show", example='task-manager task show "Run the tests"')(show)
    command(task, "update", example='task-manager task update "Build" --status done --add-label release')(update)
    command(task, "delete", example='task-manager task delete "Build" --yes')(delete)
    command(task, "run", example='task-manager task run "Train a model" --input epochs=5', uses_engine=True)(start)


async def create(
    session: Session,
    *,
    project: ProjectArgument,
    title: Annotated[str, typer.Argument(metavar="TITLE", help="For people.")],
    description: Description = None,
    kind: Annotated[str | None, typer.Option("--type", help="Such as test, lint, build, training, data.")] = None,
    priority: PriorityOption = None,
    phase: PhaseOption = None,
    depends_on: Annotated[
        list[str] | None,
        typer.Option(metavar="TASK", help="A task of the project that must have succeeded before. Repeatable."),
    ] = None,
    label: Annotated[list[str] | None, typer.Option(help="A word that helps to choose a template. Repeatable.")] = None,
    source: Source = None,
    template: TemplateOption = None,
    inputs: Inputs = None,
    pipeline: Definition = None,
    criteria: Criteria = None,
    key: IdempotencyKey = None,
) -> None:
    """Create a task in a project."""
    fields = given(
        description=description,
        type=kind,
        priority=priority,
        phase_id=phase,
        source_folder=source,
        template_id=template,
        pipeline=_definition(pipeline),
    )
    async with session.application() as application:
        if template:
            application.templates.get(template)
        task = await application.tasks.create_task(
            project,
            title,
            dependencies=depends_on or (),
            labels=label or (),
            inputs=parse_inputs(inputs or []),
            acceptance_criteria=criteria or (),
            idempotency_key=key,
            **fields,
        )
    session.output.show(task, f"Created task {task.title}: {task.id}")


async def list_(
    session: Session,
    *,
    project: ProjectOption = None,
    phase: PhaseOption = None,
    status: Annotated[TaskStatusName | None, typer.Option(help="In this status.", show_default=False)] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> None:
    """List tasks, the oldest first."""
    from task_manager.workflow_status import TaskStatus

    async with session.application() as application:
        page = await application.tasks.list_tasks(
            project, phase_id=phase, status=TaskStatus(status) if status else None, limit=limit, cursor=cursor
        )
    session.output.show_page(
        page,
        table(
            ["!Task", "Title", "!Status", "!Type", "!Priority"],
            [(one.id, one.title, status_text(one.status), one.type, one.priority.value) for one in page.items],
            empty="There are no tasks.",
        ),
    )


async def show(session: Session, *, task: TaskArgument, project: ProjectOption = None) -> None:
    """Show a task with its workflow and its latest run."""
    async with session.application() as application:
        found = await application.tasks.get_task(task, project)
        state = await (await application.workflows()).get_workflow_status(found.id)
        needed = [await application.tasks.get_task(needed) for needed in found.dependencies]
    data = {
        "task": state.task,
        "workflow": state.workflow,
        "run": state.latest.run if state.latest else None,
        "result": state.latest.result if state.latest else None,
    }
    session.output.show(data, _task_view(state, [one.title for one in needed]))


async def update(
    session: Session,
    *,
    task: TaskArgument,
    project: ProjectOption = None,
    title: Annotated[str | None, typer.Option(help="A new title.")] = None,
    description: Description = None,
    kind: Annotated[str | None, typer.Option("--type", help="What kind of work it is.")] = None,
    priority: PriorityOption = None,
    status: Annotated[TaskStatusName | None, typer.Option(help="How far it is.", show_default=False)] = None,
    phase: PhaseOption = None,
    add_dependency: Annotated[list[str] | None, typer.Option(metavar="TASK", help="Repeatable.")] = None,
    remove_dependency: Annotated[list[str] | None, typer.Option(metavar="TASK", help="Repeatable.")] = None,
    add_label: Annotated[list[str] | None, typer.Option(help="Repeatable.")] = None,
    remove_label: Annotated[list[str] | None, typer.Option(help="Repeatable.")] = None,
    source: Source = None,
    template: TemplateOption = None,
    inputs: Inputs = None,
    pipeline: Definition = None,
    criteria: Criteria = None,
    clear: Annotated[list[Clearable] | None, typer.Option(help="Make this empty. Repeatable.")] = None,
    revision: Revision = None,
) -> None:
    """Change a task; inputs are added to those that it has."""
    changes = given(
        title=title,
        description=description,
        type=kind,
        priority=priority,
        status=status,
        phase_id=phase,
        source_folder=source,
        template_id=template,
        pipeline=_definition(pipeline),
        acceptance_criteria=tuple(criteria) if criteria else None,
    )
    async with session.application() as application:
        if template:
            application.templates.get(template)
        found = await application.tasks.get_task(task, project)
        changes |= dict(_EMPTY[name] for name in clear or ())
        if inputs:
            changes["inputs"] = {**changes.get("inputs", found.inputs), **parse_inputs(inputs)}
        added = await _ids(application, found, add_dependency)
        removed = await _ids(application, found, remove_dependency)
        changes |= _list_change("dependencies", changes, found.dependencies, added, removed)
        changes |= _list_change("labels", changes, found.labels, add_label or (), remove_label or ())
        changed = await application.tasks.update_task(found.id, changes, revision or found.revision)
    session.output.show(changed, f"Changed task {changed.title}.")


async def delete(session: Session, *, task: TaskArgument, project: ProjectOption = None, yes: Yes = False) -> None:
    """Remove a task with its workflows, runs, results and artifacts."""
    async with session.application() as application:
        found = await application.tasks.get_task(task, project)
        confirm_removal(session, f"task {found.title!r} with its runs and artifacts", yes=yes)
        await application.tasks.delete_task(found.id)
    session.output.show({"deleted": found.id}, f"Removed task {found.title}.")


async def _ids(application: Application, task: Task, names: Sequence[str] | None) -> list[str]:
    """The ids of tasks of the same project."""
    return [(await application.tasks.get_task(name, task.project_id)).id for name in names or ()]


def _definition(file: Path | None) -> dict[str, Any] | None:
    from task_manager.documents import read_document

    return dict(read_document(file).data) if file else None


def _list_change(
    field: str, changes: dict[str, Any], stored: Sequence[str], added: Sequence[str], removed: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    """A list field's new value, where it changes."""
    if not added and not removed:
        return {}
    kept = [one for one in changes.get(field, stored) if one not in removed]
    return {field: tuple(dict.fromkeys([*kept, *added]))}


def _task_view(state: WorkflowState, needed: Sequence[str]) -> RenderableType:
    from task_manager.cli.diagnosis_views import failure
    from task_manager.cli.run_views import headline, run_heading

    parts = [_task_fields(state.task, needed)]
    if state.workflow is not None:
        workflow = f"version {state.workflow.version}. {state.workflow.explanation}"
        parts += [Text(), fields([("Workflow", workflow), ("", state.workflow.id)])]
    if state.latest is not None:
        parts += [Text(), run_heading(state.latest.run, "Latest run", headline(state.latest))]
        parts += [part for part in [failure(state.latest.diagnosis, brief=True)] if part is not None]
    return Group(*parts)


def _task_fields(task: Task, needed: Sequence[str]) -> RenderableType:
    return fields(
        [
            ("Task", Text(task.title, style="bold")),
            ("Id", task.id),
            ("Status", status_text(task.status)),
            ("Type", task.type),
            ("Priority", task.priority.value),
            ("Description", task.description),
            ("After", ", ".join(needed)),
            ("Labels", ", ".join(task.labels)),
            ("Source folder", task.source_folder),
            ("Template", task.template_id),
            ("Pipeline", "a definition of its own" if task.pipeline else None),
            *((f"  {name}", value_text(value)) for name, value in task.inputs.items()),
            ("Done when", "\n".join(task.acceptance_criteria)),
            ("Revision", str(task.revision)),
        ]
    )

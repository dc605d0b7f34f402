"""`task-manager workflow`: what tasks run."""

from __future__ import annotations

import shlex
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
    ProjectOption,
    TaskArgument,
    TemplateOption,
    parse_inputs,
)
from task_manager.cli.command import command, group
from task_manager.cli.exit_codes import ExitCode
from task_manager.cli.output import fields, table, value_text
from task_manager.cli.session import Session
from task_manager.cli.statuses import moment_text

if TYPE_CHECKING:
    from task_manager.models import Workflow
    from task_manager.pipeline import Pipeline
    from task_manager.pipeline_converter import ExecutionPlan, Finding

DefinitionArgument = Annotated[Path, typer.Argument(metavar="FILE", help="A definition: YAML, TOML or JSON.")]

_EMPTY: tuple[Any, ...] = (None, "", [], {})


def add_commands(app: typer.Typer) -> None:
    """Add the group `workflow`."""
    workflow = group(app, "workflow", "Make, show, check and plan what tasks run.")
    command(
        workflow,
        "create",
        example="task-manager workflow create TASK --template python-tests --input path=tests\n"
        "task-manager workflow create TASK --from pipeline.yaml",
    )(create)
    command(workflow, "show", example="task-manager workflow show TASK")(show)
    command(workflow, "list", example="task-manager workflow list --project textkit")(list_)
    command(workflow, "plan", example="task-manager workflow plan TASK")(plan)
    command(workflow, "validate", example="task-manager workflow validate pipeline.yaml")(validate)
    command(workflow, "schema", example="task-manager workflow schema > pipeline.schema.json")(schema)


async def create(
    session: Session,
    *,
    task: TaskArgument,
    template: TemplateOption = None,
    definition: Annotated[
        Path | None, typer.Option("--from", metavar="FILE", help="A custom definition: YAML, TOML or JSON.")
    ] = None,
    inputs: Inputs = None,
    name: Annotated[str | None, typer.Option(help="By default the task's title.")] = None,
    key: IdempotencyKey = None,
) -> None:
    """Make a task's workflow: from a template, from a file, or by the task's own type and requirements.

    Making it again makes a new version, which is the one that runs from then on.
    """
    from task_manager.errors import InvalidInput

    values = parse_inputs(inputs or [])
    if template and definition:
        raise InvalidInput("A workflow is made from a template or from a file, not from both.")
    if definition and values:
        raise InvalidInput("--input does not go with --from.", remedy="Give the inputs to the task, or to `run start`.")
    if template and name:
        raise InvalidInput("--name does not go with --template.")
    async with session.application() as application:
        workflows = await application.workflows()
        if definition:
            workflow = await workflows.create_workflow_from_definition(
                task, _read(definition), name, idempotency_key=key
            )
        elif template:
            workflow = await workflows.create_workflow_from_template(task, template, values, idempotency_key=key)
        else:
            workflow = await workflows.create_workflow_from_task(task, name, values, idempotency_key=key)
    session.output.show(workflow, _workflow_view(workflow))


async def show(session: Session, task: TaskArgument) -> None:
    """Show a task's current workflow: where it comes from, its parameters, its steps."""
    workflow = await _current(session, task)
    session.output.show(workflow, _workflow_view(workflow))


async def list_(
    session: Session,
    *,
    project: ProjectOption = None,
    task: Annotated[str | None, typer.Option(metavar="TASK", help="Of this task.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> None:
    """List workflows, all versions, the newest first."""
    from task_manager.cli.lookup import find_scope
    from task_manager.models import utc_now
    from task_manager.store import workflows

    async with session.application() as application:
        store = application.store
        scope = await find_scope(store, project, task)
        page = await store.run(workflows.list_, **scope, limit=limit, cursor=cursor)
    session.output.show_page(
        page,
        table(
            ["!Workflow", "Name", "!>Version", "Template", "!Created"],
            [
                (
                    one.id,
                    one.name,
                    str(one.version),
                    one.template_id or one.function or "definition",
                    moment_text(one.created_at, utc_now()),
                )
                for one in page.items
            ],
            empty="There are no workflows.",
        ),
    )


async def plan(session: Session, task: TaskArgument) -> None:
    """Show in which order a task's steps would run, and what is merged or left out."""
    from task_manager.errors import InvalidInput
    from task_manager.pipeline_converter import optimise

    workflow = await _current(session, task)
    if workflow.pipeline is None:
        raise InvalidInput(f"The workflow is the function {workflow.function}; it has no steps to plan.")
    execution = optimise(workflow.pipeline)
    session.output.show(execution, _plan_view(execution))


async def validate(session: Session, file: DefinitionArgument) -> None:
    """Check a definition: schema, references, cycles, outputs, paths.

    Every finding is told with its place; the exit code is 2 when one is an error.
    """
    from task_manager.conversion.validation import parse
    from task_manager.documents import read_document
    from task_manager.pipeline_converter import errors_of

    document = read_document(file)
    pipeline, findings = parse(dict(document.data))
    invalid = bool(errors_of(findings))
    session.output.show(
        {"valid": not invalid, "findings": findings},
        *(_finding_text(finding) for finding in findings),
        f"{file}: {'not valid' if invalid or pipeline is None else f'valid, {_counted(pipeline)}'}.",
    )
    if invalid:
        raise typer.Exit(ExitCode.BAD_INPUT)


async def schema(session: Session) -> None:
    """Print the JSON Schema of definitions, for editors."""
    from task_manager.pipeline_converter import pipeline_schema

    session.output.document(pipeline_schema())


def _read(file: Path) -> dict[str, Any]:
    from task_manager.documents import read_document

    return dict(read_document(file).data)


async def _current(session: Session, task: str) -> Workflow:
    from task_manager.errors import NotFound

    async with session.application() as application:
        state = await (await application.workflows()).get_workflow_status(task)
    if state.workflow is None:
        remedy = f"Make one: task-manager workflow create {shlex.quote(task)}"
        raise NotFound("workflow of task", state.task.title, remedy=remedy)
    return state.workflow


def _workflow_view(workflow: Workflow) -> RenderableType:
    template = f"{workflow.template_id} {workflow.template_version}" if workflow.template_id else None
    parts: list[RenderableType] = [
        Text.assemble((workflow.name, "bold"), f"  version {workflow.version}", (f"  {workflow.id}", "dim")),
        fields(
            [
                ("Type", workflow.workflow_type.value),
                ("Template", template),
                ("Function", workflow.function),
                ("Why", workflow.explanation),
                ("Result", workflow.result_type.value),
                *(
                    (f"  {name}", value_text(value))
                    for name, value in workflow.parameters.items()
                    if value not in _EMPTY
                ),
            ]
        ),
    ]
    if workflow.pipeline is not None:
        parts += [Text(), _steps_view(workflow.pipeline)]
    return Group(*parts)


def _steps_view(pipeline: Pipeline) -> RenderableType:
    rows = [
        (step.id, ", ".join(sorted(step.upstream)), step.image, ", ".join(output.name for output in step.outputs))
        for step in pipeline.steps
    ]
    return table(["!Step", "After", "Image", "Outputs"], rows, empty="")


def _plan_view(execution: ExecutionPlan) -> RenderableType:
    rows = [(str(number), ", ".join(layer)) for number, layer in enumerate(execution.layers, start=1)]
    notes = [Text(f"\n{note}", style="dim") for note in execution.notes]
    return Group(table(["!>Layer", "Steps, at the same time"], rows, empty=""), *notes)


def _finding_text(finding: Finding) -> Text:
    style = "red" if finding.severity == "error" else "yellow"
    return Text.assemble((f"{finding.severity.value}", style), f"  {finding.place}: {finding.message}")


def _counted(pipeline: Pipeline) -> str:
    return f"{len(pipeline.steps)} step{'s' if len(pipeline.steps) != 1 else ''}"

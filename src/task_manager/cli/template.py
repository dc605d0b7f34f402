"""`task-manager template`: the templates that workflows are made from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from task_manager.cli.arguments import TemplateArgument
from task_manager.cli.command import command, group
from task_manager.cli.exit_codes import ExitCode
from task_manager.cli.output import fields, table
from task_manager.cli.session import Session

if TYPE_CHECKING:
    from task_manager.workflow_templates import (
        TemplateProblem,
        TemplateTestOutcome,
        WorkflowTemplate,
        WorkflowTemplateRegistry,
    )


def add_commands(app: typer.Typer) -> None:
    """Add the group `template`."""
    template = group(app, "template", "List, show, check and test workflow templates.")
    command(template, "list", example="task-manager template list --category quality")(list_)
    command(template, "show", example="task-manager template show python-tests")(show)
    command(template, "validate", example="task-manager template validate my-templates/deploy.yaml")(validate)
    command(
        template,
        "test",
        example="task-manager template test python-tests\ntask-manager template test --pipelines-only",
        uses_engine=True,
    )(run_tests)


async def list_(
    session: Session,
    *,
    category: Annotated[str | None, typer.Option(help="Only templates of this category.")] = None,
) -> None:
    """List the templates: the built-in ones and those of the configured folder."""
    registry = _registry(session)
    templates = registry.list(category)
    session.output.show(
        {"items": [_summary(template) for template in templates], "problems": _problem_data(registry.problems)},
        table(
            ["!Template", "!Version", "!Category", "What it does"],
            [(one.id, one.version, one.category, one.description or one.name) for one in templates],
            empty="There are no templates.",
        ),
    )
    _note_problems(session, registry.problems)


async def show(
    session: Session,
    *,
    template_id: TemplateArgument,
    version: Annotated[str | None, typer.Option(help="By default the highest.")] = None,
) -> None:
    """Show a template with its parameters."""
    template = _registry(session).get(template_id, version)
    data = template.model_dump(mode="json", exclude={"scripts"})
    session.output.show(data, _heading(template), Text(), _parameters(template))


async def validate(
    session: Session,
    *,
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="[FILE]...", help="Files or folders; by default all templates.")
    ] = None,
) -> None:
    """Check template files: schema, expressions, scripts and rendering.

    Every problem is told with its file and line; the exit code is 2 when there are any.
    """
    checked, problems = _examine(session, files)
    session.output.show(
        {"valid": not problems, "files": [str(file) for file in checked], "problems": _problem_data(problems)},
        *(Text(str(problem), style="red") for problem in problems),
        f"{len(checked)} file{'s' if len(checked) != 1 else ''} checked, "
        + (f"{len(problems)} problem{'s' if len(problems) != 1 else ''}." if problems else "no problems."),
    )
    if problems:
        raise typer.Exit(ExitCode.BAD_INPUT)


async def run_tests(
    session: Session,
    *,
    template_ids: Annotated[
        list[str] | None, typer.Argument(metavar="[TEMPLATE]...", help="By default all templates.")
    ] = None,
    pipelines_only: Annotated[
        bool, typer.Option("--pipelines-only", help="Leave out what needs an engine: the tests of results.")
    ] = False,
) -> None:
    """Run the tests that templates carry: what parameters are rendered to, and what comes of running that."""
    from task_manager.pipeline_trial import PipelineTrial
    from task_manager.workflow_templates import run_template_tests

    registry = _registry(session)
    templates = [registry.get(name) for name in template_ids] if template_ids else registry.list()
    outcomes: list[TemplateTestOutcome] = []
    async with PipelineTrial(session.settings()) as trial:
        for template in templates:
            outcomes += await run_template_tests(template, None if pipelines_only else trial.run)
    session.output.show(
        {"items": outcomes},
        table(
            ["!Template", "Test", "!About", "!Outcome"],
            [(one.template_id, one.test, one.kind.value, _outcome_text(one.status)) for one in outcomes],
            empty="There are no tests.",
        ),
        *(Text(f"{one.template_id}, {one.test}: {problem}", "red") for one in outcomes for problem in one.problems),
    )
    if any(one.status == "failed" for one in outcomes):
        raise typer.Exit(ExitCode.FAILED)


def _registry(session: Session) -> WorkflowTemplateRegistry:
    from task_manager.workflow_templates import WorkflowTemplateRegistry

    return WorkflowTemplateRegistry(session.settings().templates_dir)


def _summary(template: WorkflowTemplate) -> dict[str, Any]:
    names = {"id", "name", "description", "category", "version", "workflow_type", "result_type", "source"}
    return template.model_dump(mode="json", include=names)


def _heading(template: WorkflowTemplate) -> RenderableType:
    return Group(
        Text.assemble((template.name, "bold"), f"  {template.id} {template.version}"),
        Text(template.description),
        Text(),
        fields(
            [
                ("Category", template.category),
                ("Type", template.workflow_type.value),
                ("Result", template.result_type.value),
                ("File", str(template.source)),
            ]
        ),
    )


def _parameters(template: WorkflowTemplate) -> RenderableType:
    rows = [(one.name, one.kind, "required" if one.required else one.default, one.meaning) for one in template.table()]
    return table(["!Parameter", "Type", "Default", "Meaning"], rows, empty="It has no parameters.")


def _examine(session: Session, files: list[Path] | None) -> tuple[list[Path], list[TemplateProblem]]:
    from task_manager.errors import NotFound
    from task_manager.templating.loading import examine
    from task_manager.workflow_templates import BUILT_IN_TEMPLATES, template_files

    own = session.settings().templates_dir
    given = files or [BUILT_IN_TEMPLATES, *([own] if own else [])]
    checked: list[Path] = []
    problems: list[TemplateProblem] = []
    for path in given:
        if not path.exists():
            raise NotFound("file or folder", str(path))
        root = path if path.is_dir() else path.parent
        for file in template_files(path) if path.is_dir() else (path,):
            checked.append(file)
            problems += examine(file, root).problems
    return checked, problems


def _problem_data(problems: Any) -> list[dict[str, Any]]:
    return [{"file": str(one.file), "line": one.line, "reason": one.reason} for one in problems]


def _note_problems(session: Session, problems: Any) -> None:
    for problem in problems:
        session.output.note(f"Left out: {problem}")


def _outcome_text(status: str) -> Text:
    style = {"passed": "green", "failed": "red"}.get(status, "dim")
    return Text(status.replace("_", " "), style=style)

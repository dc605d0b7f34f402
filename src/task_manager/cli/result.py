"""`task-manager result`: what came out of runs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from task_manager.cli.arguments import Cursor, Limit, ProjectOption, RunArgument
from task_manager.cli.choices import ResultTypeName
from task_manager.cli.command import command, group
from task_manager.cli.exit_codes import ExitCode
from task_manager.cli.output import table, write_file
from task_manager.cli.session import Session

if TYPE_CHECKING:
    from task_manager.application import Application
    from task_manager.results.schemas import WorkflowResult
    from task_manager.results.transformers import Transformed

Forms = Annotated[
    list[str] | None,
    typer.Option("--as", metavar="FORM", help="markdown, json, junit, sarif, picture, or an added one. Repeatable."),
]
OutputPath = Annotated[
    Path | None, typer.Option("--output", "-o", help="Where to; a folder for several forms. By default printed.")
]
TaskFilter = Annotated[str | None, typer.Option("--task", metavar="TASK", help="Of this task.")]
TypeFilter = Annotated[ResultTypeName | None, typer.Option("--type", help="Of this type.", show_default=False)]
MetricFilter = Annotated[
    str | None, typer.Option("--metric", metavar="CONDITION", help="With this metric: NAME, or 'accuracy>0.9'.")
]
OtherRun = Annotated[str, typer.Argument(metavar="OTHER", help="The run to compare with, or a task.")]


def add_commands(app: typer.Typer) -> None:
    """Add the group `result`."""
    result = group(app, "result", "Show, list and compare what came out of runs.")
    shows = 'task-manager result show "Run the tests"\ntask-manager result show RUN --as markdown --output summary.md'
    command(result, "show", example=shows)(show)
    command(result, "list", example="task-manager result list --type ml_training --metric 'accuracy>0.9'")(list_)
    command(result, "compare", example="task-manager result compare RUN OTHER")(compare)


async def show(session: Session, run_id: RunArgument, forms: Forms = None, output: OutputPath = None) -> None:
    """Show a run's result: its headline, its numbers, its artifacts and what was wrong with its outputs.

    With --as it is brought into other forms; one that fails fails alone, and the exit code is 1 then.
    """
    if forms or output:
        await _transform(session, run_id, forms or ["json"], output)
    else:
        await _show(session, run_id)


async def list_(
    session: Session,
    *,
    project: ProjectOption = None,
    task: TaskFilter = None,
    result_type: TypeFilter = None,
    metric: MetricFilter = None,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> None:
    """List results, those of the newest runs first."""
    from task_manager.cli.lookup import find_scope
    from task_manager.pipeline import ResultType
    from task_manager.results.conditions import MetricCondition
    from task_manager.store import results

    async with session.application() as application:
        where = results.ResultFilter(
            **await find_scope(application.store, project, task),
            result_type=ResultType(result_type) if result_type else None,
            metric=MetricCondition.parse(metric) if metric else None,
        )
        page = await application.store.run(results.list_, where, limit=limit, cursor=cursor)
    rows = [(one["run_id"], one["type"], one["status"], one.get("headline", "")) for one in page.items]
    shown = table(["!Run", "!Type", "!Status", "Result"], rows, empty="There are no such results.")
    session.output.show_page(page, shown)


async def compare(session: Session, run_id: RunArgument, other: OtherRun) -> None:
    """Compare the results of two runs: metrics, tests, findings, artifacts."""
    from task_manager.cli.comparison_view import comparison_view
    from task_manager.results.comparison import compare as compare_results

    async with session.application() as application:
        found = compare_results(await _result(application, run_id), await _result(application, other))
    session.output.show(found, comparison_view(found))


async def _result(application: Application, name: str) -> WorkflowResult:
    from task_manager.cli.lookup import find_run
    from task_manager.errors import NotFound
    from task_manager.result_processor import parse_result
    from task_manager.store import results

    run = await find_run(application.store, name)
    data = await application.store.run(results.get, run.id)
    if data is None:
        raise NotFound("result of run", run.id, remedy=f"The run is {run.status}.")
    return parse_result(data)


async def _show(session: Session, run_id: str) -> None:
    from rich.padding import Padding

    from task_manager.cli.diagnosis_views import failure
    from task_manager.cli.lookup import find_run
    from task_manager.cli.run_views import artifacts_list, headline, metrics_table, problems_text, run_heading
    from task_manager.errors import NotFound
    from task_manager.store import tasks

    async with session.application() as application:
        run = await find_run(application.store, run_id)
        state = await (await application.workflows()).get_run(run.id)
        task = await application.store.run(tasks.get, state.run.task_id)
    if state.result is None:
        raise NotFound("result of run", run.id, remedy=f"The run is {state.run.status}.")
    parts = [
        run_heading(state.run, task.title, headline(state)),
        failure(state.diagnosis),
        problems_text(state.result),
        metrics_table(state.result),
        artifacts_list(state.artifacts),
    ]
    session.output.show(state.result, *(Padding(part, (0, 0, 1, 0)) for part in parts if part is not None))


async def _transform(session: Session, run_id: str, forms: Sequence[str], output: Path | None) -> None:
    from task_manager.results.transformers import transform

    async with session.application() as application:
        result = await _result(application, run_id)
    made = transform(result, forms)
    _require_place(made, output)
    written = [_written(one, output, alone=len(made) == 1) for one in made if one.content is not None]
    if output is not None:
        session.output.show({"written": written}, *map(str, written))
    for one in made:
        if one.error is not None:
            session.output.error(one.error)
    if any(one.error for one in made):
        raise typer.Exit(ExitCode.FAILED)


def _require_place(made: Sequence[Transformed], output: Path | None) -> None:
    from task_manager.errors import InvalidInput

    if output is None and (len(made) > 1 or any(_is_binary(one) for one in made)):
        raise InvalidInput("This cannot be printed.", remedy="Say where to write it: --output PATH.")
    if output is not None and output.is_dir() != (len(made) > 1):
        kind = "an existing folder" if len(made) > 1 else "a file, not a folder"
        raise InvalidInput(f"--output has to be {kind}: {output}.")


def _is_binary(one: Transformed) -> bool:
    return one.content is not None and b"\0" in one.content


def _written(one: Transformed, output: Path | None, *, alone: bool) -> Path | None:
    content = one.content or b""
    if output is None:
        sys.stdout.write(content.decode("utf-8", "replace"))
        return None
    path = output if alone else output / f"result.{one.ending}"
    write_file(path, content)
    return path

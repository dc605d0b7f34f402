"""`task-manager result`: what came out of runs."""

from __future__ import annotations

import typer

from task_manager.cli.arguments import RunArgument
from task_manager.cli.command import command, group
from task_manager.cli.session import Session


def add_result_commands(app: typer.Typer) -> None:
    """Add the group `result`."""
    result = group(app, "result", "Show what came out of runs.")
    command(result, "show", example='task-manager result show "Run the tests"\ntask-manager result show RUN --json')(
        show
    )


async def show(session: Session, run_id: RunArgument) -> None:
    """Show a run's result: its headline, its numbers, its artifacts and what was wrong with its outputs."""
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

"""`task-manager demo`: six tasks over the example project textkit."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from task_manager.cli.arguments import SkipCache, given
from task_manager.cli.choices import BreakageName
from task_manager.cli.command import command
from task_manager.cli.session import Session

if TYPE_CHECKING:
    from task_manager.application import Application
    from task_manager.models import Project


def add_commands(app: typer.Typer) -> None:
    """Add the command `demo`."""
    command(
        app,
        "demo",
        example="task-manager demo\ntask-manager demo --break tests\ntask-manager demo --epochs 40 --batch-size 8",
        uses_engine=True,
    )(demo)


async def demo(
    session: Session,
    *,
    broken: Annotated[
        BreakageName | None,
        typer.Option("--break", help="Make one task really fail: its code is changed.", show_default=False),
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="How often the model sees the data.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Rows that the model learns from at once.")] = None,
    folder: Annotated[
        Path | None,
        typer.Option(help="Work on a copy of textkit in this folder, which stays as you edit it."),
    ] = None,
    skip_cache: SkipCache = False,
) -> None:
    """Run six real tasks over a small Python library: check, test, data, training, wheel, report.

    They run in containers, in parallel where they may; the last makes a report from the results of all others.
    """
    from task_manager.cli.execution import carry_out, finish
    from task_manager.cli.run_views import project_data, project_report
    from task_manager.config import WorkerMode

    # It is over when it is over: nothing stays behind.
    session = session.with_options(json=session.json, worker=WorkerMode.HERE)
    async with session.application() as application:
        project = await _prepare(session, application, folder, broken, given(epochs=epochs, batch_size=batch_size))
        workflows = await application.workflows()
        started = await workflows.execute_workflows_for_project(project.id, skip_cache=skip_cache)
        states = await carry_out(session, application, started)
    session.output.show(project_data(project, states), Text(), project_report(states, session.output.width))
    finish([state for _, state in states])


async def _prepare(
    session: Session, application: Application, folder: Path | None, broken: str | None, inputs: dict[str, Any]
) -> Project:
    from task_manager.demo import break_copy, copy_example, demo_project, store_demo, use_folder
    from task_manager.models import utc_now

    copy = folder.absolute() if folder else application.settings.data_dir / "demo" / "textkit"  # noqa: ASYNC240 - no I/O
    if folder:
        use_folder(copy)
    else:
        copy_example(copy)
    if broken:
        session.output.say(Text(f"Broken on purpose: {break_copy(copy, broken).description}", style="yellow"))
    stored = await application.store.run(store_demo, demo_project(copy, inputs, utc_now()))
    from task_manager.artifacts import remove_run_folders

    await asyncio.to_thread(remove_run_folders, application.store.data_dir, stored.removed_runs)
    return stored.project

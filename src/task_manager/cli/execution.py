"""Carrying runs to their end before somebody's eyes, and stopping them when that somebody wants."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from task_manager.cli.exit_codes import ExitCode, of_run
from task_manager.cli.following import Follower
from task_manager.cli.live import display_for, follow
from task_manager.cli.session import Session
from task_manager.config import WorkerMode
from task_manager.errors import InvalidInput
from task_manager.models import WorkflowRun
from task_manager.store import projects, tasks

if TYPE_CHECKING:
    from task_manager.application import Application
    from task_manager.dagger_integration import RunState, TaskWorkflowIntegration

_CANCEL_SECONDS = 30.0


async def titles_of(application: Application, started: Sequence[WorkflowRun]) -> dict[str, str]:
    """The titles of the runs' tasks, by the tasks' ids."""
    found = {run.task_id for run in started}
    return {task_id: (await application.store.run(tasks.get, task_id)).title for task_id in found}


async def carry_out(
    session: Session, application: Application, started: Sequence[WorkflowRun]
) -> tuple[tuple[str, RunState], ...]:
    """Show runs until all are over; Ctrl-C cancels them.

    Returns:
        Each run's title and state, in the order in which they were given.

    Raises:
        typer.Exit: They were cancelled.
    """
    workflows = await application.workflows()
    titles = await titles_of(application, started)
    follower = Follower(application.store, started, titles)
    await _tell_paused(session, application, started)
    try:
        await workflows.while_executing(follow(follower, display_for(session.output, follower)))
    except asyncio.CancelledError:
        _come_back()
        await _cancel(session, workflows, follower)
        raise typer.Exit(ExitCode.CANCELLED) from None
    return tuple([(view.title, await workflows.get_run(run_id)) for run_id, view in follower.views.items()])


async def _tell_paused(session: Session, application: Application, started: Sequence[WorkflowRun]) -> None:
    """Say why nothing happens where that is why."""
    for project_id in dict.fromkeys(run.project_id for run in started):
        project = await application.store.run(projects.get, project_id)
        if project.paused_at is not None:
            name = project.name
            session.output.note(f"Project {name} is paused: no run starts until: task-manager project resume {name}")


def require_worker(application: Application, *, detach: bool) -> None:
    """Refuse not to wait for runs that are executed in this process.

    Raises:
        InvalidInput: They would end with it.
    """
    if detach and application.settings.worker is WorkerMode.HERE:
        raise InvalidInput(
            "With the setting worker=here, runs are executed in this process: it has to wait for them.",
            remedy="Leave --detach out, or set worker=process.",
        )


def _come_back() -> None:
    """Go on after a Ctrl-C that became a cancellation, so that there is time to clean up."""
    task = asyncio.current_task()
    if task is not None:
        task.uncancel()


async def _cancel(session: Session, workflows: TaskWorkflowIntegration, follower: Follower) -> None:
    runs = [{"id": run.id, "task": follower.views[run.id].title} for run in follower.unfinished]
    session.output.note(f"Cancelling: {', '.join(run['task'] for run in runs)}")
    message = f"Cancelled {len(runs)} run{'s' if len(runs) != 1 else ''}; their containers are gone."
    try:
        async with asyncio.timeout(_CANCEL_SECONDS):
            for run in reversed(runs):  # those that wait for others first
                await workflows.cancel_run(run["id"])
            for run in runs:
                await workflows.wait_for_run(run["id"])
    except TimeoutError:
        message = f"Not everything was stopped within {_CANCEL_SECONDS:g} s."
    session.output.problem(message, data={"code": "cancelled", "message": message, "details": {"runs": runs}})


def exit_code(states: Sequence[RunState]) -> ExitCode:
    """The code for runs that are over: the first that did not succeed decides, one for want of an engine before it."""
    codes = [of_run(state.run.status, state.run.reason.code if state.run.reason else None) for state in states]
    for code in (ExitCode.NO_ENGINE, ExitCode.FAILED, ExitCode.CANCELLED):
        if code in codes:
            return code
    return ExitCode.SUCCEEDED


def finish(states: Sequence[RunState]) -> None:
    """End the command with the code that fits the runs.

    Raises:
        typer.Exit: A run did not succeed.
    """
    code = exit_code(states)
    if code is not ExitCode.SUCCEEDED:
        raise typer.Exit(code)

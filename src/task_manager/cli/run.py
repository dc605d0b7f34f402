"""`task-manager run`: executions of workflows."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from task_manager.cli.arguments import (
    Detach,
    IdempotencyKey,
    Inputs,
    Limit,
    RunArgument,
    SkipCache,
    TaskArgument,
    parse_inputs,
)
from task_manager.cli.choices import WorkflowTypeName
from task_manager.cli.command import command, group
from task_manager.cli.exit_codes import ExitCode
from task_manager.cli.output import table
from task_manager.cli.run_lists import list_, stats
from task_manager.cli.session import Session
from task_manager.cli.statuses import label

if TYPE_CHECKING:
    from task_manager.application import Application
    from task_manager.models import WorkflowRun


def add_commands(app: typer.Typer) -> None:
    """Add the group `run`."""
    run = group(app, "run", "Start, follow, list and cancel runs.")
    command(
        run,
        "start",
        example='task-manager run start "Train a model" --input epochs=5\ntask-manager run start TASK --json',
        uses_engine=True,
    )(start)
    command(run, "retry", example="task-manager run retry RUN", uses_engine=True)(retry)
    command(
        run,
        "rerun",
        example="task-manager run rerun RUN --from-step test\ntask-manager run rerun RUN --detach --json",
        uses_engine=True,
    )(rerun)
    command(run, "status", example="task-manager run status RUN")(status)
    command(run, "diagnose", example="task-manager run diagnose RUN\ntask-manager run diagnose TASK --json")(diagnose)
    command(
        run,
        "list",
        example="task-manager run list --project textkit --status failed --status timed_out\n"
        "task-manager run list --template python-tests --since 7d",
    )(list_)
    command(run, "stats", example="task-manager run stats --project textkit --since 7d")(stats)
    command(run, "watch", example="task-manager run watch RUN")(watch)
    command(run, "events", example="task-manager run events RUN --after 12")(events)
    command(run, "logs", example="task-manager run logs RUN --step test\ntask-manager run logs RUN --follow")(logs)
    command(run, "cancel", example="task-manager run cancel RUN")(cancel)


async def start(
    session: Session,
    *,
    task: TaskArgument,
    inputs: Inputs = None,
    workflow_type: Annotated[
        WorkflowTypeName | None, typer.Option("--type", help="What the workflow must be.", show_default=False)
    ] = None,
    skip_cache: SkipCache = False,
    detach: Detach = False,
    key: IdempotencyKey = None,
) -> None:
    """Run a task's workflow and wait for its end; a workflow is made when the task has none.

    A worker process executes it, so it goes on when the terminal is closed. Ctrl-C cancels it.

    The exit code is 0 when it succeeded, 1 when it failed, timed
    out or was skipped, 3 without an engine, 130 when it was cancelled.
    """
    from task_manager.cli.execution import require_worker

    parameters = parse_inputs(inputs or [])
    async with session.application() as application:
        require_worker(application, detach=detach)
        workflows = await application.workflows()
        run = await workflows.execute_task_workflow(
            task, workflow_type, parameters or None, skip_cache, idempotency_key=key
        )
        await _show_to_end(session, application, run, detach=detach)


async def rerun(
    session: Session,
    *,
    run_id: RunArgument,
    from_step: Annotated[
        str | None,
        typer.Option(metavar="STEP", help="Run this step and those that need it anew."),
    ] = None,
    detach: Detach = False,
) -> None:
    """Run a run again that is over: the same workflow, inputs and sources.

    Steps that succeeded come from the engine's layers, unless they are named by --from-step or need that one.
    """
    from task_manager.cli.execution import require_worker
    from task_manager.cli.lookup import find_run

    async with session.application() as application:
        require_worker(application, detach=detach)
        run = await find_run(application.store, run_id)
        again = await (await application.workflows()).rerun(run.id, from_step=from_step)
        await _show_to_end(session, application, again, detach=detach)


async def retry(session: Session, *, run_id: RunArgument, detach: Detach = False) -> None:
    """Try a run again that did not succeed: the same workflow, inputs and sources."""
    from task_manager.cli.execution import require_worker
    from task_manager.cli.lookup import find_run
    from task_manager.errors import InvalidInput
    from task_manager.workflow_status import WorkflowStatus

    async with session.application() as application:
        require_worker(application, detach=detach)
        run = await find_run(application.store, run_id)
        if run.status is WorkflowStatus.SUCCEEDED:
            raise InvalidInput(f"Run {run.id} succeeded.", remedy="Repeat it by: task-manager run rerun RUN.")
        again = await (await application.workflows()).rerun(run.id)
        await _show_to_end(session, application, again, detach=detach)


async def _show_to_end(session: Session, application: Application, run: WorkflowRun, *, detach: bool) -> None:
    from task_manager.cli.execution import carry_out, finish
    from task_manager.cli.run_views import run_data, run_report

    if detach:
        text = f"Started {run.id}; follow it by: task-manager run watch {run.id}"
        session.output.show({"run": run}, text)
        return
    ((title, state),) = await carry_out(session, application, [run])
    report = run_report(state, title)
    session.output.show(run_data(state, title), Text(), report)
    finish([state])


async def status(session: Session, run_id: RunArgument) -> None:
    """Show a run: how it is, its steps, its result and artifacts, and why it failed."""
    from task_manager.cli.lookup import find_run
    from task_manager.cli.run_views import run_data, run_report

    async with session.application() as application:
        found = await find_run(application.store, run_id)
        state = await (await application.workflows()).get_run(found.id)
        progress = await application.runs.progress(found.id)
        title = await _title(application, state.run)
        session.output.show(
            {**run_data(state, title), "progress": progress},
            run_report(state, title, progress),
        )


async def diagnose(session: Session, run_id: RunArgument) -> None:
    """Tell why a run failed: its class, the lines that tell, what changed since the last success, what to do next."""
    from task_manager.cli.diagnosis_views import diagnosis_report
    from task_manager.cli.lookup import find_run

    async with session.application() as application:
        run = await find_run(application.store, run_id)
        diagnosis = await (await application.workflows()).get_diagnosis(run.id)
        title = await _title(application, run)
    session.output.show({"run": run, "diagnosis": diagnosis}, diagnosis_report(run, title, diagnosis))


async def watch(session: Session, run_id: RunArgument) -> None:
    """Follow a run that another process executes, until it is over.

    Ctrl-C stops watching; the run goes on.
    """
    from task_manager.cli.execution import finish, titles_of
    from task_manager.cli.following import Follower
    from task_manager.cli.live import display_for, follow
    from task_manager.cli.lookup import find_run
    from task_manager.cli.run_views import run_data, run_report

    async with session.application() as application:
        run = await find_run(application.store, run_id)
        follower = Follower(application.store, [run], await titles_of(application, [run]))
        with _run_goes_on(session, run.id):
            (view,) = await follow(follower, display_for(session.output, follower))
        state = await (await application.workflows()).get_run(run.id)
        session.output.show(run_data(state, view.title), Text(), run_report(state, view.title))
        finish([state])


async def events(
    session: Session,
    *,
    run_id: RunArgument,
    after: Annotated[int, typer.Option(min=0, help="Only those after this sequence number.")] = 0,
    limit: Limit = 500,
) -> None:
    """List what happened to a run, in order."""
    from task_manager.cli.live import event_text
    from task_manager.cli.lookup import find_run
    from task_manager.store import events as event_log

    async with session.application() as application:
        run = await find_run(application.store, run_id)
        found = await application.store.run(event_log.after, after, run_id=run.id, limit=limit)
    rows = [
        (
            str(event.sequence),
            f"{event.time.astimezone():%H:%M:%S.%f}"[:-3],
            event.actor,
            event_text(event) or (label(event.status) if event.status else ""),
        )
        for event in found
    ]
    session.output.show(
        {"items": found}, table(["!>No.", "!Time", "!By", "What happened"], rows, empty="There are no such events.")
    )


async def logs(
    session: Session,
    *,
    run_id: RunArgument,
    step: Annotated[str | None, typer.Option(metavar="STEP", help="Only this step; by default all.")] = None,
    stderr: Annotated[bool, typer.Option("--stderr", help="Only standard error.")] = False,
    stdout: Annotated[bool, typer.Option("--stdout", help="Only standard output.")] = False,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Print lines as they are written, until the run is over.")
    ] = False,
    tail: Annotated[int | None, typer.Option(min=1, metavar="N", help="Only the last N lines of each stream.")] = None,
    grep: Annotated[
        str | None, typer.Option(metavar="PATTERN", help="Only lines that this regular expression (RE2) fits.")
    ] = None,
    lines: Annotated[
        str | None, typer.Option("--range", metavar="A-B", help="Only lines A to B of each stream, counted from 1.")
    ] = None,
    max_bytes: Annotated[
        str | None, typer.Option(metavar="SIZE", help="At most this much of each stream, such as 64KiB.")
    ] = None,
) -> None:
    """Print what a run's steps wrote.

    With --follow and --json each line is a JSON document of its own. Ctrl-C stops following; the run goes on.
    """
    from task_manager.cli.log_parts import OPTIONS, log_part, show_logs
    from task_manager.cli.lookup import find_run
    from task_manager.errors import InvalidInput

    streams = [name for name, wanted in (("stdout", stdout), ("stderr", stderr)) if wanted == (stdout or stderr)]
    part = log_part(tail=tail, grep=grep, lines=lines, max_bytes=max_bytes)
    if follow and part:
        raise InvalidInput("With --follow all lines are printed.", remedy=f"Leave out {', '.join(OPTIONS)}.")
    async with session.application() as application:
        run = await find_run(application.store, run_id)
        if follow:
            with _run_goes_on(session, run.id):
                await _follow_logs(session, application, run.id, step, streams)
        else:
            await show_logs(session, application, run.id, step=step, streams=streams, part=part)


async def cancel(session: Session, run_id: RunArgument) -> None:
    """Cancel a run; one that is over stays as it is, and the command says so."""
    from task_manager.cli.lookup import find_run

    async with session.application() as application:
        before = await find_run(application.store, run_id)
        run = await (await application.workflows()).cancel_run(before.id)
    was_over = before.status.is_terminal
    text = f"It was already over: {label(before.status)}." if was_over else f"It is {label(run.status)}."
    session.output.show({"run": run, "already_over": was_over}, text)


@contextlib.contextmanager
def _run_goes_on(session: Session, run_id: str) -> Iterator[None]:
    """Say at a Ctrl-C that it ends the looking alone."""
    try:
        yield
    except asyncio.CancelledError:
        if session.json:
            raise
        session.output.note(f"The run goes on. To cancel it: task-manager run cancel {run_id}")
        raise typer.Exit(ExitCode.CANCELLED) from None


async def _title(application: Application, run: WorkflowRun) -> str:
    from task_manager.cli.execution import titles_of

    return (await titles_of(application, [run]))[run.task_id]


async def _follow_logs(
    session: Session, application: Application, run_id: str, step: str | None, streams: list[str]
) -> None:
    from task_manager.log_following import follow_logs
    from task_manager.store import runs

    async for new in follow_logs(application.store, run_id, step=step, streams=streams):
        width = max(map(len, new.steps)) if step is None and len(new.steps) > 1 else 0
        for line in new.lines:
            prefix = f"{line.step:<{width}} | " if width else ""
            session.output.line(line, Text.assemble((prefix, "cyan"), session.output.coloured(line.line)))
    status = (await application.store.run(runs.get, run_id)).status
    session.output.note(f"The run is over: {label(status)}.")

"""`task-manager worker`: the process that executes runs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from task_manager.cli.command import command, group
from task_manager.cli.output import table
from task_manager.cli.session import Session
from task_manager.cli.statuses import moment_text

if TYPE_CHECKING:
    from task_manager.config import Settings
    from task_manager.models import WorkerRecord

UntilIdle = Annotated[bool, typer.Option("--until-idle", help="End after a while without a run (idle_seconds).")]
SettingsFromStdin = Annotated[bool, typer.Option("--settings-from-stdin", hidden=True)]


def add_commands(app: typer.Typer) -> None:
    """Add the group `worker`."""
    worker = group(app, "worker", "The process that executes runs; it is started when one is needed.")
    command(worker, "run", example="task-manager worker run", uses_engine=True)(run)
    command(worker, "status", example="task-manager worker status")(status)
    command(worker, "stop", example="task-manager worker stop")(stop)


async def run(session: Session, until_idle: UntilIdle = False, settings_from_stdin: SettingsFromStdin = False) -> None:
    """Execute runs in this process, until Ctrl-C.

    With SQLite a data folder has one worker; on PostgreSQL there are as many as are started.
    """
    from task_manager.application import scheduling
    from task_manager.worker_process import serve

    settings = _handed_over() if settings_from_stdin else session.settings()

    def ready(worker: WorkerRecord) -> None:
        text = f"Worker {worker.id} (process {worker.pid}) takes runs, {worker.capacity} at once."
        session.output.show({"worker": worker}, text)

    await serve(settings, until_idle=until_idle, ready=ready, beside=scheduling)


def _handed_over() -> Settings:
    """The settings of whoever started this worker, which logs as they say."""
    from task_manager.cli.log_output import configure_logging
    from task_manager.worker_process import settings_from

    settings = settings_from(sys.stdin.read())
    configure_logging(settings.log_level, settings.log_format)
    return settings


async def status(session: Session) -> None:
    """List the workers, with their last sign of life."""
    from task_manager.models import utc_now
    from task_manager.store import workers

    async with session.application() as application:
        found = await application.store.run(workers.all_)
    now = utc_now()
    rows = [
        (
            worker.id,
            worker.state.value,
            worker.host,
            str(worker.pid),
            str(worker.capacity),
            moment_text(worker.started_at, now),
            moment_text(worker.seen_at, now),
        )
        for worker in found
    ]
    headings = ["!Worker", "!State", "Host", "!>Process", "!>Runs at once", "!Started", "!Seen"]
    empty = "No worker runs; one is started with the next run."
    session.output.show({"items": found}, table(headings, rows, empty=empty))


async def stop(session: Session) -> None:
    """End this host's worker of the data folder; runs that do not end in time go on with the next one."""
    from task_manager.worker_process import stop_worker

    async with session.application() as application:
        stopped = await stop_worker(application.store, application.settings)
    text = f"Stopped worker {stopped.id} (process {stopped.pid})." if stopped else "No worker runs here."
    session.output.show({"stopped": stopped}, text)

"""Holding a container: in this process before somebody's eyes, or in one in the background."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING

import typer

from task_manager.cli.session import Session
from task_manager.communication import ContainerRecord, ContainerState

if TYPE_CHECKING:
    from task_manager.dagger_integration import TaskWorkflowIntegration

_LOOK_SECONDS = 0.1
_OPTIONS = {"data_dir": "--data-dir", "dagger_config_path": "--config", "engine": "--engine", "images": "--images"}


async def hold(session: Session, workflows: TaskWorkflowIntegration, container_id: str) -> ContainerRecord:
    """Start a container in this process and show what it writes until it ends.

    Raises:
        TaskManagerError: It cannot be started.
    """
    await workflows.start_container(container_id)
    log = workflows.communication.container_log(container_id)
    shown = 0
    while True:
        record = await workflows.communication.get_container_status(container_id)
        shown = _show(session, log, shown)
        if record.state is not ContainerState.RUNNING:
            return record
        await asyncio.sleep(_LOOK_SECONDS)


async def start_in_background(
    session: Session, workflows: TaskWorkflowIntegration, container_id: str
) -> ContainerRecord:
    """Start a process that holds a container, and return when the container runs.

    Raises:
        NotFound: There is no such container.
        InvalidTransition: It runs already.
        typer.Exit: It could not be started; why was printed.
    """
    before = await workflows.communication.get_container_status(container_id)
    if before.state is ContainerState.RUNNING:
        return await workflows.start_container(container_id)  # which says that it runs
    with tempfile.TemporaryFile() as said:
        process = await asyncio.create_subprocess_exec(
            *_command(session, container_id),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=said,
            start_new_session=True,  # it outlives this terminal
        )
        while True:
            ended = process.returncode
            record = await workflows.communication.get_container_status(container_id)
            if record.started_at != before.started_at and record.started_at is not None:
                return record
            if ended is not None:
                _explain(session, said)
                raise typer.Exit(ended)
            await asyncio.sleep(_LOOK_SECONDS)


def _show(session: Session, log: Path, shown: int) -> int:
    """Print what a log has beyond so many bytes; tells how many it has now."""
    with log.open("rb") as file:
        file.seek(shown)
        data = file.read()
    if data and not session.json:
        typer.echo(data.decode(errors="replace"), nl=False)
    return shown + len(data)


def _command(session: Session, container_id: str) -> list[str]:
    given: list[str] = []
    for name, option in _OPTIONS.items():
        value = session.arguments.get(name)
        if value is not None:
            given += [option, str(value.absolute() if isinstance(value, Path) else value)]
    return [sys.executable, "-m", "task_manager", *given, "container", "start", container_id, "--attach", "--json"]


def _explain(session: Session, said: IO[bytes]) -> None:
    """Print the error that the process in the background ended with."""
    said.seek(0)
    text = said.read().decode(errors="replace").strip()
    try:
        error = json.loads(text.splitlines()[-1])["error"]
    except (ValueError, KeyError, IndexError):
        error = {"code": "unexpected", "message": text or "The process that was to hold it ended without a word."}
    session.output.problem(error["message"], error.get("remedy", ""), error)

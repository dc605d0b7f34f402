"""`task-manager artifact`: files and folders that runs left."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.filesize import decimal

from task_manager.cli.arguments import RunArgument
from task_manager.cli.command import command, group
from task_manager.cli.exit_codes import ExitCode
from task_manager.cli.output import table
from task_manager.cli.session import Session
from task_manager.results.wording import counted

if TYPE_CHECKING:
    from task_manager.application import Application
    from task_manager.artifact_retention import Retained
    from task_manager.models import Artifact

ArtifactArgument = Annotated[str, typer.Argument(metavar="ARTIFACT", help="STEP/OUTPUT, or OUTPUT where one has it.")]
OptionalRun = Annotated[str | None, typer.Argument(metavar="[RUN]", help="A run's id or a task; by default all runs.")]
MaxBytes = Annotated[str | None, typer.Option(metavar="SIZE", help="Keep at most this much, such as 5GiB.")]
MaxAge = Annotated[str | None, typer.Option(metavar="AGE", help="Keep what is younger, such as 30d.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only tell what would be removed.")]
Remove = Annotated[bool, typer.Option("--remove", help="Remove what is damaged, so that runs store it anew.")]


def add_commands(app: typer.Typer) -> None:
    """Add the group `artifact`."""
    artifact = group(app, "artifact", "List, fetch, verify and prune the files that runs left.")
    command(artifact, "list", example="task-manager artifact list RUN")(list_)
    command(artifact, "get", example="task-manager artifact get RUN train/model --to model.joblib")(get)
    command(artifact, "open-path", example='less "$(task-manager artifact open-path RUN lint/report)"')(open_path)
    command(artifact, "verify", example="task-manager artifact verify\ntask-manager artifact verify RUN")(verify)
    command(artifact, "prune", example="task-manager artifact prune --max-age 30d --dry-run")(prune)


async def list_(session: Session, run_id: RunArgument) -> None:
    """List a run's artifacts with their sizes and digests."""
    from task_manager.cli.run_views import artifacts_list

    async with session.application() as application:
        found = await _artifacts(application, run_id)
    session.output.show({"items": found}, artifacts_list(found) or "The run left no artifacts.")


async def get(
    session: Session,
    *,
    run_id: RunArgument,
    name: ArtifactArgument,
    to: Annotated[Path | None, typer.Option(help="Where to; by default the working folder.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that is there.")] = False,
) -> None:
    """Copy an artifact to a file or folder.

    What is there already is not replaced unless told so.
    """
    async with session.application() as application:
        artifact = await _one(application, run_id, name)
        target = _target(artifact, to or Path(), overwrite=overwrite)
        await _copy(application, artifact, target)
    session.output.show({"artifact": artifact, "copied_to": target.absolute()}, str(target))


async def open_path(session: Session, run_id: RunArgument, name: ArtifactArgument) -> None:
    """Write an artifact to a file below the data folder, and print where, to open it with another program.

    It stays there until artifacts are pruned.
    """
    async with session.application() as application:
        artifact = await _one(application, run_id, name)
        place = await application.retention.opened(artifact)
    session.output.show({"artifact": artifact, "location": place}, str(place))


async def verify(session: Session, run_id: OptionalRun = None, remove: Remove = False) -> None:
    """Read all artifacts and compare them with their digests.

    The exit code is 1 when one is damaged or missing.
    """
    from task_manager.cli.lookup import find_run

    async with session.application() as application:
        run = await find_run(application.store, run_id) if run_id else None
        found = await application.retention.verify(run.id if run else None, remove=remove)
    rows = [(one.run_id, one.name, one.error) for one in found.damaged]
    shown = table(["Run", "Artifact", "Error"], rows, empty="All are whole.")
    session.output.show(found, f"Checked {counted(found.checked, 'artifact')}.", shown)
    if found.damaged:
        raise typer.Exit(ExitCode.FAILED)


async def prune(session: Session, max_bytes: MaxBytes = None, max_age: MaxAge = None, dry_run: DryRun = False) -> None:
    """Remove artifacts beyond the limits, oldest first, and stored content that nothing refers to.

    Artifacts of a task's last successful run and of runs that are not over stay. Without limits, those of the
    settings count: artifacts.max_bytes and artifacts.max_age. Unused content of the last 24 hours stays.
    """
    async with session.application() as application:
        done = await application.retention.prune(max_bytes=max_bytes, max_age=max_age, dry_run=dry_run)
    session.output.show(done, _pruned_text(done))


def _pruned_text(done: Retained) -> str:
    verb = "Would remove" if done.dry_run else "Removed"
    gone = f"{counted(done.artifacts, 'artifact')} of {counted(done.runs, 'run')}"
    return (
        f"{verb} {gone} ({decimal(done.artifact_bytes)}).\n"
        f"{verb} {counted(done.content.removed, 'stored file')} ({decimal(done.content.freed)}), "
        f"kept {done.content.kept} ({decimal(done.content.kept_bytes)})."
    )


async def _artifacts(application: Application, run_id: str) -> tuple[Artifact, ...]:
    from task_manager.cli.lookup import find_run
    from task_manager.store import artifacts

    run = await find_run(application.store, run_id)
    return await application.store.run(artifacts.of_run, run.id)


async def _one(application: Application, run_id: str, name: str) -> Artifact:
    from task_manager.artifacts import artifact_called

    return artifact_called(name, await _artifacts(application, run_id))


def _target(artifact: Artifact, to: Path, *, overwrite: bool) -> Path:
    """Where an artifact goes: into `to` where that is a folder."""
    from task_manager.errors import InvalidInput

    target = to / Path(artifact.path).name if to.is_dir() else to
    if target.exists() and not overwrite:
        raise InvalidInput(f"{target} is there already.", remedy="Name another place with --to, or add --overwrite.")
    if target.is_dir() or (target.exists() and artifact.is_directory):
        raise InvalidInput(f"{target} is there already, and folders are not replaced.", remedy="Remove it first.")
    return target


async def _copy(application: Application, artifact: Artifact, target: Path) -> None:
    from task_manager.errors import InvalidInput

    try:
        await application.artifacts.export(artifact, target)
    except OSError as error:
        raise InvalidInput(f"{target} cannot be written: {error.strerror or error}.") from error

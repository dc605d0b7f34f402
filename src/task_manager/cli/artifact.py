"""`task-manager artifact`: files and folders that runs left."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from task_manager.cli.arguments import RunArgument
from task_manager.cli.command import command, group
from task_manager.cli.session import Session

if TYPE_CHECKING:
    from task_manager.models import Artifact

ArtifactArgument = Annotated[str, typer.Argument(metavar="ARTIFACT", help="STEP/OUTPUT, or OUTPUT where one has it.")]


def add_artifact_commands(app: typer.Typer) -> None:
    """Add the group `artifact`."""
    artifact = group(app, "artifact", "List and fetch the files that runs left.")
    command(artifact, "list", example="task-manager artifact list RUN")(list_)
    command(artifact, "get", example="task-manager artifact get RUN train/model --to model.joblib")(get)
    command(artifact, "open-path", example='less "$(task-manager artifact open-path RUN lint/report)"')(open_path)


async def list_(session: Session, run_id: RunArgument) -> None:
    """List a run's artifacts with their sizes and places."""
    from task_manager.cli.run_views import artifact_data, artifacts_list

    found, data_dir = await _artifacts(session, run_id)
    session.output.show(
        {"items": [artifact_data(artifact, data_dir) for artifact in found]},
        artifacts_list(found, data_dir, session.output.width) or "The run left no artifacts.",
    )


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
    artifact, place = await _one(session, run_id, name)
    target = _copy(place, to or Path(), overwrite=overwrite)
    session.output.show({"artifact": artifact, "copied_to": target.absolute()}, str(target))


async def open_path(session: Session, run_id: RunArgument, name: ArtifactArgument) -> None:
    """Print where an artifact lies, to open it with another program."""
    artifact, place = await _one(session, run_id, name)
    session.output.show({"artifact": artifact, "location": place}, str(place))


async def _artifacts(session: Session, run_id: str) -> tuple[tuple[Artifact, ...], Path]:
    from task_manager.cli.lookup import find_run
    from task_manager.store import artifacts

    async with session.application() as application:
        run = await find_run(application.store, run_id)
        return await application.store.run(artifacts.of_run, run.id), application.settings.data_dir


async def _one(session: Session, run_id: str, name: str) -> tuple[Artifact, Path]:
    from task_manager.artifacts import artifacts_called
    from task_manager.errors import InvalidInput, NotFound

    found, data_dir = await _artifacts(session, run_id)
    named = artifacts_called(name, found)
    if not named:
        raise NotFound("artifact", name, known=[one.name for one in found])
    if len(named) > 1:
        raise InvalidInput(
            f"Several artifacts are called {name!r}.", remedy=f"Name one: {', '.join(one.name for one in named)}."
        )
    return named[0], data_dir / named[0].path


def _copy(place: Path, to: Path, *, overwrite: bool) -> Path:
    """Copy a file or folder whole or not at all; into `to` where that is a folder."""
    from task_manager.errors import InvalidInput, NotFound

    if not place.exists():
        raise NotFound("file", str(place), remedy="Was it removed from the data folder?")
    target = to / place.name if to.is_dir() else to
    if target.exists() and not overwrite:
        raise InvalidInput(f"{target} is there already.", remedy="Name another place with --to, or add --overwrite.")
    if target.is_dir() or (target.exists() and place.is_dir()):
        raise InvalidInput(f"{target} is there already, and folders are not replaced.", remedy="Remove it first.")
    try:
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".task-manager-") as aside:
            copied = Path(aside) / place.name
            if place.is_dir():
                shutil.copytree(place, copied, symlinks=True)
            else:
                shutil.copy2(place, copied)
            copied.replace(target)
    except OSError as error:
        raise InvalidInput(f"{target} cannot be written: {error.strerror or error}.") from error
    return target

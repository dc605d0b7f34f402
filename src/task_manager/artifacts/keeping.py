"""Outputs of a run become its artifacts."""

from __future__ import annotations

import asyncio
import mimetypes
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from task_manager.artifacts.store import ArtifactStore
from task_manager.errors import OutputInvalid
from task_manager.logs import Scrubber, scrub_file
from task_manager.models import Artifact
from task_manager.pipeline import Output

if TYPE_CHECKING:
    from task_manager.config import Limits

_DIRECTORY: Final = "inode/directory"


class Exported(Protocol):
    """An output as it lies on the host."""

    @property
    def step_id(self) -> str:
        """The step that left it."""

    @property
    def output(self) -> Output:
        """What the pipeline says of it."""

    @property
    def path(self) -> Path:
        """The file or folder."""


async def keep_outputs(
    store: ArtifactStore,
    outputs: Sequence[Exported],
    limits: Limits,
    *,
    run_id: str,
    root: Path,
    now: datetime,
    scrubber: Scrubber,
) -> tuple[list[Artifact], OutputInvalid | None]:
    """Store the outputs of a run, as far as their sizes allow.

    Args:
        store: Where to.
        outputs: What the run left, all below `root`.
        limits: How large one may be, and all together.
        run_id: Whose outputs they are.
        root: The folder of the run's outputs.
        now: The time of the records.
        scrubber: What must not be stored: texts are rid of it, and other files that have it are not stored.

    Returns:
        The records of those that were stored, and what is wrong with the last one that was not.

    Raises:
        ArtifactStoreUnavailable: The store does not answer.
    """
    kept: list[Artifact] = []
    refused: OutputInvalid | None = None
    room = int(limits.run_artifacts_bytes)
    for exported in outputs:
        size = tree_size(exported.path)
        problem = _too_large(exported, size, int(limits.artifact_bytes), room)
        if problem is not None:
            refused = problem
            continue
        problem = await asyncio.to_thread(_scrub, exported, scrubber)
        if problem is not None:
            refused = problem
            continue
        room -= size
        content = await store.put(exported.path)
        kept.append(
            Artifact(
                run_id=run_id,
                step_id=exported.step_id,
                name=_name(exported),
                path=exported.path.relative_to(root).as_posix(),
                is_directory=content.is_directory,
                size=content.size,
                digest=content.digest,
                media_type=exported.output.media_type or _media_type(exported.path),
                created_at=now,
            )
        )
    return kept, refused


def _scrub(exported: Exported, scrubber: Scrubber) -> OutputInvalid | None:
    """Take secrets out of the texts of an output; tells what is wrong where they cannot be taken out."""
    if not scrubber:
        return None
    files = [exported.path] if exported.path.is_file() else sorted(exported.path.rglob("*"))
    for file in files:
        if file.is_file() and not file.is_symlink() and not scrub_file(file, scrubber):
            return OutputInvalid(
                f"The output {_name(exported)} was not kept: {file.name} has the value of a secret in it, "
                "and is no text that it could be taken out of.",
                remedy="Let the step write the file without it.",
                details={"artifact": _name(exported), "file": file.name},
            )
    return None


def tree_size(path: Path) -> int:
    """Bytes of a file, or of all files below a folder; links count nothing."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.lstat().st_size for file in files if file.is_file() and not file.is_symlink())


def _name(exported: Exported) -> str:
    return f"{exported.step_id}/{exported.output.name}"


def _too_large(exported: Exported, size: int, limit: int, room: int) -> OutputInvalid | None:
    if size <= min(limit, room):
        return None
    setting, allowed = ("artifact_bytes", limit) if size > limit else ("run_artifacts_bytes", room)
    return OutputInvalid(
        f"The output {_name(exported)} has {size:,} bytes; {allowed:,} are {'allowed' if size > limit else 'left'}.",
        remedy=f"Make it smaller, or raise limits.{setting}.",
        details={"artifact": _name(exported), "size": size, "limit": allowed, "setting": f"limits.{setting}"},
    )


def _media_type(path: Path) -> str:
    if path.is_dir():
        return _DIRECTORY
    return mimetypes.guess_type(path.name)[0] or "application/octet-stream"

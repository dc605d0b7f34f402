"""Artifacts: files and folders that runs leave below the data folder, described by size and digest."""

from __future__ import annotations

import hashlib
import mimetypes
import shutil
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

from task_manager.errors import OutputInvalid
from task_manager.models import Artifact

_CHUNK = 1024 * 1024
_DIRECTORY = "inode/directory"


def run_folder(root: Path, run_id: str) -> Path:
    """Where a run's outputs and logs lie below the data folder."""
    return root / "runs" / run_id


def remove_run_folders(root: Path, run_ids: Iterable[str]) -> None:
    """Remove what runs left below the data folder; what is not there is no error."""
    for run_id in run_ids:
        shutil.rmtree(run_folder(root, run_id), ignore_errors=True)


def describe_artifact(
    path: Path, *, root: Path, run_id: str, step_id: str, output: str, now: datetime, media_type: str | None = None
) -> Artifact:
    """The record of an output that lies below the data folder.

    Args:
        path: The file or folder.
        root: The data folder.
        run_id: Whose output it is.
        step_id: Which step left it.
        output: The output's name.
        now: The time of the record.
        media_type: By default guessed from the file's name.
    """
    is_directory = path.is_dir()
    return Artifact(
        run_id=run_id,
        step_id=step_id,
        name=f"{step_id}/{output}",
        path=path.relative_to(root).as_posix(),
        is_directory=is_directory,
        size=tree_size(path),
        digest=tree_digest(path) if is_directory else file_digest(path),
        media_type=media_type or (_DIRECTORY if is_directory else _guess(path)),
        created_at=now,
    )


def artifacts_called(name: str, there: Sequence[Artifact]) -> list[Artifact]:
    """Those that a name means: the artifact `STEP/OUTPUT`, or all whose output has that name."""
    exact = [artifact for artifact in there if artifact.name == name]
    return exact or [artifact for artifact in there if artifact.name.rpartition("/")[2] == name]


def require_within(artifact: Artifact, limit: int) -> None:
    """Refuse an artifact that is too large.

    Raises:
        OutputInvalid: It has more than `limit` bytes.
    """
    if artifact.size > limit:
        raise OutputInvalid(
            f"The output {artifact.name} has {artifact.size:,} bytes; {limit:,} are allowed.",
            remedy="Make it smaller, or raise limits.artifact_bytes.",
            details={"artifact": artifact.name, "size": artifact.size, "limit": limit},
        )


def tree_size(path: Path) -> int:
    """Bytes of a file, or of all files below a folder; links count nothing."""
    files = _files(path) if path.is_dir() else [path]
    return sum(file.lstat().st_size for file in files if not file.is_symlink())


def file_digest(path: Path) -> str:
    """`sha256:…` of a file's content."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return f"sha256:{digest.hexdigest()}"


def tree_digest(folder: Path) -> str:
    """`sha256:…` over the paths of a folder's files and their digests, or a link's target."""
    digest = hashlib.sha256()
    for file in _files(folder):
        content = f"link:{file.readlink()}" if file.is_symlink() else file_digest(file)
        digest.update(f"{file.relative_to(folder).as_posix()}\0{content}\0".encode("utf-8", "surrogateescape"))
    return f"sha256:{digest.hexdigest()}"


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_symlink() or path.is_file())


def _guess(path: Path) -> str:
    return mimetypes.guess_type(path.name)[0] or "application/octet-stream"

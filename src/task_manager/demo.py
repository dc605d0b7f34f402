"""The demo: the example project textkit, copied to a folder, broken where asked for, and stored as a project."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, JsonValue, TypeAdapter

from task_manager.documents import read_document
from task_manager.errors import InvalidInput, NotFound
from task_manager.project_file import NewProject, new_project, read_project_file
from task_manager.renewed_projects import Stored, store_renewed
from task_manager.store import Connection

PROJECT_FILE: Final = "task-manager.yaml"
BREAKAGES_FILE: Final = "breakages.yaml"
TRAINING_TEMPLATE: Final = "ml-training"

_MARK: Final = "demo"
_LEFT_OUT = shutil.ignore_patterns("__pycache__", ".*_cache", "*.egg-info", "dist", "build")


class _Entry(BaseModel):
    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")


class Change(_Entry):
    """A text that stands exactly once in a file, and what becomes of it."""

    file: str
    old: str
    new: str


class Breakage(_Entry):
    """A way to make one task fail.

    Attributes:
        fails: The title of the task that fails.
    """

    description: str
    fails: str
    changes: tuple[Change, ...]


def example_folder() -> Path:
    """Where textkit lies: in the installed package, or in the repository.

    Raises:
        NotFound: It is in neither.
    """
    package = Path(__file__).parent
    for folder in (package / "examples" / "textkit", package.parents[1] / "examples" / "textkit"):
        if (folder / PROJECT_FILE).is_file():
            return folder
    raise NotFound("example project", "textkit", remedy="Install the package anew, or run from its repository.")


def copy_example(folder: Path) -> None:
    """Copy textkit to a folder; what was there is replaced.

    Raises:
        InvalidInput: The folder cannot be written.
    """
    try:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(example_folder(), folder, ignore=_LEFT_OUT)
    except OSError as error:
        raise InvalidInput(f"The folder {folder} cannot be written: {error.strerror or error}.") from error


def use_folder(folder: Path) -> None:
    """Make ready a folder of the user's: textkit is copied where it is empty, and an earlier copy is left as it is.

    Raises:
        InvalidInput: It holds something else, or cannot be written.
    """
    if (folder / PROJECT_FILE).is_file():
        return
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InvalidInput(
            f"{folder} is not empty, and is no copy of textkit.", remedy="Name a new folder, or an earlier copy."
        )
    copy_example(folder)


def breakages(folder: Path) -> Mapping[str, Breakage]:
    """The ways to break a copy of textkit, by name.

    Raises:
        InvalidInput: The folder's list of them cannot be read.
    """
    document = read_document(folder / BREAKAGES_FILE)
    return TypeAdapter(dict[str, Breakage]).validate_python(dict(document.data))


def break_copy(folder: Path, name: str) -> Breakage:
    """Break a copy of textkit.

    Raises:
        NotFound: There is no such breakage.
        InvalidInput: The copy is not as it was; nothing is changed.
    """
    known = breakages(folder)
    if name not in known:
        raise NotFound("breakage", name, known=known)
    changed = {change.file: _changed(folder, change) for change in known[name].changes}
    for file, text in changed.items():
        (folder / file).write_text(text, encoding="utf-8")
    return known[name]


def _changed(folder: Path, change: Change) -> str:
    text = (folder / change.file).read_text(encoding="utf-8")
    if text.count(change.old) != 1:
        raise InvalidInput(
            f"{folder / change.file} is not as it was copied, so that it cannot be broken as usual.",
            remedy="Name a new folder.",
        )
    return text.replace(change.old, change.new)


def demo_project(folder: Path, inputs: Mapping[str, JsonValue], now: datetime) -> NewProject:
    """The project of a copy of textkit.

    Args:
        folder: The copy.
        inputs: Values for the task that trains a model, such as `epochs` and `batch_size`.
        now: When the records are made.

    Raises:
        InvalidInput: The copy's project file is broken.
    """
    file = read_project_file(folder / PROJECT_FILE)
    entries = tuple(
        entry.model_copy(update={"inputs": {**entry.inputs, **inputs}})
        if entry.template == TRAINING_TEMPLATE
        else entry
        for entry in file.tasks
    )
    return new_project(file.model_copy(update={"tasks": entries}), folder, now)


def store_demo(c: Connection, new: NewProject) -> Stored:
    """Store the demo's project in place of an earlier demo's; see `store_renewed`."""
    return store_renewed(c, new, _MARK)

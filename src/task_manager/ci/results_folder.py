"""A folder in which the jobs of a pipeline pass results to those after them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from task_manager.errors import InvalidInput

PARTS: Final = ("cache/entries", "artifacts")
"""What of a data folder holds results: files named by their contents, or by what they answer, the same everywhere."""


def take_results(folder: Path, data_dir: Path) -> None:
    """Move the results of a folder into the data folder, so that they answer runs; a missing folder has none.

    They are gone from the folder then: it may lie among the sources.

    Raises:
        InvalidInput: They cannot be moved.
    """
    try:
        for part in PARTS:
            if (folder / part).is_dir():
                shutil.copytree(folder / part, data_dir / part, dirs_exist_ok=True)
                shutil.rmtree(folder / part)
    except (OSError, shutil.Error) as error:
        raise InvalidInput(f"The results in {folder} cannot be taken: {error}.") from error


def leave_results(folder: Path, data_dir: Path) -> None:
    """Copy the data folder's results to a folder, for other jobs.

    Raises:
        InvalidInput: The folder cannot be written.
    """
    try:
        for part in PARTS:
            if (data_dir / part).is_dir():
                shutil.copytree(data_dir / part, folder / part, dirs_exist_ok=True)
    except (OSError, shutil.Error) as error:
        raise InvalidInput(f"The results cannot be copied to {folder}: {error}.") from error

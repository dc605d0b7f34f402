"""The folders of runs below the data folder: their logs, and their outputs until those are stored."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Final

# No step is called so: their names begin with a letter.
_OUTPUTS: Final = ".outputs"
_INPUTS: Final = ".inputs"
_OPENED: Final = "opened"


def run_folder(root: Path, run_id: str) -> Path:
    """Where a run's logs lie below the data folder, and what it works with until it is over."""
    return root / "runs" / run_id


def outputs_folder(folder: Path) -> Path:
    """Where a run's outputs lie until they are stored, as `STEP/OUTPUT/…`."""
    return folder / _OUTPUTS


def inputs_folder(folder: Path) -> Path:
    """Where a run finds what it takes from other runs, until it is over."""
    return folder / _INPUTS


def opened_folder(root: Path) -> Path:
    """Where artifacts lie that somebody opens with another program, below the data folder."""
    return root / _OPENED


async def remove_opened(root: Path) -> None:
    """Remove the artifacts that were laid out to be opened."""
    await asyncio.to_thread(shutil.rmtree, opened_folder(root), ignore_errors=True)


def clear_run_folder(folder: Path) -> None:
    """Remove everything from a run's folder but its logs."""
    for name in (_OUTPUTS, _INPUTS):
        shutil.rmtree(folder / name, ignore_errors=True)


def remove_run_folders(root: Path, run_ids: Iterable[str]) -> None:
    """Remove what runs left below the data folder; what is not there is no error."""
    for run_id in run_ids:
        shutil.rmtree(run_folder(root, run_id), ignore_errors=True)

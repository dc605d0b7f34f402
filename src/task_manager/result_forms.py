"""A run's result in the forms that its pipeline asks for, kept as artifacts of the run."""

from __future__ import annotations

import asyncio
import mimetypes
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from task_manager.artifacts import ArtifactStore, outputs_folder
from task_manager.errors import TaskManagerError, TransformationFailed
from task_manager.logs import Scrubber, scrub_file
from task_manager.models import Artifact
from task_manager.result_processor import WorkflowResult
from task_manager.results.transformers import Transformed, transform
from task_manager.store import Store, artifacts, runs
from task_manager.workflow_status import Reason

FORM_SECONDS: Final = 60.0
"""How long one form may take to make."""

FORM_FAILED: Final = "form_failed"
"""The code of the warning that a form could not be made."""


async def keep_forms(
    store: Store,
    kept: ArtifactStore,
    result: WorkflowResult,
    forms: Sequence[str],
    *,
    folder: Path,
    now: datetime,
    scrubber: Scrubber,
    seconds: float = FORM_SECONDS,
) -> None:
    """Make forms of a result, and keep each as the artifact `result.ENDING`; one that fails is a warning of the run.

    Args:
        store: Where the run is.
        kept: Where content is kept.
        result: Of the run.
        forms: Names of transformers.
        folder: The run's.
        now: The time of the records.
        scrubber: What must not be stored.
        seconds: How long each may take.

    Raises:
        StoreError: The store cannot be written.
        ArtifactStoreUnavailable: The store of artifacts does not answer.
    """
    for form in dict.fromkeys(forms):
        try:
            path = await asyncio.to_thread(_written, await _made(result, form, seconds), folder, scrubber)
        except TaskManagerError as error:
            text = f"The result was not brought into the form {form}: {error.message}"
            await store.run(runs.warn, result.run_id, Reason(code=FORM_FAILED, text=text), now=now)
        else:
            await store.run(artifacts.put, await _kept(kept, path, result.run_id, now))


async def _made(result: WorkflowResult, form: str, seconds: float) -> Transformed:
    try:
        async with asyncio.timeout(seconds):
            (made,) = await asyncio.to_thread(transform, result, [form])
    except TimeoutError as error:
        raise TransformationFailed(f"it took longer than {seconds:g} s.", details={"form": form}) from error
    return made


def _written(made: Transformed, folder: Path, scrubber: Scrubber) -> Path:
    if made.error is not None:
        raise made.error
    folder = outputs_folder(folder)
    folder.mkdir(parents=True, exist_ok=True)
    # The name of another package's form ends with its ending.
    path = folder / (f"result.{made.form}" if "." in made.form else f"result.{made.ending}")
    path.write_bytes(made.content or b"")
    if scrubber and not scrub_file(path, scrubber):
        raise TransformationFailed("it has the value of a secret in it, and is no text.", details={"form": made.form})
    return path


async def _kept(kept: ArtifactStore, path: Path, run_id: str, now: datetime) -> Artifact:
    content = await kept.put(path)
    return Artifact(
        run_id=run_id,
        step_id="",
        name=path.name,
        path=path.name,
        size=content.size,
        digest=content.digest,
        media_type=mimetypes.guess_type(path.name)[0] or "application/octet-stream",
        created_at=now,
    )

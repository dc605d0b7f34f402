"""What runs leave behind: content under its digest, in a local folder or an object store."""

from task_manager.artifacts.folders import (
    clear_run_folder,
    inputs_folder,
    opened_folder,
    outputs_folder,
    remove_opened,
    remove_run_folders,
    run_folder,
)
from task_manager.artifacts.keeping import keep_outputs
from task_manager.artifacts.names import artifact_called, artifacts_called
from task_manager.artifacts.store import ArtifactStore, Pruned, StoredContent, open_artifacts

__all__ = [
    "ArtifactStore",
    "Pruned",
    "StoredContent",
    "artifact_called",
    "artifacts_called",
    "clear_run_folder",
    "inputs_folder",
    "keep_outputs",
    "open_artifacts",
    "opened_folder",
    "outputs_folder",
    "remove_opened",
    "remove_run_folders",
    "run_folder",
]

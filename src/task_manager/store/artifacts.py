"""Artifacts in the store: what is known of the files that runs left behind."""

from sqlalchemy import Connection, delete

from task_manager.models import Artifact
from task_manager.store import tables
from task_manager.store.database import read_only
from task_manager.store.records import RecordTable

_artifacts = RecordTable("artifact", Artifact, tables.artifacts, order=("run_id", "name"))
_columns = tables.artifacts.c


def put(c: Connection, artifact: Artifact) -> Artifact:
    """Store an artifact in place of the run's earlier one of that name.

    Raises:
        InvalidInput: Its run does not exist.
    """
    c.execute(delete(tables.artifacts).where(_columns.run_id == artifact.run_id, _columns.name == artifact.name))
    return _artifacts.insert(c, artifact)


@read_only
def of_run(c: Connection, run_id: str) -> tuple[Artifact, ...]:
    """The artifacts of a run, by name."""
    return _artifacts.all(c, _artifacts.matching(run_id=run_id).order_by(_columns.name))

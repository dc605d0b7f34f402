"""Artifacts in the store: what is known of the files that runs left behind."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, case, delete, func, select

from task_manager.models import Artifact
from task_manager.store import tables
from task_manager.store.database import read_only
from task_manager.store.prepared import Prepared
from task_manager.store.records import RecordTable
from task_manager.workflow_status import WorkflowStatus

_artifacts = RecordTable("artifact", Artifact, tables.artifacts, order=("run_id", "name"))
_columns = tables.artifacts.c
_delete = Prepared(
    delete(tables.artifacts).where(_columns.run_id == bindparam("of_run"), _columns.name == bindparam("called"))
)


def put(c: Connection, artifact: Artifact) -> Artifact:
    """Store an artifact in place of the run's earlier one of that name.

    Raises:
        InvalidInput: Its run does not exist.
    """
    _delete.execute(c, {"of_run": artifact.run_id, "called": artifact.name})
    return _artifacts.insert(c, artifact)


@read_only
def of_run(c: Connection, run_id: str) -> tuple[Artifact, ...]:
    """The artifacts of a run, by name."""
    return _artifacts.all(c, _artifacts.matching(run_id=run_id).order_by(_columns.name))


@dataclass(frozen=True)
class KeptArtifact:
    """What retention knows of an artifact.

    Attributes:
        digest: Its content.
        size: In bytes.
        finished_at: When its run ended; none when it is not over, or what the run left must stay.
    """

    run_id: str
    name: str
    digest: str
    size: int
    finished_at: datetime | None


@read_only
def kept(c: Connection, run_id: str | None = None) -> tuple[KeptArtifact, ...]:
    """All artifacts, or those of a run, oldest run first.

    Those of each task's last successful run must stay: other tasks read them.
    """
    runs = tables.runs
    last = (
        select(func.max(runs.c.id))
        .where(runs.c.status == WorkflowStatus.SUCCEEDED.value)
        .group_by(runs.c.task_id)
        .scalar_subquery()
    )
    may_go = case((runs.c.id.in_(last), None), else_=runs.c.finished_at)
    asked = select(_columns.run_id, _columns.name, _columns.digest, _columns.size, may_go.label("finished_at"))
    asked = asked.join(runs, runs.c.id == _columns.run_id).order_by(_columns.run_id, _columns.name)
    if run_id is not None:
        asked = asked.where(_columns.run_id == run_id)
    return tuple(KeptArtifact(**row._mapping) for row in c.execute(asked))


def remove_of_runs(c: Connection, run_ids: Collection[str]) -> None:
    """Forget the artifacts of some runs."""
    for run_id in run_ids:
        c.execute(delete(tables.artifacts).where(_columns.run_id == run_id))

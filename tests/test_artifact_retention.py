"""Artifacts stay as long as the limits say, and those that other tasks need stay in any case."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ByteSize

from task_manager.artifact_retention import ArtifactRetention, beyond_limits
from task_manager.artifacts import ArtifactStore, open_artifacts
from task_manager.config import ArtifactSettings, Settings
from task_manager.errors import InvalidInput
from task_manager.models import WorkflowRun
from task_manager.store import Store, artifacts, runs
from task_manager.store.artifacts import KeptArtifact
from task_manager.workflow_status import WorkflowStatus
from tests.store.builders import an_artifact, stored_run, stored_workflow

LONG_AGO = datetime.now(UTC) - timedelta(days=40)


@pytest.fixture
def kept(tmp_path: Path) -> ArtifactStore:
    return open_artifacts(Settings(), tmp_path)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path)


async def left(store: Store, kept: ArtifactStore, run: WorkflowRun, path: Path, content: str) -> str:
    """Let a run leave a file; its digest."""
    await asyncio.to_thread(path.write_text, content)
    stored = await kept.put(path)
    store.run_sync(artifacts.put, an_artifact(run, "make/out", digest=stored.digest, size=stored.size))
    return stored.digest


def ended(store: Store, run: WorkflowRun, status: WorkflowStatus, at: datetime) -> None:
    for state in (WorkflowStatus.QUEUED, WorkflowStatus.PREPARING, WorkflowStatus.RUNNING, WorkflowStatus.PROCESSING):
        store.run_sync(runs.transition, run.id, state, now=at)
    store.run_sync(runs.transition, run.id, status, now=at)


async def test_old_artifacts_go_but_not_those_of_a_tasks_last_success(
    store: Store, kept: ArtifactStore, tmp_path: Path
) -> None:
    workflow = stored_workflow(store)
    several = [stored_run(store, workflow) for _ in range(3)]
    digests = [await left(store, kept, run, tmp_path / "x", run.id) for run in several]
    for run, status in zip(
        several, (WorkflowStatus.SUCCEEDED, WorkflowStatus.SUCCEEDED, WorkflowStatus.FAILED), strict=True
    ):
        ended(store, run, status, LONG_AGO)
    retention = ArtifactRetention(
        store, ArtifactStore(kept._objects, clock=lambda: datetime.now(UTC) + timedelta(days=2)), ArtifactSettings()
    )
    assert (await retention.prune(dry_run=True)).runs == 0
    planned = await retention.prune(max_age="30d", dry_run=True)
    assert (planned.runs, planned.artifacts, planned.content.removed) == (2, 2, 2)
    assert not await kept.missing(digests)
    done = await retention.prune(max_age="30d")
    assert (done.runs, done.artifact_bytes, done.content.freed) == (
        planned.runs,
        planned.artifact_bytes,
        planned.content.freed,
    )
    assert await kept.missing(digests) == (digests[0], digests[2])
    assert store.run_sync(artifacts.of_run, several[0].id) == ()


async def test_artifacts_of_runs_that_are_not_over_stay(store: Store, kept: ArtifactStore, tmp_path: Path) -> None:
    digest = await left(store, kept, stored_run(store), tmp_path / "x", "x" * 1000)
    retention = ArtifactRetention(store, kept, ArtifactSettings(max_bytes=ByteSize(1)))
    assert (await retention.prune()).runs == 0
    assert await kept.exists(digest)


@pytest.mark.parametrize(("limit", "value"), [("max_age", "soon"), ("max_bytes", "much"), ("max_bytes", "-1")])
async def test_a_limit_that_cannot_be_read_is_refused(
    store: Store, kept: ArtifactStore, limit: str, value: str
) -> None:
    retention = ArtifactRetention(store, kept, ArtifactSettings())
    with pytest.raises(InvalidInput, match=limit):
        await retention.prune(**{limit: value})  # type: ignore[arg-type]


async def test_a_damaged_artifact_is_found_and_removed(store: Store, kept: ArtifactStore, tmp_path: Path) -> None:
    good, bad = stored_run(store), stored_run(store)
    await left(store, kept, good, tmp_path / "x", "good")
    digest = await left(store, kept, bad, tmp_path / "x", "bad")
    retention = ArtifactRetention(store, kept, ArtifactSettings())
    assert (await retention.verify()).damaged == ()
    (stored,) = [path for path in (tmp_path / "artifacts").rglob("*") if path.name == digest.removeprefix("sha256:")]
    stored.write_text("changed")
    found = await retention.verify(remove=True)
    assert found.checked == 2
    assert [(one.run_id, one.digest) for one in found.damaged] == [(bad.id, digest)]
    assert not await kept.exists(digest)
    assert (await retention.verify(good.id)).damaged == ()


kept_artifacts = st.lists(st.tuples(st.integers(0, 8), st.integers(0, 5), st.booleans()), max_size=20).map(
    lambda rows: [
        KeptArtifact(f"run-{run}", f"{number}", f"{content}", content * 10, LONG_AGO if run % 3 else None)
        for number, (run, content, _) in enumerate(sorted(rows))
    ]
)


@given(kept_artifacts, st.integers(0, 200))
def test_no_more_goes_than_has_to(every: list[KeptArtifact], limit: int) -> None:
    going = beyond_limits(every, max_bytes=limit, ended_before=None)
    may_go = sorted({one.run_id for one in every if one.finished_at})
    assert going <= set(may_go)
    assert _size(every, going) <= limit or going == set(may_go)
    if going:
        assert _size(every, going - {max(going)}) > limit, "without the youngest of them it would be too much"


def _size(every: list[KeptArtifact], going: frozenset[str]) -> int:
    return sum({one.digest: one.size for one in every if one.run_id not in going}.values())

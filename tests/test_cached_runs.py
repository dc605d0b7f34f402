"""Runs that the cache answers: when it does, when it does not, and what it says of it."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from task_manager.artifacts import open_artifacts
from task_manager.cache_queries import CacheQueries
from task_manager.config import CacheSettings
from task_manager.dagger_integration import TaskWorkflowIntegration
from task_manager.models import CacheOutcome, CacheRecord, WorkflowRun
from task_manager.store import artifacts, cache, results, runs, steps
from task_manager.testing import FakeCall, FakeExec
from task_manager.workflow_cache import Selection
from task_manager.workflow_status import StepStatus, WorkflowStatus
from tests.test_task_workflow_integration import Scene, scene

SOURCE = {"type": "host", "path": ".", "target": "/task/source", "exclude": ["*.log"]}


def build(**changes: Any) -> dict[str, Any]:
    """A step that reads the source folder and leaves a file."""
    output = {"name": "file", "path": "/task/out.txt"}
    step = {"id": "build", "image": "busybox", "command": ["build"], "sources": [SOURCE], "outputs": [output]}
    return {**step, **changes}


def pipeline(*changed: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"steps": list(changed) or [build()], **fields}


def builds(call: FakeCall) -> FakeExec:
    if call.arguments == ("broken",):
        return FakeExec(exit_code=3, stderr="no such thing\n")
    return FakeExec(stdout="built\n", files={"/task/out.txt": call.files.get("/task/source/a.txt", "")})


@asynccontextmanager
async def cached_scene(folder: Path, **settings: Any) -> AsyncIterator[Scene]:
    (folder / "source").mkdir(exist_ok=True)
    (folder / "source" / "a.txt").write_text("a")
    async with scene(folder, builds, **settings) as opened:
        yield opened


async def ended(s: Scene, task_id: str, **arguments: Any) -> WorkflowRun:
    started = await s.integration.execute_task_workflow(task_id, **arguments)
    async with asyncio.timeout(60):
        return await s.integration.wait_for_run(started.id)


async def record_of(s: Scene, run: WorkflowRun) -> CacheRecord:
    record = await s.store.run(cache.of_run, run.id)
    assert record is not None
    return record


def queries(s: Scene) -> CacheQueries:
    return CacheQueries(s.store, s.integration.settings, s.integration.communication, s.integration.templates)


async def test_an_equal_run_gets_the_result_of_the_first_and_executes_nothing(tmp_path: Path) -> None:
    async with cached_scene(tmp_path) as s:
        task = await s.task("Build", pipeline=pipeline())
        first, second = await ended(s, task.id), await ended(s, task.id)
        assert len(s.engine.calls) == 1
        assert (first.original_run_id, second.original_run_id) == (None, first.id)
        assert second.status is WorkflowStatus.SUCCEEDED
        assert second.reason is not None
        assert second.reason.code == "cached"
        assert first.id in second.reason.text
        assert second.reason.details["saved_seconds"] == pytest.approx(first.seconds, abs=1)
        assert second.started_at is None, "it held no place"
        assert (await s.integration.get_workflow_status(task.id)).task.status.value == "done"


async def test_a_hit_brings_result_steps_and_artifacts_of_its_own(tmp_path: Path) -> None:
    async with cached_scene(tmp_path) as s:
        task = await s.task("Build", pipeline=pipeline())
        first, second = await ended(s, task.id), await ended(s, task.id)
        before, after = await s.store.run(results.get, first.id), await s.store.run(results.get, second.id)
        assert before is not None
        assert after is not None
        assert (before["cached"], after["cached"]) == (False, True)
        assert after["original_run_id"] == first.id
        assert after["run_id"] == second.id
        assert after["age_seconds"] >= 0
        own = {"run_id", "cached", "original_run_id", "age_seconds"}
        assert {name: value for name, value in after.items() if name not in own} == {
            name: value for name, value in before.items() if name not in own
        }
        (step,) = await s.store.run(steps.of_run, second.id)
        assert (step.status, step.cached, step.attempts) == (StepStatus.SUCCEEDED, True, 0)
        (artifact,) = await s.store.run(artifacts.of_run, second.id)
        kept = open_artifacts(s.integration.settings, s.store.data_dir)
        assert await kept.read(artifact.digest, limit=10) == b"a"


async def test_another_task_and_project_with_the_same_work_get_it_too(tmp_path: Path) -> None:
    async with cached_scene(tmp_path) as s:
        first = await ended(s, (await s.task("Build", pipeline=pipeline())).id)
        copy = tmp_path / "elsewhere"
        shutil.copytree(tmp_path / "source", copy)
        other = await s.service.create_project("other", source_folder=str(copy))
        task = await s.service.create_task(other.id, "Build it", pipeline=pipeline())
        assert (await ended(s, task.id)).original_run_id == first.id


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda folder: (folder / "a.txt").write_text("b"), id="a file's content"),
        pytest.param(lambda folder: (folder / "new.txt").write_text(""), id="a new file"),
        pytest.param(lambda folder: (folder / "a.txt").chmod(0o755), id="a file's mode"),
        pytest.param(lambda folder: (folder / "a.txt").rename(folder / "b.txt"), id="a file's name"),
    ],
)
async def test_a_changed_source_is_executed_and_named(tmp_path: Path, change: Any) -> None:
    async with cached_scene(tmp_path) as s:
        task = await s.task("Build", pipeline=pipeline(build(outputs=[])))
        first = await ended(s, task.id)
        change(tmp_path / "source")
        second = await ended(s, task.id)
        assert second.original_run_id is None
        explained = await queries(s).explain(second.id)
        assert explained.compared is not None
        assert explained.compared.run_id == first.id
        assert {one.component for one in explained.compared.differences} == {"sources"}
        assert {file.path for file in explained.compared.files} & {"a.txt", "new.txt", "b.txt"}
        assert "source files" in explained.text


async def test_files_that_no_step_takes_do_not_count(tmp_path: Path) -> None:
    async with cached_scene(tmp_path) as s:
        task = await s.task("Build", pipeline=pipeline())
        await ended(s, task.id)
        (tmp_path / "source" / "debug.log").write_text("excluded by the source")
        (tmp_path / "source" / ".gitignore").write_text("")
        await ended(s, task.id)
        (tmp_path / "source" / ".gitignore").write_text("")
        (tmp_path / "source" / "trace.log").write_text("excluded too")
        assert (await ended(s, task.id)).original_run_id is not None


async def test_a_changed_parameter_is_named_with_what_it_was_and_is(tmp_path: Path) -> None:
    async with cached_scene(tmp_path) as s:
        task = await s.task("Say", template_id="shell-command", inputs={"script": "echo a", "image": "busybox"})
        await ended(s, task.id)
        second = await ended(s, task.id, workflow_params={"script": "echo b"})
        explained = await queries(s).explain(second.id)
        assert explained.compared is not None
        changed = {(one.component, one.part): (one.before, one.after) for one in explained.compared.differences}
        assert changed["parameters", "script"] == ('"echo a"', '"echo b"')


async def test_skip_cache_and_repeated_runs_execute_anew(tmp_path: Path) -> None:
    async with cached_scene(tmp_path) as s:
        task = await s.task("Build", pipeline=pipeline())
        first = await ended(s, task.id)
        skipped = await ended(s, task.id, skip_cache=True)
        again = await s.integration.wait_for_run((await s.integration.rerun(first.id)).id)
        assert len(s.engine.calls) == 3
        assert [(await record_of(s, run)).reason for run in (skipped, again)] == ["skip_cache", "rerun"]
        assert (await ended(s, task.id)).original_run_id == again.id, "the newest result is the one that is kept"


async def test_a_pipeline_with_a_step_that_never_repeats_is_not_asked_for(tmp_path: Path) -> None:
    async with cached_scene(tmp_path) as s:
        task = await s.task("Build", pipeline=pipeline(build(cache="never")))
        await ended(s, task.id)
        second = await ended(s, task.id)
        assert len(s.engine.calls) == 2
        record = await record_of(s, second)
        assert (record.outcome, record.reason) == (CacheOutcome.OFF, "non_deterministic")
        assert "build" in record.text


@pytest.mark.parametrize(
    ("policy", "hit"),
    [
        ({"mode": "never"}, False),
        ({"mode": "always"}, True),
        ({"longer_than": 3600}, False),
        ({"longer_than": 0}, True),
        ({"branches": ["main"]}, True),
        ({"branches": ["release"]}, False),
        ({"ttl": 3600}, True),
    ],
)
async def test_the_policy_of_a_pipeline_decides(tmp_path: Path, policy: dict[str, Any], hit: bool) -> None:
    async with cached_scene(tmp_path) as s:
        (tmp_path / "source" / ".git").mkdir()
        (tmp_path / "source" / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
        task = await s.task("Build", pipeline=pipeline(cache=policy))
        await ended(s, task.id)
        assert ((await ended(s, task.id)).original_run_id is not None) is hit


async def test_failures_are_kept_only_where_the_policy_says_so(tmp_path: Path) -> None:
    once = {"strategy": "none"}
    async with cached_scene(tmp_path) as s:
        broken = build(command=["broken"], outputs=[])
        plain = await s.task("Plain", pipeline=pipeline(broken, retry=once))
        kept = await s.task("Kept", pipeline=pipeline({**broken, "name": "x"}, retry=once, cache={"failures": 600}))
        for task in (plain, plain, kept):
            await ended(s, task.id)
        assert len(s.engine.calls) == 3
        again = await ended(s, kept.id)
        assert len(s.engine.calls) == 3
        assert again.status is WorkflowStatus.FAILED
        assert again.reason is not None
        assert again.reason.code == "step_failed"
        assert again.reason.details["cached"] is True


async def test_a_result_whose_artifacts_are_gone_is_no_hit(tmp_path: Path) -> None:
    async with cached_scene(tmp_path) as s:
        task = await s.task("Build", pipeline=pipeline())
        first = await ended(s, task.id)
        (artifact,) = await s.store.run(artifacts.of_run, first.id)
        await open_artifacts(s.integration.settings, s.store.data_dir).remove(artifact.digest)
        second = await ended(s, task.id)
        assert second.original_run_id is None
        assert (await record_of(s, second)).reason == "artifacts_missing"
        assert (await ended(s, task.id)).original_run_id == second.id


async def test_what_an_image_was_is_learned_from_the_run_where_nobody_could_tell_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with cached_scene(tmp_path) as s:
        communication = s.integration.communication
        known = communication.known_digest

        async def nobody_knows(references: Sequence[str]) -> dict[str, str | None]:
            return dict.fromkeys(references)

        monkeypatch.setattr(communication, "known_digest", lambda one: known(one) if s.engine.calls else None)
        monkeypatch.setattr(communication, "ask_for_digests", nobody_knows)
        task = await s.task("Build", pipeline=pipeline())
        first = await ended(s, task.id)
        assert (await record_of(s, first)).reason == "image_unknown"
        assert (await ended(s, task.id)).original_run_id == first.id


async def test_a_result_that_made_room_for_others_is_told_as_gone(tmp_path: Path) -> None:
    async with cached_scene(tmp_path, cache={"memory_bytes": 1, "disk_bytes": 20_000}) as s:
        tasks = [await s.task(f"Build {n}", pipeline=pipeline(build(name=str(n)))) for n in range(8)]
        for task in tasks:
            await ended(s, task.id)
        again = await ended(s, tasks[0].id)
        record = await record_of(s, again)
        assert (record.outcome, record.reason) == (CacheOutcome.MISS, "gone")
        assert "made room for others" in (await queries(s).explain(again.id)).text


async def test_read_only_looks_up_and_keeps_nothing(tmp_path: Path) -> None:
    async with cached_scene(tmp_path) as s:
        task = await s.task("Build", pipeline=pipeline())
        other = await s.task("Other", pipeline=pipeline(build(name="other")))
        await ended(s, task.id)
        settings = s.integration.settings.model_copy(update={"cache": CacheSettings(read_only=True)})
        await s.integration.shutdown()
        reading = TaskWorkflowIntegration(
            store=s.store, communication=s.integration.communication, settings=settings, execute_here=True
        )
        async with reading:
            reader = replace(s, integration=reading)
            assert (await ended(reader, task.id)).original_run_id is not None
            for _ in range(2):
                assert (await ended(reader, other.id)).original_run_id is None


async def test_in_read_only_mode_equal_runs_do_not_wait_for_each_other(tmp_path: Path) -> None:
    async with cached_scene(tmp_path, cache={"read_only": True}, run_parallelism=2) as s:
        tasks = [await s.task(f"Build {number}", pipeline=pipeline()) for number in range(2)]
        go_on = asyncio.Event()
        s.engine.hold = go_on.wait
        started = [await s.integration.execute_task_workflow(task.id) for task in tasks]
        async with asyncio.timeout(60):
            while True:
                found = {(await s.store.run(runs.get, run.id)).status for run in started}
                if found == {WorkflowStatus.RUNNING}:
                    break
                await asyncio.sleep(0.02)
            go_on.set()
            over = [await s.integration.wait_for_run(run.id) for run in started]
        assert {run.original_run_id for run in over} == {None}


async def test_equal_runs_at_the_same_time_execute_once(tmp_path: Path) -> None:
    async with cached_scene(tmp_path) as s:
        tasks = [await s.task(f"Build {number}", pipeline=pipeline()) for number in range(4)]
        go_on = asyncio.Event()
        s.engine.hold = go_on.wait
        started = [await s.integration.execute_task_workflow(task.id) for task in tasks]
        async with asyncio.timeout(60):
            await s.engine.busy.wait()
            while True:
                waits = [await s.integration.why_waiting(run.id) for run in started]
                held = [wait for wait in waits if wait.reason is not None and wait.reason.code == "equal_run"]
                if len(held) == 3:
                    break
                await asyncio.sleep(0.02)
            go_on.set()
            over = [await s.integration.wait_for_run(run.id) for run in started]
        assert len(s.engine.calls) == 1
        (executed,) = [run.id for run in over if run.original_run_id is None]
        assert {run.original_run_id for run in over} == {None, executed}
        assert {run.flight for run in over} == {None}


async def test_when_the_executed_one_of_equal_runs_fails_the_next_is_executed(tmp_path: Path) -> None:
    async with cached_scene(tmp_path) as s:
        broken = pipeline(build(command=["broken"], outputs=[]), retry={"strategy": "none"})
        tasks = [await s.task(f"Build {number}", pipeline=broken) for number in range(3)]
        started = [await s.integration.execute_task_workflow(task.id) for task in tasks]
        async with asyncio.timeout(60):
            over = [await s.integration.wait_for_run(run.id) for run in started]
        assert {run.status for run in over} == {WorkflowStatus.FAILED}
        assert len(s.engine.calls) == 3


async def test_a_dependent_hits_as_long_as_what_it_takes_is_the_same(tmp_path: Path) -> None:
    async with cached_scene(tmp_path) as s:
        first = await s.task("First", pipeline=pipeline())
        takes = {"type": "task", "task": "First", "target": "/task/result.json"}
        second = await s.task("Second", pipeline=pipeline(build(sources=[takes], outputs=[])), needs=(first,))

        async def both(**arguments: Any) -> list[bool]:
            started = await s.integration.execute_workflows_for_project(s.project.id, **arguments)
            async with asyncio.timeout(60):
                over = [await s.integration.wait_for_run(run.id) for run in started]
            return [run.original_run_id is not None for run in over]

        assert await both() == [False, False]
        assert await both() == [True, True]
        (tmp_path / "source" / "a.txt").write_text("b")
        assert await both() == [False, False], "another result comes in"
        explained = await queries(s).explain((await s.store.run(runs.latest, second.id)).id)  # type: ignore[union-attr]
        assert explained.compared is not None
        assert {one.component for one in explained.compared.differences} == {"inputs"}


async def test_secrets_count_by_value_and_are_written_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with cached_scene(tmp_path) as s:
        monkeypatch.setenv("DEPLOY_KEY", "tr0ub4dor-first")
        task = await s.task("Build", pipeline=pipeline(build(secrets={"KEY": "env:DEPLOY_KEY"})))
        await ended(s, task.id)
        assert (await ended(s, task.id)).original_run_id is not None
        monkeypatch.setenv("DEPLOY_KEY", "tr0ub4dor-second")
        third = await ended(s, task.id)
        assert third.original_run_id is None
        explained = await queries(s).explain(third.id)
        assert explained.compared is not None
        assert {one.part for one in explained.compared.differences} == {"build/KEY"}
    places = [tmp_path / "data" / "cache", *(tmp_path / "data").glob("*.db*"), *(tmp_path / "data").glob("*.sqlite*")]
    written = [file for place in places for file in (place.rglob("*") if place.is_dir() else [place]) if file.is_file()]
    assert written
    assert not [file for file in written if b"tr0ub4dor" in file.read_bytes()]


async def test_a_prediction_is_what_then_happens(tmp_path: Path) -> None:
    async with cached_scene(tmp_path) as s:
        two = pipeline(build(), {"id": "check", "image": "busybox", "command": ["check"]})
        task = await s.task("Build", pipeline=two)
        ask = queries(s)
        before = await ask.predict(task.id)
        assert (before.outcome, before.reason, before.compared) == (CacheOutcome.MISS, "not_stored", None)
        first = await ended(s, task.id)
        hit = await ask.predict(task.id)
        assert (hit.outcome, hit.original_run_id) == (CacheOutcome.HIT, first.id)
        assert hit.saved_seconds == pytest.approx(first.seconds, abs=1)
        (tmp_path / "source" / "a.txt").write_text("b")
        miss = await ask.predict(task.id)
        assert {step.step_id: step.outcome for step in miss.steps} == {
            "build": CacheOutcome.MISS,
            "check": CacheOutcome.HIT,
        }
        assert miss.compared is not None
        assert [file.path for file in miss.compared.files] == ["a.txt"]
        assert (await ended(s, task.id)).original_run_id is None


async def test_cleared_results_are_explained_still(tmp_path: Path) -> None:
    async with cached_scene(tmp_path) as s:
        task = await s.task("Build", pipeline=pipeline(cache={"tags": ["nightly"]}))
        other = await s.task("Other", pipeline=pipeline(build(name="other")))
        await ended(s, task.id)
        await ended(s, other.id)
        ask = queries(s)
        would = await ask.clear(Selection(tag="nightly"), dry_run=True)
        assert [entry.task_title for entry in would] == ["Build"]
        assert len(await ask.entries(Selection())) == 2
        await ask.clear(Selection(tag="nightly"), dry_run=False)
        assert [entry.task_title for entry, _ in await ask.entries(Selection())] == ["Other"]
        again = await ended(s, task.id)
        record = await record_of(s, again)
        assert (record.outcome, record.reason) == (CacheOutcome.MISS, "cleared")
        assert (await ask.explain(again.id)).text.startswith("Miss, though run")


async def test_figures_tell_hits_misses_by_reason_and_seconds_saved(tmp_path: Path) -> None:
    async with cached_scene(tmp_path) as s:
        task = await s.task("Build", pipeline=pipeline())
        await ended(s, task.id)
        await ended(s, task.id)
        await ended(s, task.id, skip_cache=True)
        figures = await queries(s).figures()
        assert (figures.hits, figures.misses, figures.off) == (1, {"not_stored": 1}, {"skip_cache": 1})
        assert figures.by_project == {"demo": {"hits": 1, "misses": 1, "saved_seconds": figures.saved_seconds}}
        assert {tier.name: tier.entries for tier in figures.tiers}["disk"] == 1
        assert json.dumps(dict(figures.by_template))


async def test_a_broken_cache_fails_no_run(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "cache").write_text("in the way")
    async with cached_scene(tmp_path) as s:
        task = await s.task("Build", pipeline=pipeline())
        for _ in range(2):
            assert (await ended(s, task.id)).status is WorkflowStatus.SUCCEEDED

"""Results are kept in the forms that a pipeline or template asks for, as artifacts of the run."""

from __future__ import annotations

import importlib
import json
import sys
import threading
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType

import pytest
from pydantic import ValidationError

from task_manager.artifacts import open_artifacts
from task_manager.logs import Scrubber
from task_manager.pipeline import Pipeline
from task_manager.result_forms import keep_forms
from task_manager.result_processor import parse_result
from task_manager.results.transformers import GROUP
from task_manager.store import artifacts, results, runs
from task_manager.workflow_status import WorkflowStatus
from tests.test_task_workflow_integration import Scene, scene

STEP = {"id": "only", "image": "busybox", "command": ["work"]}


@pytest.fixture
def released(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Transformers of another package: one works, one fails, one ends only when the event is set."""
    event = threading.Event()
    other = ModuleType("team_reports")
    vars(other).update(page=lambda one: one.run_id.encode(), bad=lambda _: 1 / 0, slow=lambda _: event.wait(60) and b"")
    monkeypatch.setitem(sys.modules, "team_reports", other)
    named = {"team.html": "page", "team.bad": "bad", "team.slow": "slow"}
    points = [EntryPoint(name, f"team_reports:{function}", GROUP) for name, function in named.items()]
    module = importlib.import_module("task_manager.results.transformers")
    monkeypatch.setattr(module, "entry_points", lambda group: points if group == GROUP else [])
    return event


async def run_with(s: Scene, forms: list[str]) -> str:
    task = await s.task("Work", pipeline={"steps": [STEP], "result": {"forms": forms}})
    return (await s.integration.wait_for_run((await s.integration.execute_task_workflow(task.id)).id)).id


async def content(s: Scene, run_id: str) -> dict[str, bytes]:
    kept = open_artifacts(s.integration.settings, s.store.data_dir)
    there = await s.store.run(artifacts.of_run, run_id)
    return {one.name: await kept.read(one.digest, limit=100_000) for one in there}


@pytest.mark.usefixtures("released")
async def test_the_forms_that_are_asked_for_are_artifacts_and_one_that_fails_fails_alone(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        run_id = await run_with(s, ["markdown", "json", "junit", "team.bad", "team.html", "no-such-form"])
        run = await s.store.run(runs.get, run_id)
        assert run.status is WorkflowStatus.SUCCEEDED
        found = await content(s, run_id)
        assert sorted(found) == ["result.json", "result.md", "result.team.html"]
        assert json.loads(found["result.json"])["run_id"] == run_id
        assert found["result.md"].startswith(b"#")
        assert found["result.team.html"] == run_id.encode()
        named = ("junit", "team.bad", "no-such-form")
        assert len(run.warnings) == len(named)
        assert all(f"the form {form}: " in text for form, text in zip(named, run.warnings, strict=True))


async def test_a_form_that_takes_too_long_is_left_out(tmp_path: Path, released: threading.Event) -> None:
    async with scene(tmp_path) as s:
        run_id = await run_with(s, [])
        stored = await s.store.run(results.get, run_id)
        assert stored is not None
        run = await s.store.run(runs.get, run_id)
        kept = open_artifacts(s.integration.settings, s.store.data_dir)
        about = {"folder": tmp_path / "run", "now": run.updated_at, "scrubber": Scrubber(())}
        try:
            await keep_forms(s.store, kept, parse_result(stored), ["team.slow", "json"], seconds=1.0, **about)  # type: ignore[arg-type]
        finally:
            released.set()
        assert sorted(await content(s, run_id)) == ["result.json"]
        assert "longer than 1 s" in (await s.store.run(runs.get, run_id)).warnings[0]


def test_a_name_that_no_form_can_have_is_refused() -> None:
    with pytest.raises(ValidationError, match="forms"):
        Pipeline.model_validate({"steps": [STEP], "result": {"forms": ["../x"]}})

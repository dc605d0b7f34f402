"""What is done about the failures of runs by their class, and what their diagnoses tell, over a real store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from task_manager.errors import EngineError
from task_manager.failure_rules import FailureClass
from task_manager.models import WorkflowRun
from task_manager.results.diagnosis import Diagnosis
from task_manager.results.run_changes import ChangeKind
from task_manager.store import events
from task_manager.testing import FakeCall, FakeExec
from task_manager.workflow_status import WorkflowStatus
from tests.test_task_workflow_integration import Scene, scene

AT_ONCE: dict[str, Any] = {"retry": {"strategy": "immediate", "attempts": 4}}
RESET = "ConnectionResetError: [Errno 104] Connection reset by peer"


def each_time(*answers: FakeExec) -> Callable[[FakeCall], FakeExec]:
    """One answer after the other; the last one again and again."""
    following: Iterator[FakeExec] = iter(answers)
    last = answers[-1]
    return lambda _: next(following, last)


def failing(output: str, code: int = 1) -> FakeExec:
    return FakeExec(exit_code=code, stderr=output)


async def ended(s: Scene, **task: Any) -> tuple[WorkflowRun, Diagnosis | None]:
    made = await s.task("Work", **task)
    run = await s.integration.execute_task_workflow(made.id)
    over = await s.integration.wait_for_run(run.id)
    return over, await s.integration.get_diagnosis(run.id)


async def test_what_passes_is_tried_again_and_told(tmp_path: Path) -> None:
    answers = each_time(failing(RESET), failing("curl: (6) Could not resolve host: example.org"), FakeExec())
    async with scene(tmp_path, answers, **AT_ONCE) as s:
        run, diagnosis = await ended(s)
        assert (run.status, run.attempt, diagnosis) == (WorkflowStatus.SUCCEEDED, 3, None)
        assert len(s.engine.calls) == 3


async def test_a_command_that_fails_by_itself_ends_its_run_at_once(tmp_path: Path) -> None:
    async with scene(tmp_path, each_time(failing("FAILED tests/test_a.py::test_b - assert 2 == 4")), **AT_ONCE) as s:
        run, diagnosis = await ended(s)
        assert (run.status, run.attempt) == (WorkflowStatus.FAILED, 1)
        assert diagnosis is not None
        assert (diagnosis.failure_class, diagnosis.rule) == (FailureClass.DETERMINISTIC, "tests_failed")
        assert (diagnosis.step_id, diagnosis.exit_code, diagnosis.tried) == ("only", 1, ())


async def test_a_command_that_fails_in_the_same_way_twice_in_a_row_is_not_tried_a_third_time(tmp_path: Path) -> None:
    answers = each_time(*(failing(f"2026-01-02 03:04:0{second} pid {second}: {RESET}") for second in range(5)))
    async with scene(tmp_path, answers, **AT_ONCE) as s:
        run, diagnosis = await ended(s)
        assert (run.status, run.attempt) == (WorkflowStatus.FAILED, 2)
        assert run.warnings == ("Not tried again: it failed in the same way twice in a row.",)
        assert diagnosis is not None
        assert [(one.attempt, one.rule, one.action) for one in diagnosis.tried] == [
            (1, "connection_lost", "Tried again after 0 s."),
            (2, "connection_lost", "Not tried again: it failed in the same way twice in a row."),
        ]
        assert {one.fingerprint for one in diagnosis.tried} == {diagnosis.fingerprint}


async def test_after_a_time_out_the_limits_are_longer_where_that_is_allowed(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"retry": {"strategy": "immediate", "attempts": 3, "time_factor": 4}}
    pipeline = {"steps": [{"id": "only", "image": "busybox", "command": ["work"], "timeout": 0.05}]}
    async with scene(tmp_path, **settings) as s:
        s.engine.hold = asyncio.Event().wait
        task = await s.task("Work", pipeline=pipeline)
        run = await s.integration.execute_task_workflow(task.id)
        over = await s.integration.wait_for_run(run.id)
        assert (over.status, over.attempt) == (WorkflowStatus.TIMED_OUT, 3)
        diagnosis = await s.integration.get_diagnosis(run.id)
        assert diagnosis is not None
        assert (diagnosis.failure_class, diagnosis.resource) == (FailureClass.RESOURCE, "time")
        assert diagnosis.lines[0].startswith("Step only was stopped after 0.8 s")
        assert [one.action for one in diagnosis.tried] == ["Tried again after 0 s, with 4 times the time."] * 2


async def test_after_memory_ran_out_the_steps_run_alone_where_that_is_allowed(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"retry": {"strategy": "immediate", "on": ["memory"]}, "parallelism": 2}
    image = {"image": "busybox"}
    steps = [{"id": "large", "command": ["large"], **image}, {"id": "other", "command": ["other"], **image}]
    running, most, attempts = 0, 0, 0

    def answer(call: FakeCall) -> FakeExec:
        nonlocal attempts
        attempts += call.arguments == ("large",)
        return failing("MemoryError") if call.arguments == ("large",) and attempts == 1 else FakeExec()

    async with scene(tmp_path, answer, **settings) as s:

        async def hold() -> None:
            nonlocal running, most
            running += 1
            most = max(most, running if attempts > 1 else 0)
            await asyncio.sleep(0)
            running -= 1

        s.engine.hold = hold
        run, _ = await ended(s, pipeline={"steps": steps})
        assert (run.status, run.attempt, most) == (WorkflowStatus.SUCCEEDED, 2, 1)
        happened = await s.store.run(events.after, 0, run_id=run.id)
        (told,) = [
            one.reason.details["recovery"] for one in happened if one.reason and "recovery" in one.reason.details
        ]
        assert isinstance(told, dict)
        assert (told["alone"], told["action"]) == (True, "Tried again after 0 s, each step alone on its worker.")


async def test_a_time_out_ends_the_run_where_nothing_else_is_set(tmp_path: Path) -> None:
    pipeline = {"steps": [{"id": "only", "image": "busybox", "command": ["work"], "timeout": 0.05}]}
    async with scene(tmp_path, **AT_ONCE) as s:
        s.engine.hold = asyncio.Event().wait
        run, _ = await ended(s, pipeline=pipeline)
        assert (run.status, run.attempt) == (WorkflowStatus.TIMED_OUT, 1)


async def test_where_the_engines_cache_is_damaged_it_is_repaired_and_every_step_runs_anew(tmp_path: Path) -> None:
    gone = EngineError("[Errno 2] No such file or directory: '/data/engine/entries/12/12ab/0'")
    async with scene(tmp_path, each_time(FakeExec(error=gone), FakeExec()), **AT_ONCE) as s:
        run, _ = await ended(s)
        assert (run.status, run.attempt) == (WorkflowStatus.SUCCEEDED, 2)
        happened = await s.store.run(events.after, 0, run_id=run.id)
        told = [one.reason.details["recovery"] for one in happened if one.reason and "recovery" in one.reason.details]
        (recovery,) = told
        assert isinstance(recovery, dict)
        assert (recovery["rule"], recovery["fresh"]) == ("engine_cache_entry_unreadable", True)
        assert str(recovery["action"]).startswith("Of the engine's cache 0 entries were damaged, and removed.")


async def test_a_pipelines_own_rule_decides_whether_it_is_tried_again(tmp_path: Path) -> None:
    rule = {"id": "busy", "failure_class": "transient", "summary": "All licences are in use.", "exit_codes": [3]}
    pipeline = {"steps": [{"id": "only", "image": "busybox", "command": ["work"]}], "failures": [rule]}
    async with scene(tmp_path, each_time(failing("no", 3), FakeExec()), **AT_ONCE) as s:
        run, _ = await ended(s, pipeline=pipeline)
        assert (run.status, run.attempt) == (WorkflowStatus.SUCCEEDED, 2)


async def test_the_diagnosis_stands_in_the_result_and_in_the_runs_state(tmp_path: Path) -> None:
    async with scene(tmp_path, each_time(failing("error: no"))) as s:
        run, diagnosis = await ended(s)
        state = await s.integration.get_run(run.id)
        assert state.result is not None
        assert diagnosis is not None
        assert state.diagnosis == diagnosis
        assert state.result["diagnosis"] == diagnosis.model_dump(mode="json")
        assert diagnosis.actions[0].command == f"task-manager run logs {run.id} --step only"


async def test_what_changed_since_the_last_success_names_files_and_parameters(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for name in ("kept.txt", "edited.txt", "removed.txt"):
        (source / name).write_text("as it was")
    succeeded = FakeExec()
    async with scene(tmp_path, each_time(succeeded, failing("error: no"))) as s:
        step = {"id": "only", "image": "busybox", "command": ["work"], "sources": [{"type": "host", "target": "/task"}]}
        task = await s.task("Work", pipeline={"steps": [step]})
        first = await s.integration.execute_task_workflow(task.id)
        assert (await s.integration.wait_for_run(first.id)).status is WorkflowStatus.SUCCEEDED
        (source / "edited.txt").write_text("as it is")
        (source / "removed.txt").unlink()
        (source / "added.txt").write_text("new")
        await s.service.update_task(task.id, {"pipeline": {"steps": [{**step, "timeout": 60}]}})
        second = await s.integration.execute_task_workflow(task.id)
        assert (await s.integration.wait_for_run(second.id)).status is WorkflowStatus.FAILED
        diagnosis = await s.integration.get_diagnosis(second.id)
        assert diagnosis is not None
        assert diagnosis.changes is not None
        assert diagnosis.changes.since == first.id
        assert {(one.kind, one.name, one.after) for one in diagnosis.changes.changes} == {
            (ChangeKind.SOURCE, "edited.txt", "changed"),
            (ChangeKind.SOURCE, "removed.txt", None),
            (ChangeKind.SOURCE, "added.txt", "added"),
            (ChangeKind.PIPELINE, "only.timeout", "60.0"),
        }
        assert diagnosis.flake is None


async def test_the_same_inputs_that_failed_and_succeeded_are_known_to_be_flaky(tmp_path: Path) -> None:
    async with scene(tmp_path, each_time(FakeExec(), failing("error: no"))) as s:
        task = await s.task("Work")
        assert await s.run(task) is WorkflowStatus.SUCCEEDED
        assert await s.run(task, skip_cache=True) is WorkflowStatus.FAILED
        run = await s.integration.execute_task_workflow(task.id, skip_cache=True)
        await s.integration.wait_for_run(run.id)
        diagnosis = await s.integration.get_diagnosis(run.id)
        assert diagnosis is not None
        assert diagnosis.flake is not None
        assert (diagnosis.flake.succeeded, diagnosis.flake.failed) == (1, 2)
        assert diagnosis.changes is not None
        assert diagnosis.changes.total == 0
        assert diagnosis.actions[0].command == f"task-manager run retry {run.id}"


async def test_a_skipped_and_a_cancelled_run_have_diagnoses(tmp_path: Path) -> None:
    async with scene(tmp_path, each_time(failing("error: no"))) as s:
        first = await s.task("First")
        await s.task("Second", needs=(first,))
        started = await s.integration.execute_workflows_for_project(s.project.id)
        runs = [await s.integration.wait_for_run(run.id) for run in started]
        assert [run.status for run in runs] == [WorkflowStatus.FAILED, WorkflowStatus.SKIPPED]
        diagnosis = await s.integration.get_diagnosis(runs[1].id)
        assert diagnosis is not None
        assert diagnosis.failure_class is FailureClass.POLICY
        assert diagnosis.actions[0].command == f"task-manager run diagnose {runs[0].id}"


@pytest.mark.parametrize(
    ("missing", "found"), [("report.xml", "in /task only made/, other.txt"), ("out/data.csv", "no folder /task/out")]
)
async def test_a_missing_output_is_of_its_own_class_and_names_the_file_and_what_is_there(
    tmp_path: Path, missing: str, found: str
) -> None:
    step = {"id": "only", "image": "busybox", "command": ["work"], "outputs": [{"name": "report", "path": missing}]}
    reports = {"reports": [{"step": "only", "output": "report", "format": "junit"}]}
    left = FakeExec(files={"/task/other.txt": "x", "/task/made/a.txt": "x"})
    async with scene(tmp_path, each_time(left), **AT_ONCE) as s:
        run, diagnosis = await ended(s, pipeline={"steps": [step], "result": reports})
        assert (run.status, run.attempt) == (WorkflowStatus.FAILED, 1)
        assert diagnosis is not None
        assert diagnosis.failure_class is FailureClass.OUTPUT_INVALID
        assert f"/task/{missing}" in diagnosis.lines[0]
        assert f"found {found}" in diagnosis.lines[0]
        result: Any = (await s.integration.get_run(run.id)).result
        assert result is not None
        assert [(one["file"], one["expected"], one["found"]) for one in result["problems"]] == [
            ("only/report", "a report (junit)", "nothing")
        ]


async def test_a_broken_report_is_told_with_all_its_problems_and_what_is_valid_is_kept(tmp_path: Path) -> None:
    outputs = [{"name": name, "path": f"{name}.json"} for name in ("good", "bad", "worse")]
    step = {"id": "only", "image": "busybox", "command": ["work"], "outputs": outputs}
    reports = {
        "reports": [{"step": "only", "output": one["name"], "format": "metrics_json"} for one in outputs],
        "type": "ml_training",
    }
    left = FakeExec(files={"/task/good.json": '{"accuracy": 1}', "/task/bad.json": '{"a"', "/task/worse.json": "[]"})
    async with scene(tmp_path, each_time(left), **AT_ONCE) as s:
        run, diagnosis = await ended(s, pipeline={"steps": [step], "result": reports})
        assert run.reason is not None
        assert run.reason.text.startswith("only/bad: expected JSON with named numbers, found a syntax error")
        assert run.reason.text.endswith("(1 more)")
        assert diagnosis is not None
        assert (diagnosis.failure_class, diagnosis.step_id) == (FailureClass.OUTPUT_INVALID, None)
        result: Any = (await s.integration.get_run(run.id)).result
        assert result is not None
        assert [one["file"] for one in result["problems"]] == ["only/bad", "only/worse"]
        assert result["diagnosis"]["rule"] == "output_invalid"
        assert {"name": "accuracy", "value": 1.0, "unit": ""} in result["metrics"]

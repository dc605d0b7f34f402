"""The use cases on workflows and runs, over a real store and a faked engine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import JsonValue

from task_manager.config import Settings
from task_manager.dagger_integration import TaskWorkflowIntegration
from task_manager.errors import (
    Conflict,
    DependenciesNotMet,
    InvalidInput,
    InvalidParameters,
    InvalidPipeline,
    NotFound,
    WorkflowTypeConflict,
)
from task_manager.models import Project, Task, WorkflowType
from task_manager.store import Store, events, runs, tasks
from task_manager.task_service import TaskService
from task_manager.testing import FakeCall, FakeCommunicationManager, FakeEngine, FakeExec
from task_manager.workflow_status import StepStatus, TaskStatus, WorkflowStatus


@dataclass
class Scene:
    """A project in a store, with the use cases over it."""

    store: Store
    service: TaskService
    integration: TaskWorkflowIntegration
    engine: FakeEngine
    project: Project

    async def task(self, title: str, *, command: str = "work", needs: tuple[Task, ...] = (), **fields: Any) -> Task:
        if "template_id" not in fields and "pipeline" not in fields:
            fields["pipeline"] = {"steps": [{"id": "only", "image": "busybox", "command": [command]}]}
        dependencies = [task.id for task in needs]
        return await self.service.create_task(self.project.id, title, dependencies=dependencies, **fields)

    async def run(self, task: Task, **arguments: Any) -> WorkflowStatus:
        started = await self.integration.execute_task_workflow(task.id, **arguments)
        return (await self.integration.wait_for_run(started.id)).status


@asynccontextmanager
async def scene(
    folder: Path, answer: Callable[[FakeCall], FakeExec] | None = None, **settings: object
) -> AsyncIterator[Scene]:
    configured = Settings.model_validate({"data_dir": folder / "data", "pipelines_dir": None, **settings})
    source = folder / "source"
    source.mkdir(exist_ok=True)
    engine = FakeEngine(answer)
    with Store.open(configured.data_dir) as store:
        service = TaskService(store)
        project = await service.create_project("demo", source_folder=str(source))
        communication = FakeCommunicationManager(configured, engine)
        async with TaskWorkflowIntegration(store=store, communication=communication, settings=configured) as opened:
            yield Scene(store, service, opened, engine, project)


def fails(command: str) -> Callable[[FakeCall], FakeExec]:
    return lambda call: FakeExec(exit_code=1 if call.arguments == (command,) else 0)


async def test_a_task_runs_to_a_stored_result(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        task = await s.task("Say hello")
        assert await s.run(task) is WorkflowStatus.SUCCEEDED
        state = await s.integration.get_workflow_status(task.id)
        assert state.task.status is TaskStatus.DONE
        assert state.latest is not None
        assert [step.status for step in state.latest.steps] == [StepStatus.SUCCEEDED]
        assert state.latest.result is not None
        assert state.latest.result["status"] == "succeeded"


async def test_who_subscribes_to_a_run_gets_its_events_as_they_happen(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        run = await s.integration.execute_task_workflow((await s.task("Work")).id)
        seen: list[WorkflowStatus | None] = []
        async with asyncio.timeout(20), aclosing(s.integration.communication.subscribe(run_id=run.id)) as events_of_run:
            async for event in events_of_run:
                seen.append(event.status)
                if event.status is not None and event.status.is_terminal:
                    break
        assert [status for status in seen if status][:2] == [WorkflowStatus.CREATED, WorkflowStatus.QUEUED]
        assert seen[-1] is WorkflowStatus.SUCCEEDED


async def test_each_run_leaves_its_whole_history_in_the_event_log(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        run = await s.integration.execute_task_workflow((await s.task("A")).id, actor="agent-7")
        await s.integration.wait_for_run(run.id)
        log = await s.store.run(events.after, 0, run_id=run.id)
        statuses = [event.status.value for event in log if event.status]
        assert statuses == ["created", "queued", "preparing", "running", "processing", "succeeded"]
        assert [event.run_sequence for event in log] == list(range(1, len(log) + 1))
        assert log[0].actor == "agent-7"


async def test_a_failing_command_fails_the_run_and_says_which_step_and_code(tmp_path: Path) -> None:
    async with scene(tmp_path, fails("work")) as s:
        task = await s.task("A")
        assert await s.run(task) is WorkflowStatus.FAILED
        state = await s.integration.get_workflow_status(task.id)
        assert state.latest is not None
        assert state.latest.run.reason is not None
        assert state.latest.run.reason.code == "step_failed"
        assert state.latest.steps[0].exit_code == 1
        assert state.task.status is TaskStatus.BLOCKED


async def test_a_workflow_is_made_once_and_again_when_the_task_was_edited(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        task = await s.task("A")
        await s.run(task)
        await s.run(task)
        assert await version(s, task) == 1
        edited = {"steps": [{"id": "only", "image": "busybox", "command": ["other"]}]}
        await s.service.update_task(task.id, {"pipeline": edited})
        await s.run(task)
        assert await version(s, task) == 2
        assert s.engine.calls[-1].arguments == ("other",)


async def version(s: Scene, task: Task) -> int:
    state = await s.integration.get_workflow_status(task.id)
    assert state.workflow is not None
    return state.workflow.version


async def test_creating_a_workflow_again_makes_the_next_version_the_current_one(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        task = await s.task("A")
        first = await s.integration.create_workflow_from_task(task.id, "First")
        second = await s.integration.create_workflow_from_task(task.id, "Second")
        assert (first.version, second.version) == (1, 2)
        state = await s.integration.get_workflow_status(task.id)
        assert state.workflow == second


async def test_parameters_make_a_new_version_with_them(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        task = await s.task("Echo", template_id="shell-command", inputs={"command": ["echo", "one"]})
        await s.run(task)
        await s.run(task, workflow_params={"command": ["echo", "two"]})
        assert await version(s, task) == 2
        assert "two" in s.engine.calls[-1].arguments


async def test_a_workflow_from_a_template_is_used_by_later_runs(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        task = await s.task("Echo")
        made = await s.integration.create_workflow_from_template(task.id, "shell-command", {"command": ["echo", "hi"]})
        await s.run(task)
        state = await s.integration.get_workflow_status(task.id)
        assert state.latest is not None
        assert state.latest.run.workflow_id == made.id


async def test_a_contradicting_workflow_type_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        task = await s.task("A")
        await s.integration.create_workflow_from_task(task.id)
        with pytest.raises(WorkflowTypeConflict, match="containerized_workflow"):
            await s.integration.execute_task_workflow(task.id, WorkflowType.DAGGER_PIPELINE)
        assert await s.store.run(runs.latest, task.id) is None


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"workflow_type": "no_such_type"}, InvalidInput),
        ({"workflow_params": {"comand": ["x"]}}, InvalidParameters),
        ({"workflow_params": {"command": 7}}, InvalidParameters),
    ],
)
async def test_bad_arguments_are_refused_before_anything_is_written(
    tmp_path: Path, arguments: dict[str, Any], error: type[Exception]
) -> None:
    async with scene(tmp_path) as s:
        task = await s.task("Echo", template_id="shell-command", inputs={"command": ["echo"]})
        with pytest.raises(error):
            await s.integration.execute_task_workflow(task.id, **arguments)
        assert await s.store.run(runs.latest, task.id) is None


async def test_installed_packages_say_nothing_of_what_a_project_is(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        for path in ("package.json", "node_modules/gyp/test_gyp.py", "node_modules/gyp/go.mod"):
            (tmp_path / "source" / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "source" / path).touch()
        task = await s.service.create_task(s.project.id, "Check", type="test")
        assert (await s.integration.create_workflow_from_task(task.id)).template_id == "node-tests"


async def test_an_unknown_task_or_template_is_named_with_what_is_near(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        task = await s.task("A")
        with pytest.raises(NotFound, match="task-nothing"):
            await s.integration.execute_task_workflow("task-nothing")
        with pytest.raises(NotFound) as caught:
            await s.integration.create_workflow_from_template(task.id, "python-test")
        assert "python-tests" in caught.value.remedy


async def test_a_broken_definition_is_refused_with_all_its_findings(tmp_path: Path) -> None:
    definition = {"steps": [{"id": "a", "image": "x", "needs": ["b"]}, {"id": "a", "image": "x", "needs": ["zz"]}]}
    async with scene(tmp_path) as s:
        task = await s.task("A")
        with pytest.raises(InvalidPipeline) as caught:
            await s.integration.create_workflow_from_definition(task.id, definition)  # type: ignore[arg-type]
        findings = caught.value.details["findings"]
        assert isinstance(findings, list)
        assert len(findings) >= 3


async def test_a_task_whose_dependency_is_not_done_is_refused_by_name(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        first = await s.task("First")
        second = await s.task("Second", needs=(first,))
        with pytest.raises(DependenciesNotMet, match="First"):
            await s.integration.execute_task_workflow(second.id)
        await s.run(first)
        assert await s.run(second) is WorkflowStatus.SUCCEEDED


async def test_a_projects_tasks_run_in_dependency_order(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        base = await s.task("Base", command="base")
        left = await s.task("Left", command="left", needs=(base,))
        right = await s.task("Right", command="right", needs=(base,))
        await s.task("Top", command="top", needs=(left, right))
        await finish(s)
        order = [call.arguments[0] for call in s.engine.calls]
        assert (order[0], order[-1], sorted(order)) == ("base", "top", ["base", "left", "right", "top"])


async def finish(s: Scene, **arguments: Any) -> dict[str, WorkflowStatus]:
    started = await s.integration.execute_workflows_for_project(s.project.id, **arguments)
    ended = [await s.integration.wait_for_run(run.id) for run in started]
    titles = {task.id: task.title for task in await s.store.run(tasks.of_project, s.project.id)}
    return {titles[run.task_id]: run.status for run in ended}


async def test_dependents_of_a_failed_task_are_skipped_with_the_reason_and_others_run(tmp_path: Path) -> None:
    async with scene(tmp_path, fails("bad")) as s:
        bad = await s.task("Bad", command="bad")
        after = await s.task("After", needs=(bad,))
        await s.task("Later", needs=(after,))
        await s.task("Beside")
        ended = await finish(s)
        assert {title: status.value for title, status in ended.items()} == {
            "Bad": "failed",
            "After": "skipped",
            "Later": "skipped",
            "Beside": "succeeded",
        }
        state = await s.integration.get_workflow_status(after.id)
        assert state.latest is not None
        assert state.latest.run.reason is not None
        assert state.latest.run.reason.code == "upstream_failed"


async def test_a_project_can_be_run_by_status(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        done = await s.task("Done already")
        await s.run(done)
        await s.task("Open", needs=(done,))
        assert set(await finish(s, status="todo")) == {"Open"}


async def test_one_task_that_cannot_be_converted_keeps_the_whole_project_from_starting(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        good = await s.task("Good")
        await s.task("Broken", template_id="shell-command", inputs={"command": 7})
        with pytest.raises(InvalidInput, match="Broken"):
            await s.integration.execute_workflows_for_project(s.project.id)
        assert await s.store.run(runs.latest, good.id) is None


async def test_an_artifact_of_one_task_is_a_file_of_another(tmp_path: Path) -> None:
    def writes(call: FakeCall) -> FakeExec:
        return FakeExec(files={"/task/out.txt": "from the first"} if call.arguments == ("first",) else {})

    produce = {
        "steps": [
            {"id": "make", "image": "busybox", "command": ["first"], "outputs": [{"name": "out", "path": "out.txt"}]}
        ]
    }
    sources = [
        {"type": "task", "task": "First", "artifact": "make/out", "target": "/in/out.txt"},
        {"type": "task", "task": "First", "target": "/in/result.json"},
    ]
    consume = {"steps": [{"id": "use", "image": "busybox", "command": ["second"], "sources": sources}]}
    async with scene(tmp_path, writes) as s:
        first = await s.task("First", pipeline=produce)
        await s.task("Second", pipeline=consume, needs=(first,))
        ended = await finish(s)
        assert set(ended.values()) == {WorkflowStatus.SUCCEEDED}
        assert s.engine.calls[-1].files["/in/out.txt"] == "from the first"
        assert '"succeeded"' in s.engine.calls[-1].files["/in/result.json"]


@pytest.mark.parametrize("name", ["out", "make/out"])
async def test_an_artifact_whose_name_several_have_is_told_with_their_names(tmp_path: Path, name: str) -> None:
    def writes(call: FakeCall) -> FakeExec:
        return FakeExec(files={"/task/out.txt": call.arguments[0]})

    outputs = [{"name": "out", "path": "out.txt"}]
    steps = [{"id": one, "image": "busybox", "command": [one], "outputs": outputs} for one in ("make", "again")]
    sources = [{"type": "task", "task": "First", "artifact": name, "target": "/in/out.txt"}]
    consume = {"steps": [{"id": "use", "image": "busybox", "command": ["second"], "sources": sources}]}
    async with scene(tmp_path, writes) as s:
        first = await s.task("First", pipeline={"steps": steps})
        second = await s.task("Second", pipeline=consume, needs=(first,))
        ended = await finish(s)
        run = await s.store.run(runs.latest, second.id)
        assert run is not None
        if "/" in name:
            assert set(ended.values()) == {WorkflowStatus.SUCCEEDED}
        else:
            assert run.status is WorkflowStatus.FAILED
            assert run.reason is not None
            assert "left several artifacts called 'out': again/out, make/out." in run.reason.text


async def test_cancelling_a_run_that_waits_ends_it_at_once(tmp_path: Path) -> None:
    async with scene(tmp_path, run_parallelism=1) as s:
        release = hold(s.engine)
        first = await s.integration.execute_task_workflow((await s.task("First")).id)
        second = await s.integration.execute_task_workflow((await s.task("Second")).id)
        ended = await s.integration.cancel_run(second.id, actor="me")
        assert ended.status is WorkflowStatus.CANCELLED
        release.set()
        assert (await s.integration.wait_for_run(first.id)).status is WorkflowStatus.SUCCEEDED
        assert len(s.engine.calls) == 1


def hold(engine: FakeEngine) -> asyncio.Event:
    """Let every container's evaluation wait for the returned event."""
    release = asyncio.Event()
    engine.hold = release.wait
    return release


async def test_cancelling_a_running_run_stops_it_and_is_idempotent(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        hold(s.engine)
        task = await s.task("Endless")
        run = await s.integration.execute_task_workflow(task.id)
        await s.engine.busy.wait()
        ended = await s.integration.cancel_run(run.id, actor="me")
        assert ended.status is WorkflowStatus.CANCELLED
        assert ended.reason is not None
        assert "me" in ended.reason.text
        assert await s.integration.cancel_run(run.id) == ended
        log = await s.store.run(events.after, 0, run_id=run.id)
        assert [event.status.value for event in log if event.status][-2:] == ["cancelling", "cancelled"]


async def test_a_run_is_cancelled_and_awaited_from_another_process_through_the_store(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        hold(s.engine)
        run = await s.integration.execute_task_workflow((await s.task("Endless")).id)
        await s.engine.busy.wait()
        async with TaskWorkflowIntegration(settings=s.integration.settings) as elsewhere:
            waiting = asyncio.create_task(elsewhere.wait_for_run(run.id))
            assert (await elsewhere.cancel_run(run.id, actor="somebody else")).status is WorkflowStatus.CANCELLED
            assert (await waiting).status is WorkflowStatus.CANCELLED


async def test_closing_the_integration_hands_its_runs_back(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        hold(s.engine)
        run = await s.integration.execute_task_workflow((await s.task("Endless")).id)
        await s.engine.busy.wait()
        await s.integration.shutdown()
        left = await s.store.run(runs.get, run.id)
        assert (left.status, left.reason.code if left.reason else None) == (WorkflowStatus.QUEUED, "handed_back")


async def test_a_step_that_outlasts_its_limit_times_the_run_out(tmp_path: Path) -> None:
    async with scene(tmp_path, default_step_timeout=0.05) as s:
        hold(s.engine)
        task = await s.task("Endless")
        assert await s.run(task) is WorkflowStatus.TIMED_OUT


async def test_waiting_ends_at_its_limit_with_the_run_as_it_is(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        release = hold(s.engine)
        run = await s.integration.execute_task_workflow((await s.task("Slow")).id)
        assert not (await s.integration.wait_for_run(run.id, timeout=0.01)).status.is_terminal
        release.set()
        assert (await s.integration.wait_for_run(run.id)).status is WorkflowStatus.SUCCEEDED


async def test_a_missing_source_folder_fails_the_run_with_its_path(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        task = await s.task("A")
        (tmp_path / "source").rmdir()
        assert await s.run(task) is WorkflowStatus.FAILED
        state = await s.integration.get_workflow_status(task.id)
        assert state.latest is not None
        assert state.latest.run.reason is not None
        assert state.latest.run.reason.code == "source_not_found"
        assert [step.status for step in state.latest.steps] == [StepStatus.SKIPPED]


async def test_equal_steps_run_once_and_both_have_a_record(tmp_path: Path) -> None:
    equal = [{"id": name, "image": "busybox", "command": ["same"]} for name in ("one", "two")]
    async with scene(tmp_path) as s:
        task = await s.task("Twins", pipeline={"steps": equal})
        assert await s.run(task) is WorkflowStatus.SUCCEEDED
        state = await s.integration.get_workflow_status(task.id)
        assert state.latest is not None
        assert {step.step_id: step.status.value for step in state.latest.steps} == {
            "one": "succeeded",
            "two": "succeeded",
        }
        assert len(s.engine.calls) == 1


FUNCTION = """
async def pipeline(dag, inputs):
    return {"doubled": inputs["n"] * 2}

async def broken(dag, inputs):
    raise ValueError("as written")

def not_async(dag, inputs):
    return 1
"""


async def test_a_function_of_the_pipelines_folder_runs_and_its_value_is_an_artifact(tmp_path: Path) -> None:
    folder = tmp_path / "pipelines"
    folder.mkdir()
    (folder / "release.py").write_text(FUNCTION)
    async with scene(tmp_path, pipelines_dir=folder) as s:
        task = await s.task("Release", pipeline={"function": "release:pipeline"}, inputs={"n": 21})
        assert await s.run(task, workflow_type="dagger_pipeline") is WorkflowStatus.SUCCEEDED
        state = await s.integration.get_workflow_status(task.id)
        assert state.latest is not None
        (artifact,) = state.latest.artifacts
        assert '"doubled": 42' in (await s.integration.artifacts.read(artifact.digest, limit=10_000)).decode()


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("release:broken", "ValueError: as written"),
        ("release:not_async", "async def not_async"),
        ("release:absent", "absent"),
        ("nothing:pipeline", "nothing"),
        ("os:system", "os"),
    ],
)
async def test_a_function_that_cannot_be_run_fails_its_run_and_says_why(
    tmp_path: Path, function: str, said: str
) -> None:
    folder = tmp_path / "pipelines"
    folder.mkdir()
    (folder / "release.py").write_text(FUNCTION)
    async with scene(tmp_path, pipelines_dir=folder) as s:
        task = await s.task("Release", pipeline={"function": function})
        assert await s.run(task) is WorkflowStatus.FAILED
        state = await s.integration.get_workflow_status(task.id)
        assert state.latest is not None
        assert state.latest.run.reason is not None
        assert said in state.latest.run.reason.text


async def test_a_key_makes_one_workflow_and_refuses_other_arguments(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        task = await s.task("T")
        definition: dict[str, JsonValue] = {"steps": [{"id": "only", "image": "busybox", "command": ["true"]}]}
        made = await s.integration.create_workflow_from_definition(task.id, definition, idempotency_key="k")
        again = await s.integration.create_workflow_from_definition(task.id, definition, idempotency_key="k")
        own = await s.integration.create_workflow_from_task(task.id, idempotency_key="k")
        assert (again, own.version) == (made, 2)
        with pytest.raises(Conflict, match="other arguments"):
            await s.integration.create_workflow_from_definition(task.id, definition, "name", idempotency_key="k")
        with pytest.raises(Conflict, match="other arguments"):
            await s.integration.create_workflow_from_task(task.id, custom_inputs={"a": 1}, idempotency_key="k")


async def test_a_key_starts_a_project_s_runs_once(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        first = await s.task("First")
        await s.task("Second", needs=(first,))
        started = await s.integration.execute_workflows_for_project(s.project.id, idempotency_key="k")
        again = await s.integration.execute_workflows_for_project(s.project.id, idempotency_key="k")
        assert [run.id for run in again] == [run.id for run in started]
        assert len(started) == 2
        with pytest.raises(Conflict, match="other arguments"):
            await s.integration.execute_workflows_for_project(s.project.id, skip_cache=True, idempotency_key="k")

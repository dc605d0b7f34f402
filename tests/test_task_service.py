"""`TaskService`: projects, phases and tasks are made, changed and removed; what cannot be is refused with words."""

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete

from task_manager.errors import Conflict, DependencyCycle, InvalidInput, NotFound, SourceNotFound
from task_manager.graph import find_cycle
from task_manager.models import Priority, Task, WorkflowRun
from task_manager.store import Store, projects, runs, tables, tasks
from task_manager.task_rules import MAX_RECORD_BYTES
from task_manager.task_service import TaskService
from task_manager.workflow_status import TaskStatus, WorkflowStatus
from tests.store.builders import NOW, stored_run, stored_workflow


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with Store.open(tmp_path_factory.mktemp("store")) as opened:
        yield opened


@pytest.fixture
def store(opened: Store) -> Store:
    """An open store with nothing in it."""
    for project in opened.run_sync(projects.list_, limit=500).items:
        opened.run_sync(projects.delete, project.id)
    opened.run_sync(lambda c: c.execute(delete(tables.idempotency_keys)))
    return opened


@pytest.fixture
def service(store: Store) -> TaskService:
    """Its clock goes on by a second each time it is read."""
    times = iter(NOW + timedelta(seconds=second) for second in range(10_000))
    return TaskService(store, clock=lambda: next(times))


async def everything(service: TaskService) -> tuple[object, ...]:
    """All that is stored, to see that nothing was changed."""
    return (
        (await service.list_projects()).items,
        (await service.list_phases()).items,
        (await service.list_tasks()).items,
    )


class TestCallsWithAKey:
    async def test_a_record_is_made_once_and_other_arguments_are_refused(self, service: TaskService) -> None:
        project = await service.create_project("p", idempotency_key="k")
        phase = await service.create_phase("p", "One", idempotency_key="k")
        task = await service.create_task("p", "T", labels=["a"], idempotency_key="k")
        before = await everything(service)
        assert await service.create_project("p", idempotency_key="k") == project
        assert await service.create_phase("p", "One", idempotency_key="k") == phase
        assert await service.create_task("p", "T", labels=["a"], idempotency_key="k") == task
        with pytest.raises(Conflict, match="other arguments"):
            await service.create_project("q", idempotency_key="k")
        with pytest.raises(Conflict, match="other arguments"):
            await service.create_phase("p", "Two", idempotency_key="k")
        with pytest.raises(Conflict, match="other arguments"):
            await service.create_task("p", "T", labels=["b"], idempotency_key="k")
        assert await everything(service) == before

    async def test_of_many_at_the_same_time_one_makes_the_record(self, service: TaskService) -> None:
        await service.create_project("p")
        calls = [service.create_task("p", "T", idempotency_key="k") for _ in range(20)]
        assert len({task.id for task in await asyncio.gather(*calls)}) == 1
        assert len((await service.list_tasks()).items) == 1

    async def test_a_call_that_failed_may_be_made_again_with_its_key(self, service: TaskService) -> None:
        with pytest.raises(NotFound):
            await service.create_task("p", "T", idempotency_key="k")
        await service.create_project("p")
        assert (await service.create_task("p", "T", idempotency_key="k")).title == "T"

    async def test_what_cannot_be_stored_is_refused_with_a_key_too(self, service: TaskService) -> None:
        await service.create_project("p", metadata={"a": 1}, idempotency_key="k")
        with pytest.raises(InvalidInput):
            await service.create_project("p", metadata={"a": object()}, idempotency_key="k")


class TestProjects:
    async def test_one_is_created_with_an_absolute_source_folder(
        self, service: TaskService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "src").mkdir()
        project = await service.create_project("  Web shop ", "For the team", "src", {"team": ["ada"]})
        assert (project.name, project.description) == ("Web shop", "For the team")
        assert (project.source_folder, project.metadata) == (str(tmp_path / "src"), {"team": ["ada"]})
        assert await service.get_project("Web shop") == await service.get_project(project.id) == project

    async def test_a_home_folder_is_spelled_out(
        self, service: TaskService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HOME", str(tmp_path))
        assert (await service.create_project("Shop", source_folder="~")).source_folder == str(tmp_path)

    @pytest.mark.parametrize("folder", ["missing", "", " ", "file", "file/below", "~nobody-here/x", "a\0b"])
    async def test_a_source_folder_that_is_none_is_refused(
        self, service: TaskService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str
    ) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "file").touch()
        with pytest.raises(SourceNotFound) as caught:
            await service.create_project("Shop", source_folder=folder)
        assert repr(folder) in caught.value.message
        project = await service.create_project("Shop")
        with pytest.raises(SourceNotFound):
            await service.update_project("Shop", {"source_folder": folder})
        with pytest.raises(SourceNotFound):
            await service.create_task("Shop", "Test", source_folder=folder)
        assert await everything(service) == ((project,), (), ())

    async def test_it_is_changed_by_name(self, service: TaskService) -> None:
        project = await service.create_project("Shop", metadata={"old": True})
        changed = await service.update_project("Shop", {"name": "Store", "metadata": {}})
        assert (changed.id, changed.name, changed.metadata, changed.revision) == (project.id, "Store", {}, 2)
        assert changed.updated_at > project.updated_at
        assert changed.created_at == project.created_at

    async def test_its_name_is_unique(self, service: TaskService) -> None:
        await service.create_project("Shop")
        await service.create_project("Store")
        with pytest.raises(InvalidInput, match="There is a project 'Shop' already"):
            await service.create_project("Shop")
        with pytest.raises(InvalidInput, match="There is a project 'Shop' already"):
            await service.update_project("Store", {"name": "Shop"})

    async def test_they_are_listed_in_pages(self, service: TaskService) -> None:
        made = {(await service.create_project(f"P{number}")).id for number in range(3)}
        first = await service.list_projects(limit=2)
        second = await service.list_projects(limit=2, cursor=first.next_cursor)
        assert {project.id for project in (*first.items, *second.items)} == made


class TestPhases:
    async def test_each_one_comes_after_those_before(self, service: TaskService) -> None:
        await service.create_project("Shop")
        made = [await service.create_phase("Shop", name) for name in ("Plan", "Build")]
        early = await service.create_phase("Shop", "Think", order=0)
        assert [phase.order for phase in made] == [0, 1]
        assert {phase.id for phase in (await service.list_phases("Shop", limit=2)).items} == {made[0].id, early.id}
        assert await service.get_phase("Build", "Shop") == made[1]

    async def test_it_is_changed(self, service: TaskService) -> None:
        await service.create_project("Shop")
        phase = await service.create_phase("Shop", "Plan")
        changed = await service.update_phase("Plan", {"name": "Think", "order": 5}, expected_revision=1)
        assert (changed.id, changed.name, changed.order, changed.revision) == (phase.id, "Think", 5, 2)
        with pytest.raises(InvalidInput, match="order: The number must be at least 0, -1 was found"):
            await service.update_phase("Think", {"order": -1})

    async def test_it_is_removed_with_its_tasks(self, service: TaskService) -> None:
        await service.create_project("Shop")
        await service.create_phase("Shop", "Plan")
        await service.create_task("Shop", "Inside", phase_id="Plan")
        outside = await service.create_task("Shop", "Outside")
        await service.delete_phase("Plan", "Shop")
        assert (await service.list_tasks("Shop")).items == (outside,)
        assert (await service.list_phases("Shop")).items == ()

    async def test_it_stays_while_tasks_outside_depend_on_its_tasks(self, service: TaskService) -> None:
        await service.create_project("Shop")
        await service.create_phase("Shop", "Plan")
        await service.create_task("Shop", "Inside", phase_id="Plan")
        await service.create_task("Shop", "Outside", dependencies=["Inside"])
        with pytest.raises(InvalidInput, match="Phase 'Plan' cannot be deleted: 'Outside' depends on it"):
            await service.delete_phase("Plan")


class TestTasks:
    async def test_one_is_created_with_everything(self, service: TaskService, tmp_path: Path) -> None:
        await service.create_project("Shop")
        phase = await service.create_phase("Shop", "Plan")
        needed = await service.create_task("Shop", "Build")
        task = await service.create_task(
            "Shop",
            "Test",
            description="All of them",
            type="test",
            priority="high",
            phase_id="Plan",
            dependencies=["Build"],
            labels=["python"],
            source_folder=tmp_path,
            template_id="python-tests",
            inputs={"paths": ["tests"]},
            pipeline={"steps": []},
            acceptance_criteria=["green"],
            metadata={"ticket": 7},
        )
        assert (task.phase_id, task.dependencies, task.priority) == (phase.id, (needed.id,), Priority.HIGH)
        assert (task.source_folder, task.status, task.revision) == (str(tmp_path), TaskStatus.TODO, 1)
        assert await service.get_task("Test", "Shop") == task

    async def test_none_stands_for_the_default(self, service: TaskService) -> None:
        await service.create_project("Shop")
        task = await service.create_task("Shop", "Test", priority=None, inputs=None, labels=None, source_folder=None)
        assert (task.priority, task.inputs, task.labels) == (Priority.MEDIUM, {}, ())

    async def test_it_is_changed_by_title(self, service: TaskService) -> None:
        await service.create_project("Shop")
        await service.create_task("Shop", "Build")
        task = await service.create_task("Shop", "Test", dependencies=["Build"], template_id="python-tests")
        changed = await service.update_task("Test", {"status": "done", "template_id": None, "dependencies": []})
        assert (changed.status, changed.template_id, changed.dependencies) == (TaskStatus.DONE, None, ())
        assert await service.get_task(task.id) == changed

    async def test_another_revision_than_the_expected_one_is_a_conflict(self, service: TaskService) -> None:
        await service.create_project("Shop")
        await service.create_task("Shop", "Test")
        changed = await service.update_task("Test", {"description": "first"}, expected_revision=1)
        with pytest.raises(Conflict, match="revision 2, not 1"):
            await service.update_task("Test", {"description": "second"}, expected_revision=1)
        assert await service.get_task("Test") == changed

    async def test_lists_take_names(self, service: TaskService) -> None:
        await service.create_project("Shop")
        await service.create_project("Other")
        await service.create_phase("Shop", "Plan")
        inside = await service.create_task("Shop", "Inside", phase_id="Plan")
        await service.create_task("Shop", "Outside", metadata={"x": 1})
        await service.create_task("Other", "Elsewhere")
        assert len((await service.list_tasks()).items) == 3
        assert len((await service.list_tasks("Shop", status=TaskStatus.TODO)).items) == 2
        assert (await service.list_tasks("Shop", phase_id="Plan")).items == (inside,)
        with pytest.raises(NotFound):
            await service.list_tasks("Other", phase_id="Plan")

    async def test_it_stays_while_others_depend_on_it(self, service: TaskService) -> None:
        await service.create_project("Shop")
        await service.create_task("Shop", "Build")
        await service.create_task("Shop", "Test", dependencies=["Build"])
        await service.create_task("Shop", "Report", dependencies=["Build", "Test"])
        before = await everything(service)
        with pytest.raises(InvalidInput, match="Task 'Build' cannot be deleted: 'Test', 'Report' depend on it"):
            await service.delete_task("Build")
        assert await everything(service) == before
        await service.delete_task("Report")
        await service.delete_task("Test")
        await service.delete_task("Build")
        assert (await service.list_tasks()).items == ()


class TestDependencies:
    async def test_a_circle_is_named_in_order_and_refused(self, service: TaskService) -> None:
        await service.create_project("Shop")
        await service.create_task("Shop", "Build")
        await service.create_task("Shop", "Test", dependencies=["Build"])
        await service.create_task("Shop", "Report", dependencies=["Test"])
        before = await everything(service)
        with pytest.raises(DependencyCycle, match="Build → Report → Test → Build") as caught:
            await service.update_task("Build", {"dependencies": ["Report"]})
        assert caught.value.details["cycle"] == ["Build", "Report", "Test"]
        assert await everything(service) == before

    async def test_a_task_does_not_depend_on_itself(self, service: TaskService) -> None:
        await service.create_project("Shop")
        await service.create_task("Shop", "Build")
        with pytest.raises(DependencyCycle, match="'Build' depends on itself"):
            await service.update_task("Build", {"dependencies": ["Build"]})

    async def test_one_is_named_once(self, service: TaskService) -> None:
        await service.create_project("Shop")
        build = await service.create_task("Shop", "Build")
        with pytest.raises(InvalidInput, match="'Test' depends on 'Build' more than once"):
            await service.create_task("Shop", "Test", dependencies=["Build", build.id])

    async def test_one_is_of_the_same_project(self, service: TaskService) -> None:
        await service.create_project("Shop")
        await service.create_project("Other")
        elsewhere = await service.create_task("Other", "Build")
        with pytest.raises(InvalidInput, match="belongs to another project"):
            await service.create_task("Shop", "Test", dependencies=[elsewhere.id])
        with pytest.raises(NotFound, match="no task 'Build'"):
            await service.create_task("Shop", "Test", dependencies=["Build"])

    @given(st.lists(st.tuples(st.integers(0, 4), st.lists(st.integers(0, 4), max_size=3, unique=True)), max_size=12))
    @settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    async def test_no_order_of_changes_makes_a_circle(
        self, service: TaskService, store: Store, changes: list[tuple[int, list[int]]]
    ) -> None:
        """A change is refused exactly when it would close one; what is stored never has one."""
        project = await service.create_project(f"Shop {datetime.now(UTC)}")
        ids = [(await service.create_task(project.id, f"Task {number}")).id for number in range(5)]
        for number, needed in changes:
            wanted = [ids[other] for other in needed]
            would_be = {**store.run_sync(tasks.edges, project.id), ids[number]: wanted}
            try:
                await service.update_task(ids[number], {"dependencies": wanted})
            except DependencyCycle:
                assert find_cycle(would_be) is not None
            assert find_cycle(store.run_sync(tasks.edges, project.id)) is None


class TestRefusals:
    @pytest.mark.parametrize(
        ("fields", "sentence"),
        [
            ({"title": " "}, "title: This must not be empty."),
            ({"title": "x" * 201}, "title: At most 200 characters are allowed here."),
            (
                {"priority": "urgent"},
                "priority: 'urgent' is not known here; known: lowest, low, medium, high, critical.",
            ),
            ({"labels": ["ok", ""]}, "labels[1]: This must not be empty."),
            ({"dependencies": "Build"}, "dependencies: A list was expected, text 'Build' was found."),
            ({"inputs": ["x"]}, "inputs: A mapping was expected, a list was found."),
            ({"metadata": {"x": {1}}}, "metadata.x: A value that JSON has was expected, a set was found."),
            ({"metadata": {"x": float("inf")}}, "A value cannot be stored as JSON"),
            ({"description": "a\0b"}, "The description of a task cannot have a NUL character."),
            ({"description": "\ud800"}, "A text of the task has characters that cannot be written as UTF-8."),
            ({"source_folder": 7}, "source_folder: Text was expected, 7 was found."),
            ({"description": "x" * MAX_RECORD_BYTES}, "A task has at most 1,048,576 bytes as JSON"),
        ],
    )
    async def test_a_value_that_does_not_fit_is_named_with_what_was_expected(
        self, service: TaskService, fields: dict[str, Any], sentence: str
    ) -> None:
        await service.create_project("Shop")
        task = await service.create_task("Shop", "Test")
        before = await everything(service)
        with pytest.raises(InvalidInput) as created:
            await service.create_task("Shop", **{"title": "New", **fields})
        with pytest.raises(InvalidInput) as updated:
            await service.update_task(task.id, fields)
        for caught in (created, updated):
            assert sentence in caught.value.message
            assert "pydantic" not in caught.value.message
        assert await everything(service) == before

    async def test_all_findings_are_told_at_once(self, service: TaskService) -> None:
        await service.create_project("Shop")
        with pytest.raises(InvalidInput) as caught:
            await service.create_task("Shop", "", type="", priority="urgent")
        assert len(caught.value.message.splitlines()) == 3
        assert json.loads(json.dumps(caught.value.details))["findings"][0]["path"] == ["title"]

    async def test_an_unknown_field_offers_the_right_one(self, service: TaskService) -> None:
        await service.create_project("Shop")
        await service.create_task("Shop", "Test")
        with pytest.raises(InvalidInput, match="no field 'stauts'") as caught:
            await service.update_task("Test", {"stauts": "done"})
        assert caught.value.remedy == "Did you mean status?"

    @pytest.mark.parametrize("field", ["id", "project_id", "created_at", "revision"])
    async def test_what_the_store_keeps_cannot_be_changed(self, service: TaskService, field: str) -> None:
        await service.create_project("Shop")
        task = await service.create_task("Shop", "Test")
        with pytest.raises(InvalidInput, match=f"no field '{field}'"):
            await service.update_task("Test", {field: getattr(task, field)})

    async def test_no_change_at_all_is_refused(self, service: TaskService) -> None:
        await service.create_project("Shop")
        with pytest.raises(InvalidInput, match="No change was given"):
            await service.update_project("Shop", {})

    async def test_unknown_names_are_named_with_near_misses(self, service: TaskService) -> None:
        await service.create_project("Shop")
        await service.create_phase("Shop", "Plan")
        await service.create_task("Shop", "Build")
        before = await everything(service)
        for call, near in (
            (service.get_project("Shpo"), "Shop"),
            (service.create_task("Shpo", "x"), "Shop"),
            (service.create_task("Shop", "x", phase_id="Plna"), "Plan"),
            (service.create_task("Shop", "x", dependencies=["Biuld"]), "Build"),
            (service.update_task("Biuld", {"type": "test"}), "Build"),
            (service.delete_task("Biuld"), "Build"),
            (service.delete_phase("Plna"), "Plan"),
            (service.delete_project("Shpo"), "Shop"),
        ):
            with pytest.raises(NotFound) as caught:
                await call
            assert caught.value.remedy == f"Did you mean {near}?"
        assert await everything(service) == before


class TestDeletion:
    @pytest.fixture
    async def run(self, service: TaskService, store: Store) -> WorkflowRun:
        """A run that has just been created, of the task `Test` in the phase `Plan` of the project `Shop`."""
        await service.create_project("Shop")
        await service.create_phase("Shop", "Plan")
        task: Task = await service.create_task("Shop", "Test", phase_id="Plan")
        return stored_run(store, stored_workflow(store, task))

    @pytest.mark.parametrize("kind", ["project", "phase", "task"])
    async def test_what_has_runs_that_are_not_over_stays(
        self, service: TaskService, run: WorkflowRun, kind: str
    ) -> None:
        before = await everything(service)
        name = {"project": "Shop", "phase": "Plan", "task": "Test"}[kind]
        with pytest.raises(InvalidInput, match=f"{name}' cannot be deleted while run {run.id} is not over") as caught:
            await getattr(service, f"delete_{kind}")(name)
        assert "Cancel" in caught.value.remedy
        assert await everything(service) == before

    @pytest.mark.parametrize("kind", ["project", "phase", "task"])
    async def test_the_runs_that_went_with_it_are_told(
        self, service: TaskService, store: Store, run: WorkflowRun, kind: str
    ) -> None:
        store.run_sync(runs.transition, run.id, WorkflowStatus.CANCELLED, now=NOW)
        name = {"project": "Shop", "phase": "Plan", "task": "Test"}[kind]
        assert await getattr(service, f"delete_{kind}")(name) == (run.id,)
        with pytest.raises(NotFound):
            store.run_sync(runs.get, run.id)
        assert (await service.list_tasks()).items == ()

"""Projects, phases, tasks and workflows are stored, found, listed, changed and removed, on both kinds of database."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Table

from task_manager.errors import Conflict, InvalidInput, NotFound
from task_manager.models import Artifact, Event, Phase, Project, Record, StepRecord, Task, Workflow, WorkflowRun
from task_manager.pipeline import Pipeline
from task_manager.store import Page, Store, events, phases, projects, run_queries, runs, tables, tasks, workflows
from task_manager.store.records import MAX_VALUE_BYTES
from task_manager.workflow_status import Reason, TaskStatus, WorkflowStatus
from tests.store.builders import (
    LATER,
    NOW,
    a_phase,
    a_project,
    a_run,
    a_task,
    a_workflow,
    stored_phase,
    stored_project,
    stored_run,
    stored_task,
    stored_workflow,
)


@dataclass(frozen=True)
class Kind:
    """One kind of record whose changes are compared and set."""

    module: ModuleType
    stored: Callable[[Store], Any]
    new: Callable[[Store], Any]
    change: dict[str, object]

    @property
    def list_(self) -> Callable[..., Page[Any]]:
        """What gives its pages; of runs there are questions of many kinds."""
        found: Callable[..., Page[Any]] = (run_queries if self.module is runs else self.module).list_
        return found


KINDS = {
    "project": Kind(projects, stored_project, lambda _: a_project(), {"description": "changed", "updated_at": LATER}),
    "phase": Kind(
        phases, lambda s: stored_phase(s, stored_project(s)), lambda s: a_phase(stored_project(s)), {"order": 7}
    ),
    "task": Kind(tasks, stored_task, lambda s: a_task(stored_project(s)), {"labels": ("a", "b"), "inputs": {"x": [1]}}),
    "run": Kind(runs, stored_run, lambda s: a_run(stored_workflow(s)), {"engine": "embedded 1", "warnings": ("w",)}),
}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


class TestEveryKind:
    def test_what_was_stored_is_what_is_read(self, store: Store, kind: Kind) -> None:
        record = kind.stored(store)
        assert store.run_sync(kind.module.get, record.id) == record

    def test_an_unknown_id_names_what_is_near(self, store: Store, kind: Kind) -> None:
        record = kind.stored(store)
        wrong = record.id[:-1] + "!"
        with pytest.raises(NotFound, match="There is no") as caught:
            store.run_sync(kind.module.get, wrong)
        assert caught.value.details["near"] == [record.id]

    def test_a_change_is_stored_with_the_next_revision(self, store: Store, kind: Kind) -> None:
        record = kind.stored(store)
        changed = store.run_sync(kind.module.update, record.evolve(**kind.change))
        assert changed == record.evolve(**kind.change, revision=2)
        assert store.run_sync(kind.module.get, record.id) == changed

    def test_of_two_changes_of_one_revision_the_second_is_refused(self, store: Store, kind: Kind) -> None:
        """The error names both revisions, and the first change stays."""
        record = kind.stored(store)
        first = store.run_sync(kind.module.update, record.evolve(**kind.change))
        with pytest.raises(Conflict, match="revision 2, not 1") as caught:
            store.run_sync(kind.module.update, record)
        assert (caught.value.details["expected"], caught.value.details["found"]) == (1, 2)
        assert store.run_sync(kind.module.get, record.id) == first

    def test_changing_what_was_never_stored_is_refused(self, store: Store, kind: Kind) -> None:
        with pytest.raises(NotFound):
            store.run_sync(kind.module.update, kind.new(store))

    def test_the_same_id_twice_is_a_conflict(self, store: Store, kind: Kind) -> None:
        record = kind.stored(store)
        again = record if kind.module is runs else record.evolve(**{_name_of(record): "Another"})
        insert = runs.create if kind.module is runs else kind.module.insert
        with pytest.raises(Conflict):
            store.run_sync(insert, again)

    def test_pages_give_every_record_once_in_order(self, store: Store, kind: Kind) -> None:
        """A record that is added meanwhile disturbs no page."""
        stored = [kind.stored(store).id for _ in range(5)]
        first = store.run_sync(kind.list_, limit=2)
        kind.stored(store)
        second = store.run_sync(kind.list_, limit=2, cursor=first.next_cursor)
        seen = [record.id for record in (*first.items, *second.items)]
        assert seen == (stored[:0:-1] if kind.module is runs else stored[:4])

    def test_the_last_page_has_no_cursor(self, store: Store, kind: Kind) -> None:
        kind.stored(store)
        kind.stored(store)
        assert store.run_sync(kind.list_, limit=2).next_cursor is None
        assert store.run_sync(kind.list_, limit=1).next_cursor is not None


def _name_of(record: object) -> str:
    return "title" if isinstance(record, Task) else "name"


@pytest.mark.parametrize("limit", [0, -1, 501])
def test_a_page_has_a_limit(store: Store, limit: int) -> None:
    with pytest.raises(InvalidInput, match="from 1 to 500"):
        store.run_sync(tasks.list_, limit=limit)


@pytest.mark.parametrize("cursor", ["", "x", "Zm9v", "WzFd", "ü", "WyJhIiwiYiJd"])
def test_a_cursor_that_no_page_gave_is_refused(store: Store, cursor: str) -> None:
    with pytest.raises(InvalidInput, match="not a cursor"):
        store.run_sync(tasks.list_, cursor=cursor)


class TestNames:
    def test_a_project_is_found_by_id_and_by_name(self, store: Store) -> None:
        project = stored_project(store, name="Web shop")
        assert store.run_sync(projects.find, project.id) == project
        assert store.run_sync(projects.find, "Web shop") == project

    def test_a_misspelt_name_offers_the_right_one(self, store: Store) -> None:
        stored_project(store, name="Web shop")
        with pytest.raises(NotFound) as caught:
            store.run_sync(projects.find, "Web shpo")
        assert caught.value.remedy == "Did you mean Web shop?"

    def test_an_id_wins_over_a_name_that_looks_like_it(self, store: Store) -> None:
        project = stored_project(store)
        stored_project(store, name=project.id)
        assert store.run_sync(projects.find, project.id) == project

    def test_two_projects_cannot_have_one_name(self, store: Store) -> None:
        stored_project(store, name="Web shop")
        other = stored_project(store, name="Other")
        with pytest.raises(InvalidInput, match="already"):
            store.run_sync(projects.insert, a_project(name="Web shop"))
        with pytest.raises(InvalidInput, match="already"):
            store.run_sync(projects.update, other.evolve(name="Web shop"))

    def test_phases_of_two_projects_can_have_one_name(self, store: Store) -> None:
        one, two = stored_project(store), stored_project(store)
        phase = stored_phase(store, one, name="Build")
        stored_phase(store, two, name="Build")
        with pytest.raises(InvalidInput, match="already"):
            stored_phase(store, one, name="Build")
        assert store.run_sync(phases.find, "Build", one.id) == phase
        with pytest.raises(InvalidInput, match="2 phases are called 'Build'"):
            store.run_sync(phases.find, "Build")

    def test_a_title_of_several_tasks_is_ambiguous_and_their_ids_are_named(self, store: Store) -> None:
        project = stored_project(store)
        same = sorted(stored_task(store, project, title="Test").id for _ in range(2))
        with pytest.raises(InvalidInput) as caught:
            store.run_sync(tasks.find, "Test", project.id)
        assert caught.value.details["ids"] == same

    def test_a_title_is_found_in_its_project_alone(self, store: Store) -> None:
        one, two = stored_project(store), stored_project(store)
        task = stored_task(store, one, title="Test")
        assert store.run_sync(tasks.find, "Test", one.id) == task
        with pytest.raises(NotFound):
            store.run_sync(tasks.find, task.id, two.id)


class TestPhases:
    def test_they_are_listed_in_their_order(self, store: Store) -> None:
        project = stored_project(store)
        late, early = stored_phase(store, project, order=2), stored_phase(store, project, order=1)
        page = store.run_sync(phases.list_, project_id=project.id, limit=1)
        assert page.items == (early,)
        assert store.run_sync(phases.list_, project_id=project.id, cursor=page.next_cursor).items == (late,)

    def test_the_next_order_comes_after_all(self, store: Store) -> None:
        project = stored_project(store)
        assert store.run_sync(phases.next_order, project.id) == 0
        stored_phase(store, project, order=4)
        assert store.run_sync(phases.next_order, project.id) == 5


class TestTasks:
    def test_dependencies_keep_their_order(self, store: Store) -> None:
        project = stored_project(store)
        one, two, three = (stored_task(store, project) for _ in range(3))
        task = stored_task(store, project, dependencies=(three.id, one.id, two.id))
        assert store.run_sync(tasks.get, task.id).dependencies == (three.id, one.id, two.id)
        changed = store.run_sync(tasks.update, task.evolve(dependencies=(two.id,)))
        assert store.run_sync(tasks.get, task.id) == changed
        assert store.run_sync(tasks.edges, project.id) == {one.id: (), two.id: (), three.id: (), task.id: (two.id,)}

    def test_dependents_are_those_outside(self, store: Store) -> None:
        project = stored_project(store)
        base = stored_task(store, project)
        middle = stored_task(store, project, dependencies=(base.id,))
        top = stored_task(store, project, dependencies=(middle.id, base.id))
        assert store.run_sync(tasks.dependents, [base.id]) == (middle, top)
        assert store.run_sync(tasks.dependents, [base.id, middle.id]) == (top,)

    def test_lists_are_filtered(self, store: Store) -> None:
        project = stored_project(store)
        phase = stored_phase(store, project)
        done = stored_task(store, project, status=TaskStatus.DONE)
        inside = stored_task(store, project, phase_id=phase.id)
        elsewhere = stored_task(store)
        assert store.run_sync(tasks.list_).items == (done, inside, elsewhere)
        assert store.run_sync(tasks.list_, project_id=project.id).items == (done, inside)
        assert store.run_sync(tasks.list_, project_id=project.id, status=TaskStatus.DONE).items == (done,)
        assert store.run_sync(tasks.of_project, project.id, phase_id=phase.id) == (inside,)

    @pytest.mark.parametrize("field", ["project_id", "phase_id", "dependencies"])
    def test_what_it_refers_to_must_exist(self, store: Store, field: str) -> None:
        missing = ("task-none",) if field == "dependencies" else "none"
        with pytest.raises(InvalidInput, match="does not exist"):
            store.run_sync(tasks.insert, a_task(stored_project(store), **{field: missing}))
        assert store.run_sync(tasks.list_).items == ()


class TestWorkflows:
    def test_each_one_is_the_next_version_and_the_newest_is_current(self, store: Store) -> None:
        task = stored_task(store)
        assert store.run_sync(workflows.current, task.id) is None
        made = [stored_workflow(store, task, version=9) for _ in range(3)]
        assert [workflow.version for workflow in made] == [1, 2, 3]
        assert store.run_sync(workflows.current, task.id) == made[-1]
        assert store.run_sync(workflows.get, made[0].id) == made[0]
        assert store.run_sync(workflows.list_, task_id=task.id).items == tuple(reversed(made))
        assert store.run_sync(workflows.list_, project_id="none").items == ()

    def test_a_pipeline_is_read_as_it_was_written(self, store: Store) -> None:
        pipeline = Pipeline.model_validate(
            {
                "name": "p",
                "steps": [
                    {"id": "a", "image": "busybox", "command": ["true"], "environment": {"X": "ü"}, "timeout": 1.5},
                    {
                        "id": "b",
                        "image": "busybox",
                        "needs": ["a"],
                        "sources": [{"type": "step", "step": "a", "output": "o", "target": "/in"}],
                    },
                ],
            }
        )
        workflow = stored_workflow(store, pipeline=pipeline, parameters={"deep": {"list": [1, None, True]}})
        read = store.run_sync(workflows.get, workflow.id)
        assert read == workflow
        assert read.pipeline is not None
        assert read.pipeline.digest == pipeline.digest

    def test_it_needs_a_task(self, store: Store) -> None:
        with pytest.raises(NotFound):
            store.run_sync(workflows.create, a_workflow(a_task(stored_project(store))))


class TestRemoval:
    def test_a_project_takes_everything_with_it(self, store: Store) -> None:
        project = stored_project(store)
        phase = stored_phase(store, project)
        task = stored_task(store, project, phase_id=phase.id)
        stored_task(store, project, dependencies=(task.id,))
        run = stored_run(store, stored_workflow(store, task))
        other = stored_run(store)
        store.run_sync(projects.delete, project.id)
        assert store.run_sync(projects.list_).items[0].id == other.project_id
        assert len(store.run_sync(tasks.list_).items) == 1
        assert store.run_sync(phases.list_).items == ()
        assert store.run_sync(runs.ids) == (other.id,)
        with pytest.raises(NotFound):
            store.run_sync(runs.get, run.id)

    def test_a_phase_takes_its_tasks_with_it(self, store: Store) -> None:
        project = stored_project(store)
        phase = stored_phase(store, project)
        stored_task(store, project, phase_id=phase.id)
        outside = stored_task(store, project)
        store.run_sync(phases.delete, phase.id)
        assert store.run_sync(tasks.list_).items == (outside,)

    @pytest.mark.parametrize("module", [projects, phases, tasks])
    def test_what_is_not_there_cannot_be_removed(self, store: Store, module: ModuleType) -> None:
        with pytest.raises(NotFound):
            store.run_sync(module.delete, "none")


@pytest.mark.parametrize(
    ("model", "table", "elsewhere"),
    [
        (Project, tables.projects, set()),
        (Phase, tables.phases, set()),
        (Task, tables.tasks, {"dependencies"}),
        (Workflow, tables.workflows, set()),
        (WorkflowRun, tables.runs, set()),
        (StepRecord, tables.steps, set()),
        (Event, tables.events, set()),
        (Artifact, tables.artifacts, set()),
    ],
)
def test_every_field_has_its_column(model: type[Record], table: Table, elsewhere: set[str]) -> None:
    assert set(model.model_fields) - elsewhere == {column.name for column in table.c}


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(), children, max_size=3),
    max_leaves=8,
)
PROSE = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=50)
ZONES = st.integers(-23, 23).map(lambda hours: timezone(timedelta(hours=hours)))
TIMES = st.builds(
    lambda seconds, zone: datetime.fromtimestamp(seconds, UTC).astimezone(zone), st.floats(0, 2**33), ZONES
)


@given(
    description=PROSE,
    metadata=st.dictionaries(st.text(), JSON, max_size=3),
    labels=st.lists(PROSE.filter(str.strip), max_size=3),
    time=TIMES,
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_task_is_read_as_it_was_written(
    store: Store, description: str, metadata: dict[str, Any], labels: list[str], time: datetime
) -> None:
    """Whatever its texts, its JSON-like data (NUL characters in it included) and its time zone."""
    (project,) = store.run_sync(projects.list_, limit=1).items or (stored_project(store),)
    task = a_task(project, description=description, metadata=metadata, labels=labels, created_at=time)
    store.run_sync(tasks.insert, task)
    assert store.run_sync(tasks.get, task.id) == task


@pytest.mark.parametrize("text", ["a\0b", "a\ud800b"])
def test_a_text_that_no_database_keeps_is_refused(store: Store, text: str) -> None:
    project = stored_project(store)
    with pytest.raises(InvalidInput):
        store.run_sync(tasks.insert, a_task(project, description=text))
    with pytest.raises(InvalidInput):
        store.run_sync(tasks.find, text)
    assert store.run_sync(tasks.list_).items == ()


def test_a_number_that_json_does_not_know_is_refused(store: Store) -> None:
    with pytest.raises(InvalidInput, match="as JSON"):
        store.run_sync(projects.insert, a_project(metadata={"x": float("nan")}))


def test_a_number_that_is_too_large_is_refused(store: Store) -> None:
    with pytest.raises(InvalidInput, match="cannot be stored"):
        store.run_sync(phases.insert, a_phase(stored_project(store), order=2**70))


class TestLargeValues:
    """A field has a limit; what is beyond it is refused, and nothing of the record is written."""

    LARGE = "x" * (MAX_VALUE_BYTES + 1)

    def test_the_error_names_the_field_its_size_and_the_limit(self, store: Store) -> None:
        with pytest.raises(
            InvalidInput, match="The field 'description' of a project has at most 1,048,576 bytes"
        ) as caught:
            store.run_sync(projects.insert, a_project(description=self.LARGE))
        assert caught.value.details == {
            "kind": "project",
            "field": "description",
            "size": MAX_VALUE_BYTES + 1,
            "limit": MAX_VALUE_BYTES,
        }
        assert store.run_sync(projects.list_).items == ()

    def test_it_is_of_bytes_and_what_has_as_many_is_kept(self, store: Store) -> None:
        """Whatever its letters: of those with two bytes half as many fit."""
        fits = a_project(description="ü" * (MAX_VALUE_BYTES // 2), metadata={"x": "ü" * (MAX_VALUE_BYTES // 2 - 4)})
        store.run_sync(projects.insert, fits)
        assert store.run_sync(projects.get, fits.id) == fits
        for field in ({"description": fits.description + "ü"}, {"metadata": {"x": "ü" * (MAX_VALUE_BYTES // 2 - 3)}}):
            with pytest.raises(InvalidInput, match="at most 1,048,576 bytes"):
                store.run_sync(projects.update, fits.evolve(**field))
        assert store.run_sync(projects.get, fits.id) == fits

    @pytest.mark.parametrize("field", ["parameters", "definition"])
    def test_a_workflow_with_one_is_not_made(self, store: Store, field: str) -> None:
        task = stored_task(store)
        with pytest.raises(InvalidInput, match=f"The field {field!r} of a workflow has at most"):
            store.run_sync(workflows.create, a_workflow(task, **{field: {"x": [self.LARGE]}}))
        assert store.run_sync(workflows.list_).items == ()

    def test_a_run_with_one_is_not_started(self, store: Store) -> None:
        run = a_run(stored_workflow(store), parameters={self.LARGE: 1})
        with pytest.raises(InvalidInput, match="The field 'parameters' of a run has at most"):
            store.run_sync(runs.create, run)
        assert store.run_sync(run_queries.list_).items == ()
        assert store.run_sync(events.after, 0) == ()

    @pytest.mark.parametrize("reason", [{"text": LARGE}, {"text": "so", "details": {"x": LARGE}}])
    def test_a_reason_beyond_it_changes_nothing(self, store: Store, reason: dict[str, Any]) -> None:
        run = stored_run(store)
        beyond = Reason.model_validate({"code": "odd", **reason})
        with pytest.raises(InvalidInput, match="The field 'reason' of a run has at most"):
            store.run_sync(runs.transition, run.id, WorkflowStatus.QUEUED, reason=beyond, now=LATER)
        assert store.run_sync(runs.get, run.id) == run
        assert len(store.run_sync(events.after, 0)) == 1


def test_times_are_given_back_in_utc(store: Store) -> None:
    at = NOW.astimezone(timezone(timedelta(hours=5)))
    project = stored_project(store, created_at=at)
    assert store.run_sync(projects.get, project.id).created_at.isoformat() == NOW.isoformat()

"""Whatever is done to runs, in any order: their states stay in the table, and the log tells exactly what happened."""

from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from task_manager.errors import Conflict, InvalidInput, InvalidTransition
from task_manager.models import EventKind
from task_manager.store import Store, events, runs, steps, tasks
from task_manager.workflow_status import (
    TASK_STATUS_OF_RUN,
    TRANSITIONS,
    Reason,
    StepStatus,
    TaskStatus,
    WorkflowStatus,
)
from tests.store.builders import LATER, a_step, stored_run, stored_workflow
from tests.store.conftest import Database

EXAMPLES = {"sqlite": 25, "postgresql": 5}
STEPS = 25

statuses = st.sampled_from(WorkflowStatus)
Told = tuple[EventKind, WorkflowStatus | None, WorkflowStatus | None, StepStatus | None]


@dataclass
class Expected:
    """What a run should look like by what was done to it."""

    task_id: str
    status: WorkflowStatus = WorkflowStatus.CREATED
    revision: int = 1
    warnings: list[str] = field(default_factory=list)
    log: list[Told] = field(default_factory=lambda: [(EventKind.RUN_STATUS, None, WorkflowStatus.CREATED, None)])


class RunMachine(RuleBasedStateMachine):
    """Several runs of two tasks, and everything that the store offers to change them."""

    known = Bundle("runs")

    def __init__(self, store: Store) -> None:
        super().__init__()
        self.store = store
        self.begin = store.run_sync(events.last_sequence)
        self.workflows = [stored_workflow(store) for _ in range(2)]
        self.expected: dict[str, Expected] = {}
        self.order: list[str] = []
        self.tasks = {workflow.task_id: TaskStatus.TODO for workflow in self.workflows}

    @rule(target=known, number=st.integers(0, 1))
    def create(self, number: int) -> str:
        run = stored_run(self.store, self.workflows[number])
        self.store.run_sync(steps.plan, [a_step(run)])
        self.expected[run.id] = Expected(run.task_id)
        self.order.append(run.id)
        return run.id

    @rule(run_id=known, to=statuses)
    def change(self, run_id: str, to: WorkflowStatus) -> None:
        """Goes where the table allows it, and is refused elsewhere."""
        run = self.expected[run_id]
        if to not in TRANSITIONS[run.status]:
            with pytest.raises(InvalidTransition):
                self.store.run_sync(runs.transition, run_id, to, now=LATER)
            return
        changed = self.store.run_sync(runs.transition, run_id, to, now=LATER, expected_revision=run.revision)
        assert changed == self.store.run_sync(runs.get, run_id)
        self._tell(run_id, (EventKind.RUN_STATUS, run.status, to, None))
        run.status, run.revision = to, run.revision + 1
        self.tasks[run.task_id] = TASK_STATUS_OF_RUN[to] or self.tasks[run.task_id]

    @rule(run_id=known, to=statuses, late=st.sampled_from([-1, 1]))
    def lose(self, run_id: str, to: WorkflowStatus, late: int) -> None:
        """Somebody who read another revision gets a conflict, whatever he wants."""
        with pytest.raises(Conflict):
            self.store.run_sync(
                runs.transition, run_id, to, now=LATER, expected_revision=self.expected[run_id].revision + late
            )

    @rule(run_id=known, to=statuses)
    def smuggle(self, run_id: str, to: WorkflowStatus) -> None:
        """A status changes by no other way than a transition."""
        run = self.store.run_sync(runs.get, run_id)
        if to != run.status:
            with pytest.raises(InvalidInput):
                self.store.run_sync(runs.update, run.evolve(status=to))

    @rule(run_id=known, text=st.sampled_from(["slow", "odd"]))
    def warn(self, run_id: str, text: str) -> None:
        run = self.expected[run_id]
        self.store.run_sync(runs.warn, run_id, Reason(code="odd", text=text), LATER)
        if text not in run.warnings:
            run.warnings.append(text)
            run.revision += 1
            self._tell(run_id, (EventKind.RUN_WARNING, None, None, None))

    @rule(run_id=known, status=st.sampled_from(StepStatus))
    def change_step(self, run_id: str, status: StepStatus) -> None:
        run = self.store.run_sync(runs.get, run_id)
        self.store.run_sync(steps.change, a_step(run, status=status), now=LATER)
        self._tell(run_id, (EventKind.STEP_STATUS, None, None, status))

    @rule(number=st.integers(0, 1), status=st.sampled_from(TaskStatus))
    def change_task(self, number: int, status: TaskStatus) -> None:
        """People set a task's status themselves; the next change of a run may set it again."""
        task_id = self.workflows[number].task_id
        task = self.store.run_sync(tasks.get, task_id)
        self.store.run_sync(tasks.update, task.evolve(status=status))
        self.tasks[task_id] = status

    @invariant()
    def runs_are_as_expected(self) -> None:
        for run_id, expected in self.expected.items():
            run = self.store.run_sync(runs.get, run_id)
            assert (run.status, run.revision) == (expected.status, expected.revision)
            assert run.warnings == tuple(expected.warnings)
            assert (run.finished_at is not None) == run.status.is_terminal

    @invariant()
    def tasks_follow(self) -> None:
        for task_id, status in self.tasks.items():
            assert self.store.run_sync(tasks.get, task_id).status == status

    @invariant()
    def the_log_tells_what_happened(self) -> None:
        log = self.store.run_sync(events.after, self.begin)
        assert [event.run_id for event in log] == self.order
        numbers = [event.sequence for event in log]
        assert numbers == sorted(set(numbers))
        for run_id, expected in self.expected.items():
            own = [event for event in log if event.run_id == run_id]
            assert [event.run_sequence for event in own] == list(range(1, len(own) + 1))
            assert [(event.kind, event.previous, event.status, event.step_status) for event in own] == expected.log

    def _tell(self, run_id: str, told: Told) -> None:
        self.expected[run_id].log.append(told)
        self.order.append(run_id)


def test_no_sequence_of_operations_leaves_the_table_or_the_log(database: Database) -> None:
    kind = "sqlite" if database.url is None else "postgresql"
    quiet = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
    limits = settings(
        max_examples=EXAMPLES[kind], stateful_step_count=STEPS, deadline=None, suppress_health_check=quiet
    )
    with database.open() as store:

        class OnThisStore(RunMachine):
            def __init__(self) -> None:
                super().__init__(store)

        run_state_machine_as_test(OnThisStore, settings=limits)

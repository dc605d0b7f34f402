"""The containers of runs that any process executes, as the store tells."""

from __future__ import annotations

from task_manager.communication.containers import ContainerRecord, containers_of_step, state_of_step
from task_manager.models import StepRecord
from task_manager.pipeline import Step
from task_manager.store import Connection, read_only, runs, steps, workflows


@read_only
def of_active_runs(c: Connection, *, run_id: str | None = None) -> tuple[ContainerRecord, ...]:
    """The containers of the runs that are not over, whichever process executes them, as their step records tell.

    Args:
        c: The transaction.
        run_id: Of this run alone.
    """
    from task_manager.pipeline_converter import optimise

    found: list[ContainerRecord] = []
    for run in runs.active(c):
        pipeline = workflows.get(c, run.workflow_id).pipeline if run_id in (None, run.id) else None
        if pipeline is not None:
            began = {record.step_id: record for record in steps.of_run(c, run.id) if record.started_at is not None}
            # Steps that were merged into another have a record each, but one container between them.
            for step in (step for step in optimise(pipeline).pipeline.steps if step.id in began):
                found += _recorded(step, began[step.id])
    return tuple(found)


def _recorded(step: Step, record: StepRecord) -> tuple[ContainerRecord, ...]:
    return containers_of_step(
        record.run_id,
        step,
        record.image,
        state_of_step(record.status),
        started_at=record.started_at,
        finished_at=record.finished_at,
    )

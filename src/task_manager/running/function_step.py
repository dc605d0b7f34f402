"""A pipeline function as the one step of its run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from task_manager.artifacts import outputs_folder
from task_manager.communication import DaggerCommunicationManager
from task_manager.config import Settings
from task_manager.errors import StepFailed, StepTimedOut, TaskManagerError
from task_manager.models import Workflow
from task_manager.pipeline import Output, OutputType, Step
from task_manager.running.functions import call_function, load_function
from task_manager.running.reasons import reason_of
from task_manager.running.records import ExportedOutput, RunObserver, StepOutcome
from task_manager.running.step_tracing import step_told
from task_manager.workflow_status import Reason, StepStatus

VALUE = Output(name="value", type=OutputType.FILE, path="value.json")
FUNCTION_STEP = Step(id="pipeline", name="pipeline function", image="dagger-sdk", outputs=(VALUE,))
"""The step that a `dagger_pipeline` run consists of; its image is only a name."""


async def run_function_step(
    communication: DaggerCommunicationManager,
    settings: Settings,
    workflow: Workflow,
    run_folder: Path,
    observer: RunObserver,
    *,
    clock: Callable[[], datetime],
) -> StepOutcome:
    """Run a workflow's function and tell how it ended."""
    started = clock()
    await observer.step_started(FUNCTION_STEP, FUNCTION_STEP.image, None)
    try:
        with step_told(FUNCTION_STEP.id) as telling:
            outcome = await _attempt(communication, settings, workflow, run_folder)
            telling.ended(outcome)
    except asyncio.CancelledError:
        reason = Reason(code="cancelled", text="Stopped with its run.")
        cancelled = StepOutcome(FUNCTION_STEP, StepStatus.CANCELLED, reason=reason, finished_at=clock())
        await asyncio.shield(observer.step_ended(cancelled))
        raise
    outcome = replace(outcome, attempts=1, started_at=started, finished_at=clock())
    await observer.step_ended(outcome)
    return outcome


async def _attempt(
    communication: DaggerCommunicationManager, settings: Settings, workflow: Workflow, run_folder: Path
) -> StepOutcome:
    limit = settings.default_step_timeout
    folder = outputs_folder(run_folder) / FUNCTION_STEP.id / VALUE.name
    try:
        function = load_function(workflow.function or "", settings.pipelines_dir)
        async with asyncio.timeout(limit), communication.guard() as session:
            path = await call_function(function, session.client, workflow.parameters, folder)
    except TimeoutError:
        error = StepTimedOut(f"The pipeline function was stopped after {limit:g} s, its time limit.")
        return StepOutcome(FUNCTION_STEP, StepStatus.TIMED_OUT, reason=reason_of(error))
    except StepFailed as failed:
        return StepOutcome(
            FUNCTION_STEP,
            StepStatus.FAILED,
            exit_code=1,
            stdout=str(failed.details.get("stdout", "")),
            stderr=str(failed.details.get("stderr", "")),
            reason=reason_of(failed),
        )
    except TaskManagerError as refused:
        return StepOutcome(FUNCTION_STEP, StepStatus.FAILED, reason=reason_of(refused))
    exported = ExportedOutput(FUNCTION_STEP.id, VALUE, path)
    return StepOutcome(FUNCTION_STEP, StepStatus.SUCCEEDED, exit_code=0, outputs=(exported,))

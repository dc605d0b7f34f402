"""What the runner is given, and what it tells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

from task_manager.logs import Scrubber
from task_manager.models import StepRecord
from task_manager.pipeline import Output, Step
from task_manager.workflow_status import Reason, StepStatus


@dataclass(frozen=True)
class RunContext:
    """What a run's steps need to know beside the pipeline.

    Attributes:
        run_folder: An absolute folder of this run; each step gets `STEP/` in it for its logs.
        source_folder: The task's source folder; none when it has none.
        task_sources: For each `(task, artifact)` that a step names, the file or folder; the artifact is None for
            the task's result.
        fresh: Whether no step may be answered from an earlier run.
        epochs: For a step that failed in an earlier run, that run's id: what it left in the engine's cache is not
            used again.
        scrubber: What must not be written.
        alone: Whether each step runs without any other at its side, in this process.
    """

    run_id: str
    run_folder: Path
    source_folder: Path | None = None
    task_sources: Mapping[tuple[str, str | None], Path] = field(default_factory=dict)
    fresh: bool = False
    epochs: Mapping[str, str] = field(default_factory=dict)
    scrubber: Scrubber = field(default_factory=Scrubber)
    alone: bool = False


@dataclass(frozen=True)
class ExportedOutput:
    """An output as it lies on the host."""

    step_id: str
    output: Output
    path: Path


@dataclass(frozen=True)
class StepOutcome:
    """How a step ended.

    Attributes:
        reason: Why it did not succeed; none when it did.
        stdout: The whole standard output, cut at the limit.
        stderr: The whole standard error, cut at the limit.
        cached: Whether the engine had its result already; none when it does not tell.
    """

    step: Step
    status: StepStatus
    image: str = ""
    image_digest: str | None = None
    attempts: int = 0
    exit_code: int | None = None
    stdout: str = ""
    stderr: str = ""
    reason: Reason | None = None
    outputs: tuple[ExportedOutput, ...] = ()
    started_at: datetime | None = None
    finished_at: datetime | None = None
    cached: bool | None = None


class RunObserver(Protocol):
    """Who is told what happens, as it happens."""

    async def step_started(self, step: Step, image: str, image_digest: str | None) -> None:
        """A step's container is about to run."""

    async def step_ended(self, outcome: StepOutcome) -> None:
        """A step is over, or will never run."""

    async def warned(self, reason: Reason) -> None:
        """Something that people should know about how the run is carried out."""


def pending_records(run_id: str, steps: tuple[Step, ...]) -> tuple[StepRecord, ...]:
    """The records of steps that have not begun, in the pipeline's order."""
    return tuple(
        StepRecord(run_id=run_id, step_id=step.id, name=step.title, position=position, image=step.image)
        for position, step in enumerate(steps)
    )

"""What a trace and the log lines tell of a step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from task_manager.running.records import StepOutcome
from task_manager.structured_log import about, get_logger
from task_manager.tracing import SpanHandle, span
from task_manager.workflow_status import StepStatus

log = get_logger(__name__)


class StepTelling:
    """Told how a step ended."""

    def __init__(self, recorded: SpanHandle) -> None:
        self._span = recorded

    def ended(self, outcome: StepOutcome) -> None:
        """Tell how it ended; what its command wrote is nothing for a trace."""
        self._span.set(
            {
                "task_manager.step.status": outcome.status.value,
                "task_manager.step.cached": outcome.cached,
                "task_manager.step.exit_code": outcome.exit_code,
                "task_manager.step.attempts": outcome.attempts,
                "container.image.name": outcome.image or None,
            }
        )
        if outcome.status is not StepStatus.SUCCEEDED:
            self._span.failed(outcome.reason.code if outcome.reason is not None else outcome.status.value)
        log.info("step_ended", status=outcome.status.value, exit_code=outcome.exit_code, cached=outcome.cached)


@contextmanager
def step_told(step_id: str) -> Iterator[StepTelling]:
    """Record the block as a step, as a part of its run's attempt."""
    with about(step=step_id), span(f"step {step_id}", {"task_manager.step.id": step_id}) as recorded:
        log.info("step_started")
        yield StepTelling(recorded)

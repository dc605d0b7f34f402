"""How a run failed: the step, the lines that tell, the kind of failure, and its fingerprint."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from task_manager.errors import StepFailed, StepTimedOut
from task_manager.failure_rules import Classification, Evidence, FailureRule, classify
from task_manager.models import Event, StepRecord, WorkflowRun
from task_manager.results.fingerprints import fingerprint
from task_manager.results.relevant_lines import MOST_LINES, first_relevant_lines, readable_lines
from task_manager.retry_policy import RUN_TIMED_OUT
from task_manager.workflow_status import Reason, StepStatus, WorkflowStatus

_STEP_CODES = {StepStatus.TIMED_OUT: StepTimedOut.code, StepStatus.FAILED: StepFailed.code}


@dataclass(frozen=True)
class Failure:
    """How a run failed.

    Attributes:
        step: The step that did not end well: of several, the first to end; none when it was no step.
        lines: Of its output, or of what was said about it: those that tell why, the most telling first.
        classification: What kind of failure it is.
        fingerprint: The same for each failure of this kind at this place with these lines.
        upstream_run: The run on whose end it was not run.
    """

    step: StepRecord | None
    lines: tuple[str, ...]
    classification: Classification
    fingerprint: str
    upstream_run: str | None = None


def failure_of(
    run: WorkflowRun, steps: Sequence[StepRecord], events: Iterable[Event], own_rules: Sequence[FailureRule] = ()
) -> Failure | None:
    """Tell how a run failed.

    Args:
        run: With its status and reason.
        steps: Its steps.
        events: What happened to it; the reasons of steps count.
        own_rules: The pipeline's own kinds of failures.

    Returns:
        None for a run that succeeded, or has not failed so far.
    """
    if run.status not in _FAILED:
        return None
    reason = run.reason or Reason(code=str(run.status), text=f"The run is {run.status}.")
    step = _failed_step(steps, reason.code)
    evidence = _evidence(step, events, reason)
    lines = _lines(step, evidence.code) if step else tuple(readable_lines(reason.text)[:MOST_LINES])
    found = classify(evidence, own_rules)
    mark = fingerprint(found.rule, step.step_id if step else None, evidence.exit_code, lines=lines)
    upstream = reason.details.get("run")
    return Failure(step, lines, found, mark, upstream if isinstance(upstream, str) else None)


_FAILED = frozenset(status for status in WorkflowStatus if status.is_terminal) - {WorkflowStatus.SUCCEEDED} | {
    WorkflowStatus.RETRYING
}


def _evidence(step: StepRecord | None, events: Iterable[Event], reason: Reason) -> Evidence:
    if step is None:
        return Evidence(reason.code, None, reason.text)
    said = f"{step.stdout_tail}\n{step.stderr_tail}\n{step.error}"
    return Evidence(_step_code(step, events, reason.code), step.exit_code, said)


def _lines(step: StepRecord, code: str) -> tuple[str, ...]:
    """What the command wrote tells most; where it was not the command that failed, what was said about it."""
    written = first_relevant_lines(step.stdout_tail, step.stderr_tail)
    said = readable_lines(step.error)
    several = [*written] or said if code == StepFailed.code else [*said, *written]
    return tuple(dict.fromkeys(several))[:MOST_LINES]


def _failed_step(steps: Iterable[StepRecord], code: str) -> StepRecord | None:
    ends = (StepStatus.FAILED, StepStatus.TIMED_OUT)
    ended = [step for step in steps if step.status in ends]
    if code == RUN_TIMED_OUT:
        ended = [step for step in steps if step.status is StepStatus.CANCELLED]
    return min(ended, key=lambda one: (one.finished_at is None, one.finished_at, one.position), default=None)


def _step_code(step: StepRecord, events: Iterable[Event], of_run: str) -> str:
    """Why the step ended as it did: as its last event says, else as its state does."""
    if of_run == RUN_TIMED_OUT:
        return RUN_TIMED_OUT
    told = [
        event.reason.code
        for event in events
        if event.step_id == step.step_id and event.step_status is step.status and event.reason is not None
    ]
    return told[-1] if told else _STEP_CODES.get(step.status, of_run)

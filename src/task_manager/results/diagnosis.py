"""Why a run failed, and what can be done: `Diagnosis`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pydantic import AwareDatetime

from task_manager.failure_rules import FailureClass, FailureRule, Resource
from task_manager.models import Event, EventKind, StepRecord, WorkflowRun
from task_manager.results.failures import Failure, failure_of
from task_manager.results.parts import Part
from task_manager.results.run_changes import Changes
from task_manager.workflow_status import StepStatus, WorkflowStatus

ENGINE_RECONNECTED = "engine_reconnected"
RECOVERY = "recovery"
"""In the details of a reason: what is done about the failure that the reason tells."""

_PLACEHOLDER = re.compile(r"\{(run|task|project|step|image|upstream)\}")


class Action(Part):
    """A command that a person or an agent can run as it stands, and what it is good for."""

    command: str
    why: str


class Flake(Part):
    """A failure that comes and goes: with the same inputs the task both failed and succeeded.

    Attributes:
        succeeded: How many of the last runs with these inputs succeeded.
        failed: How many failed, this one included.
        example: One that succeeded.
    """

    succeeded: int
    failed: int
    example: str


class Tried(Part):
    """What was done about an earlier failure of the same run.

    Attributes:
        attempt: The attempt that had failed.
        rule: The kind of that failure.
        fingerprint: Of that failure; empty where none was taken.
        action: What was done, in one sentence.
    """

    attempt: int
    time: AwareDatetime
    failure_class: FailureClass = FailureClass.UNKNOWN
    rule: str = ""
    fingerprint: str = ""
    action: str


class Diagnosis(Part):
    """Where and why a run failed, and what can be done.

    Attributes:
        failure_class: The kind of failure, by what helps against it.
        resource: What ran out.
        rule: By which rule that is known.
        summary: What happened, in one sentence.
        step_id: The step that did not end well; of several, the first to end; none when it was no step.
        step_name: Its name for people.
        status: How it ended.
        exit_code: Its command's; none when it did not end by itself.
        lines: The lines of its output that tell why, the most telling first.
        fingerprint: The same for each failure of this kind at this place with these lines.
        changes: What is different since the task's last success; none when it never succeeded.
        flake: Set when the same inputs have both failed and succeeded.
        tried: What was done about earlier failures of this run, in order.
        actions: What to do next, the most useful first.
    """

    failure_class: FailureClass = FailureClass.UNKNOWN
    resource: Resource | None = None
    rule: str = ""
    summary: str = ""
    step_id: str | None = None
    step_name: str | None = None
    status: StepStatus | None = None
    exit_code: int | None = None
    lines: tuple[str, ...] = ()
    fingerprint: str = ""
    changes: Changes | None = None
    flake: Flake | None = None
    tried: tuple[Tried, ...] = ()
    actions: tuple[Action, ...] = ()


@dataclass(frozen=True)
class History:
    """What a task's other runs tell about a failure."""

    changes: Changes | None = None
    flake: Flake | None = None


def diagnose(run: WorkflowRun, steps: Sequence[StepRecord], own_rules: Sequence[FailureRule] = ()) -> Diagnosis | None:
    """Why a run failed, as far as it and its steps tell alone; None when it did not."""
    failure = failure_of(run, steps, (), own_rules)
    return diagnosis_of(run, failure, (), History()) if failure else None


def diagnosis_of(run: WorkflowRun, failure: Failure, events: Iterable[Event], history: History) -> Diagnosis:
    """Put together what is known about a failure.

    Args:
        run: The run.
        failure: How it failed.
        events: What happened to it.
        history: What other runs tell.
    """
    step, found = failure.step, failure.classification
    return Diagnosis(
        failure_class=found.failure_class,
        resource=found.resource,
        rule=found.rule,
        summary=found.summary,
        step_id=step.step_id if step else None,
        step_name=step.name if step else None,
        status=step.status if step else None,
        exit_code=step.exit_code if step else None,
        lines=failure.lines,
        fingerprint=failure.fingerprint,
        changes=history.changes,
        flake=history.flake,
        tried=tried(events),
        actions=_actions(run, failure, history),
    )


def tried(events: Iterable[Event]) -> tuple[Tried, ...]:
    """What was done about the failures of a run so far, as its events tell."""
    return tuple(one for event in events if (one := _tried(event)) is not None)


def _tried(event: Event) -> Tried | None:
    if event.reason is None:
        return None
    if event.kind is EventKind.RUN_WARNING and event.reason.code == ENGINE_RECONNECTED:
        failure_class, rule = FailureClass.INFRASTRUCTURE, "engine_lost"
        return Tried(
            attempt=event.attempt, time=event.time, failure_class=failure_class, rule=rule, action=event.reason.text
        )
    told = event.reason.details.get(RECOVERY)
    if not isinstance(told, dict):
        return None
    known = {name: told[name] for name in ("failure_class", "rule", "fingerprint", "action") if name in told}
    attempt = event.attempt - (event.status is WorkflowStatus.RETRYING)
    return Tried.model_validate({**known, "attempt": attempt, "time": event.time})


def _actions(run: WorkflowRun, failure: Failure, history: History) -> tuple[Action, ...]:
    """The rule's commands with the run's names in them; those that lack a name are left out."""
    known = {
        "run": run.id,
        "task": run.task_id,
        "project": run.project_id,
        "step": failure.step.step_id if failure.step else None,
        "image": failure.step.image or None if failure.step else None,
        "upstream": failure.upstream_run,
    }
    wanted = [(one.command, one.why) for one in failure.classification.actions]
    if history.flake is not None:
        wanted.insert(0, ("task-manager run retry {run}", "It succeeded before with the same inputs."))
    found = [
        Action(command=_PLACEHOLDER.sub(lambda name: str(known[name[1]]), command), why=why)
        for command, why in wanted
        if all(known[name] is not None for name in _PLACEHOLDER.findall(command))
    ]
    return tuple({action.command: action for action in reversed(found)}.values())[::-1]


def flake_among(run: WorkflowRun, same_inputs: Sequence[WorkflowRun]) -> Flake | None:
    """A flake, if among the task's other runs with the same inputs any was executed and succeeded.

    Args:
        run: The one that failed.
        same_inputs: The other runs with its inputs, newest first; those that were answered from the cache do not count.
    """
    executed = [one for one in same_inputs if one.reason is None or one.reason.code != "cached"]
    succeeded = [one for one in executed if one.status is WorkflowStatus.SUCCEEDED]
    failed = [one for one in executed if one.status in (WorkflowStatus.FAILED, WorkflowStatus.TIMED_OUT)]
    if not succeeded or run.status not in (WorkflowStatus.FAILED, WorkflowStatus.TIMED_OUT):
        return None
    return Flake(succeeded=len(succeeded), failed=len(failed) + 1, example=succeeded[0].id)

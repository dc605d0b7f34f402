"""The values of secrets: where steps take them from, and how what steps leave is rid of them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from task_manager.errors import InvalidConfiguration
from task_manager.logs import Scrubber
from task_manager.pipeline import Pipeline, Step
from task_manager.running.records import StepOutcome
from task_manager.workflow_status import Reason


def read_secret(reference: str) -> str:
    """The value of the secret that `env:NAME` or `file:PATH` names.

    Raises:
        KeyError, OSError, UnicodeDecodeError: It is not there, or cannot be read.
    """
    scheme, _, place = reference.partition(":")
    return os.environ[place] if scheme == "env" else Path(place).read_text().rstrip("\n")


def secret_value(step: Step, name: str, reference: str) -> str:
    """A secret's value.

    Raises:
        InvalidConfiguration: It is not there.
    """
    scheme, _, place = reference.partition(":")
    try:
        return read_secret(reference)
    except (KeyError, OSError, UnicodeDecodeError) as error:
        where = f"the environment variable {place}" if scheme == "env" else f"the file {place}"
        raise InvalidConfiguration(
            f"Step {step.id} takes the secret {name} from {where}, which cannot be read.",
            remedy="Provide it where runs are executed.",
            details={"step": step.id, "secret": name, "reference": reference},
        ) from error


def scrubber_of(pipeline: Pipeline | None, others: Iterable[str]) -> Scrubber:
    """What must not be written of a run.

    Args:
        pipeline: Its steps' secrets, as far as they are there; none: a function is run.
        others: Values of secrets that every step gets.
    """
    values = list(others)
    for step in pipeline.steps if pipeline else ():
        for name, reference in step.secrets.items():
            with suppress(InvalidConfiguration):  # the step says so itself
                values.append(secret_value(step, name, reference))
    return Scrubber(values)


def without_secrets(outcome: StepOutcome, scrubber: Scrubber) -> StepOutcome:
    """How a step ended, without secrets in what it wrote."""
    if not scrubber:
        return outcome
    return replace(
        outcome,
        stdout=scrubber.text(outcome.stdout),
        stderr=scrubber.text(outcome.stderr),
        reason=reason_without_secrets(outcome.reason, scrubber),
    )


def reason_without_secrets(reason: Reason | None, scrubber: Scrubber) -> Reason | None:
    """A reason without secrets in its text and details."""
    if reason is None or not scrubber:
        return reason
    return Reason.model_validate(scrubber.data(reason.model_dump(mode="json")))

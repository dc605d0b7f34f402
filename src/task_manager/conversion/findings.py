"""Findings: what is wrong with a definition, each with its place and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from task_manager.errors import InvalidPipeline


class Severity(StrEnum):
    """Whether a finding stops the definition from being used."""

    ERROR = "error"
    """It cannot run as it is."""
    WARNING = "warning"
    """It can run, but probably does not do what its author meant."""


class Finding(BaseModel):
    """One thing that is wrong with a definition.

    Attributes:
        place: Where, such as `steps[2].outputs[0].path`; `definition` for the whole.
        code: A stable name for machines, in snake case.
        message: What is wrong, one sentence.
        remedy: What to do next, one sentence; empty when the message says it.
        severity: Whether it stops the definition from being used.
    """

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    place: str
    code: str
    message: str
    remedy: str = ""
    severity: Severity = Severity.ERROR

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" + (f" {self.remedy}" if self.remedy else "")


def errors_of(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Those that stop the definition from being used."""
    return tuple(finding for finding in findings if finding.severity is Severity.ERROR)


def refusal(findings: Iterable[Finding], *, subject: str = "The definition") -> InvalidPipeline:
    """The error for a definition that has errors.

    Args:
        findings: All that was found, at least one error.
        subject: What they are about, as the message's first words.

    Returns:
        An error whose message lists the errors; `details["findings"]` has the warnings too.
    """
    everything = tuple(findings)
    errors = errors_of(everything)
    count = "an error" if len(errors) == 1 else f"{len(errors)} errors"
    lines = "".join(f"\n  {finding}" for finding in errors)
    return InvalidPipeline(
        f"{subject} has {count}:{lines}",
        remedy="Correct the places named; nothing was changed.",
        details={"findings": [finding.model_dump(mode="json") for finding in everything]},
    )


def refuse_errors(findings: Iterable[Finding], *, subject: str = "The definition") -> None:
    """Refuse a definition that has errors; warnings alone pass.

    Raises:
        InvalidPipeline: There are errors; see `refusal`.
    """
    everything = tuple(findings)
    if errors_of(everything):
        raise refusal(everything, subject=subject)

"""What kind of failure it is: rules, which are data, over codes, exit codes, signals and messages.

The built-in rules stand in `failure_rules.yaml`; a pipeline, and so a template, may have rules of its own, which are
asked first. Of several rules that fit, the first counts.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, model_validator

RULES_FILE: Final = Path(__file__).with_name("failure_rules.yaml")
_SIGNALLED: Final = 128  # what shells and containers add to a signal's number
_MOST_CHARACTERS: Final = 20_000


class FailureClass(StrEnum):
    """Kinds of failures, by what helps against them."""

    INFRASTRUCTURE = "infrastructure"
    """The engine, a registry, a worker or the store failed, not the command; another attempt may succeed."""
    TRANSIENT = "transient"
    """The command met something that passes, such as a service that did not answer; another attempt may succeed."""
    RESOURCE = "resource"
    """Memory, disk, processes or time ran out; another attempt needs more of them."""
    CONFIGURATION = "configuration"
    """Something that was set up is wrong: an image, a program, a path, a setting; it has to be corrected."""
    DETERMINISTIC = "deterministic"
    """The command did its work and failed: tests, findings, a crash; the same inputs would fail again."""
    OUTPUT_INVALID = "output_invalid"
    """The command ended well, but what it should have left is missing or broken."""
    POLICY = "policy"
    """A rule of this software, the engine or the project refused it."""
    CANCELLED = "cancelled"
    """Somebody ended it."""
    UNKNOWN = "unknown"
    """Nothing that is known fits."""


class Resource(StrEnum):
    """What ran out."""

    MEMORY = "memory"
    """Main memory, of the machine or within a limit."""
    DISK = "disk"
    """Space on a disk, or within a quota."""
    TIME = "time"
    """The time limit of a step or of the run."""
    PROCESSES = "processes"
    """Processes or threads."""


class Remedy(StrEnum):
    """What is done before another attempt, beyond waiting."""

    REPAIR_ENGINE_CACHE = "repair_engine_cache"
    """What is damaged in the embedded engine's cache is removed, and every step runs anew."""
    CHECK_ENGINE_CACHE = "check_engine_cache"
    """Where a step was answered from the embedded engine's cache, that is verified; if something is damaged, it is
    repaired, and every step runs anew. Else the run ends."""


def _known_signal(name: str) -> str:
    if name not in signal.Signals.__members__:
        raise ValueError("the name of a signal, such as SIGKILL")
    return name


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"a regular expression ({error})") from error
    return text


class _Data(BaseModel):
    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")


class ActionTemplate(_Data):
    """A command that helps. `{run}`, `{task}`, `{project}`, `{step}`, `{image}`, `{upstream}` are the run's own."""

    command: str = Field(min_length=1, description="As a shell reads it.")
    why: str = Field(min_length=1, description="What it is good for.")


class Example(_Data):
    """A failure that a rule is for; the tests show it to all rules."""

    code: str = Field("step_failed", description="The code of the reason.")
    exit_code: int | None = Field(None, description="The command's exit code.")
    output: str = Field("", description="What the command wrote, or the engine said.")


class FailureRule(_Data):
    """A kind of failure: what it is known by, and what it means. All conditions that are given must hold."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_]{0,62}$", description="Names the rule in diagnoses.")
    failure_class: FailureClass = Field(description="What kind of failure it is.")
    summary: str = Field(min_length=1, max_length=300, description="What happened, in one sentence for people.")
    codes: tuple[str, ...] = Field((), description="The reason has one of these codes.")
    exit_codes: tuple[int, ...] = Field((), description="The command ended with one of these codes.")
    signals: Annotated[tuple[Annotated[str, AfterValidator(_known_signal)], ...], Field()] = Field(
        (), description="Or it was ended by one of these signals, such as SIGKILL."
    )
    patterns: tuple[Annotated[str, AfterValidator(_pattern)], ...] = Field(
        (), description="A line of the output or message fits one of these regular expressions, in capitals or not."
    )
    resource: Resource | None = Field(None, description="What ran out.")
    again: bool | None = Field(None, description="Whether another attempt may help; none: as its class says.")
    remedy: Remedy | None = Field(None, description="What is done before another attempt.")
    actions: tuple[ActionTemplate, ...] = Field((), description="Commands that help.")
    examples: tuple[Example, ...] = Field((), description="Failures that it is for; tests show them to all rules.")

    @model_validator(mode="after")
    def _has_a_condition(self) -> Self:
        if not (self.codes or self.exit_codes or self.signals or self.patterns):
            raise ValueError("give codes, exit_codes, signals or patterns: a rule without any would fit everything")
        return self

    def fits(self, evidence: Evidence) -> bool:
        """Whether it is for this failure."""
        ends = {*self.exit_codes, *(_SIGNALLED + signal.Signals[name].value for name in self.signals)}
        return (
            (not self.codes or evidence.code in self.codes)
            and (not ends or evidence.exit_code in ends)
            and (not self.patterns or _any_line(self.patterns, evidence.output))
        )


@dataclass(frozen=True)
class Evidence:
    """What is known of a failure.

    Attributes:
        code: Of the reason: an error's code, or `step_failed`, `run_timed_out`, ….
        exit_code: The command's; none when it did not end by itself.
        output: What the command wrote at its end, and what was said about it; of a long one the end counts.
    """

    code: str
    exit_code: int | None = None
    output: str = ""


_RETRIED: Final = frozenset({FailureClass.INFRASTRUCTURE, FailureClass.TRANSIENT, FailureClass.RESOURCE})


@dataclass(frozen=True)
class Classification:
    """What kind of failure it is, and by which rule."""

    failure_class: FailureClass
    rule: str
    summary: str
    resource: Resource | None = None
    again: bool = False
    remedy: Remedy | None = None
    actions: tuple[ActionTemplate, ...] = ()


_UNKNOWN: Final = Classification(
    FailureClass.UNKNOWN, "none", "Nothing that is known fits; the lines of the output tell more."
)


def classify(evidence: Evidence, own_rules: Sequence[FailureRule] = ()) -> Classification:
    """Tell what kind of failure it is.

    Args:
        evidence: What is known of it.
        own_rules: The pipeline's, asked before the built-in ones.

    Returns:
        What the first rule that fits says; class `unknown` when none does.
    """
    evidence = Evidence(evidence.code, evidence.exit_code, evidence.output[-_MOST_CHARACTERS:])
    for rule in (*own_rules, *built_in_rules()):
        if rule.fits(evidence):
            again = rule.failure_class in _RETRIED if rule.again is None else rule.again
            return Classification(
                rule.failure_class, rule.id, rule.summary, rule.resource, again, rule.remedy, rule.actions
            )
    return _UNKNOWN


@cache
def built_in_rules() -> tuple[FailureRule, ...]:
    """The rules of this software, in the order in which they are asked."""
    import yaml

    return TypeAdapter(tuple[FailureRule, ...]).validate_python(yaml.safe_load(RULES_FILE.read_text("utf-8"))["rules"])


def _any_line(patterns: Iterable[str], text: str) -> bool:
    return any(_compiled(pattern).search(text) for pattern in patterns)


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE | re.MULTILINE)

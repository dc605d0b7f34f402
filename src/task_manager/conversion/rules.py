"""Choosing a template by what a task says of itself; the rules are data (`rules.yaml`)."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files as resource_files
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from task_manager.models import Task

_WORD = re.compile(r"[a-z0-9]+")


class Conditions(BaseModel):
    """What must be so for a rule to fit: each condition given, with any one of its values.

    Attributes:
        type: The task's type, in lower case.
        labels: A label of the task, in lower case.
        title_words: A word of the task's title, in lower case.
        inputs: The name of one of the task's inputs.
        files: A shell pattern for a path in the source folder; `*` matches slashes too.
    """

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    type: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    title_words: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    files: tuple[str, ...] = ()


class Rule(BaseModel):
    """If all its conditions hold, its template is taken.

    Attributes:
        template: The template's id.
        when: The conditions; at least one.
        because: The reason, as the end of a sentence that begins with "because".
    """

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    template: str = Field(min_length=1)
    when: Conditions
    because: str = Field(min_length=1)


class Choice(NamedTuple):
    """A rule that fits, and what made it fit, such as `type 'test'`."""

    rule: Rule
    evidence: tuple[str, ...]


@cache
def built_in_rules() -> tuple[Rule, ...]:
    """The rules that come with the package, in the order in which they are tried."""
    import yaml

    text = resource_files("task_manager.conversion").joinpath("rules.yaml").read_text("utf-8")
    return tuple(Rule.model_validate(rule) for rule in yaml.safe_load(text))


def choices(
    rules: Iterable[Rule], task: Task, *, inputs: Collection[str], files: Collection[str] = ()
) -> Iterator[Choice]:
    """The rules that fit a task, in their order.

    Args:
        rules: What to try.
        task: What is to be done.
        inputs: The names of all inputs, the task's own and those given for the run.
        files: Paths in the source folder, relative, with forward slashes.

    Yields:
        Each rule that fits, with its evidence.
    """
    for rule in rules:
        evidence = _evidence(rule.when, task, inputs, files)
        if evidence:
            yield Choice(rule, evidence)


def _evidence(when: Conditions, task: Task, inputs: Collection[str], files: Collection[str]) -> tuple[str, ...]:
    """What fulfils each condition; empty when one of them is not fulfilled."""
    words = _WORD.findall(task.title.lower())
    labels = [label.lower() for label in task.labels]
    found = []
    for name, wanted, values, fits in (
        ("type", when.type, [task.type.lower()], str.__eq__),
        ("label", when.labels, labels, str.__eq__),
        ("word", when.title_words, words, str.__eq__),
        ("input", when.inputs, inputs, str.__eq__),
        ("file", when.files, files, fnmatchcase),
    ):
        if wanted:
            value = _first(values, wanted, fits)
            if value is None:
                return ()
            found.append(f"{name} {value!r}")
    return tuple(found)


def _first(values: Collection[str], wanted: Iterable[str], fits: Callable[[str, str], bool]) -> str | None:
    return next((value for pattern in wanted for value in values if fits(value, pattern)), None)

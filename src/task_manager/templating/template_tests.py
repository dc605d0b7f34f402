"""Runs the tests that templates carry."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypeAlias

from pydantic import JsonValue

from task_manager.conversion.schema import read_pipeline
from task_manager.errors import TaskManagerError
from task_manager.pipeline import Pipeline
from task_manager.templating.expectations import differences
from task_manager.templating.records import TemplateTest, WorkflowTemplate
from task_manager.templating.rendering import Definition

Execute: TypeAlias = Callable[[Pipeline, Path], Awaitable[Mapping[str, JsonValue]]]
"""Runs a pipeline on a copy of a source folder and returns its `WorkflowResult` as JSON-like data."""


class TestKind(StrEnum):
    """What a test is about."""

    __test__ = False

    PIPELINE = "pipeline"
    """What the parameters are rendered to."""
    RESULT = "result"
    """What comes of running that on a fixture."""


class TestStatus(StrEnum):
    """How a test ended."""

    __test__ = False

    PASSED = "passed"
    """Everything was as expected."""
    FAILED = "failed"
    """Something was not."""
    NOT_RUN = "not_run"
    """It needs an engine, and none was given."""


@dataclass(frozen=True)
class TemplateTestOutcome:
    """How one expectation of a template's tests was met.

    Attributes:
        problems: What was not as expected, one sentence each.
    """

    template_id: str
    version: str
    test: str
    kind: TestKind
    status: TestStatus
    problems: tuple[str, ...] = ()


async def run_template_tests(
    template: WorkflowTemplate, execute: Execute | None = None
) -> tuple[TemplateTestOutcome, ...]:
    """Run a template's tests.

    Args:
        template: Whose tests.
        execute: Runs a pipeline on a source folder; without it, tests of results are not run.

    Returns:
        One outcome for each expectation, in the order of the tests.
    """
    outcomes = []
    for test in template.tests:
        if test.expect_result is None or test.expect_pipeline is not None:
            outcomes.append(_outcome(template, test, TestKind.PIPELINE, _pipeline_problems(template, test)))
        if test.expect_result is not None:
            outcomes.append(await _result_outcome(template, test, execute))
    return tuple(outcomes)


def _outcome(
    template: WorkflowTemplate, test: TemplateTest, kind: TestKind, problems: list[str] | None
) -> TemplateTestOutcome:
    status = TestStatus.NOT_RUN if problems is None else TestStatus.FAILED if problems else TestStatus.PASSED
    return TemplateTestOutcome(template.id, template.version, test.name, kind, status, tuple(problems or ()))


def _pipeline_problems(template: WorkflowTemplate, test: TemplateTest) -> list[str]:
    try:
        rendered = template.render(test.parameters)
    except TaskManagerError as error:
        return _error_problems(test, error)
    if test.expect_error is not None:
        return [f"Expected the error {test.expect_error}; the parameters were accepted."]
    return [*_shape_problems(rendered), *differences(test.expect_pipeline, rendered)]


def _error_problems(test: TemplateTest, error: TaskManagerError) -> list[str]:
    if test.expect_error != error.code:
        return [f"Expected {test.expect_error or 'a pipeline'}; found the error {error.code}: {error}"]
    if test.expect_message is not None and test.expect_message not in error.message:
        return [f"Expected the message to contain {test.expect_message!r}; found: {error}"]
    return []


def _shape_problems(rendered: Definition) -> list[str]:
    if "function" in rendered:
        return []
    return [finding.located("the pipeline") for finding in read_pipeline(rendered)[1]]


async def _result_outcome(
    template: WorkflowTemplate, test: TemplateTest, execute: Execute | None
) -> TemplateTestOutcome:
    if execute is None:
        return _outcome(template, test, TestKind.RESULT, None)
    folder = template.source.parent / (test.source or ".")
    try:
        result = await execute(Pipeline.model_validate(template.render(test.parameters)), folder)
    except TaskManagerError as error:
        problems = [f"Expected a result; found the error {error.code}: {error}"]
    else:
        problems = list(differences(test.expect_result, result))
    return _outcome(template, test, TestKind.RESULT, problems)

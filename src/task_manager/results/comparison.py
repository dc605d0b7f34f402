"""Two results beside each other: what became of metrics, tests, findings and artifacts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from task_manager.results.parts import Part
from task_manager.results.schemas import LintReportResult, TestReportResult, WorkflowResult
from task_manager.workflow_status import WorkflowStatus

T = TypeVar("T")


class MetricChange(Part):
    """A metric that is not the same.

    Attributes:
        before: None where the first result does not have it.
        after: None where the second does not.
    """

    name: str
    unit: str = ""
    before: float | None
    after: float | None


class ArtifactChange(Part):
    """An artifact that is not the same.

    Attributes:
        before: Its digest in the first result; None where it is new.
        after: Its digest in the second; None where it is gone.
    """

    name: str
    before: str | None
    after: str | None
    size_before: int | None = None
    size_after: int | None = None


class ResultComparison(Part):
    """What differs between two results.

    Attributes:
        before: The run of the first.
        after: The run of the second.
        status: Of both runs.
        seconds: Of both runs.
        newly_failing: Tests that fail in the second alone, as `SUITE::NAME`.
        fixed: Tests that fail in the first alone.
        new_findings: Findings of code checkers in the second alone, as `RULE FILE: MESSAGE`.
        gone_findings: Those in the first alone.
    """

    before: str
    after: str
    status: tuple[WorkflowStatus, WorkflowStatus]
    seconds: tuple[float | None, float | None]
    metrics: tuple[MetricChange, ...] = ()
    newly_failing: tuple[str, ...] = ()
    fixed: tuple[str, ...] = ()
    new_findings: tuple[str, ...] = ()
    gone_findings: tuple[str, ...] = ()
    artifacts: tuple[ArtifactChange, ...] = ()


def compare(before: WorkflowResult, after: WorkflowResult) -> ResultComparison:
    """Compare two results, of whatever types: what only one of them has is told as new or gone.

    Tests and findings are compared where both results have a report of them; a finding is the same on another line.
    """
    newly_failing, fixed = _sets(_failing(before), _failing(after))
    new_findings, gone_findings = _sets(_findings(before), _findings(after))
    return ResultComparison(
        before=before.run_id,
        after=after.run_id,
        status=(before.status, after.status),
        seconds=(before.seconds, after.seconds),
        metrics=_metrics(before, after),
        newly_failing=newly_failing,
        fixed=fixed,
        new_findings=new_findings,
        gone_findings=gone_findings,
        artifacts=_artifacts(before, after),
    )


def _metrics(before: WorkflowResult, after: WorkflowResult) -> tuple[MetricChange, ...]:
    first, second = ({one.name: one for one in result.metrics} for result in (before, after))
    changes = []
    for name in dict.fromkeys([*first, *second]):
        one, other = first.get(name), second.get(name)
        if one is None or other is None or one.value != other.value:
            unit = (one or other).unit if one or other else ""  # type: ignore[union-attr]
            values = {"before": one.value if one else None, "after": other.value if other else None}
            changes.append(MetricChange(name=name, unit=unit, **values))
    return tuple(changes)


def _artifacts(before: WorkflowResult, after: WorkflowResult) -> tuple[ArtifactChange, ...]:
    first, second = ({one.name: one for one in result.artifacts} for result in (before, after))
    return tuple(
        ArtifactChange(
            name=name,
            before=_of(first.get(name), lambda one: one.digest),
            after=_of(second.get(name), lambda one: one.digest),
            size_before=_of(first.get(name), lambda one: one.size),
            size_after=_of(second.get(name), lambda one: one.size),
        )
        for name in dict.fromkeys([*first, *second])
        if name not in first or name not in second or first[name].digest != second[name].digest
    )


S = TypeVar("S")


def _of(record: S | None, field: Callable[[S], T]) -> T | None:
    return None if record is None else field(record)


def _failing(result: WorkflowResult) -> tuple[str, ...] | None:
    if not isinstance(result, TestReportResult) or result.tests is None:
        return None
    return tuple("::".join(part for part in (one.suite, one.name) if part) for one in result.tests.failures)


def _findings(result: WorkflowResult) -> tuple[str, ...] | None:
    if not isinstance(result, LintReportResult) or result.lint is None:
        return None
    return tuple(f"{one.rule} {one.file or ''}: {one.message}".strip() for one in result.lint.findings)


def _sets(before: Iterable[str] | None, after: Iterable[str] | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What is in the second alone, and what is in the first alone; nothing where one of them is not known."""
    if before is None or after is None:
        return (), ()
    first, second = dict.fromkeys(before), dict.fromkeys(after)
    return tuple(one for one in second if one not in first), tuple(one for one in first if one not in second)

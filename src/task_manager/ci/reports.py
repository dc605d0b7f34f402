"""The outcomes of tasks as one JUnit file, and what checkers found as one SARIF file."""

from __future__ import annotations

from collections.abc import Sequence

from junitparser import Error, Failure, Skipped, TestCase, TestSuite

from task_manager.ci.outcomes import Outcome
from task_manager.results.schemas import LintReportResult, TestReportResult
from task_manager.results.transformers.junit import junit_report, suite_of, xml_text
from task_manager.results.transformers.sarif import run_of, sarif_log
from task_manager.workflow_status import WorkflowStatus


def as_junit(project: str, outcomes: Sequence[Outcome]) -> bytes:
    """A suite in which each task is a case, and a suite for the tests of each task that ran tests."""
    tasks = TestSuite(xml_text(project))
    tasks.add_testcases([_case(project, one) for one in outcomes])
    tests = [
        suite_of(one.title, one.result.tests)
        for one in outcomes
        if isinstance(one.result, TestReportResult) and one.result.tests is not None
    ]
    return junit_report(project, [tasks, *tests])


def as_sarif(project: str, outcomes: Sequence[Outcome]) -> bytes:
    """What the tasks' code checkers found, a run of the log for each task that has such a result.

    A run's id ends with `/`: services that compare logs take what is before it for the category.
    """
    return sarif_log(
        [
            run_of(f"{project}/{one.title}/", one.result.lint, one.folder)
            for one in outcomes
            if isinstance(one.result, LintReportResult) and one.result.lint is not None
        ]
    )


def _case(project: str, one: Outcome) -> TestCase:
    case = TestCase(xml_text(one.title), classname=xml_text(project))
    case.time = round((one.result.seconds if one.result else None) or 0.0, 3)
    if not one.succeeded:
        case.result = [_not_passed(one)]
    return case


def _not_passed(one: Outcome) -> Failure | Error | Skipped:
    if one.run.status in (WorkflowStatus.SKIPPED, WorkflowStatus.CANCELLED):
        return Skipped(xml_text(one.headline))
    code = one.run.reason.code if one.run.reason else one.run.status.value
    kind = Failure if code == "step_failed" else Error
    found = kind(xml_text(one.headline), code)
    if one.diagnosis is not None:
        found.text = xml_text("\n".join(one.diagnosis.lines))
    return found

"""Results as JUnit XML."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite

from task_manager.errors import TransformationFailed
from task_manager.results.schemas import TestReportResult, WorkflowResult
from task_manager.results.test_reports import FailedTest, FailureKind, OtherTest, TestReport

UNNAMED: Final = "tests without a case"
"""The property of a suite that tells how many tests are counted and not named."""

_NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def as_junit(result: WorkflowResult) -> bytes:
    """A test report: a case for each test, and the counts of all tests.

    Where more tests were run than the result names, the suite's property `tests without a case` says how many more.

    Raises:
        TransformationFailed: The result has no tests.
    """
    if not isinstance(result, TestReportResult) or result.tests is None:
        raise TransformationFailed(
            f"The result of type {result.type.value} has no tests to write as JUnit.",
            remedy="Choose another form: markdown or json.",
            details={"form": "junit", "type": result.type.value},
        )
    return junit_report("task-manager", [suite_of(result.run_id, result.tests)])


def junit_report(name: str, suites: Sequence[TestSuite]) -> bytes:
    """Suites as one XML document, with the sums of their counts."""
    report = JUnitXml(xml_text(name))
    for suite in suites:
        report.append(suite)  # type: ignore[no-untyped-call]
    report.tests, report.failures = sum(one.tests for one in suites), sum(one.failures for one in suites)
    report.errors, report.skipped = sum(one.errors for one in suites), sum(one.skipped for one in suites)
    report.time = sum(one.time for one in suites)
    content: bytes = report.tostring()  # type: ignore[no-untyped-call]
    return content


def suite_of(name: str, tests: TestReport) -> TestSuite:
    """The suite of a report: a case for each test that it names, those that failed first, and the counts of all."""
    suite = TestSuite(xml_text(name))
    suite.add_testcases([*map(_case, tests.failures), *map(_other_case, tests.others)])
    if tests.unnamed:
        suite.add_property(UNNAMED, str(tests.unnamed))
    # The counts are of all tests, also of those that have no case of their own.
    suite.tests, suite.failures, suite.errors = tests.total, tests.failed, tests.errors
    suite.skipped, suite.time = tests.skipped, tests.seconds
    return suite


def _other_case(test: OtherTest) -> TestCase:
    case = TestCase(xml_text(test.name), classname=xml_text(test.suite))
    case.time = test.seconds
    if test.skipped:
        case.result = [Skipped()]
    return case


def _case(failed: FailedTest) -> TestCase:
    case = TestCase(xml_text(failed.name), classname=xml_text(failed.suite))
    kind = Error if failed.kind is FailureKind.ERROR else Failure
    outcome = kind(xml_text(failed.message))
    outcome.text = xml_text(failed.details)
    case.result = [outcome]
    return case


def xml_text(text: str) -> str:
    """A text that XML can hold."""
    return _NOT_IN_XML.sub("\ufffd", text)

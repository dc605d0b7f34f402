"""Results as JUnit XML."""

from __future__ import annotations

import re

from junitparser import Error, Failure, JUnitXml, TestCase, TestSuite

from task_manager.errors import TransformationFailed
from task_manager.results.schemas import TestReportResult, WorkflowResult
from task_manager.results.test_reports import FailedTest, FailureKind

_NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def as_junit(result: WorkflowResult) -> bytes:
    """A test report: the counts of all tests, and a case for each that failed.

    Raises:
        TransformationFailed: The result has no tests.
    """
    if not isinstance(result, TestReportResult) or result.tests is None:
        raise TransformationFailed(
            f"The result of type {result.type.value} has no tests to write as JUnit.",
            remedy="Choose another form: markdown or json.",
            details={"form": "junit", "type": result.type.value},
        )
    tests = result.tests
    suite = TestSuite(result.run_id)
    suite.add_testcases([_case(one) for one in tests.failures])
    # The counts are of all tests, also of those that passed, which have no case of their own.
    suite.tests, suite.failures, suite.errors = tests.total, tests.failed, tests.errors
    suite.skipped, suite.time = tests.skipped, tests.seconds
    report = JUnitXml("task-manager")
    report.append(suite)  # type: ignore[no-untyped-call]
    report.tests, report.failures, report.errors = tests.total, tests.failed, tests.errors
    report.skipped, report.time = tests.skipped, tests.seconds
    content: bytes = report.tostring()  # type: ignore[no-untyped-call]
    return content


def _case(failed: FailedTest) -> TestCase:
    case = TestCase(_xml(failed.name), classname=_xml(failed.suite))
    kind = Error if failed.kind is FailureKind.ERROR else Failure
    outcome = kind(_xml(failed.message))
    outcome.text = _xml(failed.details)
    case.result = [outcome]
    return case


def _xml(text: str) -> str:
    """A text that XML can hold."""
    return _NOT_IN_XML.sub("\ufffd", text)

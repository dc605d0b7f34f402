"""What Node.js reports as JUnit: tests without a suite, one class name for all, and stacks instead of tracebacks."""

from pathlib import Path

import pytest

from task_manager.results.parsers.junit import parse_junit
from task_manager.results.test_reports import FailedTest, TestReport
from tests.results import GOLDEN


@pytest.fixture
def report() -> TestReport:
    return parse_junit(GOLDEN / "node.xml", "test/junit").report


def failure_of(folder: Path, case: str) -> FailedTest:
    path = folder / "junit.xml"
    path.write_text(f"<testsuites>{case}</testsuites>")
    (failure,) = parse_junit(path, "junit").report.failures
    return failure


def test_tests_in_and_outside_of_suites_are_counted(report: TestReport) -> None:
    assert (report.total, report.passed, report.failed, report.errors) == (3, 1, 2, 0)
    assert report.seconds == pytest.approx(0.001438 + 0.005604 + 0.000256)


def test_failures_have_suite_place_and_the_whole_reason(report: TestReport) -> None:
    assert [(one.suite, one.name, one.place, one.message) for one in report.failures] == [
        ("sums", "are <exact>", "sums.test.mjs:7", "Expected values to be strictly equal: 3 !== 4"),
        ("", "throws", "sums.test.mjs:11", "no such thing"),
    ]


def test_the_names_of_suites_within_suites_are_joined(tmp_path: Path) -> None:
    case = '<testcase name="c" classname="test"><failure message="x"/></testcase>'
    inner = f'<testsuite name="inner">{case}</testsuite>'
    assert failure_of(tmp_path, f'<testsuite name="outer">{inner}</testsuite>').suite == "outer > inner"


@pytest.mark.parametrize(
    ("stack", "place"),
    [
        ("at node:internal/main:1:2\n    at add (file:///src/a.mjs:3:4)\n    at run (b.js:5:6)", "/src/a.mjs:3"),
        ("    at src/a.ts:3:4", "src/a.ts:3"),
        ("    at async Promise.all (index 0)", "t.js"),
    ],
)
def test_a_failure_is_where_its_stack_begins_outside_of_node(tmp_path: Path, stack: str, place: str) -> None:
    case = f'<testcase name="c" file="t.js"><failure message="x">Error: x\n    {stack}</failure></testcase>'
    assert failure_of(tmp_path, case).place == place


@pytest.mark.parametrize(
    ("message", "first"),
    [
        ("one&#10;two", "one"),
        ("differs:&#10;&#10;1 !== 2&#10;&#10;more", "differs: 1 !== 2"),
        ("differs:&#10;+ a&#10;- b&#10;&#10;more", "differs: + a"),
        ("differs:", "differs:"),
    ],
)
def test_a_first_line_that_announces_more_is_told_with_it(tmp_path: Path, message: str, first: str) -> None:
    assert failure_of(tmp_path, f'<testcase name="c"><failure message="{message}"/></testcase>').message == first

"""JUnit XML, as pytest, unittest runners, Node.js, Jest, Maven and many others write it.

Suites may hold suites, and `testsuites` may hold test cases without any suite.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice, takewhile
from pathlib import Path
from typing import Any, NamedTuple
from xml.parsers import expat

from junitparser import Attr, Error, Failure, JUnitXml, JUnitXmlError, TestCase

from task_manager.results.parsers.files import Parsed, invalid, read_report
from task_manager.results.test_reports import MOST_OTHERS, FailedTest, FailureKind, OtherTest, TestReport

_EXPECTED = "a JUnit XML report"
_MAXIMUM_BYTES = 32 * 1024 * 1024
_MAXIMUM_DEPTH = 64
_MAXIMUM_ELEMENTS = 200_000
_MAXIMUM_FAILURES = 1000
_MAXIMUM_DETAILS = 4000
_PLACE = re.compile(r"^(?![E>] )(?P<file>[^\s:][^:\n]*\.\w{1,8}):(?P<line>\d+):", re.MULTILINE)
_SCRIPT_FRAME = re.compile(
    r"^\s*at (?:.* \()?(?!node:)(?P<file>[^\s()]+\.\w{1,8}):(?P<line>\d+):\d+\)?(?: \{)?$", re.MULTILINE
)
_NODE_CLASS = "test"  # the class name of every test that Node.js reports
_FRAME = re.compile(r'^\s*File "(?P<file>[^"\n]+)", line (?P<line>\d+)', re.MULTILINE)


class _Case(TestCase):
    """A test case with the place that some writers add to it."""

    file = Attr()
    line = Attr()


class _Placed(NamedTuple):
    """A test case and the names of the suites that it is in, outermost first."""

    case: _Case
    suites: tuple[str, ...]


def parse_junit(path: Path, name: str) -> Parsed[TestReport]:
    """Read a JUnit XML report.

    Args:
        path: A file of at most 32 MiB with at most 200,000 elements; document types, and so entities, are refused.
        name: As messages call it.

    Raises:
        OutputInvalid: It is no such report.
    """
    content = read_report(path, name, expected=_EXPECTED, limit=_MAXIMUM_BYTES)
    _require_plain_xml(content, name)
    try:
        root: Any = JUnitXml.fromstring(content)._elem  # of its own, junitparser leaves out cases without a suite
        cases = list(_cases(root, (root.get("name", ""),)))
        return Parsed(_report(cases, _seconds(root)))
    except JUnitXmlError as error:
        root = re.search(rb"<([A-Za-z_][\w.:-]*)", content)
        found = f"XML whose root is <{root[1].decode() if root else '?'}>"
        raise invalid(name, expected=_EXPECTED, found=found) from error
    except ValueError as error:  # a number that is none; of pydantic, a number that is not finite
        raise invalid(name, expected=_EXPECTED, found="a time or count that is no number") from error


def _cases(element: Any, suites: tuple[str, ...]) -> Iterator[_Placed]:
    for below in element:
        if below.tag == "testcase":
            yield _Placed(_Case.fromelem(below), suites)  # type: ignore[no-untyped-call]  # junitparser annotates little
        elif below.tag == "testsuite":
            yield from _cases(below, (*suites, below.get("name", "")))


def _seconds(root: Any) -> float:
    """What suites and cases took, as far as they tell; an outer suite's time holds that of those in it."""
    several = [root] if root.tag == "testsuite" else [*root.iterfind("testsuite"), *root.iterfind("testcase")]
    return sum(max(float(one.get("time") or 0), 0.0) for one in several)


def _require_plain_xml(content: bytes, name: str) -> None:
    """Refuse what is no XML, and XML that could grow while it is read."""
    parser = expat.ParserCreate()
    depth = elements = 0

    def refuse_document_type(*_: object) -> None:
        raise invalid(name, expected=_EXPECTED, found="a document type, which could define entities")

    def start(*_: object) -> None:
        nonlocal depth, elements
        depth, elements = depth + 1, elements + 1
        if elements > _MAXIMUM_ELEMENTS:
            raise invalid(name, expected=_EXPECTED, found=f"more than {_MAXIMUM_ELEMENTS:,} elements")
        if depth > _MAXIMUM_DEPTH:
            raise invalid(name, expected=_EXPECTED, found=f"elements nested more than {_MAXIMUM_DEPTH} deep")

    def end(*_: object) -> None:
        nonlocal depth
        depth -= 1

    parser.StartDoctypeDeclHandler = refuse_document_type
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    try:
        parser.Parse(content, True)
    except (expat.ExpatError, LookupError, ValueError) as error:
        raise invalid(name, expected=_EXPECTED, found=f"no well-formed XML ({error})") from error


def _report(placed: list[_Placed], seconds: float) -> TestReport:
    cases = [one.case for one in placed]
    errors = sum(bool(case.is_error) for case in cases)
    failed = sum(bool(case.is_failure) and not case.is_error for case in cases)
    skipped = sum(bool(case.is_skipped) and not (case.is_error or case.is_failure) for case in cases)
    others = (one for one in placed if not (one.case.is_failure or one.case.is_error))
    return TestReport(
        total=len(cases),
        passed=len(cases) - errors - failed - skipped,
        failed=failed,
        errors=errors,
        skipped=skipped,
        seconds=seconds or sum(max(case.time or 0.0, 0.0) for case in cases),
        failures=tuple(_failure(one) for one in placed if one.case.is_failure or one.case.is_error)[:_MAXIMUM_FAILURES],
        others=tuple(map(_other, islice(others, MOST_OTHERS))),
    )


def _other(placed: _Placed) -> OtherTest:
    case = placed.case
    seconds = max(case.time or 0.0, 0.0)
    return OtherTest.named(case.name or "", _suite(placed), skipped=bool(case.is_skipped), seconds=seconds)


def _failure(placed: _Placed) -> FailedTest:
    case = placed.case
    result = next(entry for entry in case.result if isinstance(entry, Failure | Error))
    details = (result.text or "").strip()
    file, line = _place(case, result.text or "")
    return FailedTest(
        name=case.name or "",
        suite=_suite(placed),
        kind=FailureKind.ERROR if case.is_error else FailureKind.FAILURE,
        message=_first_sentence((result.message or details).strip()),
        details=details[-_MAXIMUM_DETAILS:],
        file=file,
        line=line,
    )


def _suite(placed: _Placed) -> str:
    if placed.case.classname and placed.case.classname != _NODE_CLASS:
        return str(placed.case.classname)
    return " > ".join(filter(None, placed.suites))


def _first_sentence(text: str) -> str:
    """The first line; with the next ones, up to an empty line, where it ends in a colon."""
    lines = [line.strip() for line in text.splitlines()]
    if not lines or not lines[0].endswith(":"):
        return lines[0] if lines else ""
    following = [line for line in lines[1:2] if line] or lines[2:]
    return " ".join([lines[0], *takewhile(bool, following)])


def _place(case: _Case, details: str) -> tuple[str | None, int | None]:
    """Where it failed: Python's tracebacks end there, scripts' stacks begin there; else where the test stands."""
    if found := [*_PLACE.finditer(details)] or [*_FRAME.finditer(details)]:
        return found[-1]["file"], int(found[-1]["line"])
    if frame := _SCRIPT_FRAME.search(details):
        return frame["file"].removeprefix("file://"), int(frame["line"])
    line = case.line or ""
    return case.file, int(line) if line.isdecimal() else None

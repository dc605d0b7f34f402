"""JUnit XML, as pytest, unittest runners, Jest, Maven and many others write it."""

from __future__ import annotations

import re
from pathlib import Path
from xml.parsers import expat

from junitparser import Attr, Error, Failure, JUnitXml, JUnitXmlError, TestCase

from task_manager.results.parsers.files import Parsed, invalid, read_report
from task_manager.results.test_reports import FailedTest, FailureKind, TestReport

_EXPECTED = "a JUnit XML report"
_MAXIMUM_BYTES = 32 * 1024 * 1024
_MAXIMUM_DEPTH = 64
_MAXIMUM_FAILURES = 1000
_MAXIMUM_DETAILS = 4000
_PLACE = re.compile(r"^(?![E>] )(?P<file>[^\s:][^:\n]*\.\w{1,8}):(?P<line>\d+):", re.MULTILINE)
_FRAME = re.compile(r'^\s*File "(?P<file>[^"\n]+)", line (?P<line>\d+)', re.MULTILINE)


class _Case(TestCase):
    """A test case with the place that some writers add to it."""

    file = Attr()
    line = Attr()


def parse_junit(path: Path, name: str) -> Parsed[TestReport]:
    """Read a JUnit XML report.

    Args:
        path: A file of at most 32 MiB; document types, and so entities, are refused.
        name: As messages call it.

    Raises:
        OutputInvalid: It is no such report.
    """
    content = read_report(path, name, expected=_EXPECTED, limit=_MAXIMUM_BYTES)
    _require_plain_xml(content, name)
    try:
        xml = JUnitXml.fromstring(content)
        suites = list(xml)
        cases = [_with_place(case) for suite in suites for case in suite]
        seconds = sum(max(suite.time or 0.0, 0.0) for suite in suites)
        return Parsed(_report(cases, seconds))
    except JUnitXmlError as error:
        root = re.search(rb"<([A-Za-z_][\w.:-]*)", content)
        found = f"XML whose root is <{root[1].decode() if root else '?'}>"
        raise invalid(name, expected=_EXPECTED, found=found) from error
    except ValueError as error:  # a number that is none; of pydantic, a number that is not finite
        raise invalid(name, expected=_EXPECTED, found="a time or count that is no number") from error


def _with_place(case: TestCase) -> _Case:
    placed: _Case = _Case.fromelem(case)  # type: ignore[no-untyped-call]  # junitparser annotates little
    return placed


def _require_plain_xml(content: bytes, name: str) -> None:
    """Refuse what is no XML, and XML that could grow while it is read."""
    parser = expat.ParserCreate()
    depth = 0

    def refuse_document_type(*_: object) -> None:
        raise invalid(name, expected=_EXPECTED, found="a document type, which could define entities")

    def start(*_: object) -> None:
        nonlocal depth
        depth += 1
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


def _report(cases: list[_Case], seconds: float) -> TestReport:
    errors = sum(bool(case.is_error) for case in cases)
    failed = sum(bool(case.is_failure) and not case.is_error for case in cases)
    skipped = sum(bool(case.is_skipped) and not (case.is_error or case.is_failure) for case in cases)
    return TestReport(
        total=len(cases),
        passed=len(cases) - errors - failed - skipped,
        failed=failed,
        errors=errors,
        skipped=skipped,
        seconds=seconds or sum(max(case.time or 0.0, 0.0) for case in cases),
        failures=tuple(_failure(case) for case in cases if case.is_failure or case.is_error)[:_MAXIMUM_FAILURES],
    )


def _failure(case: _Case) -> FailedTest:
    result = next(entry for entry in case.result if isinstance(entry, Failure | Error))
    details = (result.text or "").strip()
    message = (result.message or details).strip()
    file, line = _place(case, details)
    return FailedTest(
        name=case.name or "",
        suite=case.classname or "",
        kind=FailureKind.ERROR if case.is_error else FailureKind.FAILURE,
        message=message.partition("\n")[0],
        details=details[-_MAXIMUM_DETAILS:],
        file=file,
        line=line,
    )


def _place(case: _Case, details: str) -> tuple[str | None, int | None]:
    """Where it failed: the last place in the traceback, else where the test stands."""
    found = [*_PLACE.finditer(details)] or [*_FRAME.finditer(details)]
    if found:
        return found[-1]["file"], int(found[-1]["line"])
    line = case.line or ""
    return case.file, int(line) if line.isdecimal() else None

"""What `go test -json` writes: one event per line (cmd/test2json of Go)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from task_manager.errors import OutputInvalid
from task_manager.results.parsers.files import Parsed, decoded, invalid, load_json, open_report
from task_manager.results.test_reports import MOST_OTHERS, FailedTest, FailureKind, OtherTest, TestReport

_EXPECTED: Final = "lines of JSON as go test -json writes them"
_MAXIMUM_BYTES: Final = 64 * 1024 * 1024
_MAXIMUM_LINE: Final = 1024 * 1024
_MAXIMUM_TESTS: Final = 200_000
_MAXIMUM_FAILURES: Final = 1000
_MAXIMUM_DETAILS: Final = 4000
_MAXIMUM_PROBLEMS: Final = 5
_PLACE: Final = re.compile(r"^\s+(?P<file>[^\s:]+\.go):(?P<line>\d+): (?P<message>.*)", re.MULTILINE)
_BUILD: Final = re.compile(r"^(?P<file>[^\s:]+\.go):(?P<line>\d+):\d+: (?P<message>.*)", re.MULTILINE)
_PANIC: Final = re.compile(r"^\t(?P<file>\S+_test\.go):(?P<line>\d+) \+0x", re.MULTILINE)
_FRAME: Final = re.compile(r"^(?:=== |--- |\s+--- |FAIL\b|PASS\b|ok\b)")


class _Event(BaseModel):
    model_config = ConfigDict(defer_build=True, frozen=True, extra="ignore", allow_inf_nan=False)

    action: str = Field(alias="Action")
    package: str = Field("", alias="Package")
    test: str = Field("", alias="Test")
    output: str = Field("", alias="Output")
    elapsed: float = Field(0.0, alias="Elapsed")
    import_path: str = Field("", alias="ImportPath")
    failed_build: str = Field("", alias="FailedBuild")


@dataclass
class _Case:
    """A test, a package or the building of one, as far as its events tell."""

    package: str
    test: str
    ended: str = ""
    seconds: float = 0.0
    failed_build: str = ""
    output: str = field(default="", repr=False)

    def write(self, text: str) -> None:
        self.output = (self.output + text)[-_MAXIMUM_DETAILS:]


def parse_go_tests(path: Path, name: str) -> Parsed[TestReport]:
    """Read what `go test -json` wrote.

    Args:
        path: A file of at most 64 MiB, which is read line by line.
        name: As messages call it.

    Returns:
        Every test and subtest, and every package that failed without a failed test, such as one that does not compile;
        and the lines that could not be used.

    Raises:
        OutputInvalid: No line can be used.
    """
    cases: dict[tuple[str, str], _Case] = {}
    problems: list[OutputInvalid] = []
    understood = 0
    for number, line in enumerate(_lines(path, name), start=1):
        try:
            event = _event(line, f"{name} line {number}")
        except OutputInvalid as error:
            problems.append(error)
            del problems[_MAXIMUM_PROBLEMS:]
            continue
        understood += 1
        _note(cases, event, name)
    if not understood:
        raise problems[0] if problems else invalid(name, expected=_EXPECTED, found="an empty file")
    return Parsed(_report(cases), tuple(problems))


def _lines(path: Path, name: str) -> Iterator[bytes]:
    with open_report(path, name, expected=_EXPECTED, limit=_MAXIMUM_BYTES) as file:
        while line := file.readline(_MAXIMUM_LINE):
            if line.strip():
                yield line


def _event(line: bytes, name: str) -> _Event:
    data = load_json(decoded(line, name, expected=_EXPECTED), name, expected=_EXPECTED)
    try:
        return _Event.model_validate(data)
    except ValidationError as error:
        raise invalid(name, expected=_EXPECTED, found="JSON that is no event") from error


def _note(cases: dict[tuple[str, str], _Case], event: _Event, name: str) -> None:
    package = event.package or event.import_path
    case = cases.setdefault((package, event.test), _Case(package, event.test))
    if len(cases) > _MAXIMUM_TESTS:
        raise invalid(name, expected=_EXPECTED, found=f"more than {_MAXIMUM_TESTS:,} tests")
    case.write(event.output)
    if event.action in ("pass", "fail", "skip"):
        case.ended, case.seconds, case.failed_build = event.action, max(event.elapsed, 0.0), event.failed_build


def _report(cases: dict[tuple[str, str], _Case]) -> TestReport:
    tests = [case for case in cases.values() if case.test]
    packages = [case for case in cases.values() if not case.test]
    failed = [case for case in tests if case.ended == "fail"]
    unfinished = [case for case in tests if not case.ended]
    told = {case.package for case in [*failed, *unfinished]}
    broken = [case for case in packages if case.ended == "fail" and case.package not in told]
    skipped = sum(case.ended == "skip" for case in tests)
    failures = [
        *(_failure(case, FailureKind.FAILURE, case.output) for case in failed),
        *(_failure(case, FailureKind.ERROR, case.output or "It did not end.") for case in unfinished),
        *(_failure(case, FailureKind.ERROR, _said(case, cases)) for case in broken),
    ]
    return TestReport(
        total=len(tests) + len(broken),
        passed=len(tests) - len(failed) - len(unfinished) - skipped,
        failed=len(failed),
        errors=len(unfinished) + len(broken),
        skipped=skipped,
        seconds=sum(case.seconds for case in packages),
        failures=tuple(failures[:_MAXIMUM_FAILURES]),
        others=tuple(map(_other, islice((case for case in tests if case.ended in ("pass", "skip")), MOST_OTHERS))),
    )


def _other(case: _Case) -> OtherTest:
    return OtherTest.named(case.test, case.package, skipped=case.ended == "skip", seconds=case.seconds)


def _said(package: _Case, cases: dict[tuple[str, str], _Case]) -> str:
    """What a package that failed as a whole said, or the compiler about it."""
    build = cases.get((package.failed_build, ""))
    return build.output if build else package.output


def _failure(case: _Case, kind: FailureKind, output: str) -> FailedTest:
    place = _PLACE.search(output) or _BUILD.search(output) or _PANIC.search(output)
    lines = [line.strip() for line in output.splitlines() if line.strip() and not _FRAME.match(line)]
    return FailedTest(
        name=case.test or case.package,
        suite=case.package,
        kind=kind,
        message=(place.groupdict().get("message") if place else None) or (lines or [""])[0],
        details=output.strip(),
        file=place["file"] if place else None,
        line=int(place["line"]) if place else None,
    )

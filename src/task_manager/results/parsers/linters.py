"""What code checkers write in their own forms: ruff's and ESLint's JSON, and the lines of flake8 and its like."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from task_manager.documents import place_text
from task_manager.errors import OutputInvalid
from task_manager.model_findings import model_findings
from task_manager.results.lint_reports import LintFinding, LintLevel, LintReport, path_within
from task_manager.results.parsers.files import (
    Parsed,
    decoded,
    invalid,
    load_json,
    open_report,
    read_report,
    storable_text,
)

_MAXIMUM_BYTES: Final = 16 * 1024 * 1024
_MAXIMUM_LINE: Final = 64 * 1024
_MAXIMUM_PROBLEMS: Final = 5
_RUFF: Final = "ruff's JSON, a list of findings"
_ESLINT: Final = "ESLint's JSON, a list of files with messages"
_LINES: Final = "lines such as FILE:LINE:COLUMN: CODE MESSAGE"
_LEVELS: Final = {
    "error": LintLevel.ERROR,
    "fatal": LintLevel.ERROR,
    "warning": LintLevel.WARNING,
    "note": LintLevel.NOTE,
    "info": LintLevel.NOTE,
}
_LINE: Final = re.compile(
    r"(?P<file>(?:[A-Za-z]:)?[^\s:][^:]*):(?P<line>\d+):(?:(?P<column>\d+):)? ?"
    r"(?:(?P<level>error|warning|note|info|fatal)(?: ?:)? |(?P<code>[A-Z]{1,8}\d{1,5}):? )?(?P<message>\S.*)"
)
_NAMED_AT_END: Final = re.compile(r"\s+\[(?P<code>[\w-]+)\]$")
_SUMMARY: Final = re.compile(
    r"Found \d+ |Success: |\d+$|All checks passed|\[\*\] \d+ fixable|\*{5,}|-{5,}|Your code has been rated"
)
# pycodestyle's E9 and pyflakes' F are errors; the rest is style.
_ERROR_CODE: Final = re.compile(r"E9\d*|F\d+")


class _Part(BaseModel):
    """What is used of a finding; the tools write more."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="ignore", populate_by_name=True)


class _Location(_Part):
    row: int | None = Field(None, ge=0)
    column: int | None = Field(None, ge=0)


class _RuffFinding(_Part):
    code: str | None = None
    filename: str
    message: str
    location: _Location | None = None
    severity: str = ""


class _EslintMessage(_Part):
    rule_id: str | None = Field(None, alias="ruleId")
    severity: int = 1
    fatal: bool = False
    message: str
    line: int | None = Field(None, ge=0)
    column: int | None = Field(None, ge=0)


class _EslintFile(_Part):
    file_path: str = Field(alias="filePath")
    messages: tuple[Any, ...]


P = TypeVar("P", bound=_Part)


def parse_ruff(path: Path, name: str, *, folder: str = "") -> Parsed[LintReport]:
    """Read what `ruff check --output-format json` wrote.

    Args:
        path: A file of at most 16 MiB.
        name: As messages call it.
        folder: The checked folder, absolute; places in it are told relative to it.

    Returns:
        The findings, and entries that could not be used.

    Raises:
        OutputInvalid: It is no such file.
    """
    problems: list[OutputInvalid] = []
    entries = _fitting(_RuffFinding, _list(path, name, _RUFF), name, problems)
    findings = (
        LintFinding(
            rule=one.code or "",
            level=_LEVELS.get(one.severity, LintLevel.WARNING if one.code else LintLevel.ERROR),
            message=one.message,
            file=path_within(one.filename, folder),
            line=one.location.row or None if one.location else None,
            column=one.location.column or None if one.location else None,
        )
        for one in entries
    )
    report = LintReport.of(findings, "ruff")
    return Parsed(report, tuple(problems))


def parse_eslint(path: Path, name: str, *, folder: str = "") -> Parsed[LintReport]:
    """Read what `eslint --format json` wrote; arguments, result and errors as for `parse_ruff`."""
    problems: list[OutputInvalid] = []
    findings = (
        LintFinding(
            rule=message.rule_id or "",
            level=LintLevel.ERROR if message.fatal or message.severity > 1 else LintLevel.WARNING,
            message=message.message,
            file=path_within(file.file_path, folder),
            line=message.line or None,
            column=message.column or None,
        )
        for file in _fitting(_EslintFile, _list(path, name, _ESLINT), name, problems)
        for message in _fitting(_EslintMessage, file.messages, f"{name} {file.file_path}", problems)
    )
    report = LintReport.of(findings, "ESLint")
    return Parsed(report, tuple(problems))


def parse_lint_lines(path: Path, name: str, *, folder: str = "") -> Parsed[LintReport]:
    """Read lines such as `a.py:3:1: F401 'os' imported but unused`, of flake8, pycodestyle, mypy, pylint and others.

    An empty file has no findings, for that is what these tools write of good code; lines that begin with a space go
    on with the message before. Arguments, result and errors are as for `parse_ruff`.
    """
    problems: list[OutputInvalid] = []
    report = LintReport.of(_line_findings(_lines(path, name), name, folder, problems), "")
    if problems and not report.total:
        raise problems[0]
    return Parsed(report, tuple(problems))


def _line_findings(
    lines: Iterable[str], name: str, folder: str, problems: list[OutputInvalid]
) -> Iterator[LintFinding]:
    for number, line in enumerate(lines, start=1):
        found = _LINE.fullmatch(line)
        if found is not None:
            yield _of_line(found, folder)
        elif line.strip() and not line.startswith((" ", "\t")) and not _is_summary(line):
            problems.append(invalid(f"{name} line {number}", expected=_LINES, found=repr(line[:80])))
            del problems[_MAXIMUM_PROBLEMS:]


def _of_line(found: re.Match[str], folder: str) -> LintFinding:
    message, code, level = found["message"], found["code"] or "", found["level"]
    if not code and (named := _NAMED_AT_END.search(message)):
        message, code = message[: named.start()], named["code"]
    serious = LintLevel.ERROR if _ERROR_CODE.fullmatch(code) else LintLevel.WARNING
    return LintFinding(
        rule=code,
        level=_LEVELS[level] if level else serious,
        message=message.strip(),
        file=path_within(found["file"], folder),
        line=int(found["line"]) or None,
        column=int(found["column"]) or None if found["column"] else None,
    )


def _is_summary(line: str) -> bool:
    """What tools write beside findings: `Found 3 errors.`, `Success: no issues found`, a count, pylint's headings."""
    return (
        re.match(r"Found \d+ |Success: |\d+$|All checks passed|\*{5,}|-{5,}|Your code has been rated", line) is not None
    )


def _lines(path: Path, name: str) -> Iterator[str]:
    with open_report(path, name, expected=_LINES, limit=_MAXIMUM_BYTES) as file:
        while line := file.readline(_MAXIMUM_LINE):
            text = decoded(line, name, expected=_LINES).rstrip("\r\n")
            if "\0" in text:
                raise invalid(name, expected=_LINES, found="bytes that are no text")
            yield storable_text(text)


def _list(path: Path, name: str, expected: str) -> list[JsonValue]:
    content = read_report(path, name, expected=expected, limit=_MAXIMUM_BYTES)
    data = load_json(decoded(content, name, expected=expected), name, expected=expected)
    if not isinstance(data, list):
        raise invalid(name, expected=expected, found="JSON that is no list")
    return data


def _fitting(model: type[P], entries: Iterable[Any], name: str, problems: list[OutputInvalid]) -> Iterator[P]:
    """Those that fit; of the others, what does not fit is noted."""
    for index, entry in enumerate(entries):
        try:
            yield model.model_validate(entry)
        except ValidationError as error:
            if len(problems) >= _MAXIMUM_PROBLEMS:
                continue
            finding = model_findings(error, model, entry)[0]
            found = f"{place_text(finding.place) or 'the whole'}: {finding.message.rstrip('.')}"
            problems.append(invalid(f"{name}[{index}]", expected="a finding", found=found))

"""SARIF 2.1.0 (OASIS), as ruff, ESLint, CodeQL and many other checkers write it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from task_manager.documents import place_text
from task_manager.errors import OutputInvalid
from task_manager.model_findings import model_findings
from task_manager.results.lint_reports import LintFinding, LintLevel, LintReport, path_within
from task_manager.results.parsers.files import Parsed, decoded, invalid, load_json, read_report

_EXPECTED = "a SARIF 2.1.0 log"
_VERSION = "2.1.0"
_MAXIMUM_BYTES = 16 * 1024 * 1024
_MAXIMUM_PROBLEMS = 100


class _Part(BaseModel):
    """A part of a SARIF log: what is used of it; the specification has much more."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="ignore", populate_by_name=True)


class _Message(_Part):
    text: str = ""
    id: str = ""
    arguments: tuple[str, ...] = ()


class _Region(_Part):
    start_line: int | None = Field(None, alias="startLine", ge=1)
    start_column: int | None = Field(None, alias="startColumn", ge=1)


class _ArtifactLocation(_Part):
    uri: str = ""


class _PhysicalLocation(_Part):
    artifact_location: _ArtifactLocation = Field(_ArtifactLocation(), alias="artifactLocation")
    region: _Region = _Region()


class _Location(_Part):
    physical_location: _PhysicalLocation = Field(_PhysicalLocation(), alias="physicalLocation")


class _Configuration(_Part):
    level: LintLevel = LintLevel.WARNING


class _Rule(_Part):
    id: str
    default_configuration: _Configuration = Field(_Configuration(), alias="defaultConfiguration")
    message_strings: dict[str, _Message] = Field(default_factory=dict, alias="messageStrings")


class _RuleReference(_Part):
    id: str = ""
    index: int = -1


class _Result(_Part):
    rule_id: str = Field("", alias="ruleId")
    rule_index: int = Field(-1, alias="ruleIndex")
    rule: _RuleReference = _RuleReference()
    level: LintLevel | None = None
    kind: str = "fail"
    message: _Message = _Message()
    locations: tuple[_Location, ...] = ()
    suppressions: tuple[object, ...] | None = None


class _Driver(_Part):
    name: str = ""
    version: str = ""
    rules: tuple[_Rule, ...] = ()


class _Tool(_Part):
    driver: _Driver = _Driver()


class _Run(_Part):
    tool: _Tool
    results: tuple[object, ...] | None = ()


def parse_sarif(path: Path, name: str, *, folder: str = "") -> Parsed[LintReport]:
    """Read a SARIF log: results of kind `fail` that nobody has suppressed.

    Args:
        path: A file of at most 16 MiB.
        name: As messages call it.
        folder: The checked folder, absolute; places in it are told relative to it.

    Returns:
        The findings, at most 5,000 with their places, and the parts of the log that could not be used.

    Raises:
        OutputInvalid: It is no such log.
    """
    content = read_report(path, name, expected=_EXPECTED, limit=_MAXIMUM_BYTES)
    log = load_json(decoded(content, name, expected=_EXPECTED), name, expected=_EXPECTED)
    runs = log.get("runs") if isinstance(log, dict) else None
    if not isinstance(log, dict) or not isinstance(runs, list):
        raise invalid(name, expected=_EXPECTED, found="JSON without a list of runs")
    if log.get("version") != _VERSION:
        raise invalid(name, expected=_EXPECTED, found=f"version {log.get('version')!r}")
    reports: list[LintReport] = []
    problems: list[OutputInvalid] = []
    for index, run in enumerate(runs):
        try:
            parsed = _parse_run(_Run.model_validate(run), f"{name} runs[{index}]", folder)
        except ValidationError as error:
            problems.append(_problem(error, _Run, run, f"{name} runs[{index}]", "a run"))
            continue
        reports.append(parsed.report)
        problems.extend(parsed.problems)
    return Parsed(LintReport.joined(reports), tuple(problems))


def _parse_run(run: _Run, name: str, folder: str) -> Parsed[LintReport]:
    problems: list[OutputInvalid] = []
    driver = run.tool.driver
    tool = " ".join(part for part in (driver.name, driver.version) if part)
    return Parsed(LintReport.of(_findings(run, name, folder, problems), tool), tuple(problems))


def _findings(run: _Run, name: str, folder: str, problems: list[OutputInvalid]) -> Iterator[LintFinding]:
    for index, data in enumerate(run.results or ()):
        try:
            result = _Result.model_validate(data)
        except ValidationError as error:
            if len(problems) < _MAXIMUM_PROBLEMS:
                problems.append(_problem(error, _Result, data, f"{name}.results[{index}]", "a result"))
            continue
        if result.kind == "fail" and not result.suppressions:
            yield _finding(result, run.tool.driver, folder)


def _problem(error: ValidationError, model: type[_Part], data: object, name: str, expected: str) -> OutputInvalid:
    finding = model_findings(error, model, data)[0]
    message = finding.message.rstrip(".")
    found = f"a {place_text(finding.place) or 'value'} that does not fit ({message[:1].lower()}{message[1:]})"
    return invalid(name, expected=f"{expected} of SARIF {_VERSION}", found=found)


def _finding(result: _Result, driver: _Driver, folder: str) -> LintFinding:
    rule = _rule_of(result, driver)
    place = result.locations[0].physical_location if result.locations else _PhysicalLocation()
    default = rule.default_configuration.level if rule else LintLevel.WARNING
    return LintFinding(
        rule=result.rule_id or result.rule.id or (rule.id if rule else ""),
        level=result.level or default,
        message=_message(result.message, rule),
        file=_file(place.artifact_location.uri, folder),
        line=place.region.start_line,
        column=place.region.start_column,
    )


def _rule_of(result: _Result, driver: _Driver) -> _Rule | None:
    """The rule that a result names by index or id (SARIF 2.1.0, 3.27.5 to 3.27.7)."""
    index = result.rule_index if result.rule_index >= 0 else result.rule.index
    if 0 <= index < len(driver.rules):
        return driver.rules[index]
    name = result.rule_id or result.rule.id
    return next((rule for rule in driver.rules if rule.id == name), None)


def _message(message: _Message, rule: _Rule | None) -> str:
    """A message's own text, or that of its rule with its arguments (SARIF 2.1.0, 3.11)."""
    text = message.text
    if not text and rule is not None and message.id in rule.message_strings:
        text = rule.message_strings[message.id].text
    for index, argument in enumerate(message.arguments):
        text = text.replace("{" + str(index) + "}", argument)
    return text.strip()


def _file(uri: str, folder: str) -> str | None:
    if not uri:
        return None
    parts = urlsplit(uri)
    path = unquote(parts.path) if parts.scheme in ("", "file") else uri
    return path_within(path, folder)

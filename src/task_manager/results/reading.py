"""Reading all reports that a pipeline names, of the artifacts that a run left behind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar, assert_never

from pydantic import JsonValue

from task_manager.conversion.paths import container_path
from task_manager.errors import OutputInvalid
from task_manager.models import Artifact, StepRecord
from task_manager.pipeline import Pipeline, ReportFormat, Step
from task_manager.results.lint_reports import LintReport
from task_manager.results.measurements import LearningCurves, Measurements
from task_manager.results.packages import BuiltPackage
from task_manager.results.parsers.documents import parse_json, parse_text
from task_manager.results.parsers.files import Parsed, invalid
from task_manager.results.parsers.go_tests import parse_go_tests
from task_manager.results.parsers.junit import parse_junit
from task_manager.results.parsers.linters import parse_eslint, parse_lint_lines, parse_ruff
from task_manager.results.parsers.metrics import parse_curves, parse_metrics
from task_manager.results.parsers.sarif import parse_sarif
from task_manager.results.parsers.tables import parse_csv
from task_manager.results.parsers.wheels import parse_wheels
from task_manager.results.table_statistics import TableStatistics
from task_manager.results.test_reports import TestReport
from task_manager.workflow_status import StepStatus

VALUE_FILE = "value.json"
"""The file that a pipeline function's returned value is kept in."""

T = TypeVar("T")


@dataclass
class Reports:
    """What all reports of a run say, by what they are about, and what could not be read."""

    tests: list[TestReport] = field(default_factory=list)
    lint: list[LintReport] = field(default_factory=list)
    curves: list[LearningCurves] = field(default_factory=list)
    measurements: list[Measurements] = field(default_factory=list)
    tables: list[TableStatistics] = field(default_factory=list)
    packages: list[BuiltPackage] = field(default_factory=list)
    data: dict[str, JsonValue] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    problems: list[OutputInvalid] = field(default_factory=list)

    def keep(self, parsed: Parsed[T]) -> T:
        """What a file says; its problems are noted."""
        self.problems += parsed.problems
        return parsed.report


def read_reports(pipeline: Pipeline, steps: Sequence[StepRecord], artifacts: Sequence[Artifact], root: Path) -> Reports:
    """Read the reports that a pipeline names.

    Args:
        pipeline: What was run.
        steps: How its steps ended; of a step that did not succeed, outputs may be missing.
        artifacts: What the run left behind.
        root: What their paths are relative to.
    """
    reports = Reports()
    left = {artifact.name: artifact for artifact in artifacts}
    # A step whose command ended well, and that failed all the same, left something out.
    ended_well = {step.step_id for step in steps if step.status is StepStatus.SUCCEEDED or step.exit_code == 0}
    for report in pipeline.result.reports:
        name = f"{report.step}/{report.output}"
        step = pipeline.step(report.step)
        try:
            if name in left:
                _read(reports, report.format, root / left[name].path, name, step)
            elif step.id in ended_well and not _is_optional(step, report.output):
                raise invalid(name, expected=f"a report ({report.format})", found="nothing")
        except OutputInvalid as error:
            reports.problems.append(error)
    return reports


def read_value(artifacts: Sequence[Artifact], root: Path) -> Reports:
    """Read what a pipeline function returned; files and folders that it returned are artifacts alone."""
    reports = Reports()
    for artifact in artifacts:
        path = root / artifact.path
        if path.name == VALUE_FILE and not artifact.is_directory:
            try:
                _read(reports, ReportFormat.JSON, path, artifact.name)
            except OutputInvalid as error:
                reports.problems.append(error)
    return reports


def _read(reports: Reports, report_format: ReportFormat, path: Path, name: str, step: Step | None = None) -> None:
    match report_format:
        case ReportFormat.JUNIT:
            reports.tests.append(reports.keep(parse_junit(path, name)))
        case ReportFormat.GO_TEST_JSON:
            reports.tests.append(reports.keep(parse_go_tests(path, name)))
        case ReportFormat.SARIF | ReportFormat.RUFF_JSON | ReportFormat.ESLINT_JSON | ReportFormat.LINT_LINES:
            folder = container_path("/", step.workdir) if step else ""
            reports.lint.append(reports.keep(_LINT_PARSERS[report_format](path, name, folder=folder)))
        case ReportFormat.METRICS_JSON:
            reports.measurements.append(reports.keep(parse_metrics(path, name)))
        case ReportFormat.METRICS_JSONL:
            reports.curves.append(reports.keep(parse_curves(path, name)))
        case ReportFormat.CSV:
            reports.tables.append(reports.keep(parse_csv(path, name)))
        case ReportFormat.WHEEL:
            reports.packages += reports.keep(parse_wheels(path, name))
        case ReportFormat.JSON:
            reports.data[name] = reports.keep(parse_json(path, name))
        case ReportFormat.TEXT:
            reports.texts[name] = reports.keep(parse_text(path, name))
        case _:
            assert_never(report_format)


class _LintParser(Protocol):
    def __call__(self, path: Path, name: str, *, folder: str) -> Parsed[LintReport]:
        """Read a report; `folder` is the one that was checked."""


_LINT_PARSERS: Mapping[ReportFormat, _LintParser] = {
    ReportFormat.SARIF: parse_sarif,
    ReportFormat.RUFF_JSON: parse_ruff,
    ReportFormat.ESLINT_JSON: parse_eslint,
    ReportFormat.LINT_LINES: parse_lint_lines,
}


def _is_optional(step: Step, output: str) -> bool:
    return any(one.name == output and one.optional for one in step.outputs)

"""A run's result in one line."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence

from pydantic import JsonValue

from task_manager.models import StepRecord, WorkflowRun
from task_manager.pipeline import ResultType
from task_manager.results.diagnosis import Diagnosis
from task_manager.results.lint_reports import LintReport
from task_manager.results.measurements import main_metric, metric_text
from task_manager.results.parsers.metrics import finite_number
from task_manager.results.reading import Reports
from task_manager.results.test_reports import TestReport
from task_manager.results.wording import counted
from task_manager.workflow_status import StepStatus, WorkflowStatus

_MAXIMUM_LENGTH = 120


def headline(
    result_type: ResultType,
    run: WorkflowRun,
    reports: Reports,
    diagnosis: Diagnosis | None,
    steps: Sequence[StepRecord],
) -> str:
    """What people want to know first.

    Args:
        result_type: What the result is about.
        run: Its status counts: what failed is told by what tests and checkers found, else by the step that failed.
        reports: What the run's reports say.
        diagnosis: Where and why it failed.
        steps: How its steps ended.

    Returns:
        One line of at most 120 characters.
    """
    text = _of_reports(result_type, reports) if _has_said_all(result_type, run) else ""
    text = text or (_of_failure(diagnosis) if diagnosis and diagnosis.step_id else "")
    if not text and reports.problems:
        text = reports.problems[0].message
    if not text and run.reason is not None and run.status is not WorkflowStatus.SUCCEEDED:
        text = run.reason.text
    return _shortened(text or _of_steps(run, steps))


def _has_said_all(result_type: ResultType, run: WorkflowRun) -> bool:
    """Whether the reports tell the end: always of what succeeded, and of tests and checks that failed."""
    return run.status is WorkflowStatus.SUCCEEDED or (
        run.status is WorkflowStatus.FAILED and result_type in (ResultType.TEST_REPORT, ResultType.LINT_REPORT)
    )


def _of_failure(diagnosis: Diagnosis) -> str:
    code = f" with exit code {diagnosis.exit_code}" if diagnosis.exit_code is not None else ""
    end = "ran out of time" if diagnosis.status is StepStatus.TIMED_OUT else f"failed{code}"
    reason = f": {diagnosis.lines[0]}" if diagnosis.lines else ""
    return f"{diagnosis.step_name} {end}{reason}"


def _of_steps(run: WorkflowRun, steps: Sequence[StepRecord]) -> str:
    succeeded = sum(step.status is StepStatus.SUCCEEDED for step in steps)
    if run.status is WorkflowStatus.SUCCEEDED and steps:
        return f"{counted(succeeded, 'step')} succeeded"
    return run.status.replace("_", " ")


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _MAXIMUM_LENGTH else line[: _MAXIMUM_LENGTH - 1] + "…"


# --- by type ---


def _of_reports(result_type: ResultType, reports: Reports) -> str:
    return _HEADLINES[result_type](reports) or _whatever_there_is(reports)


def _tests(reports: Reports) -> str:
    return TestReport.joined(reports.tests).headline if reports.tests else ""


def _lint(reports: Reports) -> str:
    return LintReport.joined(reports.lint).headline if reports.lint else ""


def _training(reports: Reports) -> str:
    """`accuracy 0.93 after 20 epochs`."""
    numbers = [metric for report in reports.measurements for metric in report.numbers]
    main = main_metric(numbers) or main_metric(metric for curve in reports.curves for metric in curve.metrics)
    epochs = f"after {reports.curves[0].headline}" if reports.curves else ""
    return " ".join(part for part in (metric_text(main) if main else "", epochs) if part)


def _processing(reports: Reports) -> str:
    """`312 rows cleaned, 9 dropped`, where statistics tell; else how large the tables are."""
    for data in reports.data.values():
        kept, rejected = _number(data, "rows_kept"), _number(data, "rows_rejected")
        if kept is not None:
            return f"{counted(kept, 'row')} cleaned" + (f", {rejected:,} dropped" if rejected is not None else "")
    return reports.tables[0].headline if reports.tables else ""


def _number(data: JsonValue, name: str) -> int | None:
    number = finite_number(data.get(name)) if isinstance(data, dict) else None
    return None if number is None else int(number)


def _packages(reports: Reports) -> str:
    return ", ".join(package.headline for package in reports.packages)


def _value(reports: Reports) -> str:
    return next((json.dumps(value, ensure_ascii=False) for value in reports.data.values() if value is not None), "")


def _last_line(reports: Reports) -> str:
    for text in reports.texts.values():
        lines = [line for line in text.splitlines() if line.strip()]
        if lines:
            return lines[-1]
    return ""


def _measurements(reports: Reports) -> str:
    return ", ".join(report.headline for report in reports.measurements if report.headline)


def _tables(reports: Reports) -> str:
    return reports.tables[0].headline if reports.tables else ""


def _whatever_there_is(reports: Reports) -> str:
    tellers = (_tests, _lint, _measurements, _tables, _packages, _last_line)
    return next((text for tell in tellers if (text := tell(reports))), "")


_HEADLINES: Mapping[ResultType, Callable[[Reports], str]] = {
    ResultType.CONTAINERIZED_WORKFLOW: _whatever_there_is,
    ResultType.DAGGER_PIPELINE: _value,
    ResultType.TEST_REPORT: _tests,
    ResultType.LINT_REPORT: _lint,
    ResultType.ML_TRAINING: _training,
    ResultType.DATA_PROCESSING: _processing,
    ResultType.BUILD: _packages,
}

"""Results as SARIF 2.1.0."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any
from urllib.parse import quote

from task_manager.errors import TransformationFailed
from task_manager.results.lint_reports import LintFinding, LintReport
from task_manager.results.schemas import LintReportResult, WorkflowResult


def as_sarif(result: WorkflowResult) -> bytes:
    """A report of what code checkers found.

    Raises:
        TransformationFailed: The result has no findings' report.
    """
    if not isinstance(result, LintReportResult) or result.lint is None:
        raise TransformationFailed(
            f"The result of type {result.type.value} has no findings to write as SARIF.",
            remedy="Choose another form: markdown or json.",
            details={"form": "sarif", "type": result.type.value},
        )
    return sarif_log([run_of(result.run_id, result.lint)])


def sarif_log(runs: Sequence[Mapping[str, Any]]) -> bytes:
    """Runs of checkers as one log."""
    log = {"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": runs}
    return json.dumps(log, ensure_ascii=False, indent=2).encode("utf-8", "replace") + b"\n"


def run_of(name: str, report: LintReport, folder: str = "") -> dict[str, Any]:
    """What checkers found, as a run of the log.

    Args:
        name: Tells the run from others (3.17.3, `automationDetails.id`).
        report: What was found.
        folder: Where the files' names start, relative to what the log is about.
    """
    rules = [{"id": rule} for rule in report.by_rule if rule]
    driver = {"name": ", ".join(report.tools) or "task-manager", "rules": rules}
    return {
        "tool": {"driver": driver, "extensions": [{"name": "task-manager", "version": version("task-manager-dagger")}]},
        "automationDetails": {"id": name},
        "results": [_finding(one, folder) for one in report.findings],
    }


def _finding(one: LintFinding, folder: str) -> dict[str, Any]:
    found: dict[str, Any] = {"level": one.level.value, "message": {"text": one.message}}
    if one.rule:
        found["ruleId"] = one.rule
    if one.file is not None:
        file = posixpath.normpath(posixpath.join(folder, one.file))
        place: dict[str, Any] = {"artifactLocation": {"uri": quote(file)}}
        region = {"startLine": one.line, "startColumn": one.column if one.line else None}
        known = {name: value for name, value in region.items() if value}
        found["locations"] = [{"physicalLocation": place | ({"region": known} if known else {})}]
    return found

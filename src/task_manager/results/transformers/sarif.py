"""Results as SARIF 2.1.0."""

from __future__ import annotations

import json
from importlib.metadata import version
from typing import Any
from urllib.parse import quote

from task_manager.errors import TransformationFailed
from task_manager.results.lint_reports import LintFinding
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
    rules = [{"id": rule} for rule in result.lint.by_rule if rule]
    driver = {"name": ", ".join(result.lint.tools) or "task-manager", "rules": rules}
    run = {
        "tool": {"driver": driver, "extensions": [{"name": "task-manager", "version": version("task-manager-dagger")}]},
        "automationDetails": {"id": result.run_id},
        "results": [_finding(one) for one in result.lint.findings],
    }
    report = {"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": [run]}
    return json.dumps(report, ensure_ascii=False, indent=2).encode("utf-8", "replace") + b"\n"


def _finding(one: LintFinding) -> dict[str, Any]:
    found: dict[str, Any] = {"level": one.level.value, "message": {"text": one.message}}
    if one.rule:
        found["ruleId"] = one.rule
    if one.file is not None:
        place: dict[str, Any] = {"artifactLocation": {"uri": quote(one.file)}}
        region = {"startLine": one.line, "startColumn": one.column if one.line else None}
        known = {name: value for name, value in region.items() if value}
        found["locations"] = [{"physicalLocation": place | ({"region": known} if known else {})}]
    return found

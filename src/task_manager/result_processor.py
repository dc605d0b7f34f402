"""From what a run left behind to its result: `ResultProcessor`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from task_manager.errors import OutputInvalid
from task_manager.models import Artifact, StepRecord, Task, Workflow, WorkflowRun
from task_manager.pipeline import ResultType
from task_manager.results.diagnosis import Diagnosis, diagnose
from task_manager.results.headlines import headline
from task_manager.results.lint_reports import LintReport
from task_manager.results.parsers.metrics import finite_number
from task_manager.results.parts import Metric
from task_manager.results.reading import Reports, read_reports, read_value
from task_manager.results.schemas import (
    ArtifactSummary,
    LogSummary,
    Problem,
    StepSummary,
    WorkflowResult,
    make_result,
    parse_result,
)
from task_manager.results.test_reports import TestReport

__all__ = ["ResultProcessor", "WorkflowResult", "parse_result"]


class ResultProcessor:
    """Turns outputs, exit codes and records of runs into results. It reads files and keeps nothing."""

    def process(
        self,
        *,
        run: WorkflowRun,
        task: Task,
        workflow: Workflow,
        steps: Sequence[StepRecord],
        artifacts: Sequence[Artifact],
        root: Path,
        now: datetime,
        diagnosis: Diagnosis | None = None,
    ) -> WorkflowResult:
        """Make the result of a run that is over.

        Args:
            run: In its final state.
            task: What was to be done.
            workflow: What was run; its result type and reports count.
            steps: How its steps ended.
            artifacts: What it left behind.
            root: What the artifacts' paths are relative to: the folder of the run's outputs.
            now: The run's end, where it does not have one yet.
            diagnosis: Why it failed; by default what the run and its steps tell alone.

        Returns:
            The result; reports that cannot be read are among its problems.
        """
        result_type, pipeline = workflow.result_type, workflow.pipeline
        reports = read_reports(pipeline, steps, artifacts, root) if pipeline else read_value(artifacts, root)
        diagnosis = diagnosis or diagnose(run, steps, pipeline.failures if pipeline else ())
        return make_result(
            {
                "type": result_type,
                "run_id": run.id,
                "task_id": task.id,
                "project_id": run.project_id,
                "status": run.status,
                **_times(run, now),
                "engine": run.engine,
                "template": _template(workflow),
                "inputs_digest": inputs_digest(run, workflow),
                "warnings": run.warnings,
                "steps": tuple(map(_step_summary, steps)),
                "metrics": _metrics(reports),
                "artifacts": tuple(map(_artifact_summary, artifacts)),
                "artifacts_bytes": sum(artifact.size for artifact in artifacts),
                "logs": tuple(LogSummary(step=step.step_id, path=step.log) for step in steps if step.log),
                "headline": headline(result_type, run, reports, diagnosis, steps),
                "data": reports.data,
                "texts": reports.texts,
                "problems": tuple(map(_problem, reports.problems)),
                "diagnosis": diagnosis,
                **_special(result_type, reports),
            }
        )


def inputs_digest(run: WorkflowRun, workflow: Workflow) -> str:
    """`sha256:…` over what a run was given: its sources as they were, the pipeline or function, and the parameters."""
    given = {
        "snapshot": run.snapshot,
        "pipeline": workflow.pipeline.model_dump(mode="json") if workflow.pipeline else None,
        "function": workflow.function,
        "parameters": workflow.parameters,
    }
    text = json.dumps(given, sort_keys=True, separators=(",", ":"))
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _template(workflow: Workflow) -> str | None:
    return f"{workflow.template_id}@{workflow.template_version}" if workflow.template_id else None


def _times(run: WorkflowRun, now: datetime) -> dict[str, Any]:
    end = run.finished_at or now
    seconds = (end - run.started_at).total_seconds() if run.started_at else None
    return {"started_at": run.started_at, "finished_at": end, "seconds": seconds}


def _step_summary(step: StepRecord) -> StepSummary:
    return StepSummary(
        id=step.step_id,
        name=step.name,
        status=step.status,
        seconds=step.seconds,
        attempts=step.attempts,
        exit_code=step.exit_code,
        image=step.image,
        image_digest=step.image_digest,
        error=step.error,
    )


def _artifact_summary(artifact: Artifact) -> ArtifactSummary:
    return ArtifactSummary(
        name=artifact.name,
        path=artifact.path,
        is_directory=artifact.is_directory,
        size=artifact.size,
        digest=artifact.digest,
        media_type=artifact.media_type,
    )


def _problem(error: OutputInvalid) -> Problem:
    facts = {name: str(error.details.get(name, "")) for name in ("file", "expected", "found")}
    return Problem(**facts, message=error.message)


def _metrics(reports: Reports) -> tuple[Metric, ...]:
    """What reports measured; each name once, the first one counting."""
    found = [
        *(metric for report in reports.measurements for metric in report.metrics),
        *(metric for curves in reports.curves for metric in curves.metrics),
        *(TestReport.joined(reports.tests).metrics if reports.tests else ()),
        *(LintReport.joined(reports.lint).metrics if reports.lint else ()),
        *(metric for table in reports.tables for metric in table.metrics),
        *(metric for package in reports.packages for metric in package.metrics),
        *(metric for data in reports.data.values() for metric in _numbers(data)),
    ]
    unique: dict[str, Metric] = {}
    for metric in found:
        unique.setdefault(metric.name, metric)
    return tuple(unique.values())


def _numbers(data: JsonValue) -> list[Metric]:
    """The numbers that stand at the top of a JSON report."""
    entries: Mapping[str, JsonValue] = data if isinstance(data, dict) else {}
    return [
        Metric(name=name, value=number)
        for name, value in entries.items()
        if (number := finite_number(value)) is not None
    ]


def _special(result_type: ResultType, reports: Reports) -> dict[str, Any]:
    """What only results of this type have."""
    fields = _SPECIAL.get(result_type)
    return fields(reports) if fields else {}


def _training(reports: Reports) -> dict[str, Any]:
    facts = {name: value for report in reports.measurements for name, value in report.facts.items()}
    return {"curves": next(iter(reports.curves), None), "facts": facts}


_SPECIAL: Mapping[ResultType, Callable[[Reports], dict[str, Any]]] = {
    ResultType.TEST_REPORT: lambda reports: {"tests": TestReport.joined(reports.tests) if reports.tests else None},
    ResultType.LINT_REPORT: lambda reports: {"lint": LintReport.joined(reports.lint) if reports.lint else None},
    ResultType.ML_TRAINING: _training,
    ResultType.DATA_PROCESSING: lambda reports: {"tables": tuple(reports.tables)},
    ResultType.BUILD: lambda reports: {"packages": tuple(reports.packages)},
    ResultType.DAGGER_PIPELINE: lambda reports: {"value": next(iter(reports.data.values()), None)},
}

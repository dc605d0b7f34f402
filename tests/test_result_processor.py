"""From what a run left behind to its result, for every type, and for runs that went wrong."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from task_manager.errors import OutputInvalid
from task_manager.models import Artifact, StepRecord, Task, Workflow, WorkflowRun
from task_manager.pipeline import Pipeline, ResultType
from task_manager.result_processor import ResultProcessor, WorkflowResult, parse_result
from task_manager.results.schemas import (
    BuildResult,
    DaggerPipelineResult,
    DataProcessingResult,
    LintReportResult,
    MlTrainingResult,
    TestReportResult,
)
from task_manager.results.wording import counted, number_text, size_text
from task_manager.workflow_status import Reason, StepStatus, WorkflowStatus
from tests.results import GOLDEN

STARTED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
NOW = STARTED + timedelta(seconds=2.5)
WHEEL = "greeter-1.2.3-py3-none-any.whl"


class Left:
    """A run of one step, `work`, and what it left in a folder."""

    def __init__(self, root: Path, result_type: ResultType, *reports: tuple[str, str], **output: Any) -> None:
        self.root = root
        self.result_type = result_type
        outputs = [{"name": f"out{index}", "path": f"/out/{index}", **output} for index in range(len(reports))]
        made = [{"step": "work", "output": f"out{index}", "format": kind} for index, (_, kind) in enumerate(reports)]
        step = {"id": "work", "name": "Do the work", "image": "debian", "command": ["x"], "outputs": outputs}
        self.pipeline = Pipeline.model_validate({"steps": [step], "result": {"type": result_type, "reports": made}})
        self.artifacts = [self.artifact(f"work/out{index}", name) for index, (name, _) in enumerate(reports) if name]

    def artifact(self, name: str, path: str) -> Artifact:
        if (GOLDEN / path).is_file() and not (self.root / path).exists():
            shutil.copy(GOLDEN / path, self.root / path)
        return Artifact(
            run_id="run-1", step_id="work", name=name, path=path, size=10, digest="sha256:0", created_at=NOW
        )

    def processed(
        self, ended: WorkflowStatus = WorkflowStatus.SUCCEEDED, reason: Reason | None = None, **step: Any
    ) -> WorkflowResult:
        record = {"status": StepStatus.SUCCEEDED, "exit_code": 0, "started_at": STARTED, "finished_at": NOW, **step}
        result = ResultProcessor().process(
            run=run(status=ended, reason=reason),
            task=Task(id="task-1", project_id="project-1", title="T", created_at=STARTED, updated_at=STARTED),
            workflow=workflow(pipeline=self.pipeline, result_type=self.result_type),
            steps=[StepRecord(run_id="run-1", step_id="work", name="Do the work", **record)],
            artifacts=self.artifacts,
            root=self.root,
            now=NOW,
        )
        assert parse_result(json.loads(result.model_dump_json())) == result
        return result


def run(**fields: Any) -> WorkflowRun:
    return WorkflowRun.model_validate(
        {
            "id": "run-1",
            "workflow_id": "workflow-1",
            "workflow_version": 1,
            "task_id": "task-1",
            "project_id": "project-1",
            "engine": "embedded 0.1.0",
            "warnings": ("on the host's toolchain",),
            "created_at": STARTED,
            "updated_at": STARTED,
            "started_at": STARTED,
            **fields,
        }
    )


def workflow(**fields: Any) -> Workflow:
    return Workflow.model_validate(
        {
            "id": "workflow-1",
            "task_id": "task-1",
            "project_id": "project-1",
            "name": "W",
            "workflow_type": "containerized_workflow",
            "created_at": STARTED,
            **fields,
        }
    )


def metrics(result: WorkflowResult) -> dict[str, float]:
    return {metric.name: metric.value for metric in result.metrics}


# --- every type ---


def test_every_result_tells_of_its_run_steps_and_artifacts(tmp_path: Path) -> None:
    result = Left(tmp_path, ResultType.CONTAINERIZED_WORKFLOW, ("pytest-output.txt", "text")).processed()
    assert (result.run_id, result.task_id, result.project_id) == ("run-1", "task-1", "project-1")
    assert (result.status, result.engine, result.seconds) == (WorkflowStatus.SUCCEEDED, "embedded 0.1.0", 2.5)
    assert (result.started_at, result.finished_at) == (STARTED, NOW)
    assert result.warnings == ("on the host's toolchain",)
    (step,) = result.steps
    assert (step.id, step.name, step.status, step.exit_code, step.seconds) == (
        "work",
        "Do the work",
        StepStatus.SUCCEEDED,
        0,
        2.5,
    )
    (artifact,) = result.artifacts
    assert (artifact.name, artifact.path, artifact.size) == ("work/out0", "pytest-output.txt", 10)
    assert metrics(result) == {}
    assert result.artifacts_bytes == 10
    assert result.inputs_digest.startswith("sha256:")
    assert (result.problems, result.diagnosis) == ((), None)


def test_a_commands_headline_is_the_last_line_that_it_wrote(tmp_path: Path) -> None:
    result = Left(tmp_path, ResultType.CONTAINERIZED_WORKFLOW, ("pytest-output.txt", "text")).processed()
    assert result.headline == "3 passed, 3 failed, 2 skipped"
    assert result.texts["work/out0"].startswith("=====")


def test_a_workflow_without_reports_says_how_many_steps_succeeded(tmp_path: Path) -> None:
    assert Left(tmp_path, ResultType.CONTAINERIZED_WORKFLOW).processed().headline == "1 step succeeded"


def test_a_workflow_of_no_type_of_its_own_tells_what_its_report_says(tmp_path: Path) -> None:
    result = Left(tmp_path, ResultType.CONTAINERIZED_WORKFLOW, ("cleaned.csv", "csv")).processed()
    assert result.headline == "4 rows, 4 columns"
    assert metrics(result)["out0.rows"] == 4


def test_tests_that_failed_are_told_although_the_run_failed(tmp_path: Path) -> None:
    left = Left(tmp_path, ResultType.TEST_REPORT, ("pytest.xml", "junit"))
    result = left.processed(WorkflowStatus.FAILED, status=StepStatus.FAILED, exit_code=1, stdout_tail="E   assert 1")
    assert isinstance(result, TestReportResult)
    assert result.headline == "3 passed, 2 failed, 1 error, 2 skipped in 0.3 s"
    assert result.tests is not None
    assert len(result.tests.failures) == 3
    assert metrics(result)["tests.failed"] == 2
    assert result.diagnosis is not None
    assert (result.diagnosis.step_id, result.diagnosis.exit_code, result.diagnosis.lines) == (
        "work",
        1,
        ("E   assert 1",),
    )


def test_findings_of_a_code_checker_are_told_by_rule_and_level(tmp_path: Path) -> None:
    left = Left(tmp_path, ResultType.LINT_REPORT, ("ruff.sarif", "sarif"), ("ruff-clean.sarif", "sarif"))
    result = left.processed(WorkflowStatus.FAILED, status=StepStatus.FAILED, exit_code=1)
    assert isinstance(result, LintReportResult)
    assert result.headline == "8 findings (6 errors, 2 warnings)"
    assert result.lint is not None
    assert result.lint.by_rule["F401"] == 2
    assert metrics(result)["findings.error"] == 6


def test_code_without_findings_is_told_in_two_words(tmp_path: Path) -> None:
    result = Left(tmp_path, ResultType.LINT_REPORT, ("ruff-clean.sarif", "sarif")).processed()
    assert result.headline == "0 findings"


def test_a_training_is_told_by_its_main_metric_and_epochs(tmp_path: Path) -> None:
    left = Left(tmp_path, ResultType.ML_TRAINING, ("metrics.json", "metrics_json"), ("history.jsonl", "metrics_jsonl"))
    result = left.processed()
    assert isinstance(result, MlTrainingResult)
    assert result.headline == "accuracy 1 after 5 epochs"
    assert result.curves is not None
    assert len(result.curves.values["validation_loss"]) == 5
    assert result.facts["target"] == "kind"
    assert metrics(result)["train_accuracy"] == 0.989362


def test_a_training_that_wrote_only_curves_is_told_by_their_ends(tmp_path: Path) -> None:
    (tmp_path / "h.jsonl").write_text('{"epoch": 1, "loss": 0.5}\n{"epoch": 2, "loss": 0.25}\n')
    result = Left(tmp_path, ResultType.ML_TRAINING, ("h.jsonl", "metrics_jsonl")).processed()
    assert result.headline == "loss 0.25 after 2 epochs"
    assert metrics(result)["loss"] == 0.25


def test_processed_data_is_told_by_its_statistics(tmp_path: Path) -> None:
    left = Left(
        tmp_path, ResultType.DATA_PROCESSING, ("cleaned.csv", "csv"), ("summary.csv", "csv"), ("stats.json", "json")
    )
    result = left.processed()
    assert isinstance(result, DataProcessingResult)
    assert result.headline == "4 rows cleaned, 4 dropped"
    assert [table.artifact for table in result.tables] == ["work/out0", "work/out1"]
    assert metrics(result)["rows_kept"] == 4
    assert isinstance(result.data["work/out2"], dict)


def test_a_build_is_told_by_its_wheels(tmp_path: Path) -> None:
    (tmp_path / "dist").mkdir()
    shutil.copy(GOLDEN / WHEEL, tmp_path / "dist")
    result = Left(tmp_path, ResultType.BUILD, ("dist", "wheel")).processed()
    assert isinstance(result, BuildResult)
    assert result.headline == f"{WHEEL} (996 B)"
    assert result.packages[0].version == "1.2.3"


def returned(root: Path, name: str, content: str | None, status: WorkflowStatus = WorkflowStatus.SUCCEEDED) -> Any:
    artifacts = []
    if content is not None:
        (root / name).write_text(content)
        artifact = {"run_id": "run-1", "step_id": "pipeline", "name": "pipeline/value", "path": name}
        artifacts = [Artifact.model_validate({**artifact, "digest": "sha256:0", "created_at": NOW})]
    return ResultProcessor().process(
        run=run(status=status),
        task=Task(id="task-1", project_id="project-1", title="T", created_at=STARTED, updated_at=STARTED),
        workflow=workflow(
            workflow_type="dagger_pipeline", function="release:build", result_type=ResultType.DAGGER_PIPELINE
        ),
        steps=[StepRecord(run_id="run-1", step_id="pipeline", name="pipeline", status=StepStatus.SUCCEEDED)],
        artifacts=artifacts,
        root=root,
        now=NOW,
    )


def test_what_a_function_returned_is_its_result(tmp_path: Path) -> None:
    result = returned(tmp_path, "value.json", '{"image": "x@sha256:1", "layers": 3}')
    assert isinstance(result, DaggerPipelineResult)
    assert result.value == {"image": "x@sha256:1", "layers": 3}
    assert result.headline == '{"image": "x@sha256:1", "layers": 3}'


def test_a_file_that_a_function_returned_is_an_artifact_alone(tmp_path: Path) -> None:
    result = returned(tmp_path, "report.pdf", "%PDF")
    assert (result.value, result.problems, len(result.artifacts)) == (None, (), 1)
    assert result.headline == "1 step succeeded"


# --- what went wrong ---


def test_a_step_that_failed_is_told_with_its_exit_code_and_first_line(tmp_path: Path) -> None:
    left = Left(tmp_path, ResultType.BUILD, ("", "wheel"))
    result = left.processed(
        WorkflowStatus.FAILED, status=StepStatus.FAILED, exit_code=2, stderr_tail="error: no disk\n"
    )
    assert result.headline == "Do the work failed with exit code 2: error: no disk"
    assert result.problems == ()


def test_tests_that_could_not_be_run_are_told_like_any_failure(tmp_path: Path) -> None:
    left = Left(tmp_path, ResultType.TEST_REPORT, ("", "junit"))
    result = left.processed(WorkflowStatus.FAILED, status=StepStatus.FAILED, exit_code=4)
    assert result.headline == "Do the work failed with exit code 4"


def test_a_step_that_ran_out_of_time_is_told(tmp_path: Path) -> None:
    left = Left(tmp_path, ResultType.TEST_REPORT, ("pytest.xml", "junit"))
    result = left.processed(
        WorkflowStatus.TIMED_OUT, status=StepStatus.TIMED_OUT, exit_code=None, error="Stopped after 3 s."
    )
    assert result.headline == "Do the work ran out of time: Stopped after 3 s."


@pytest.mark.parametrize("status", [WorkflowStatus.CANCELLED, WorkflowStatus.LOST, WorkflowStatus.SKIPPED])
def test_a_run_without_failed_step_is_told_by_its_reason(status: WorkflowStatus, tmp_path: Path) -> None:
    left = Left(tmp_path, ResultType.TEST_REPORT, ("pytest.xml", "junit"))
    reason = Reason(code="x", text="Somebody wanted it so.")
    assert left.processed(status, reason, status=StepStatus.CANCELLED).headline == "Somebody wanted it so."
    assert left.processed(status, status=StepStatus.CANCELLED).headline == status.value


def test_a_report_that_is_missing_after_success_is_a_problem(tmp_path: Path) -> None:
    result = Left(tmp_path, ResultType.TEST_REPORT, ("", "junit")).processed()
    (problem,) = result.problems
    assert (problem.file, problem.expected, problem.found) == ("work/out0", "a report (junit)", "nothing")
    assert result.headline == problem.message


def test_a_report_that_may_be_missing_is_no_problem(tmp_path: Path) -> None:
    result = Left(tmp_path, ResultType.TEST_REPORT, ("", "junit"), optional=True).processed()
    assert result.problems == ()


def test_what_is_valid_is_kept_beside_what_is_broken(tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text('{"accuracy": ')
    left = Left(tmp_path, ResultType.ML_TRAINING, ("broken.json", "metrics_json"), ("history.jsonl", "metrics_jsonl"))
    result = left.processed()
    assert [problem.file for problem in result.problems] == ["work/out0"]
    assert isinstance(result, MlTrainingResult)
    assert result.curves is not None
    assert result.headline == "validation accuracy 1 after 5 epochs"


def test_an_artifact_that_links_elsewhere_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text('{"password": "canary"}')
    (tmp_path / "stats.json").symlink_to(tmp_path / "secret")
    result = Left(tmp_path, ResultType.DATA_PROCESSING, ("stats.json", "json")).processed()
    assert result.problems[0].found == "a link"
    assert "canary" not in result.model_dump_json()


def test_a_long_headline_is_cut(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("word \t" * 100)
    result = Left(tmp_path, ResultType.CONTAINERIZED_WORKFLOW, ("a.txt", "text")).processed()
    assert len(result.headline) == 120
    assert result.headline.endswith("…")


# --- stored results ---


@pytest.mark.parametrize(
    "data",
    [None, {}, {"type": "poem"}, {"type": "build", "schema_version": 2, "run_id": "r"}],
)
def test_a_stored_result_of_another_form_is_refused(data: object) -> None:
    with pytest.raises(OutputInvalid, match="cannot be read"):
        parse_result(data)


# --- words ---


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (9_321, "9.3 kB"),
        (21_400, "21 kB"),
        (999_600, "1.0 MB"),
        (10**13, "10 TB"),
    ],
)
def test_sizes_are_told_in_decimal_units(size: int, text: str) -> None:
    assert size_text(size) == text


@given(st.integers(0, 10**18))
def test_a_size_is_told_within_a_tenth_of_it(size: int) -> None:
    number, unit = size_text(size).split(" ")
    factor = 1000 ** ["B", "kB", "MB", "GB", "TB"].index(unit)
    assert abs(float(number) * factor - size) <= 0.051 * size


def test_counts_agree_with_their_nouns() -> None:
    assert [counted(number, "row") for number in (0, 1, 2, 1204)] == ["0 rows", "1 row", "2 rows", "1,204 rows"]


@pytest.mark.parametrize(("value", "text"), [(0.9312, "0.931"), (12.0, "12"), (0.00042, "0.00042"), (1234.0, "1,234")])
def test_measured_numbers_have_three_digits(value: float, text: str) -> None:
    assert number_text(value) == text

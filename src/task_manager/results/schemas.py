"""What a run's result is: one model per result type over a common part, in a version that is stored with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, JsonValue, TypeAdapter, ValidationError

from task_manager.errors import OutputInvalid
from task_manager.pipeline import ResultType
from task_manager.results.diagnosis import Diagnosis
from task_manager.results.lint_reports import LintReport
from task_manager.results.measurements import LearningCurves
from task_manager.results.packages import BuiltPackage
from task_manager.results.parts import Metric, Part
from task_manager.results.table_statistics import TableStatistics
from task_manager.results.test_reports import TestReport
from task_manager.workflow_status import StepStatus, WorkflowStatus

SCHEMA_VERSION: Literal[1] = 1


class StepSummary(Part):
    """How one step ended.

    Attributes:
        seconds: None when it did not run.
        image: The reference it ran on.
        image_digest: As the engine names the image; none when it does not tell.
        error: What went wrong; empty when nothing did.
    """

    id: str
    name: str
    status: StepStatus
    seconds: float | None = None
    attempts: int = 0
    exit_code: int | None = None
    image: str = ""
    image_digest: str | None = None
    error: str = ""


class ArtifactSummary(Part):
    """Something the run left behind.

    Attributes:
        name: `STEP/OUTPUT`.
        path: `STEP/OUTPUT/FILE` as the step left it.
        size: In bytes.
        digest: `sha256:…`.
    """

    name: str
    path: str
    is_directory: bool = False
    size: int = Field(ge=0)
    digest: str
    media_type: str


class LogSummary(Part):
    """Where a step's log is.

    Attributes:
        path: The folder of `stdout.log` and `stderr.log`, relative to the data folder.
    """

    step: str
    path: str


class Problem(Part):
    """A report that is missing, or not what its format asks for.

    Attributes:
        file: The artifact's name, with the file in it where it is a folder.
        expected: What should be there.
        found: What is there.
        message: Both in one sentence.
    """

    file: str
    expected: str
    found: str
    message: str


class WorkflowResultBase(Part):
    """What all results have.

    Attributes:
        schema_version: Of this form; readers refuse versions that they do not know.
        seconds: From the run's start to its end; none when it never started.
        engine: Kind and version of the engine; none when it never started.
        template: What its workflow was made from, as `ID@VERSION`; none for a definition of its own.
        inputs_digest: `sha256:…` over sources, pipeline and parameters: equal for equal inputs.
        warnings: What people should know about how it was run.
        metrics: What the reports measured.
        artifacts_bytes: The sizes of all artifacts together.
        logs: Of the steps that ran.
        headline: The result in one line.
        data: Reports of format `json`, by artifact.
        texts: Reports of format `text`, by artifact; the end of each when it is long.
        problems: Reports that could not be read; what could is kept.
        diagnosis: Where and why it failed; none when no step did.
        cached: Whether it comes from the cache.
        original_run_id: The run that gave it; none when that is this run.
        age_seconds: How old it was then; none unless it comes from the cache.
    """

    schema_version: Literal[1] = SCHEMA_VERSION
    run_id: str
    task_id: str
    project_id: str
    type: ResultType
    status: WorkflowStatus
    started_at: AwareDatetime | None = None
    finished_at: AwareDatetime | None = None
    seconds: float | None = None
    engine: str | None = None
    template: str | None = None
    inputs_digest: str = ""
    warnings: tuple[str, ...] = ()
    steps: tuple[StepSummary, ...] = ()
    metrics: tuple[Metric, ...] = ()
    artifacts: tuple[ArtifactSummary, ...] = ()
    artifacts_bytes: int = Field(0, ge=0)
    logs: tuple[LogSummary, ...] = ()
    headline: str = ""
    data: dict[str, JsonValue] = Field(default_factory=dict)
    texts: dict[str, str] = Field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    diagnosis: Diagnosis | None = None
    cached: bool = False
    original_run_id: str | None = None
    age_seconds: float | None = None


class ContainerizedWorkflowResult(WorkflowResultBase):
    """What steps left behind, whatever they were about."""

    type: Literal[ResultType.CONTAINERIZED_WORKFLOW] = ResultType.CONTAINERIZED_WORKFLOW


class DaggerPipelineResult(WorkflowResultBase):
    """What a function written with the Dagger SDK returned.

    Attributes:
        value: The returned value as JSON.
    """

    type: Literal[ResultType.DAGGER_PIPELINE] = ResultType.DAGGER_PIPELINE
    value: JsonValue = None


class TestReportResult(WorkflowResultBase):
    """How tests ended."""

    __test__ = False

    type: Literal[ResultType.TEST_REPORT] = ResultType.TEST_REPORT
    tests: TestReport | None = None


class LintReportResult(WorkflowResultBase):
    """What code checkers found."""

    type: Literal[ResultType.LINT_REPORT] = ResultType.LINT_REPORT
    lint: LintReport | None = None


class MlTrainingResult(WorkflowResultBase):
    """How a training went.

    Attributes:
        curves: Metrics per epoch.
        facts: What the final report says besides numbers.
    """

    type: Literal[ResultType.ML_TRAINING] = ResultType.ML_TRAINING
    curves: LearningCurves | None = None
    facts: dict[str, JsonValue] = Field(default_factory=dict)


class DataProcessingResult(WorkflowResultBase):
    """What became of data; `data` has the statistics.

    Attributes:
        tables: The tables that were written.
    """

    type: Literal[ResultType.DATA_PROCESSING] = ResultType.DATA_PROCESSING
    tables: tuple[TableStatistics, ...] = ()


class BuildResult(WorkflowResultBase):
    """What was built."""

    type: Literal[ResultType.BUILD] = ResultType.BUILD
    packages: tuple[BuiltPackage, ...] = ()


WorkflowResult = (
    ContainerizedWorkflowResult
    | DaggerPipelineResult
    | TestReportResult
    | LintReportResult
    | MlTrainingResult
    | DataProcessingResult
    | BuildResult
)
"""A result of any type; `type` tells which."""


_RESULT: TypeAdapter[WorkflowResult] = TypeAdapter(Annotated[WorkflowResult, Field(discriminator="type")])


RESULT_MODELS: Mapping[ResultType, type[WorkflowResultBase]] = {
    ResultType.CONTAINERIZED_WORKFLOW: ContainerizedWorkflowResult,
    ResultType.DAGGER_PIPELINE: DaggerPipelineResult,
    ResultType.TEST_REPORT: TestReportResult,
    ResultType.LINT_REPORT: LintReportResult,
    ResultType.ML_TRAINING: MlTrainingResult,
    ResultType.DATA_PROCESSING: DataProcessingResult,
    ResultType.BUILD: BuildResult,
}
"""The model of each type."""


def result_schema(result_type: ResultType) -> dict[str, JsonValue]:
    """The JSON Schema (2020-12) of stored results of a type."""
    schema = RESULT_MODELS[result_type].model_json_schema(mode="serialization")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:task-manager:result:{result_type.value}:{SCHEMA_VERSION}",
        **schema,
    }


def make_result(fields: Mapping[str, object]) -> WorkflowResult:
    """A new result of the type that `fields["type"]` names."""
    return _RESULT.validate_python(dict(fields))


def parse_result(data: object) -> WorkflowResult:
    """A stored result as a record.

    Args:
        data: What `model_dump(mode="json")` gave.

    Raises:
        OutputInvalid: It is no result of a version that this software knows.
    """
    try:
        return _RESULT.validate_python(data)
    except ValidationError as error:
        place = ".".join(str(part) for part in error.errors(include_url=False)[0]["loc"]) or "the whole"
        raise OutputInvalid(
            f"A stored result cannot be read: {place} does not fit version {SCHEMA_VERSION} of its form.",
            remedy="Run the task again.",
            details={"place": place},
        ) from error

"""What requests and answers look like, where it is not a record of the package as it is."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    StrictBool,
    StringConstraints,
)

from task_manager.communication import ContainerRecord, ContainerSpec
from task_manager.dagger_integration import RunState, WorkflowState
from task_manager.models import (
    Artifact,
    Event,
    Phase,
    Priority,
    Project,
    StepRecord,
    Task,
    WorkerRecord,
    Workflow,
    WorkflowRun,
    WorkflowType,
)
from task_manager.queue_explanation import Wait
from task_manager.rest_api.views import PageOf
from task_manager.results.diagnosis import Diagnosis
from task_manager.run_statistics import Progress
from task_manager.templating.records import WorkflowTemplate
from task_manager.workflow_status import Reason, StepStatus, TaskStatus, WorkflowStatus

Name = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"\S")]
Label = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"\S")]
Reference = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00]+$")]
Folder = Annotated[str, StringConstraints(min_length=1, max_length=4096)]
Document = dict[str, JsonValue]


def _is_number(given: object) -> object:
    """What was given, unless it is a text or a truth value that could be read as a number."""
    if isinstance(given, str | bool):
        raise ValueError("it is no number")  # noqa: TRY004 - what validation reports
    return given


Place = Annotated[int, Field(ge=0, le=2**31 - 1), BeforeValidator(_is_number)]
Port = Annotated[int, Field(ge=1, le=65535), BeforeValidator(_is_number)]


class _Given(BaseModel):
    """What a client sends."""

    model_config = ConfigDict(extra="forbid")

    def given(self) -> dict[str, Any]:
        """The fields that were sent."""
        return {name: getattr(self, name) for name in self.model_fields_set}


class _Shown(BaseModel):
    """What a client gets."""

    model_config = ConfigDict(frozen=True)


class NewProject(_Given):
    """A project to create."""

    name: Name = Field(description="Unique among all projects.", examples=["textkit"])
    description: str = ""
    source_folder: Folder | None = Field(None, description="An existing folder of the server.")
    metadata: Document = Field(default_factory=dict)


class ProjectChanges(_Given):
    """What to change in a project; what is left out stays as it is."""

    name: Name = Field(default_factory=str, description="Unique among all projects.", examples=["textkit"])
    description: str = Field(default_factory=str)
    source_folder: Folder | None = None
    metadata: Document = Field(default_factory=dict)


class NewPhase(_Given):
    """A phase to create."""

    project_id: Reference = Field(description="The project's id or name.")
    name: Name = Field(description="Unique in the project.", examples=["Deliver"])
    order: Place | None = Field(None, description="Its place, from 0; null: after all others.")


class PhaseChanges(_Given):
    """What to change in a phase; what is left out stays as it is."""

    name: Name = Field(default_factory=str, examples=["Deliver"])
    order: Place = Field(default_factory=int)


class TaskChanges(_Given):
    """What to change in a task; what is left out stays as it is."""

    title: Name = Field(default_factory=str, description="For people.", examples=["Run the tests"])
    description: str = Field(default_factory=str)
    type: Label = Field(default_factory=str, description="What kind of work it is.", examples=["test"])
    priority: Priority = Field(default_factory=lambda: Priority.MEDIUM)
    status: TaskStatus = Field(default_factory=lambda: TaskStatus.TODO)
    phase_id: Reference | None = Field(None, description="A phase of the project, by id or name.")
    dependencies: tuple[Reference, ...] = Field(
        (), max_length=1000, description="Tasks of the project, by id or title."
    )
    labels: tuple[Label, ...] = Field((), max_length=1000)
    source_folder: Folder | None = Field(None, description="An existing folder of the server; null: the project's.")
    template_id: Reference | None = Field(None, description="What its workflow is made from; null: found by type.")
    inputs: Document = Field(default_factory=dict, description="Values for the template's parameters.")
    pipeline: Document | None = Field(None, description="A definition of its own, in the schema of `Pipeline`.")
    acceptance_criteria: tuple[str, ...] = Field((), max_length=1000)
    metadata: Document = Field(default_factory=dict)


class NewTask(_Given):
    """A task to create."""

    project_id: Reference = Field(description="The project's id or name.")
    title: Name = Field(description="For people.", examples=["Run the tests"])
    description: str = ""
    type: Label = Field("general", description="What kind of work it is.", examples=["test"])
    priority: Priority = Priority.MEDIUM
    phase_id: Reference | None = Field(None, description="A phase of the project, by id or name.")
    dependencies: tuple[Reference, ...] = Field(
        (), max_length=1000, description="Tasks of the project, by id or title."
    )
    labels: tuple[Label, ...] = Field((), max_length=1000)
    source_folder: Folder | None = Field(None, description="An existing folder of the server; null: the project's.")
    template_id: Reference | None = Field(None, description="What its workflow is made from; null: found by type.")
    inputs: Document = Field(default_factory=dict, description="Values for the template's parameters.")
    pipeline: Document | None = Field(None, description="A definition of its own, in the schema of `Pipeline`.")
    acceptance_criteria: tuple[str, ...] = Field((), max_length=1000)
    metadata: Document = Field(default_factory=dict)


class NewWorkflow(_Given):
    """A workflow to make for a task: from a template, from a definition, or by what the task says."""

    name: Name | None = Field(None, description="By default the task's title.")
    template_id: Reference | None = Field(None, description="The template.", examples=["python-tests"])
    definition: Document | None = Field(None, description="A definition, in the schema of `Pipeline`.")
    parameters: Document = Field(default_factory=dict, description="Values that win over the task's inputs.")


class NewContainer(ContainerSpec):
    """A container that somebody wants to hold."""

    ports: tuple[Port, ...] = Field(
        (), description="TCP ports that must accept connections before it counts as started."
    )


class Selection(_Given):
    """Which tasks of a project are meant."""

    phase_id: Reference | None = Field(None, description="Those of this phase, by its id.")
    status: TaskStatus | None = Field(None, description="Those in this status.")


class NewRun(_Given):
    """How a task's workflow is run."""

    workflow_type: WorkflowType | None = Field(None, description="What the workflow must be.")
    parameters: Document = Field(default_factory=dict, description="Values for this and later runs.")
    skip_cache: StrictBool = Field(False, description="Whether no step may be answered from an earlier run.")


class NewRuns(Selection):
    """How the tasks of a project are run."""

    workflow_type: WorkflowType | None = Field(None, description="What each workflow must be.")
    skip_cache: StrictBool = Field(False, description="Whether no step may be answered from an earlier run.")


class Repetition(_Given):
    """How a run is repeated."""

    from_step: Reference | None = Field(None, description="The step from which on everything is run again.")


class Parameters(_Given):
    """Values for a template."""

    parameters: Document = Field(default_factory=dict)


class ProjectPage(PageOf[Project]):
    """A page of projects."""


class PhasePage(PageOf[Phase]):
    """A page of phases."""


class TaskPage(PageOf[Task]):
    """A page of tasks."""


class WorkflowPage(PageOf[Workflow]):
    """A page of workflows."""


class RunPage(PageOf[WorkflowRun]):
    """A page of runs."""


class RunList(_Shown):
    """Runs that were started or cancelled together."""

    items: tuple[WorkflowRun, ...]


class WorkflowList(_Shown):
    """Workflows that were made together."""

    items: tuple[Workflow, ...]


class StepList(_Shown):
    """The steps of a run, in their order."""

    items: tuple[StepRecord, ...]


class ArtifactList(_Shown):
    """What a run left behind."""

    items: tuple[Artifact, ...]


class EventList(_Shown):
    """Events, in order."""

    items: tuple[Event, ...]
    last_sequence: int = Field(description="The `after` of the next request.")


class ContainerList(_Shown):
    """Containers of runs, and those that somebody holds."""

    items: tuple[ContainerRecord, ...]


class WorkerList(_Shown):
    """The processes that execute runs."""

    items: tuple[WorkerRecord, ...]


class Removed(_Shown):
    """What went with a record that was removed."""

    runs: tuple[str, ...] = Field(description="The ids of the removed runs.")


class TemplateSummary(_Shown):
    """A template without its definition."""

    id: str
    name: str
    description: str
    category: str
    version: str
    workflow_type: WorkflowType
    result_type: str
    parameters: Document = Field(description="A JSON Schema (2020-12) of type object.")


class TemplateView(TemplateSummary):
    """A template."""

    definition: Document = Field(description="In the schema of `Pipeline`; its strings may hold expressions.")
    scripts: dict[str, str] = Field(description="The texts of the script files that the definition names.")


class TemplateList(_Shown):
    """The templates, each in its highest version, and why files were left out."""

    items: tuple[TemplateSummary, ...]
    categories: tuple[str, ...]
    problems: tuple[str, ...]


class TemplateVersions(_Shown):
    """The versions of a template, the highest last."""

    items: tuple[str, ...]


class Rendering(_Shown):
    """What a template makes of parameters."""

    parameters: Document = Field(description="With their defaults.")
    definition: Document


class StepState(_Shown):
    """How one step is."""

    id: str
    name: str
    status: StepStatus
    seconds: float | None
    exit_code: int | None
    error: str


class ProgressView(_Shown):
    """How far a run is, and what is left by what earlier runs took."""

    steps_done: int
    steps_total: int
    expected_seconds: float | None
    expected_from: int
    remaining_seconds: float | None


class RunStatus(_Shown):
    """How a run is: all that somebody who waits for it needs, in one answer."""

    id: str
    task_id: str
    project_id: str
    status: WorkflowStatus
    over: bool = Field(description="Whether nothing will happen any more.")
    reason: Reason | None
    attempt: int
    created_at: AwareDatetime
    started_at: AwareDatetime | None
    finished_at: AwareDatetime | None
    seconds: float | None
    progress: ProgressView
    steps: tuple[StepState, ...]
    result: Document | None = Field(description="The result, once there is one.")


class TaskState(_Shown):
    """How a task is: its status, its current workflow and its latest run, in one answer."""

    id: str
    project_id: str
    title: str
    status: TaskStatus
    workflow_id: str | None
    workflow_version: int | None
    run: RunStatus | None


class UpstreamRun(_Shown):
    """A run that another one waits for."""

    run_id: str
    task: str
    status: WorkflowStatus


class Waiting(_Shown):
    """What a run waits for."""

    run: WorkflowRun
    reason: Reason | None
    upstream: tuple[UpstreamRun, ...]
    position: int | None = Field(description="Its place among the runs that could start, from 1.")
    seconds: float | None = Field(description="An estimate until it starts.")


class QueueView(_Shown):
    """The runs that are not over, in the order in which they start."""

    items: tuple[Waiting, ...]
    by_status: dict[WorkflowStatus, int]


class SummaryView(_Shown):
    """Numbers about a set of runs."""

    runs: int
    by_status: dict[WorkflowStatus, int]
    success_rate: float | None = Field(description="From 0 to 1, among those that were carried out.")
    timed_runs: int = Field(description="How many have begun and ended; the durations are theirs.")
    p50_seconds: float | None
    p95_seconds: float | None
    cached_share: float | None = Field(description="From 0 to 1: steps that were answered from earlier runs.")


class NamedSummaryView(_Shown):
    """The numbers of the runs of one kind; without a name: of definitions of their own."""

    name: str | None
    summary: SummaryView


class Statistics(_Shown):
    """Numbers about runs, all together and by kind; kinds with the most runs first."""

    total: SummaryView
    by_template: tuple[NamedSummaryView, ...]
    by_type: tuple[NamedSummaryView, ...]


class LogLine(_Shown):
    """One line that a step wrote."""

    number: int = Field(description="From 1.")
    text: str


class LogView(_Shown):
    """A part of a log."""

    run_id: str
    step_id: str
    stream: str
    lines: tuple[LogLine, ...]
    next_line: int | None = Field(description="The `start` of the next request; null at the end.")
    total_lines: int = Field(description="How many the log has by now.")


class DiagnosisView(_Shown):
    """Why a run failed; null when it did not."""

    diagnosis: Diagnosis | None


class EngineCheck(_Shown):
    """One thing that was checked."""

    name: str
    ok: bool
    detail: str
    remedy: str
    required: bool = Field(description="Whether the engine cannot work without it.")


class EngineView(_Shown):
    """The engine that executes."""

    kind: str | None = Field(description="Null when none can be chosen.")
    reason: str = Field(description="Why this one.")
    version: str
    images: str = Field(description="What steps run on.")
    usable: bool
    checks: tuple[EngineCheck, ...]


def template_summary(template: WorkflowTemplate) -> TemplateSummary:
    """A template without its definition."""
    return TemplateSummary.model_validate(template.model_dump(mode="json", include=set(TemplateSummary.model_fields)))


def run_status(state: RunState, progress: Progress) -> RunStatus:
    """How a run is."""
    run = state.run
    return RunStatus(
        **{name: getattr(run, name) for name in RunStatus.model_fields.keys() & type(run).model_fields.keys()},
        over=run.status.is_terminal,
        progress=ProgressView.model_validate(progress, from_attributes=True),
        steps=tuple(
            StepState(
                id=step.step_id,
                name=step.name,
                status=step.status,
                seconds=step.seconds,
                exit_code=step.exit_code,
                error=step.error,
            )
            for step in state.steps
        ),
        result=state.result,
    )


def task_state(state: WorkflowState, latest: RunStatus | None) -> TaskState:
    """How a task is."""
    task, workflow = state.task, state.workflow
    return TaskState(
        id=task.id,
        project_id=task.project_id,
        title=task.title,
        status=task.status,
        workflow_id=workflow.id if workflow else None,
        workflow_version=workflow.version if workflow else None,
        run=latest,
    )


def waiting(wait: Wait) -> Waiting:
    """What a run waits for."""
    return Waiting.model_validate(wait, from_attributes=True)

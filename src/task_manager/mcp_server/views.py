"""What tools and resources answer with: brief by default, everything on request."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

Detail = Literal["brief", "full"]


class View(BaseModel):
    """An answer; what is not known or empty is left out."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")


class ProjectView(View):
    """A project."""

    id: str
    name: str
    description: str = ""
    source_folder: str | None = None
    paused: bool = False
    revision: int = 0
    tasks: dict[str, int] = Field({}, description="How many tasks are in each status.")
    phases: list[PhaseView] = []
    metadata: dict[str, JsonValue] = {}


class PhaseView(View):
    """A part of a project."""

    id: str
    name: str
    order: int


class TaskView(View):
    """A task; `revision` is what an update may be made conditional on."""

    id: str
    title: str
    status: str
    revision: int = 0
    project_id: str = ""
    priority: str = "medium"
    depends_on: list[str] = []
    phase_id: str | None = None
    template_id: str | None = None
    type: str = ""
    description: str = ""
    labels: list[str] = []
    source_folder: str | None = None
    inputs: dict[str, JsonValue] = {}
    pipeline: dict[str, JsonValue] | None = None
    acceptance_criteria: list[str] = []
    metadata: dict[str, JsonValue] = {}
    claimed_by: str | None = None
    claimed_until: str | None = None
    next: str = Field("", description="What to do next.")


class WorkflowView(View):
    """A task's workflow, ready to run."""

    id: str
    task_id: str
    name: str
    version: int
    workflow_type: str
    template_id: str | None = None
    parameters: dict[str, JsonValue] = {}
    steps: list[str] = []
    explanation: str = ""
    warnings: list[str] = []
    function: str | None = None
    definition: dict[str, JsonValue] | None = None


class FailureView(View):
    """Where and why a run failed."""

    failure_class: str
    summary: str = ""
    step: str | None = None
    status: str | None = None
    exit_code: int | None = None
    lines: list[str] = []


class StepView(View):
    """A step of a run."""

    id: str
    status: str
    seconds: float | None = None
    exit_code: int | None = None
    image: str = ""
    cached: bool | None = None
    attempts: int = 0
    error: str = ""


class ArtifactView(View):
    """Something a run left behind."""

    name: str
    size: int
    media_type: str
    digest: str


class RunView(View):
    """A run; `over` says whether anything more can come."""

    id: str
    task_id: str
    status: str
    over: bool = False
    reason: str = ""
    attempt: int = 1
    steps_done: int = 0
    steps_total: int = 0
    running: list[str] = Field([], description="The steps that run now.")
    seconds: float | None = None
    headline: str = Field("", description="The result in one line.")
    failure: FailureView | None = None
    cursor: str = Field("", description="Pass it to wait_for_run to wait for what comes after this.")
    warnings: list[str] = []
    project_id: str = ""
    workflow_id: str = ""
    workflow_version: int = 0
    actor: str = ""
    engine: str | None = None
    rerun_of: str | None = None
    parameters: dict[str, JsonValue] = {}
    steps: list[StepView] = []
    artifacts: list[ArtifactView] = []
    created_at: str = ""
    next: str = Field("", description="What to do next.")


class StatusView(View):
    """A task with its current workflow and its latest run."""

    task: TaskView
    workflow: WorkflowView | None = None
    run: RunView | None = None


class WorkflowsView(View):
    """Workflows that were made."""

    count: int
    workflows: list[WorkflowView] = []
    next: str = ""


class WorkflowPageView(View):
    """A page of workflows."""

    workflows: list[WorkflowView] = []
    next_cursor: str | None = None


class RunsView(View):
    """Runs, in order."""

    count: int = 0
    runs: list[RunView] = []
    next_cursor: str | None = None
    next: str = ""


class TemplateView(View):
    """A workflow template."""

    id: str
    name: str
    category: str
    description: str = ""
    version: str = ""
    required: list[str] = Field([], description="Parameters without a default.")
    parameters: dict[str, JsonValue] = {}
    definition: dict[str, JsonValue] = {}


class TemplatesView(View):
    """Templates, by id."""

    templates: list[TemplateView] = []
    problems: list[str] = []


class TasksView(View):
    """Tasks, in order."""

    count: int
    tasks: list[TaskView] = []
    next_cursor: str | None = None
    next: str = ""


class ProjectsView(View):
    """Projects, oldest first."""

    count: int
    projects: list[ProjectView] = []
    next_cursor: str | None = None


class PhasesView(View):
    """Phases, in order."""

    phases: list[PhaseView] = []


class ResultView(View):
    """What came out of a run."""

    run_id: str
    status: str
    type: str = ""
    headline: str = ""
    seconds: float | None = None
    metrics: dict[str, float] = {}
    artifacts: list[ArtifactView] = []
    problems: list[str] = Field([], description="Reports that are missing or could not be read.")
    failure: FailureView | None = None
    result: dict[str, JsonValue] = Field({}, description="Everything, as far as it fits.")
    left_out: list[str] = Field([], description="Parts of the result that did not fit; read them as resources.")


class DiagnosisView(View):
    """Where and why a run failed, and what to do next."""

    run_id: str
    status: str
    reason: str = ""
    failure: FailureView | None = None
    problems: list[str] = []
    changed: list[str] = Field([], description="What is different since the task's last success.")
    since: str | None = Field(None, description="The run that succeeded last.")
    flaky: bool = Field(False, description="Whether the same inputs have succeeded, too.")
    tried: list[str] = Field([], description="What was done about earlier failures of this run.")
    actions: list[str] = Field([], description="Commands for a terminal, with what they are good for.")
    next: list[str] = Field([], description="What to call next, the most useful first.")


class LogLineView(View):
    """A line of a log."""

    n: int
    text: str = ""


class LogView(View):
    """A part of a step's log."""

    run_id: str
    step: str
    stream: str
    lines: list[LogLineView] = []
    total_lines: int = 0
    next_line: int | None = Field(None, description="Where to go on; absent at the end.")


class PlannedStepView(View):
    """A step that would be run."""

    id: str
    image: str = ""
    command: list[str] = []
    after: list[str] = []


class PlanView(View):
    """What executing a task would run."""

    task_id: str
    workflow_type: str
    template_id: str | None = None
    parameters: dict[str, JsonValue] = {}
    function: str | None = None
    order: list[list[str]] = Field([], description="Steps of one entry run at the same time.")
    steps: list[PlannedStepView] = []
    explanation: str = ""
    warnings: list[str] = []
    notes: list[str] = []


class CacheView(View):
    """What the cache of results was, or would be, for a run."""

    text: str
    run_id: str | None = None
    task_id: str | None = None
    outcome: str = ""
    original_run_id: str | None = None
    saved_seconds: float = 0
    steps: list[str] = Field([], description="What would become of each step.")


class FoundTool(View):
    """A tool that can be called through `more_tools`."""

    name: str
    description: str
    input_schema: dict[str, JsonValue] = {}


class MoreToolsView(View):
    """Tools that were found, or what the called one answered."""

    tools: list[FoundTool] = []
    answer: dict[str, JsonValue] = {}


class RemovedView(View):
    """What was removed; `runs` counts the runs that went with it."""

    id: str
    runs: int

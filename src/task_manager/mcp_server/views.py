"""What tools and resources answer with: brief by default, everything on request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from task_manager.workflow_status import StepStatus

if TYPE_CHECKING:
    from task_manager.dagger_integration import RunState, WorkflowState
    from task_manager.models import Phase, Project, StepRecord, Task, Workflow, WorkflowRun
    from task_manager.results.diagnosis import Diagnosis
    from task_manager.workflow_templates import WorkflowTemplate

Detail = Literal["brief", "full"]

LIST_BYTES = 6000
"""How long a list may be, as JSON; what does not fit comes with the next cursor."""

_WAIT = "wait_for_run"

V = TypeVar("V", bound="View")


class View(BaseModel):
    """An answer; what is not known or empty is left out."""

    model_config = ConfigDict(frozen=True, extra="forbid")


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
    summary: str
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


ProjectView.model_rebuild()


def within(items: list[V], budget: int = LIST_BYTES) -> list[V]:
    """The first items that fit into so many bytes of JSON; at least one."""
    taken, size = 0, 0
    for item in items:
        size += len(item.model_dump_json(exclude_defaults=True).encode()) + 1
        if size > budget and taken:
            break
        taken += 1
    return items[:taken]


def project_view(project: Project, *, full: bool = False) -> ProjectView:
    """A project; its texts only in full."""
    view = ProjectView(
        id=project.id,
        name=project.name,
        source_folder=project.source_folder,
        paused=project.paused_at is not None,
        revision=project.revision,
    )
    if not full:
        return view
    return view.model_copy(update={"description": project.description, "metadata": project.metadata})


def phase_view(phase: Phase) -> PhaseView:
    """A phase."""
    return PhaseView(id=phase.id, name=phase.name, order=phase.order)


def task_view(task: Task, *, full: bool = False, next_: str = "") -> TaskView:
    """A task; its texts, inputs and definition only in full."""
    view = TaskView(
        id=task.id,
        title=task.title,
        status=task.status.value,
        revision=task.revision,
        priority=task.priority.value,
        depends_on=list(task.dependencies),
        phase_id=task.phase_id,
        template_id=task.template_id,
        next=next_,
    )
    if not full:
        return view
    data = task.model_dump(mode="json", exclude={"id", "title", "status", "dependencies", "created_at", "updated_at"})
    return view.model_copy(update={name: data[name] for name in data.keys() & TaskView.model_fields.keys()})


def workflow_view(workflow: Workflow, *, full: bool = False) -> WorkflowView:
    """A workflow; its pipeline only in full."""
    steps = workflow.pipeline.steps if workflow.pipeline else ()
    return WorkflowView(
        id=workflow.id,
        task_id=workflow.task_id,
        name=workflow.name,
        version=workflow.version,
        workflow_type=workflow.workflow_type.value,
        template_id=workflow.template_id,
        parameters=workflow.parameters,
        steps=[step.id for step in steps],
        explanation=workflow.explanation,
        warnings=list(workflow.warnings),
        function=workflow.function,
        definition=workflow.pipeline.model_dump(mode="json") if full and workflow.pipeline else None,
    )


def brief_run(run: WorkflowRun, *, next_: str = "") -> RunView:
    """What the run's own record tells."""
    return RunView(
        id=run.id,
        task_id=run.task_id,
        status=run.status.value,
        over=run.status.is_terminal,
        reason=run.reason.text if run.reason else "",
        attempt=run.attempt,
        seconds=run.seconds,
        next=next_,
    )


def run_view(state: RunState, *, full: bool = False, cursor: int | None = None) -> RunView:
    """A run with how far its steps are, what came out and why it failed; every step and artifact only in full."""
    run = state.run
    steps = sorted(state.steps, key=lambda step: step.position)
    view = brief_run(run, next_=_what_next(run)).model_copy(
        update={
            "steps_done": sum(step.status is StepStatus.SUCCEEDED for step in steps),
            "steps_total": len(steps),
            "running": [step.step_id for step in steps if step.status is StepStatus.RUNNING],
            "headline": str((state.result or {}).get("headline") or ""),
            "failure": failure_view(state.diagnosis) if run.status.is_terminal else None,
            "warnings": list(run.warnings),
            "cursor": "" if cursor is None else str(cursor),
        }
    )
    return view.model_copy(update=_in_full(state, steps)) if full else view


def _in_full(state: RunState, steps: list[StepRecord]) -> dict[str, object]:
    run = state.run
    return {
        "project_id": run.project_id,
        "workflow_id": run.workflow_id,
        "workflow_version": run.workflow_version,
        "actor": run.actor,
        "engine": run.engine,
        "rerun_of": run.rerun_of,
        "parameters": run.parameters,
        "created_at": run.created_at.isoformat(),
        "steps": [_step_view(step) for step in steps],
        "artifacts": [
            ArtifactView(name=one.name, size=one.size, media_type=one.media_type, digest=one.digest)
            for one in state.artifacts
        ],
    }


def _step_view(step: StepRecord) -> StepView:
    return StepView(
        id=step.step_id,
        status=step.status.value,
        seconds=step.seconds,
        exit_code=step.exit_code,
        image=step.image,
        cached=step.cached,
        attempts=step.attempts,
        error=step.error,
    )


def failure_view(found: Diagnosis | None) -> FailureView | None:
    """Where and why a run failed; None when it did not."""
    if found is None:
        return None
    return FailureView(
        failure_class=found.failure_class.value,
        summary=found.summary,
        step=found.step_id,
        status=found.status.value if found.status else None,
        exit_code=found.exit_code,
        lines=list(found.lines),
    )


def status_view(state: WorkflowState, *, full: bool = False) -> StatusView:
    """A task with its workflow and latest run."""
    return StatusView(
        task=task_view(state.task, full=full),
        workflow=workflow_view(state.workflow, full=full) if state.workflow else None,
        run=run_view(state.latest, full=full) if state.latest else None,
    )


def template_view(template: WorkflowTemplate, *, full: bool = False) -> TemplateView:
    """A template; its parameters and definition only in full."""
    schema = template.parameters
    view = TemplateView(
        id=template.id,
        name=template.name,
        category=template.category,
        description=template.description if full else template.description.split("\n", 1)[0],
        version=template.version,
        required=[str(name) for name in _listed(schema.get("required"))],
    )
    return view.model_copy(update={"parameters": schema, "definition": template.definition}) if full else view


def _listed(value: object) -> list[object]:
    return list(value) if isinstance(value, list | tuple) else []


def _what_next(run: WorkflowRun) -> str:
    if not run.status.is_terminal:
        return f"{_WAIT}(run_id={run.id!r})"
    if run.status == "succeeded":
        return f"get_run_result(run_id={run.id!r})"
    return f"get_run_diagnosis(run_id={run.id!r}), then change the task and execute_task_workflow again"

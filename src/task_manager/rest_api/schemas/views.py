"""How things are shown that are no records of the package."""

from __future__ import annotations

from pydantic import AwareDatetime, Field, JsonValue

from task_manager.caching.entries import CacheEntry
from task_manager.models import WorkflowRun, WorkflowType
from task_manager.queue_explanation import Wait
from task_manager.rest_api.problems import Problem
from task_manager.rest_api.schemas.lists import Shown
from task_manager.results.diagnosis import Diagnosis
from task_manager.run_queries import RunOverview, TaskOverview
from task_manager.templating.records import WorkflowTemplate
from task_manager.workflow_status import Reason, StepStatus, TaskStatus, WorkflowStatus

Document = dict[str, JsonValue]


class TemplateSummary(Shown):
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


class TemplateList(Shown):
    """The templates, each in its highest version, and why files were left out."""

    items: tuple[TemplateSummary, ...]
    categories: tuple[str, ...]
    problems: tuple[str, ...]


class TemplateVersions(Shown):
    """The versions of a template, the highest last."""

    items: tuple[str, ...]


class Rendering(Shown):
    """What a template makes of parameters."""

    parameters: Document = Field(description="With their defaults.")
    definition: Document


class StepState(Shown):
    """How one step is."""

    id: str
    name: str
    status: StepStatus
    seconds: float | None
    exit_code: int | None
    error: str


class ProgressView(Shown):
    """How far a run is, and what is left by what earlier runs took."""

    steps_done: int
    steps_total: int
    expected_seconds: float | None
    expected_from: int
    remaining_seconds: float | None


class RunStatus(Shown):
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


class TaskState(Shown):
    """How a task is: its status, its current workflow and its latest run, in one answer."""

    id: str
    project_id: str
    title: str
    status: TaskStatus
    workflow_id: str | None
    workflow_version: int | None
    run: RunStatus | None


class UpstreamRun(Shown):
    """A run that another one waits for."""

    run_id: str
    task: str
    status: WorkflowStatus


class Waiting(Shown):
    """What a run waits for."""

    run: WorkflowRun
    reason: Reason | None
    upstream: tuple[UpstreamRun, ...]
    position: int | None = Field(description="Its place among the runs that could start, from 1.")
    seconds: float | None = Field(description="An estimate until it starts.")


class QueueView(Shown):
    """The runs that are not over, in the order in which they start."""

    items: tuple[Waiting, ...]
    by_status: dict[WorkflowStatus, int]


class SummaryView(Shown):
    """Numbers about a set of runs."""

    runs: int
    by_status: dict[WorkflowStatus, int]
    success_rate: float | None = Field(description="From 0 to 1, among those that were carried out.")
    timed_runs: int = Field(description="How many have begun and ended; the durations are theirs.")
    p50_seconds: float | None
    p95_seconds: float | None
    cached_share: float | None = Field(description="From 0 to 1: steps that were answered from earlier runs.")


class NamedSummaryView(Shown):
    """The numbers of the runs of one kind; without a name: of definitions of their own."""

    name: str | None
    summary: SummaryView


class Statistics(Shown):
    """Numbers about runs, all together and by kind; kinds with the most runs first."""

    total: SummaryView
    by_template: tuple[NamedSummaryView, ...]
    by_type: tuple[NamedSummaryView, ...]


class PeriodView(Shown):
    """The runs that were created in a stretch of time."""

    since: AwareDatetime = Field(description="Its beginning; it ends where the next one begins.")
    summary: SummaryView
    saved_seconds: float = Field(description="What the cache saved with them.")


class Trends(Shown):
    """How runs went over time."""

    since: AwareDatetime
    until: AwareDatetime
    total: SummaryView
    saved_seconds: float = Field(description="What the cache saved in all.")
    periods: tuple[PeriodView, ...] = Field(description="The earliest first; those without runs, too.")
    by_project: tuple[NamedSummaryView, ...] = Field(description="By the project's id; those with the most runs first.")
    by_template: tuple[NamedSummaryView, ...] = Field(description="By the template's id.")
    failures: dict[str, int] = Field(description="How many of the newest failures are of each class.")


class LogLine(Shown):
    """One line that a step wrote."""

    number: int = Field(description="From 1.")
    text: str


class LogView(Shown):
    """A part of a log."""

    run_id: str
    step_id: str
    stream: str
    lines: tuple[LogLine, ...]
    next_line: int | None = Field(description="The `start` of the next request; null at the end.")
    total_lines: int = Field(description="How many the log has by now.")


class DiagnosisView(Shown):
    """Why a run failed; null when it did not."""

    diagnosis: Diagnosis | None


class EngineCheck(Shown):
    """One thing that was checked."""

    name: str
    ok: bool
    detail: str
    remedy: str
    required: bool = Field(description="Whether the engine cannot work without it.")


class EngineView(Shown):
    """The engine that executes."""

    kind: str | None = Field(description="Null when none can be chosen.")
    reason: str = Field(description="Why this one.")
    version: str
    images: str = Field(description="What steps run on.")
    usable: bool
    checks: tuple[EngineCheck, ...]


class LogLines(Shown):
    """Lines that a step has written."""

    step_id: str
    stream: str
    lines: tuple[LogLine, ...]


class FolderFile(Shown):
    """A file of a folder that a run left."""

    path: str = Field(description="From the folder, with slashes.")
    size: int = Field(description="In bytes.")


class FolderListing(Shown):
    """The files of a folder that a run left, by path."""

    items: tuple[FolderFile, ...]


class CacheEntryView(Shown):
    """A result that is kept."""

    key: str
    run_id: str = Field(description="The run that was executed.")
    task_id: str
    task_title: str
    project_id: str
    template_id: str | None
    tags: tuple[str, ...]
    status: WorkflowStatus
    seconds: float = Field(description="How long it took.")
    engine: str
    created_at: AwareDatetime
    expires_at: AwareDatetime | None
    tiers: tuple[str, ...] = Field((), description="Those that have it.")


class CacheEntryList(Shown):
    """Results that are kept, newest first."""

    items: tuple[CacheEntryView, ...]
    total: int = Field(description="How many there are, shown or not.")
    next_cursor: str | None = Field(description="What to ask for the next page with; null on the last one.")


class CacheCleared(Shown):
    """What was removed, or would be."""

    items: tuple[CacheEntryView, ...]
    dry_run: bool


class RunOutcome(Shown):
    """What came of one of several runs."""

    run_id: str = Field(description="As it was asked for.")
    run: WorkflowRun | None
    problem: Problem | None = Field(description="Why nothing was done with it.")


class RunOutcomes(Shown):
    """What came of each of several runs, in the order in which they were named."""

    items: tuple[RunOutcome, ...]


_OF_RUN = RunStatus.model_fields.keys() & WorkflowRun.model_fields.keys()


def template_summary(template: WorkflowTemplate) -> TemplateSummary:
    """A template without its definition."""
    return TemplateSummary.model_validate(template.model_dump(mode="json", include=set(TemplateSummary.model_fields)))


def run_status(overview: RunOverview) -> RunStatus:
    """How a run is."""
    run = overview.run
    return RunStatus.model_construct(
        **{name: getattr(run, name) for name in _OF_RUN},
        over=run.status.is_terminal,
        progress=ProgressView.model_validate(overview.progress, from_attributes=True),
        steps=tuple(
            StepState.model_construct(
                id=step.step_id,
                name=step.name,
                status=step.status,
                seconds=step.seconds,
                exit_code=step.exit_code,
                error=step.error,
            )
            for step in overview.steps
        ),
        result=overview.result,
    )


def task_state(overview: TaskOverview) -> TaskState:
    """How a task is."""
    task, workflow = overview.task, overview.workflow
    return TaskState(
        id=task.id,
        project_id=task.project_id,
        title=task.title,
        status=task.status,
        workflow_id=workflow.id if workflow else None,
        workflow_version=workflow.version if workflow else None,
        run=run_status(overview.latest) if overview.latest else None,
    )


def waiting(wait: Wait) -> Waiting:
    """What a run waits for."""
    return Waiting.model_validate(wait, from_attributes=True)


def cache_entry(entry: CacheEntry, tiers: tuple[str, ...] = ()) -> CacheEntryView:
    """A result that is kept."""
    shown = {name: getattr(entry, name) for name in CacheEntryView.model_fields if name != "tiers"}
    return CacheEntryView(**shown, tiers=tiers)

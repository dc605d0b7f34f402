"""Records as views: what agents are told of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, TypeVar

from pydantic import JsonValue

from task_manager.mcp_server.views import (
    ArtifactView,
    DiagnosisView,
    FailureView,
    LogLineView,
    LogView,
    PhaseView,
    PlannedStepView,
    PlanView,
    ProjectView,
    ResultView,
    RunsView,
    RunView,
    StatusView,
    StepView,
    TaskView,
    TemplateView,
    View,
    WorkflowView,
)
from task_manager.mcp_server.wording import in_tools
from task_manager.workflow_status import StepStatus

if TYPE_CHECKING:
    from task_manager.dagger_integration import RunState, WorkflowState
    from task_manager.models import Artifact, Phase, Project, StepRecord, Task, Workflow, WorkflowRun
    from task_manager.results.diagnosis import Diagnosis
    from task_manager.results.run_changes import Change
    from task_manager.run_logs import LogPart
    from task_manager.store import Page
    from task_manager.workflow_creation import WorkflowPreview
    from task_manager.workflow_templates import WorkflowTemplate

LIST_BYTES: Final = 6000
"""How long a list may be, as JSON; what does not fit comes with the next cursor."""

_WAIT: Final = "wait_for_run"
_MOST_METRICS: Final = 30
_MOST_CHANGES: Final = 20

V = TypeVar("V", bound=View)


def within(items: list[V], budget: int = LIST_BYTES) -> list[V]:
    """The first items that fit into so many bytes of JSON; at least one."""
    taken, size = 0, 0
    for item in items:
        size += len(item.model_dump_json(exclude_defaults=True).encode()) + 1
        if size > budget and taken:
            break
        taken += 1
    return items[:taken]


def cut(items: list[V], next_cursor: str | None) -> tuple[list[V], str | None]:
    """As many of a page's items as fit into a list, and the cursor of what follows them.

    Args:
        items: Views of records that are listed by their ids.
        next_cursor: The cursor of what follows the page.
    """
    from task_manager.store.paging import encode_cursor  # only here, for it loads the database's library

    shown = within(items)
    return shown, next_cursor if len(shown) == len(items) else encode_cursor([getattr(shown[-1], "id")])  # noqa: B009


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
        reason=in_tools(run.reason.text) if run.reason else "",
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
        "artifacts": [_artifact_view(one) for one in state.artifacts],
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


def cut_runs(page: Page[WorkflowRun]) -> RunsView:
    """A page of runs, as far as it fits."""
    shown, following = cut([brief_run(run) for run in page.items], page.next_cursor)
    return RunsView(count=len(shown), runs=shown, next_cursor=following)


def result_view(state: RunState, *, full: bool, budget: int) -> ResultView:
    """A run's result: its metrics and artifacts; in full also every other part that fits into so many bytes."""
    data = state.result or {}
    metrics = [one for one in _listed(data.get("metrics")) if isinstance(one, dict)]
    view = ResultView(
        run_id=state.run.id,
        status=state.run.status.value,
        type=str(data.get("type", "")),
        headline=str(data.get("headline") or ""),
        seconds=state.run.seconds,
        metrics={str(one.get("name")): one.get("value", 0) for one in metrics[:_MOST_METRICS]},
        artifacts=within([_artifact_view(one) for one in state.artifacts], budget // 2),
        problems=_problems(state),
        failure=failure_view(state.diagnosis),
    )
    if not full:
        return view
    kept, left_out = _fitting(_without_others(data), budget - len(view.model_dump_json(exclude_defaults=True)))
    return view.model_copy(update={"result": kept, "left_out": left_out})


def _without_others(data: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """A result without the names of the tests that did not fail, which would take the place of those that did."""
    tests = data.get("tests")
    return {**data, "tests": {**tests, "others": []}} if isinstance(tests, dict) else data


def _fitting(data: dict[str, JsonValue], budget: int) -> tuple[dict[str, JsonValue], list[str]]:
    """The parts of a document that fit into so many bytes, the small ones first, and the names of the others."""
    sizes = {name: len(json.dumps(value).encode()) + len(name) + 4 for name, value in data.items()}
    kept: set[str] = set()
    for name in sorted(sizes, key=sizes.__getitem__):
        budget -= sizes[name]
        if budget < 0:
            break
        kept.add(name)
    return {name: value for name, value in data.items() if name in kept}, [name for name in data if name not in kept]


def diagnosis_view(state: RunState) -> DiagnosisView:
    """Where and why a run failed, and what to do next."""
    run, found = state.run, state.diagnosis
    view = DiagnosisView(
        run_id=run.id,
        status=run.status.value,
        reason=in_tools(run.reason.text) if run.reason else "",
        failure=failure_view(found),
        problems=_problems(state),
        next=_advice(state),
    )
    if found is None:
        return view
    changes = found.changes
    return view.model_copy(
        update={
            "since": changes.since if changes else None,
            "changed": [_change_text(one) for one in (changes.changes[:_MOST_CHANGES] if changes else ())],
            "flaky": found.flake is not None,
            "tried": [one.action for one in found.tried],
            "actions": [f"{in_tools(one.command)}  # {one.why}" for one in found.actions],
        }
    )


def _change_text(change: Change) -> str:
    return f"{change.kind} {change.name}: {change.before or 'nothing'} → {change.after or 'nothing'}"


def _advice(state: RunState) -> list[str]:
    run, found = state.run, state.diagnosis
    if not run.status.is_terminal:
        return [f"{_WAIT}(run_id={run.id!r}), for it is not over"]
    if found is None:
        return []
    if found.step_id is None:
        return [f"retry_run(run_id={run.id!r}) once what the reason says is remedied"]
    return [
        "fix the source folder, or update_task(task_id, changes={'inputs': …}), then execute_task_workflow(task_id)",
        f"get_run_logs(run_id={run.id!r}, step={found.step_id!r}, tail=50) for more of its output",
    ]


def log_view(part: LogPart) -> LogView:
    """A part of a log."""
    return LogView(
        run_id=part.run_id,
        step=part.step_id,
        stream=part.stream,
        lines=[LogLineView(n=number, text=text) for number, text in part.lines],
        total_lines=part.total_lines,
        next_line=part.next_line,
    )


def plan_view(preview: WorkflowPreview) -> PlanView:
    """What executing a task would run."""
    execution, conversion = preview.execution, preview.conversion
    steps = execution.pipeline.steps if execution else ()
    return PlanView(
        task_id=preview.task_id,
        workflow_type=conversion.workflow_type.value,
        template_id=conversion.template_id,
        parameters=conversion.parameters,
        function=conversion.function,
        order=[list(layer) for layer in execution.layers] if execution else [],
        steps=[
            PlannedStepView(
                id=step.id, image=step.image or "", command=list(step.command or ()), after=sorted(step.upstream)
            )
            for step in steps
        ],
        explanation=conversion.explanation,
        warnings=[str(finding) for finding in conversion.warnings],
        notes=list(execution.notes) if execution else [],
    )


def _artifact_view(one: Artifact) -> ArtifactView:
    return ArtifactView(name=one.name, size=one.size, media_type=one.media_type, digest=one.digest)


def _problems(state: RunState) -> list[str]:
    found = [one for one in _listed((state.result or {}).get("problems")) if isinstance(one, dict)]
    return [str(one.get("message", "")) for one in found]

"""How runs and their results look."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from task_manager.cli.diagnosis_views import failure
from task_manager.cli.live import remaining_text, run_seconds, steps_text, time_text
from task_manager.cli.output import fields, table
from task_manager.cli.statuses import label, status_text, symbol
from task_manager.models import Artifact, Project, StepRecord, WorkflowRun, utc_now
from task_manager.results.wording import counted, number_text, seconds_text, size_text
from task_manager.workflow_status import WorkflowStatus

if TYPE_CHECKING:
    from task_manager.dagger_integration import RunState
    from task_manager.run_statistics import Progress

_WIDE = 110
_SHOWN_DIGITS = 12
_FETCH = "Fetch an artifact: task-manager artifact get TASK STEP/OUTPUT"


def run_data(state: RunState, title: str) -> dict[str, Any]:
    """A run with everything that belongs to it, for `--json`."""
    return {
        "run": state.run,
        "task": {"id": state.run.task_id, "title": title},
        "workflow": {
            "id": state.workflow.id,
            "version": state.workflow.version,
            "template_id": state.workflow.template_id,
            "parameters": state.workflow.parameters,
        },
        "steps": state.steps,
        "artifacts": state.artifacts,
        "result": state.result,
        "diagnosis": state.diagnosis,
    }


def run_report(state: RunState, title: str, progress: Progress | None = None) -> RenderableType:
    """Everything about a run: how it ended, why, its steps, its result, its artifacts.

    Args:
        state: The run.
        title: Its task's title.
        progress: How far it is, where that is of interest.
    """
    parts = [
        run_heading(state.run, title, headline(state)),
        failure(state.diagnosis, told=headline(state)),
        _facts(state.run, progress),
        steps_table(state.steps),
        metrics_table(state.result),
        artifacts_list(state.artifacts),
    ]
    return Group(*(Padding(part, (0, 0, 1, 0)) for part in parts if part is not None))


def run_heading(run: WorkflowRun, title: str, text: str = "") -> RenderableType:
    """One line: state, title, duration; below it, what came out."""
    seconds = seconds_text(run_seconds(run, utc_now()))
    lead = Text.assemble(symbol(run.status), " ", (title, "bold"), f"  {label(run.status)}")
    saved = saved_seconds(run)
    if saved is not None:
        lead.append(f" from the cache, {seconds_text(saved)} saved", style="green")
    if seconds:
        lead.append(f" {'in' if run.status.is_terminal else 'for'} {seconds}")
    lead.append(f"  {run.id}", style="dim")
    return Group(lead, Text(f"  {text}")) if text else lead


def saved_seconds(run: WorkflowRun) -> float | None:
    """What it saved that a run's result came from the cache; None where it did not."""
    if run.original_run_id is None or run.reason is None:
        return None
    saved = run.reason.details.get("saved_seconds")
    return float(saved) if isinstance(saved, int | float) else 0.0


def headline(state: RunState) -> str:
    """What came out of a run, in one line: its result's headline, else its reason."""
    text = state.result.get("headline") if state.result else None
    if isinstance(text, str) and text:
        return text
    return state.run.reason.text if state.run.reason else ""


def _facts(run: WorkflowRun, progress: Progress | None) -> RenderableType | None:
    facts = [("Cache", run.reason.text if run.reason and saved_seconds(run) is not None else None)]
    facts += [("Engine", run.engine), ("Started", _time(run.started_at)), ("Started by", run.actor)]
    if progress is not None and not run.status.is_terminal:
        facts += [("Progress", steps_text(progress)), ("Estimate", _estimate(progress))]
    warnings = [("Warning", Text(warning, style="yellow")) for warning in run.warnings]
    return Padding(fields([*facts, *warnings]), (0, 0, 0, 2))


def _estimate(progress: Progress) -> str:
    """What remains, and from how many earlier runs that is taken; empty without an estimate."""
    if progress.expected_seconds is None:
        return ""
    text = remaining_text(progress.expected_seconds, progress.remaining_seconds)
    return f"{text} (from {counted(progress.expected_from, 'earlier run')})"


def _time(value: Any) -> str | None:
    return value.astimezone().strftime("%Y-%m-%d %H:%M:%S") if value else None


def steps_table(steps: Sequence[StepRecord]) -> RenderableType | None:
    """The steps with state, duration, exit code and image; None when nothing is planned yet."""
    if not steps:
        return None
    rows = [
        (
            step.step_id,
            status_text(step.status),
            seconds_text(step.seconds),
            "" if step.exit_code is None else str(step.exit_code),
            Text(step.image, style="dim"),
        )
        for step in steps
    ]
    return _indented(table(["!Step", "!Status", "!>Time", "!>Exit", "Image"], rows, empty=""))


def metrics_table(result: Mapping[str, Any] | None) -> RenderableType | None:
    """A result's measured numbers; None when it has none."""
    metrics = result.get("metrics") if result else None
    if not metrics:
        return None
    rows = [(one["name"], _metric(one["value"]), one.get("unit") or "") for one in metrics]
    return _indented(table(["Metric", "!>Value", "!Unit"], rows, empty=""))


def problems_text(result: Mapping[str, Any]) -> RenderableType | None:
    """What was wrong with a run's outputs; None when nothing was."""
    problems = result.get("problems")
    return Group(*(Text(f"  {one['message']}", style="red") for one in problems)) if problems else None


def _metric(value: Any) -> str:
    return number_text(value) if isinstance(value, int | float) else str(value)


def artifacts_list(artifacts: Sequence[Artifact]) -> RenderableType | None:
    """The artifacts with size, kind and digest; None when there are none."""
    if not artifacts:
        return None
    rows = [
        (one.name, size_text(one.size), Text(one.media_type, style="dim"), Text(short_digest(one.digest), style="dim"))
        for one in artifacts
    ]
    return _indented(table(["!Artifact", "!>Size", "Kind", "!Digest"], rows, empty=""))


def short_digest(digest: str) -> str:
    """As much of a digest as tells it from others: `sha256:0123456789ab`."""
    scheme, colon, number = digest.partition(":")
    return f"{scheme}{colon}{number[:_SHOWN_DIGITS]}"


def _indented(part: RenderableType) -> RenderableType:
    return Padding(part, (0, 0, 0, 2))


def project_data(project: Project, states: Sequence[tuple[str, RunState]]) -> dict[str, Any]:
    """A project's runs for `--json`."""
    return {"project": project, "runs": [run_data(state, title) for title, state in states]}


def project_report(states: Sequence[tuple[str, RunState]], width: int) -> RenderableType:
    """A project's runs: one row each, then what failed and why, then warnings.

    Args:
        states: The runs with their tasks' titles.
        width: Columns of the screen; where they are few, the artifacts get a table of their own.
    """
    narrow = width < _WIDE
    failures = [part for title, state in states if (part := _named_failure(title, state)) is not None]
    warnings = dict.fromkeys(warning for _, state in states for warning in state.run.warnings)
    engines = dict.fromkeys(state.run.engine for _, state in states if state.run.engine)
    parts = [
        summary_table(states, with_artifacts=not narrow),
        *failures,
        artifacts_table(states) if narrow else None,
        savings([state.run for _, state in states]),
        Text(f"{_FETCH}\nEngine: {', '.join(engines) or 'none'}", style="dim"),
        Group(*(Text(f"Warning: {warning}", style="yellow") for warning in warnings)) if warnings else None,
    ]
    return Group(*(Padding(part, (0, 0, 1, 0)) for part in parts if part is not None))


def savings(of_runs: Sequence[WorkflowRun]) -> RenderableType | None:
    """How many runs the cache answered and what that saved; None when it answered none."""
    saved = [seconds for run in of_runs if (seconds := saved_seconds(run)) is not None]
    if not saved:
        return None
    text = f"From the cache: {len(saved)} of {counted(len(of_runs), 'run')}, {seconds_text(sum(saved))} saved."
    return Text(text, style="green")


def _named_failure(title: str, state: RunState) -> RenderableType | None:
    if state.run.status is WorkflowStatus.SKIPPED:  # the one that it waited for tells why
        return None
    found = failure(state.diagnosis, brief=True)
    return None if found is None else Group(Text.assemble(symbol(state.run.status), " ", (title, "bold")), found)


def summary_table(states: Iterable[tuple[str, RunState]], *, with_artifacts: bool) -> RenderableType:
    """Several runs: task, status, seconds, headline, and the artifacts."""
    rows = [
        (
            title,
            status_text(state.run.status),
            time_text(state.run),
            Group(Text(headline(state)), *(_artifact_line(one) for one in state.artifacts if with_artifacts)),
        )
        for title, state in states
    ]
    last = "Result and artifacts" if with_artifacts else "Result"
    return table(["Task", "!Status", "!>Time", last], rows, empty="There was nothing to run.")


def artifacts_table(states: Iterable[tuple[str, RunState]]) -> RenderableType | None:
    """The artifacts of several runs; None when there are none."""
    rows = [
        (title, Group(*(_artifact_line(one) for one in state.artifacts))) for title, state in states if state.artifacts
    ]
    return table(["Task", "Artifacts"], rows, empty="") if rows else None


def _artifact_line(artifact: Artifact) -> Text:
    return Text(artifact.name, style="dim", overflow="fold")

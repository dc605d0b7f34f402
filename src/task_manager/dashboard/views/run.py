"""A run: how it is and why, its steps, what came out, what happened, what the cache was for it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from task_manager.application import Application
from task_manager.cache_queries import CacheExplanation
from task_manager.dagger_integration import RunState
from task_manager.dashboard.views import frame, looks, run_diagnosis
from task_manager.dashboard.views.icons import icon
from task_manager.dashboard.views.moments import ago, clock, took
from task_manager.dashboard.views.named_runs import named
from task_manager.dashboard.views.parts import button, card, empty, facts, meter, table
from task_manager.dashboard.views.step_pictures import step_graph, time_line
from task_manager.dashboard.views.tree import Node, action, h
from task_manager.errors import NotFound
from task_manager.failure_rules import FailureClass
from task_manager.models import Event, Workflow, utc_now
from task_manager.queue_explanation import Wait
from task_manager.results.schemas import WorkflowResult, parse_result
from task_manager.results.wording import counted, seconds_text
from task_manager.run_statistics import Progress
from task_manager.templating.parameters import is_secret

TABS: Final = {
    "log": "Log",
    "result": "Result",
    "artifacts": "Artifacts",
    "events": "Events",
    "cache": "Cache",
    "inputs": "Inputs",
}
"""The parts of a run's page below its steps."""

_TO_BE_CORRECTED: Final = frozenset(
    {FailureClass.CONFIGURATION, FailureClass.DETERMINISTIC, FailureClass.OUTPUT_INVALID}
)


@dataclass(frozen=True)
class RunFacts:
    """What a run's page shows.

    Attributes:
        task: The task's title.
        project: The project's name.
        wait: What it waits for; none when it does not.
        secret: The names of the parameters whose values are not shown.
    """

    now: datetime
    state: RunState
    task: str
    project: str
    progress: Progress
    wait: Wait | None
    result: WorkflowResult | None
    secret: frozenset[str] = frozenset()

    @property
    def is_over(self) -> bool:
        """Whether nothing happens any more."""
        return self.state.run.status.is_terminal


async def load(application: Application, run_id: str) -> RunFacts:
    """Find out what a run's page shows.

    Raises:
        NotFound: There is no such run.
        OutputInvalid: Its result was stored by another version.
    """
    workflows = await application.workflows()
    state = await workflows.get_run(run_id)
    (names,) = await named(application, [state.run])
    begun = state.run.started_at is not None
    return RunFacts(
        now=utc_now(),
        state=state,
        task=names.task,
        project=names.project,
        progress=await application.runs.progress(run_id),
        wait=None if begun or state.run.status.is_terminal else await workflows.why_waiting(run_id),
        result=parse_result(state.result) if state.result else None,
        secret=_secret_parameters(application, state.workflow),
    )


def _secret_parameters(application: Application, workflow: Workflow) -> frozenset[str]:
    try:
        template = application.templates.get(workflow.template_id or "", workflow.template_version)
    except NotFound:
        return frozenset()
    schema = template.parameters
    parts = schema.get("properties")
    named = parts.items() if isinstance(parts, dict) else ()
    return frozenset(name for name, part in named if is_secret(part, schema))


def head(of: RunFacts, *, may_run: bool) -> list[Node]:
    """The page's heading, the facts, warnings, and why it failed.

    Args:
        of: The facts.
        may_run: Whether the visitor may cancel and repeat it.
    """
    run = of.state.run
    trail = (("Runs", "/runs"), (of.project, f"/projects/{run.project_id}"))
    buttons = _buttons(of) if may_run else []
    under = h("div", looks.status(run.status.value), _why(of), class_="row-line under")
    parts: list[Node] = [frame.heading(of.task, *buttons, trail=trail, under=under), _facts(of)]
    parts += [h("p", icon("warn"), h("span", text), class_="warning") for text in run.warnings]
    if of.state.diagnosis is not None:
        parts.append(run_diagnosis.draw(of.state.diagnosis))
    return parts


def _why(of: RunFacts) -> Node | None:
    reason = of.wait.reason if of.wait and of.wait.reason else of.state.run.reason
    if of.wait and of.wait.position:
        about = f" It starts in about {seconds_text(of.wait.seconds)}." if of.wait.seconds is not None else ""
        text = reason.text if reason else f"Number {of.wait.position} in the queue."
        return h("span", f"{text}{about}", class_="muted")
    return h("span", reason.text, class_="muted") if reason else None


def _buttons(of: RunFacts) -> list[Node]:
    if not of.is_over:
        stop = action("cancel", confirm="Cancel this run?")
        return [button("Cancel", stop, icon_name="stop", look="danger")]
    again = "Run again" if of.state.run.status.value == "succeeded" else "Retry"
    diagnosis = of.state.diagnosis
    # The same again would fail again: what helps is to correct something, and to begin with that.
    looks_of = ("", "primary") if diagnosis and diagnosis.failure_class in _TO_BE_CORRECTED else ("primary", "")
    same, now = "The same files and parameters again.", "With the task and its files as they are now."
    return [
        button(again, action("rerun"), icon_name="again", look=looks_of[0], title=same),
        button("Start the task anew", action("start"), icon_name="play", look=looks_of[1], title=now),
    ]


def _facts(of: RunFacts) -> Node:
    run, progress = of.state.run, of.progress
    done = f"{progress.steps_done} of {counted(progress.steps_total, 'step')}" if progress.steps_total else None
    bar = meter(
        progress.steps_done, progress.steps_total, tone=looks.tone(run.status.value), label="Steps that are over"
    )
    template = f"{run.template_id} {of.state.workflow.template_version or ''}".strip() if run.template_id else None
    original = h("a", "an earlier run", href=f"/runs/{run.original_run_id}", class_="link")
    repeated = h("a", "an earlier run", href=f"/runs/{run.rerun_of}", class_="link")
    return h(
        "section",
        facts(
            ("Task", h("a", of.task, href=f"/tasks/{run.task_id}", class_="link clamp", title=of.task)),
            ("Progress", h("span", done, bar, class_="stack gap") if done else None),
            ("Duration", took(run, of.now)),
            ("Estimate", _estimate(progress)),
            ("Created", ago(run.created_at, of.now) if not run.started_at else None),
            ("Started", ago(run.started_at, of.now) if run.started_at else None),
            ("Started by", run.actor),
            ("Template", h("a", template, href=f"/templates/{run.template_id}", class_="link") if template else None),
            ("Workflow", f"version {run.workflow_version}"),
            ("Attempt", str(run.attempt) if run.attempt > 1 else None),
            ("Result from", original if run.original_run_id else None),
            ("Repeats", repeated if run.rerun_of else None),
            ("From step", run.from_step),
            ("Engine", run.engine),
            ("Id", h("code", run.id)),
        ),
        class_="card card-body",
        aria_label="Facts",
    )


def _estimate(progress: Progress) -> str | None:
    if progress.expected_seconds is None:
        return None
    earlier = counted(progress.expected_from, "earlier run")
    if progress.remaining_seconds is None:
        return f"about {seconds_text(progress.expected_seconds)}, from {earlier}"
    if progress.remaining_seconds == 0:
        return f"takes longer than {earlier}"
    return f"{seconds_text(progress.remaining_seconds)} left, from {earlier}"


def steps(of: RunFacts, chosen: str, *, may_run: bool) -> list[Node]:
    """The steps as graph and time line.

    Args:
        of: The facts.
        chosen: The id of the step whose log is shown.
        may_run: Whether the visitor may repeat the run.
    """
    records = of.state.steps
    if not records:
        text = "Its steps show up once it begins." if not of.is_over else "It ended before any step was planned."
        return [card("Steps", h("p", text, class_="quiet"))]
    graph = step_graph(of.state.workflow.pipeline, records, chosen)
    from_here = None
    if of.is_over and may_run and chosen and of.state.workflow.pipeline:
        title = next((one.name or one.step_id for one in records if one.step_id == chosen), chosen)
        from_here = button(
            f"Run again from {title}", action("rerun", step=chosen), icon_name="again", look="small brief", title=title
        )
    return [card("Steps", graph, time_line(records, of.now, chosen), more=from_here)]


def tabs(chosen: str, of: RunFacts) -> Node:
    """The names of the parts below the steps.

    Args:
        chosen: Which is shown.
        of: The facts.
    """
    counts = {"artifacts": len(of.state.artifacts)}
    entries = [
        h(
            "button",
            h("span", name),
            h("span", str(counts[tab]), class_="count") if counts.get(tab) else None,
            type="button",
            role="tab",
            id=f"tab-{tab}",
            aria_selected="true" if tab == chosen else "false",
            aria_controls="run-part",
            on={"click": action("tab", tab=tab)},
            key=tab,
        )
        for tab, name in TABS.items()
    ]
    return h("div", *entries, class_="tabs in-card", role="tablist", aria_label="Parts of the run")


def events(happened: Sequence[Event]) -> list[Node]:
    """What happened, in order.

    Args:
        happened: The events.
    """
    rows = [_event(event) for event in happened]
    heads = [h("th", name) for name in ("When", "What", "Status", "Why", "Who")]
    return [table(heads, rows, label="Events", class_="events")]


def _event(event: Event) -> Node:
    state = event.step_status or event.status
    what = f"Step {event.step_id}" if event.step_id else ("Run" if state else "Warning")
    return h(
        "tr",
        h("td", clock(event.time), class_="muted"),
        h("td", what),
        h("td", looks.status(state.value) if state else looks.chip("warning", tone=looks.WARN)),
        h("td", event.reason.text if event.reason else ""),
        h("td", event.actor, class_="muted"),
        key=event.sequence,
    )


def cache(told: CacheExplanation) -> list[Node]:
    """What the cache was for the run, and why.

    Args:
        told: The explanation.
    """
    parts: list[Node | None] = [h("p", told.text, class_="headline")]
    if told.record is not None:
        record = told.record
        parts.append(
            facts(
                ("Outcome", record.outcome.value),
                ("Tier", record.tier),
                ("Saved", seconds_text(record.saved_seconds) or None),
                ("Kept for later", {True: "yes", False: "no", None: None}[record.stored]),
                ("Key", h("code", record.key) if record.key else None),
            )
        )
    if told.compared is not None:
        parts += _compared(told)
    return [h("div", *parts, class_="card-body result")]


def _compared(told: CacheExplanation) -> Iterable[Node]:
    compared = told.compared
    if compared is None:
        return
    link = h("a", "the nearest earlier run", href=f"/runs/{compared.run_id}", class_="link")
    lines = [
        h(
            "li",
            looks.chip(one.component),
            h("code", one.part),
            h("small", " → ".join(part for part in (one.before, one.after) if part)),
        )
        for one in compared.differences
    ]
    lines += [h("li", looks.chip(one.change), h("code", one.path)) for one in compared.files]
    body = h("ul", *lines, class_="changes") if lines else h("p", "Nothing.", class_="muted")
    yield h("div", h("h3", "Different from ", link), body, class_="part")


def inputs(of: RunFacts) -> list[Node]:
    """What the run was made from.

    Args:
        of: The facts.
    """
    run, workflow = of.state.run, of.state.workflow
    given = {**workflow.parameters, **run.parameters}
    told = {
        name: "not shown" if name in of.secret else json.dumps(value, ensure_ascii=False)
        for name, value in given.items()
    }
    rows = [
        h("tr", h("td", h("strong", name)), h("td", h("code", value), class_="any")) for name, value in told.items()
    ]
    heads = [h("th", "Parameter"), h("th", "Value")]
    parts: list[Node | None] = [
        h("p", workflow.explanation, class_="muted") if workflow.explanation else None,
        table(heads, rows, label="Parameters") if rows else h("p", "It has no parameters.", class_="muted"),
        facts(
            ("Sources", h("code", run.snapshot) if run.snapshot else "no source folder"),
            ("Workflow", f"{workflow.name}, version {workflow.version}"),
            ("Steps may use the cache", "no" if run.skip_cache else "yes"),
        ),
    ]
    # It may have been made with the values of those parameters.
    if workflow.pipeline is not None and not of.secret & given.keys():
        text = workflow.pipeline.model_dump_json(indent=2, exclude_defaults=True)
        code = h("pre", text, class_="block", tabindex="0")
        parts.append(h("details", h("summary", h("strong", "Pipeline")), code, class_="part"))
    return [h("div", *parts, class_="card-body result")]


def no_log(of: RunFacts) -> list[Node]:
    """In place of a log where no step has begun.

    Args:
        of: The facts.
    """
    text = "Nothing has been written." if of.is_over else "Lines show up as the steps write them."
    return [empty("No log", text, f"task-manager run logs {of.state.run.id}", icon_name="file")]

"""A task: what is to be done, what it depends on, its workflow, its runs, and how it is started."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from task_manager.application import Application
from task_manager.dashboard.views import frame, looks
from task_manager.dashboard.views.form_banners import banner
from task_manager.dashboard.views.forms import About, form, parameter_input, submit_button, switch_field
from task_manager.dashboard.views.icons import icon
from task_manager.dashboard.views.moments import ago, took
from task_manager.dashboard.views.parameter_forms import InputKind, ParameterField, parameter_fields
from task_manager.dashboard.views.parts import card, empty, facts, table
from task_manager.dashboard.views.task_board import run_state
from task_manager.dashboard.views.tree import Node, action, h
from task_manager.errors import NotFound
from task_manager.models import Phase, Project, Task, Workflow, WorkflowRun, utc_now
from task_manager.pipeline import HOST_TOOLCHAIN
from task_manager.results.wording import counted
from task_manager.store import phases, runs, tasks, workflows
from task_manager.store.run_queries import RunFilter
from task_manager.templating.records import WorkflowTemplate
from task_manager.workflow_status import TaskStatus

PREFIX = "parameter"
"""Of the names of the parameters' fields."""

_MOST_RUNS = 30


@dataclass(frozen=True)
class TaskFacts:
    """What the page shows.

    Attributes:
        dependencies: Tasks that it depends on.
        dependents: Tasks that depend on it.
        latest: The newest run of each task of the project that has any, by the task's id.
        versions: Its workflows, the current one first.
        template: What its workflow is made from; none for a definition of its own, or when there is no such template.
        runs: Its newest runs.
        total_runs: How many runs it has.
        may_run: Whether whoever looks may change and run something.
        may_remove: Whether it may remove something.
    """

    now: datetime
    task: Task
    project: Project
    phase: Phase | None
    dependencies: Sequence[Task]
    dependents: Sequence[Task]
    latest: Mapping[str, WorkflowRun]
    versions: Sequence[Workflow]
    template: WorkflowTemplate | None
    runs: Sequence[WorkflowRun]
    total_runs: int
    may_run: bool = True
    may_remove: bool = True

    @property
    def fields(self) -> tuple[ParameterField, ...]:
        """The fields of the form that starts it."""
        if self.template is None:
            return ()
        current = self.versions[0] if self.versions else None
        same = current is not None and current.template_id == self.template.id
        return parameter_fields(self.template.parameters, current.parameters if same and current else self.task.inputs)


@dataclass(frozen=True)
class Starting:
    """What the form that starts the task says beside its fields."""

    problems: Mapping[str, str] = field(default_factory=dict)


async def load(application: Application, task_id: str, *, may_run: bool = True, may_remove: bool = True) -> TaskFacts:
    """Find out what the page shows.

    Raises:
        NotFound: There is no such task.
    """
    store = application.store
    task = await application.tasks.get_task(task_id)
    versions = (await store.run(workflows.list_, task_id=task.id, limit=20)).items
    where = RunFilter(task_id=task.id)
    return TaskFacts(
        utc_now(),
        task,
        await application.tasks.get_project(task.project_id),
        await store.run(phases.get, task.phase_id) if task.phase_id else None,
        [await store.run(tasks.get, one) for one in task.dependencies],
        await store.run(tasks.dependents, [task.id]),
        await store.run(runs.latest_of_tasks, task.project_id),
        versions,
        _template(application, task, versions),
        (await application.runs.list(where, limit=_MOST_RUNS)).items,
        sum((await application.runs.count_by_status(where)).values()),
        may_run,
        may_remove,
    )


def _template(application: Application, task: Task, versions: Sequence[Workflow]) -> WorkflowTemplate | None:
    current = versions[0] if versions else None
    fresh = current is not None and current.task_digest == task.definition_digest
    name, version = task.template_id, None
    if current is not None and fresh:
        name, version = current.template_id, current.template_version
    if name is None:
        return None
    try:
        return application.templates.get(name, version)
    except NotFound:
        return None


def draw(page: TaskFacts, starting: Starting) -> list[Node]:
    """Draw the page."""
    left = h("div", _runs(page), _workflow(page), class_="column")
    right = h("div", _start(page, starting) if page.may_run else None, _about(page), _links(page), class_="column")
    return [_heading(page), h("div", left, right, class_="columns wide-left")]


def _heading(page: TaskFacts) -> Node:
    task, project = page.task, page.project
    trail = (("Projects", "/projects"), (project.name, f"/projects/{project.id}"))
    edit = h("a", icon("edit"), h("span", "Edit"), href=f"/tasks/{task.id}/edit", class_="button")
    phase = h("a", page.phase.name, href=f"/projects/{project.id}?phase={page.phase.id}") if page.phase else None
    under = h(
        "div",
        _status(page),
        h("span", f"{looks.label(task.priority.value)} priority", class_="tag"),
        h("span", task.type, class_="tag"),
        h("span", phase, class_="tag") if phase else None,
        *(looks.chip(label) for label in task.labels),
        class_="row-line",
    )
    return frame.heading(task.title, edit if page.may_run else None, trail=trail, under=under)


def _status(page: TaskFacts) -> Node:
    status = page.task.status
    if not page.may_run:
        return looks.status(status.value)
    options = [h("option", looks.label(one.value), value=one.value, selected=one is status) for one in TaskStatus]
    change = {"change": action("status", revision=page.task.revision)}
    select = h("select", *options, value=status.value, class_="move wide-move", aria_label="Status", on=change)
    tone = looks.tone(status.value)
    return h("span", icon(tone), select, class_=f"status-select tone-{tone}")


def _about(page: TaskFacts) -> Node:
    task = page.task
    folder = task.source_folder or page.project.source_folder
    parts: list[Node] = []
    if task.description:
        parts.append(h("p", task.description, class_="about"))
    if task.acceptance_criteria:
        parts += [h("h3", "Done when"), h("ul", *(h("li", one) for one in task.acceptance_criteria), class_="bullets")]
    parts.append(
        facts(
            ("Source folder", h("code", folder) if folder else None),
            ("Created", ago(task.created_at, page.now)),
            ("Changed", ago(task.updated_at, page.now)),
            ("Id", h("code", task.id)),
        )
    )
    return card("About", h("div", *parts, class_="card-body spaced"))


def _links(page: TaskFacts) -> Node | None:
    if not page.dependencies and not page.dependents:
        return None
    needs = [h("h3", "Depends on"), _tasks(page.dependencies, page.latest)] if page.dependencies else []
    needed = [h("h3", "Needed by"), _tasks(page.dependents, page.latest)] if page.dependents else []
    more = h("a", "Graph", href=f"/projects/{page.project.id}?view=graph", class_="more")
    return card("Dependencies", h("div", *needs, *needed, class_="card-body spaced"), more=more)


def _tasks(listed: Sequence[Task], latest: Mapping[str, WorkflowRun]) -> Node:
    lines = [
        h(
            "li",
            h("a", one.title, href=f"/tasks/{one.id}", class_="row-title grow"),
            run_state(latest[one.id]) if one.id in latest else looks.status(one.status.value),
            class_="row-line",
            key=one.id,
        )
        for one in listed
    ]
    return h("ul", *lines, class_="task-links")


def _start(page: TaskFacts, starting: Starting) -> Node:
    given = page.template is not None and page.fields
    inputs = [parameter_input(one, PREFIX, starting.problems.get(one.name, "")) for one in page.fields]
    name = page.template.name if page.template else ""
    opened = any(problem for problem in starting.problems.values())
    parameters = h(
        "details",
        h("summary", f"Parameters of {name}", h("span", f"{len(inputs)}", class_="count")),
        h("div", *inputs, class_="spaced"),
        open="" if opened else None,
    )
    fresh = switch_field("skip_cache", "Run every step anew", False, About("No step is answered from an earlier run."))
    return card(
        "Run",
        form(
            "Run this task",
            action("start"),
            banner(starting.problems),
            parameters if given else None,
            fresh,
            h("div", submit_button("Run", icon_name="play"), class_="form-foot"),
            class_="card-body",
        ),
    )


def _runs(page: TaskFacts) -> Node:
    if not page.runs:
        text = "Start it here, from the command line, or let an agent do it."
        return card("Runs", empty("This task has not run yet", text, f"task-manager task run {page.task.id}"))
    heads: list[Node] = [
        h("th", text, scope="col") for text in ("Status", "Why", "Took", "Workflow", "Started by", "Started")
    ]
    rows = [_run_row(run, page.now) for run in page.runs]
    more = h("a", f"All {page.total_runs:,}", href=f"/runs?task={page.task.id}", class_="more")
    return card(
        "Runs", table(heads, rows, label="Runs of this task"), more=more if page.total_runs > len(rows) else None
    )


def _run_row(run: WorkflowRun, now: datetime) -> Node:
    why = run.reason.text if run.reason else ""
    return h(
        "tr",
        h("td", h("a", looks.status(run.status.value), href=f"/runs/{run.id}", class_="run-state")),
        h("td", h("span", why, class_="clamp"), class_="wide muted"),
        h("td", took(run, now)),
        h("td", f"v{run.workflow_version}", class_="muted"),
        h("td", run.actor, class_="muted brief", title=run.actor),
        h("td", ago(run.created_at, now), class_="muted"),
        key=run.id,
        data_href=f"/runs/{run.id}",
    )


def _workflow(page: TaskFacts) -> Node:
    if not page.versions:
        text = "It is made when the task runs for the first time, from its template or its own definition."
        return card("Workflow", empty("No workflow yet", text, f"task-manager workflow create {page.task.id}"))
    current = page.versions[0]
    stale = current.task_digest != page.task.definition_digest
    note = looks.chip("The task has changed since; the next run makes a new one", tone=looks.WARN) if stale else None
    steps = current.pipeline.steps if current.pipeline else ()
    listed = [h("li", h("strong", step.name or step.id), _image(str(step.image)), class_="row-line") for step in steps]
    body = h(
        "div",
        note,
        h("p", current.explanation, class_="muted") if current.explanation else None,
        *(h("p", icon("warn"), warning, class_="tag tone-warn") for warning in current.warnings),
        facts(
            ("Version", f"{current.version}"),
            ("Template", _template_link(current)),
            ("Function", h("code", current.function) if current.function else None),
            ("Made", ago(current.created_at, page.now)),
        ),
        _values(page, current),
        h("h3", counted(len(steps), "step")) if steps else None,
        h("ol", *listed, class_="steps") if steps else None,
        _versions(page),
        class_="card-body spaced",
    )
    return card("Workflow", body)


def _image(image: str) -> Node:
    if image == HOST_TOOLCHAIN:
        return h("span", "programs of the worker's machine", class_="muted")
    return h("code", image, class_="muted")


def _template_link(workflow: Workflow) -> Node | None:
    if workflow.template_id is None:
        return None
    href = f"/templates/{workflow.template_id}?version={workflow.template_version}"
    return h("a", f"{workflow.template_id} {workflow.template_version or ''}", href=href, class_="link")


def _values(page: TaskFacts, workflow: Workflow) -> Node | None:
    if not workflow.parameters:
        return None
    secret = {one.name for one in page.fields if one.kind is InputKind.SECRET}
    pairs: list[tuple[str, Node | None]] = [
        (name, h("code", "not shown" if name in secret else json.dumps(value, ensure_ascii=False)))
        for name, value in workflow.parameters.items()
    ]
    return h("details", h("summary", counted(len(pairs), "parameter")), facts(*pairs))


def _versions(page: TaskFacts) -> Node | None:
    earlier = page.versions[1:]
    if not earlier:
        return None
    lines = [
        h("li", h("strong", f"v{one.version}"), _template_link(one), ago(one.created_at, page.now), class_="row-line")
        for one in earlier
    ]
    return h("details", h("summary", f"Earlier versions: {len(earlier)}"), h("ol", *lines, class_="steps"))

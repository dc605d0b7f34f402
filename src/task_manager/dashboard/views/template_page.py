"""A template: its parameters as a form that runs it for a task, its steps, its runs."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from task_manager.application import Application
from task_manager.dashboard.views import frame, looks
from task_manager.dashboard.views.form_banners import banner
from task_manager.dashboard.views.forms import (
    About,
    choice_field,
    form,
    parameter_input,
    submit_button,
    text_field,
)
from task_manager.dashboard.views.moments import ago, duration
from task_manager.dashboard.views.parameter_forms import InputKind, ParameterField, parameter_fields
from task_manager.dashboard.views.parts import card, command, empty, facts, figure, prose, table
from task_manager.dashboard.views.tree import Node, action, h
from task_manager.models import Project, Task, WorkflowRun, utc_now
from task_manager.results.wording import counted, seconds_text
from task_manager.run_statistics import RunSummary
from task_manager.store import tasks
from task_manager.store.run_queries import RunFilter
from task_manager.templating.records import WorkflowTemplate

PREFIX: Final = "parameter"
"""Of the names of the parameters' fields."""

NEW: Final = ""
"""The choice of a new project or task."""

_MOST_RUNS: Final = 15


@dataclass(frozen=True)
class Target:
    """For which task the template is to run: ids, or `NEW`."""

    project: str = NEW
    task: str = NEW


@dataclass(frozen=True)
class TemplateFacts:
    """What the page shows.

    Attributes:
        versions: All versions of it, the highest last.
        projects: Where it may run.
        tasks: Those of the chosen project.
        titles: Of the tasks that it ran for, by their ids.
        summary: How its runs went.
        may_run: Whether whoever looks may run it.
    """

    now: datetime
    template: WorkflowTemplate
    versions: Sequence[str]
    projects: Sequence[Project]
    tasks: Sequence[Task]
    target: Target
    runs: Sequence[WorkflowRun]
    titles: Mapping[str, str]
    summary: RunSummary
    may_run: bool = True

    @property
    def fields(self) -> tuple[ParameterField, ...]:
        """The fields of its parameters."""
        chosen = next((task for task in self.tasks if task.id == self.target.task), None)
        given = chosen.inputs if chosen and chosen.template_id == self.template.id else None
        return parameter_fields(self.template.parameters, given)


async def load(
    application: Application, template_id: str, version: str | None, target: Target | None, *, may_run: bool = True
) -> TemplateFacts:
    """Find out what the page shows.

    Args:
        application: An open application.
        template_id: The template.
        version: Its version; none: the highest.
        target: What was chosen; none: the newest project, and a new task.
        may_run: Whether whoever looks may run it.

    Raises:
        NotFound: There is no such template.
    """
    template = application.templates.get(template_id, version)
    projects = (await application.tasks.list_projects(limit=500)).items
    known = {project.id for project in projects}
    wanted = target or Target(projects[-1].id if projects else NEW)
    project = wanted.project if wanted.project in known else NEW
    listed = await application.store.run(tasks.of_project, project) if project else ()
    where = RunFilter(template_id=template.id)
    newest = (await application.runs.list(where, limit=_MOST_RUNS)).items
    return TemplateFacts(
        utc_now(),
        template,
        [one.version for one in application.templates.versions(template.id)],
        projects,
        listed,
        Target(project, wanted.task if wanted.task in {task.id for task in listed} else NEW),
        newest,
        await application.store.run(tasks.titles, {run.task_id for run in newest}),
        (await application.runs.statistics(where)).total,
        may_run,
    )


@dataclass(frozen=True)
class Said:
    """What the form says: problems by parameter, and by the other fields' names."""

    parameters: Mapping[str, str] = field(default_factory=dict)
    target: Mapping[str, str] = field(default_factory=dict)


def draw(page: TemplateFacts, said: Said) -> list[Node]:
    """Draw the page."""
    left = h("div", _run(page, said) if page.may_run else _parameters(page), class_="column")
    right = h("div", _about(page), _example(page), _steps(page), _history(page), class_="column")
    return [_heading(page), h("div", left, right, class_="columns")]


def _heading(page: TemplateFacts) -> Node:
    template = page.template
    versions = [
        h("a", one, href=f"?version={one}", aria_current="true" if one == template.version else None)
        for one in page.versions
    ]
    under = h("div", h("code", template.id), h("span", f"Version {template.version}", class_="tag"), class_="row-line")
    choice = h("nav", *versions, class_="segments", aria_label="Versions") if len(versions) > 1 else None
    return frame.heading(template.name, choice, trail=(("Templates", "/templates"),), under=under)


def _run(page: TemplateFacts, said: Said) -> Node:
    inputs = [_parameter(one, said.parameters.get(one.name, "")) for one in page.fields]
    return card(
        "Run",
        form(
            f"Run {page.template.name}",
            action("start"),
            banner({**said.target, **said.parameters}),
            _target(page, said.target),
            h(
                "fieldset",
                h("legend", "Parameters"),
                h("div", *inputs, class_="form-grid", key=f"{page.target.task}"),
            )
            if inputs
            else None,
            h("div", submit_button("Run", icon_name="play"), class_="form-foot"),
            class_="card-body",
        ),
    )


def _parameter(one: ParameterField, problem: str) -> Node:
    drawn = parameter_input(one, PREFIX, problem)
    return h("div", drawn, class_="whole") if one.kind in (InputKind.JSON, InputKind.CHOICES) else drawn


def _target(page: TemplateFacts, problems: Mapping[str, str]) -> Node:
    projects = [*((one.id, one.name) for one in reversed(page.projects)), (NEW, "New project")]
    chosen = choice_field(
        "project", "Project", projects, page.target.project, on={"change": action("target", field="project")}
    )
    if page.target.project == NEW:
        name = text_field(
            "project_name", "Name of the new project", "", About("", problems.get("name", ""), required=True)
        )
        where = "A folder of the machine that this server runs on."
        folder = text_field(
            "source_folder",
            "Source folder",
            "",
            About(where, problems.get("source_folder", ""), example="/home/you/website"),
        )
        return h("div", chosen, name, _title(page, problems), folder, class_="form-grid")
    listed = [(NEW, "New task"), *((one.id, one.title) for one in page.tasks)]
    task = choice_field("task", "Task", listed, page.target.task, on={"change": action("target", field="task")})
    title = h("div", _title(page, problems), class_="whole") if page.target.task == NEW else None
    return h("div", chosen, task, title, class_="form-grid")


def _title(page: TemplateFacts, problems: Mapping[str, str]) -> Node:
    about = About("", problems.get("title", ""), required=True)
    return text_field("title", "Title of the new task", page.template.name, about, maxlength="200")


def _about(page: TemplateFacts) -> Node:
    template = page.template
    summary = page.summary
    rate = "\u2013" if summary.success_rate is None else f"{summary.success_rate:.0%}"
    return card(
        "About",
        h(
            "div",
            h("p", *prose(template.description), class_="about"),
            facts(
                ("Category", looks.label(template.category)),
                ("Result", looks.label(template.result_type.value)),
                ("Kind", looks.label(template.workflow_type.value)),
            ),
            class_="card-body spaced",
        ),
        h(
            "div",
            figure("Runs", f"{summary.runs:,}"),
            figure("Succeeded", rate),
            figure("Median", seconds_text(summary.p50_seconds) or "\u2013"),
            class_="figures inside",
        )
        if summary.runs
        else None,
    )


def _parameters(page: TemplateFacts) -> Node:
    rows = [
        h("tr", h("td", h("code", one.name)), h("td", one.expected, class_="muted"), h("td", *prose(one.meaning)))
        for one in page.fields
    ]
    heads: list[Node] = [h("th", text, scope="col") for text in ("Name", "Value", "Meaning")]
    return card("Parameters", table(heads, rows, label="Parameters"))


def _example(page: TemplateFacts) -> Node:
    return card("Example", h("div", command(example_command(page.template)), class_="card-body"))


def example_command(template: WorkflowTemplate) -> str:
    """A command that makes a task of the template, with its required parameters."""
    properties = template.parameters.get("properties")
    known = properties if isinstance(properties, dict) else {}
    words = ["task-manager", "task", "create", "PROJECT", template.name, "--template", template.id]
    for one in parameter_fields(template.parameters):
        if one.required:
            schema = known.get(one.name)
            examples = schema.get("examples") if isinstance(schema, dict) else None
            value = examples[0] if isinstance(examples, list) and examples else one.name.upper()
            text = value if isinstance(value, str) else json.dumps(value)
            words += ["--input", f"{one.name}={text}"]
    return shlex.join(words)


def _steps(page: TemplateFacts) -> Node | None:
    steps = page.template.definition.get("steps")
    if not isinstance(steps, list) or not steps:
        return None
    lines = [_step(step) for step in steps if isinstance(step, dict)]
    return card(counted(len(lines), "step").capitalize(), h("ol", *lines, class_="lines padded"))


def _step(step: Mapping[str, object]) -> Node:
    """A step of the definition; what depends on parameters is left out."""
    name, image = (str(step.get(key) or "") for key in ("name", "image"))
    return h(
        "li",
        h("strong", name if name and "{{" not in name else str(step.get("id", ""))),
        h("code", image, class_="muted") if "{{" not in image else None,
        class_="row-line",
    )


def _history(page: TemplateFacts) -> Node:
    if not page.runs:
        text = "Fill in the form and run it, or make a task of it by hand."
        return card("Runs", empty("Nothing has run from this template", text, example_command(page.template)))
    heads: list[Node] = [h("th", text, scope="col") for text in ("Task", "Status", "Took", "Started")]
    rows = [
        h(
            "tr",
            h("td", h("a", page.titles.get(run.task_id, run.task_id), href=f"/runs/{run.id}", class_="row-title")),
            h("td", looks.status(run.status.value)),
            h("td", duration(run.seconds)),
            h("td", ago(run.created_at, page.now), class_="muted"),
            key=run.id,
            data_href=f"/runs/{run.id}",
        )
        for run in page.runs
    ]
    more = h("a", "All", href=f"/runs?template={page.template.id}", class_="more")
    return card("Runs", table(heads, rows, label="Runs of this template"), more=more)

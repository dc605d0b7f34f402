"""The form that makes and changes a task."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from pydantic import JsonValue

from task_manager.dashboard.views import frame, looks
from task_manager.dashboard.views.form_banners import banner
from task_manager.dashboard.views.forms import (
    About,
    area_field,
    choice_field,
    choices_field,
    form,
    parameter_input,
    submit_button,
    text_field,
)
from task_manager.dashboard.views.parameter_forms import (
    FormReading,
    ParameterField,
    input_name,
    parameter_fields,
    read_form,
    typed_in,
    without_defaults,
)
from task_manager.dashboard.views.parts import button
from task_manager.dashboard.views.tree import Node, action, h
from task_manager.models import Phase, Priority, Project, Task
from task_manager.templating.records import WorkflowTemplate

OWN: Final = "(own definition)"
"""The choice of no template, but a definition of the task's own."""

PREFIX: Final = "input"
"""Of the names of the fields of the template's parameters."""

LABELS: Final = {
    "title": "Title",
    "description": "Description",
    "type": "Kind of work",
    "priority": "Priority",
    "phase_id": "Phase",
    "dependencies": "Depends on",
    "labels": "Labels",
    "source_folder": "Source folder",
    "acceptance_criteria": "Done when",
    "template_id": "Template",
    "inputs": "Inputs",
    "pipeline": "Definition",
}
"""The form's fields, named as those of `models.Task`, with their names for people."""


@dataclass(frozen=True)
class TaskForm:
    """What the form is made from.

    Attributes:
        task: What is changed; none: a new one is made.
        others: The project's other tasks, which it may depend on.
        templates: What it may be made from.
        template_id: The chosen template, or `OWN`; empty: it is chosen by the kind of work when the task runs.
        problems: What is wrong, by field.
        parameter_problems: What is wrong with the template's parameters, by parameter.
        note: Above the fields.
        may_remove: Whether the task can be removed.
    """

    project: Project
    task: Task | None
    phases: Sequence[Phase]
    others: Sequence[Task]
    templates: Sequence[WorkflowTemplate]
    template_id: str
    problems: Mapping[str, str] = field(default_factory=dict)
    parameter_problems: Mapping[str, str] = field(default_factory=dict)
    note: Node | None = None
    may_remove: bool = False

    @property
    def template(self) -> WorkflowTemplate | None:
        """The chosen template."""
        return next((one for one in self.templates if one.id == self.template_id), None)

    @property
    def parameters(self) -> tuple[ParameterField, ...]:
        """The fields of the chosen template's parameters."""
        if self.template is None:
            return ()
        same = self.task is not None and self.task.template_id == self.template_id
        return parameter_fields(self.template.parameters, self.task.inputs if same and self.task else None)


def chosen_template(task: Task | None) -> str:
    """What stands in the template's field at first."""
    if task is None:
        return ""
    return task.template_id or (OWN if task.pipeline else "")


def changes(page: TaskForm, typed: Mapping[str, object]) -> tuple[dict[str, object], FormReading]:
    """What was typed, as values for the fields of a task, and the reading of the template's parameters."""

    def text(name: str) -> str:
        return str(typed.get(name, ""))

    reading = _inputs(page, typed)
    problems = dict(reading.problems)
    values: dict[str, object] = {
        "title": text("title"),
        "description": text("description"),
        "type": text("type") or "general",
        "priority": text("priority"),
        "phase_id": text("phase_id") or None,
        "dependencies": [one.id for one in page.others if input_name("dependencies", one.id) in typed],
        "labels": [label.strip() for label in text("labels").split(",") if label.strip()],
        "source_folder": text("source_folder").strip() or None,
        "acceptance_criteria": [line.strip() for line in text("acceptance_criteria").splitlines() if line.strip()],
        "template_id": page.template_id if page.template else None,
        "inputs": reading.values,
    }
    if page.template_id == OWN:
        values["pipeline"] = _document("pipeline", text("pipeline"), problems)
    elif page.task is not None and page.task.pipeline is not None:
        values["pipeline"] = None
    return values, FormReading(reading.values, problems)


def _inputs(page: TaskForm, typed: Mapping[str, object]) -> FormReading:
    if page.template is None:
        problems: dict[str, str] = {}
        return FormReading(_document("inputs", str(typed.get("inputs", "")), problems) or {}, problems)
    reading = read_form(page.parameters, typed_in(page.parameters, typed, PREFIX))
    return FormReading(without_defaults(reading.values, page.template.parameters), reading.problems)


def _document(name: str, text: str, problems: dict[str, str]) -> dict[str, JsonValue] | None:
    if not text.strip():
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        problems[name] = f"This is not JSON: {error}."
        return None
    if isinstance(value, dict):
        return value
    problems[name] = "A JSON object is expected, such as {}."
    return None


def draw(page: TaskForm, revision: int) -> list[Node]:
    """The form.

    Args:
        page: What it is made from.
        revision: What the task must have when it is stored.
    """
    task, project = page.task, page.project
    address = f"/tasks/{task.id}" if task else f"/projects/{project.id}"
    trail = [("Projects", "/projects"), (project.name, f"/projects/{project.id}")]
    title = f"Edit {task.title}" if task else "New task"
    removed = action("remove", confirm="Remove the task with its runs and results?", revision=revision)
    foot = h(
        "div",
        submit_button("Save" if task else "Create task"),
        h("a", "Cancel", href=address, class_="button"),
        button("Remove task", removed, icon_name="trash", look="danger at-end") if task and page.may_remove else None,
        class_="form-foot",
    )
    body = form(
        title,
        action("save", revision=revision),
        page.note or banner({**page.problems, **page.parameter_problems}),
        *_what(page),
        _when(page),
        _how(page),
        foot,
        class_="card boxed",
    )
    return [frame.heading(title, trail=(*trail, (task.title, address)) if task else tuple(trail)), body]


def _about(page: TaskForm, name: str, help_: str = "", **more: str) -> About:
    return About(help_, page.problems.get(name, ""), required=name == "title", **more)


def _what(page: TaskForm) -> list[Node]:
    task = page.task
    criteria = "\n".join(task.acceptance_criteria) if task else ""
    return [
        text_field(
            "title",
            LABELS["title"],
            task.title if task else "",
            _about(page, "title", example="Run the tests"),
            maxlength="200",
        ),
        area_field(
            "description",
            LABELS["description"],
            task.description if task else "",
            _about(page, "description", "For people and agents."),
        ),
        area_field(
            "acceptance_criteria",
            LABELS["acceptance_criteria"],
            criteria,
            _about(page, "acceptance_criteria", "One condition a line."),
        ),
    ]


def _when(page: TaskForm) -> Node:
    task = page.task
    priorities = [(one.value, looks.label(one.value)) for one in reversed(Priority)]
    phases = [("", "None"), *((one.id, one.name) for one in page.phases)]
    others = [(one.id, one.title) for one in page.others]
    chosen = task.dependencies if task else ()
    grid = [
        choice_field(
            "priority",
            LABELS["priority"],
            priorities,
            task.priority.value if task else "medium",
            _about(page, "priority"),
        ),
        choice_field(
            "phase_id", LABELS["phase_id"], phases, (task.phase_id or "") if task else "", _about(page, "phase_id")
        ),
        text_field(
            "type",
            LABELS["type"],
            task.type if task else "",
            _about(page, "type", "It helps to choose a template.", example="test, lint, build, training, data"),
        ),
        text_field(
            "labels",
            LABELS["labels"],
            ", ".join(task.labels) if task else "",
            _about(page, "labels", "Separated by commas."),
        ),
    ]
    about = _about(page, "dependencies", "They must have succeeded before this one starts.")
    needs = choices_field("dependencies", LABELS["dependencies"], others, chosen, about) if others else None
    return h("fieldset", h("legend", "Planning"), h("div", *grid, class_="form-grid"), needs)


def _how(page: TaskForm) -> Node:
    task = page.task
    options = [
        ("", "Chosen by kind of work and files"),
        *((one.id, one.name) for one in page.templates),
        (OWN, "A definition of its own"),
    ]
    template = page.template
    what = template.description if template else "What its workflow is made from."
    choice = choice_field(
        "template_id",
        LABELS["template_id"],
        options,
        page.template_id,
        _about(page, "template_id", what),
        on={"change": action("template")},
    )
    folder = text_field(
        "source_folder",
        LABELS["source_folder"],
        (task.source_folder or "") if task else "",
        _about(page, "source_folder", "Empty: the project's.", example=page.project.source_folder or ""),
        spellcheck="false",
    )
    grid = h("div", *_parameters(page), class_="form-grid", key=page.template_id)
    return h("fieldset", h("legend", "Execution"), folder, choice, grid)


def _parameters(page: TaskForm) -> list[Node]:
    if page.template is not None:
        problems = page.parameter_problems
        return [parameter_input(one, PREFIX, problems.get(one.name, "")) for one in page.parameters]
    task = page.task
    inputs = json.dumps(task.inputs, indent=2, ensure_ascii=False) if task and task.inputs else ""
    about = _about(page, "inputs", "Values for the template or the definition, as JSON.", example='{"epochs": 5}')
    fields = [area_field("inputs", LABELS["inputs"], inputs, about, class_="code")]
    if page.template_id == OWN:
        definition = json.dumps(task.pipeline, indent=2, ensure_ascii=False) if task and task.pipeline else ""
        what = "A pipeline as JSON: `task-manager workflow schema` prints its schema."
        fields.insert(
            0, area_field("pipeline", LABELS["pipeline"], definition, _about(page, "pipeline", what), class_="code")
        )
    return [h("div", one, class_="whole") for one in fields]

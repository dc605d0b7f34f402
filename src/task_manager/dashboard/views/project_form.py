"""The form that makes and changes a project."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from task_manager.dashboard.views import frame
from task_manager.dashboard.views.form_banners import banner
from task_manager.dashboard.views.forms import About, area_field, form, submit_button, text_field
from task_manager.dashboard.views.parts import button
from task_manager.dashboard.views.tree import Node, action, h
from task_manager.models import Project

FIELDS: Final = ("name", "description", "source_folder")
"""The form's fields, named as those of `models.Project`."""

LABELS: Final = {"name": "Name", "description": "Description", "source_folder": "Source folder"}


def changes(typed: Mapping[str, object]) -> dict[str, object]:
    """What was typed, as values for the fields of a project."""
    folder = str(typed.get("source_folder", "")).strip()
    return {
        "name": str(typed.get("name", "")),
        "description": str(typed.get("description", "")),
        "source_folder": folder or None,
    }


def draw(
    project: Project | None, problems: Mapping[str, str], revision: int, *, may_remove: bool, note: Node | None = None
) -> list[Node]:
    """The form.

    Args:
        project: What is changed; none: a new one is made.
        problems: What is wrong, by field.
        revision: What the project must have when it is stored.
        may_remove: Whether the project can be removed.
        note: Above the fields.
    """
    address = f"/projects/{project.id}" if project else "/projects"
    trail = (("Projects", "/projects"), *([(project.name, address)] if project else []))
    fields = [
        text_field(
            "name",
            LABELS["name"],
            project.name if project else "",
            About("Unique among all projects.", problems.get("name", ""), required=True, example="Website"),
            maxlength="200",
        ),
        area_field(
            "description",
            LABELS["description"],
            project.description if project else "",
            About("For people.", problems.get("description", "")),
        ),
        text_field(
            "source_folder",
            LABELS["source_folder"],
            (project.source_folder or "") if project else "",
            About(
                "A folder of the machine that this server runs on; its tasks work on copies of it.",
                problems.get("source_folder", ""),
                example="/home/you/website",
            ),
            spellcheck="false",
        ),
    ]
    removed = action("remove", confirm="Remove the project with all its tasks, runs and results?", revision=revision)
    foot = h(
        "div",
        submit_button("Save" if project else "Create project"),
        h("a", "Cancel", href=address, class_="button"),
        button("Remove project", removed, icon_name="trash", look="danger at-end") if project and may_remove else None,
        class_="form-foot",
    )
    title = f"Edit {project.name}" if project else "New project"
    return [
        frame.heading(title, trail=trail),
        form(title, action("save", revision=revision), note or banner(problems), *fields, foot, class_="card boxed"),
    ]

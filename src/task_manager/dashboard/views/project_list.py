"""All projects: how far their tasks are, and which are paused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from task_manager.application import Application
from task_manager.dashboard.views import frame, looks
from task_manager.dashboard.views.icons import icon
from task_manager.dashboard.views.moments import ago
from task_manager.dashboard.views.parts import empty
from task_manager.dashboard.views.tree import Node, h
from task_manager.models import Project, utc_now
from task_manager.results.wording import counted
from task_manager.store import tasks
from task_manager.store.run_queries import RunFilter
from task_manager.workflow_status import TaskStatus

_PAGE = 50
_ORDER = (TaskStatus.DONE, TaskStatus.IN_PROGRESS, TaskStatus.BLOCKED, TaskStatus.TODO, TaskStatus.CANCELLED)


@dataclass(frozen=True)
class ProjectLine:
    """A project with how far it is.

    Attributes:
        tasks: How many of its tasks are in each status.
        active: How many of its runs are not over.
        last_run_at: When its newest run was started.
    """

    project: Project
    tasks: Mapping[TaskStatus, int]
    active: int
    last_run_at: datetime | None


@dataclass(frozen=True)
class ProjectList:
    """A page of projects.

    Attributes:
        next_cursor: For the page that follows.
    """

    now: datetime
    lines: Sequence[ProjectLine]
    next_cursor: str | None


async def load(application: Application, cursor: str | None = None) -> ProjectList:
    """Find out what the list shows.

    Raises:
        InvalidInput: The cursor cannot be used.
    """
    page = await application.tasks.list_projects(limit=_PAGE, cursor=cursor)
    lines = [await _line(application, project) for project in page.items]
    return ProjectList(utc_now(), lines, page.next_cursor)


async def _line(application: Application, project: Project) -> ProjectLine:
    where = RunFilter(project_id=project.id)
    counts = await application.runs.count_by_status(where)
    newest = (await application.runs.list(where, limit=1)).items
    return ProjectLine(
        project,
        await application.store.run(tasks.count_by_status, project.id),
        sum(count for status, count in counts.items() if not status.is_terminal),
        newest[0].created_at if newest else None,
    )


def draw(facts: ProjectList) -> list[Node]:
    """Draw the list."""
    new = h("a", icon("add"), h("span", "New project"), href="/projects/new", class_="button primary")
    if not facts.lines:
        return [frame.heading("Projects", new), _nothing()]
    cards = [_card(line, facts.now) for line in facts.lines]
    more = [h("a", "Later projects", href=f"?{urlencode({'after': facts.next_cursor})}", class_="button")]
    return [
        frame.heading("Projects", new),
        h("ul", *cards, class_="project-cards"),
        *(more if facts.next_cursor else []),
    ]


def _nothing() -> Node:
    text = "A project is a body of work with a source folder. Its tasks become workflows that run in containers."
    commands = ('task-manager project create "My project" --source .', "task-manager demo")
    return h("section", empty("No projects yet", text, *commands, icon_name="projects"), class_="card")


def _card(line: ProjectLine, now: datetime) -> Node:
    project = line.project
    total = sum(line.tasks.values())
    marks = [looks.chip("Paused", tone=looks.WARN, icon_name="waiting")] if project.paused_at else []
    if line.active:
        marks.append(looks.chip(f"{counted(line.active, 'run')} active", tone=looks.ACTIVE, icon_name="active"))
    done = f"{line.tasks[TaskStatus.DONE]:,} of {counted(total, 'task')} done" if total else "No tasks yet"
    last = h("span", "Last run ", ago(line.last_run_at, now)) if line.last_run_at else h("span", "Never run")
    return h(
        "li",
        h(
            "a",
            h("span", h("strong", project.name), *marks, class_="project-title"),
            h("span", project.description or project.source_folder or "", class_="project-about"),
            shares(line.tasks),
            h("span", h("span", done), last, class_="project-foot"),
            href=f"/projects/{project.id}",
            class_="project-card",
        ),
        key=project.id,
    )


def shares(counts: Mapping[TaskStatus, int]) -> Node:
    """How many tasks are in each status, as one bar."""
    total = sum(counts.values())
    said = ", ".join(f"{counts[status]} {looks.label(status.value).lower()}" for status in _ORDER if counts[status])
    parts = [
        h("span", class_=f"share status-{status.value}", style=f"flex-grow:{counts[status]}")
        for status in _ORDER
        if counts[status]
    ]
    return h("span", *parts, class_="shares", role="img", aria_label=said or "no tasks", title=said if total else None)

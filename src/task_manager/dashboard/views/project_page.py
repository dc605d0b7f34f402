"""A project: its tasks as board, list and graph, and its phases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Self
from urllib.parse import urlencode

from task_manager.application import Application
from task_manager.dashboard.views import frame, looks
from task_manager.dashboard.views.icons import icon
from task_manager.dashboard.views.parts import button, empty, menu
from task_manager.dashboard.views.phase_list import draw_phases
from task_manager.dashboard.views.project_list import shares
from task_manager.dashboard.views.task_board import draw_board
from task_manager.dashboard.views.task_lists import draw_graph, draw_list
from task_manager.dashboard.views.tree import Node, action, h
from task_manager.models import Phase, Project, Task, WorkflowRun, utc_now
from task_manager.results.wording import counted
from task_manager.store import phases, runs, tasks
from task_manager.workflow_status import TaskStatus


class Shape(StrEnum):
    """How a project's tasks are shown."""

    BOARD = "board"
    """In columns by status."""
    LIST = "list"
    """One a line."""
    GRAPH = "graph"
    """By what they depend on."""
    PHASES = "phases"
    """The phases, which can be changed here."""


@dataclass(frozen=True)
class ProjectView:
    """What of a project is shown, and how; it is what the page's address says.

    Attributes:
        phase: The id of the phase whose tasks are shown; empty: all.
        status: The status of the tasks that are shown; empty: all.
        text: A part of the titles of the tasks that are shown.
    """

    shape: Shape = Shape.BOARD
    phase: str = ""
    status: str = ""
    text: str = ""

    @classmethod
    def of_query(cls, query: Mapping[str, str]) -> Self:
        """What an address asks for; what it asks for that there is not is left out."""
        shape = query.get("view", "")
        status = query.get("status", "")
        return cls(
            Shape(shape) if shape in set(Shape) else Shape.BOARD,
            query.get("phase", ""),
            status if status in set(TaskStatus) else "",
            query.get("q", ""),
        )

    @property
    def address(self) -> str:
        """The part of the address that says it, from `?` on."""
        shape = "" if self.shape is Shape.BOARD else self.shape.value
        said = {"view": shape, "phase": self.phase, "status": self.status, "q": self.text}
        return "?" + urlencode({name: value for name, value in said.items() if value})

    def shows(self, task: Task) -> bool:
        """Whether a task is among those that are shown."""
        return (
            self.phase in ("", task.phase_id)
            and self.status in ("", task.status.value)
            and self.text.casefold() in task.title.casefold()
        )


@dataclass(frozen=True)
class ProjectFacts:
    """What the page shows.

    Attributes:
        tasks: All of the project, oldest first.
        latest: The newest run of each task that has any, by the task's id.
        may_run: Whether whoever looks may change and run something.
        may_remove: Whether it may remove something.
    """

    now: datetime
    project: Project
    phases: Sequence[Phase]
    tasks: Sequence[Task]
    latest: Mapping[str, WorkflowRun] = field(default_factory=dict)
    may_run: bool = True
    may_remove: bool = True

    @property
    def active(self) -> int:
        """How many of the newest runs are not over."""
        return sum(not run.status.is_terminal for run in self.latest.values())


async def load(
    application: Application, project_id: str, *, may_run: bool = True, may_remove: bool = True
) -> ProjectFacts:
    """Find out what the page shows.

    Raises:
        NotFound: There is no such project.
    """
    store = application.store
    project = await application.tasks.get_project(project_id)
    return ProjectFacts(
        utc_now(),
        project,
        (await store.run(phases.list_, project_id=project.id, limit=500)).items,
        await store.run(tasks.of_project, project.id),
        await store.run(runs.latest_of_tasks, project.id),
        may_run,
        may_remove,
    )


def draw(facts: ProjectFacts, view: ProjectView) -> list[Node]:
    """Draw the page."""
    shown = [task for task in facts.tasks if view.shows(task)]
    return [
        _heading(facts),
        _paused(facts),
        h("div", _tabs(view), _filters(facts, view), class_="toolbar"),
        _shape(facts, view, shown),
    ]


def _heading(facts: ProjectFacts) -> Node:
    project = facts.project
    counts = dict.fromkeys(TaskStatus, 0)
    for task in facts.tasks:
        counts[task.status] += 1
    done = f"{counts[TaskStatus.DONE]:,} of {counted(len(facts.tasks), 'task')} done"
    where = h("code", project.source_folder, class_="muted") if project.source_folder else None
    line = h("span", h("span", done, class_="muted"), shares(counts), where, class_="row-line project-line")
    about = h("p", project.description, class_="muted about") if project.description else None
    trail = (("Projects", "/projects"),)
    return frame.heading(project.name, *_actions(facts), trail=trail, under=h("div", line, about))


def _actions(facts: ProjectFacts) -> list[Node]:
    if not facts.may_run:
        return []
    project = facts.project
    stop = action("cancel", confirm=f"Cancel all runs of {project.name} that are not over?")
    pause = ("Resume", "resume", "play") if project.paused_at else ("Pause", "pause", "pause")
    running = [button("Cancel runs", stop, icon_name="stop", look="danger")] if facts.active else []
    return [
        *running,
        button(pause[0], action(pause[1]), icon_name=pause[2]),
        h("a", icon("edit"), h("span", "Edit"), href=f"/projects/{project.id}/edit", class_="button"),
        h("a", icon("add"), h("span", "New task"), href=f"/projects/{project.id}/tasks/new", class_="button"),
        button("Run all", action("run_all"), icon_name="play", look="primary", disabled=not facts.tasks),
    ]


def _paused(facts: ProjectFacts) -> Node:
    if facts.project.paused_at is None:
        return h("div", class_="none")
    text = "No run of this project starts until it is resumed; those under way go on."
    return h("div", icon("pause"), h("div", h("strong", "Paused. "), text), class_="banner tone-warn", role="status")


def _tabs(view: ProjectView) -> Node:
    tabs = [
        h(
            "a",
            looks.label(shape.value),
            href=replace(view, shape=shape).address,
            data_action="",
            aria_current="true" if shape is view.shape else None,
            on={"click": action("show", shape=shape.value)},
        )
        for shape in Shape
    ]
    return h("nav", *tabs, class_="segments", aria_label="Views")


def _filters(facts: ProjectFacts, view: ProjectView) -> Node:
    if view.shape is Shape.PHASES:
        return h("div", class_="none")
    groups = [("", "All phases"), *((one.id, one.name) for one in facts.phases)]
    phase = menu("Phase", groups, view.phase, action("filter", field="phase"))
    states = [("", "All statuses"), *((one.value, looks.label(one.value)) for one in TaskStatus)]
    status = menu("Status", states, view.status, action("filter", field="status"))
    search = h(
        "input",
        type="search",
        class_="input",
        placeholder="Search titles",
        aria_label="Search titles",
        on={"input": action("filter", field="text")},
        **{"^value": view.text},
    )
    return h(
        "div",
        search,
        phase if facts.phases else None,
        status if view.shape is not Shape.BOARD else None,
        class_="filters",
        role="search",
    )


def _shape(facts: ProjectFacts, view: ProjectView, shown: Sequence[Task]) -> Node:
    if view.shape is Shape.PHASES:
        return draw_phases(facts.project, facts.phases, facts.tasks, may_run=facts.may_run, may_remove=facts.may_remove)
    if not facts.tasks:
        return _without_tasks(facts.project)
    if not shown:
        text = "Change or clear the filters above."
        return h("section", empty("No task fits these filters", text, icon_name="search"), class_="card")
    if view.shape is Shape.LIST:
        return draw_list(shown, facts.tasks, facts.latest, facts.phases, facts.now)
    if view.shape is Shape.GRAPH:
        return draw_graph(shown, facts.latest)
    return draw_board(shown, facts.tasks, facts.latest, may_run=facts.may_run)


def _without_tasks(project: Project) -> Node:
    text = "A task is something to be done. It becomes a workflow that runs in containers, by hand or by an agent."
    commands = (
        f'task-manager task create {project.id} "Run the tests" --type test',
        f"task-manager project run {project.id}",
    )
    return h("section", empty("No tasks yet", text, *commands, icon_name="projects"), class_="card")

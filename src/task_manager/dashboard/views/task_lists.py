"""Tasks one a line, and as a graph of what depends on what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from task_manager.dashboard.views import dependency_graph, looks
from task_manager.dashboard.views.moments import ago, took
from task_manager.dashboard.views.parts import table
from task_manager.dashboard.views.task_board import run_state
from task_manager.dashboard.views.tree import Node, h
from task_manager.models import Phase, Task, WorkflowRun


def draw_list(
    shown: Sequence[Task],
    tasks: Sequence[Task],
    latest: Mapping[str, WorkflowRun],
    phases: Sequence[Phase],
    now: datetime,
) -> Node:
    """The tasks, one a line.

    Args:
        shown: Those that are listed.
        tasks: All tasks of the project.
        latest: The newest run of each task that has any, by the task's id.
        phases: The project's phases.
        now: The time.
    """
    titles = {task.id: task.title for task in tasks}
    names = {phase.id: phase.name for phase in phases}
    heads = ["Task", "Status", "Priority", "Phase", "Depends on", "Last run", "Took", "Started"]
    rows = [
        h(
            "tr",
            h("td", h("a", task.title, href=f"/tasks/{task.id}", class_="row-title")),
            h("td", looks.status(task.status.value)),
            h("td", looks.label(task.priority.value)),
            h("td", names.get(task.phase_id or "", ""), class_="wide"),
            h("td", ", ".join(titles.get(one, one) for one in task.dependencies), class_="wide muted"),
            *_of_run(latest.get(task.id), now),
            key=task.id,
            data_href=f"/tasks/{task.id}",
        )
        for task in shown
    ]
    heads_drawn: list[Node] = [h("th", text, scope="col") for text in heads]
    return h("section", table(heads_drawn, rows, label="Tasks"), class_="card")


def _of_run(run: WorkflowRun | None, now: datetime) -> list[Node]:
    if run is None:
        return [h("td", run_state(None)), h("td"), h("td")]
    return [h("td", run_state(run)), h("td", took(run, now)), h("td", ago(run.created_at, now), class_="muted")]


def draw_graph(shown: Sequence[Task], latest: Mapping[str, WorkflowRun]) -> Node:
    """The tasks by what they depend on, with the state of their newest runs."""
    titles = {task.id: task.title for task in shown}
    boxes = {task.id: _box(task, latest.get(task.id), titles) for task in shown}
    edges = {task.id: task.dependencies for task in shown}
    return h("section", dependency_graph.draw(boxes, edges, label="Tasks by their dependencies"), class_="card")


def _box(task: Task, run: WorkflowRun | None, titles: Mapping[str, str]) -> Node:
    state = run.status.value if run else task.status.value
    needs = ", ".join(titles[one] for one in task.dependencies if one in titles)
    said = h("span", f", depends on {needs}", class_="sr") if needs else None
    return h(
        "a",
        h("strong", task.title, title=task.title),
        looks.status(state, None if run else f"{looks.label(state)}, not run yet"),
        said,
        href=f"/tasks/{task.id}",
        class_=f"task-node tone-{looks.tone(state)}",
        data_task=task.id,
    )

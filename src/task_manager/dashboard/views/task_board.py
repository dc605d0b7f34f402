"""Tasks in columns by status; cards are dragged, or moved by their menu."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from task_manager.dashboard.views import looks
from task_manager.dashboard.views.icons import icon
from task_manager.dashboard.views.tree import Node, action, h
from task_manager.models import Priority, Task, WorkflowRun
from task_manager.results.wording import counted
from task_manager.workflow_status import TaskStatus

MOST_CARDS: Final = 60
"""Cards that a column shows at most."""

_URGENT: Final = {Priority.CRITICAL: looks.BAD, Priority.HIGH: looks.WARN}


def draw_board(
    shown: Sequence[Task], tasks: Sequence[Task], latest: Mapping[str, WorkflowRun], *, may_run: bool
) -> Node:
    """The board.

    Args:
        shown: The tasks on it.
        tasks: All tasks of the project.
        latest: The newest run of each task that has any, by the task's id.
        may_run: Whether cards can be moved and run.
    """
    done = {task.id for task in tasks if task.status is TaskStatus.DONE}
    columns = [
        _column(status, [task for task in shown if task.status is status], latest, done, may_run=may_run)
        for status in TaskStatus
    ]
    return h("div", *columns, class_="board", tabindex="0", role="region", aria_label="Board")


def _column(
    status: TaskStatus, tasks: Sequence[Task], latest: Mapping[str, WorkflowRun], done: set[str], *, may_run: bool
) -> Node:
    cards = [_card(task, latest.get(task.id), done, may_run=may_run) for task in tasks[:MOST_CARDS]]
    rest = len(tasks) - MOST_CARDS
    more = h("a", f"{rest:,} more in the list", href=f"?view=list&status={status.value}", class_="more")
    name = looks.label(status.value)
    heading = h("h2", looks.status(status.value), h("span", f"{len(tasks):,}", class_="count"))
    return h(
        "section",
        heading,
        h("ul", *cards),
        more if rest > 0 else None,
        class_="board-column",
        aria_label=f"{name}: {counted(len(tasks), 'task')}",
        key=status.value,
        data_column=status.value,
        on={"drop": action("dropped", status=status.value)} if may_run else None,
    )


def _card(task: Task, run: WorkflowRun | None, done: set[str], *, may_run: bool) -> Node:
    waits = [one for one in task.dependencies if one not in done]
    marks = [
        looks.chip(looks.label(task.priority.value), tone=_URGENT[task.priority]) if task.priority in _URGENT else None,
        h("span", task.template_id or task.type, class_="tag"),
        h("span", icon("waiting"), f"after {counted(len(waits), 'task')}", class_="tag") if waits else None,
    ]
    title = h("a", task.title, href=f"/tasks/{task.id}", class_="board-title", draggable="false")
    foot = h("div", run_state(run), _menu(task) if may_run else None, class_="board-foot")
    return h(
        "li",
        title,
        h("div", *marks, class_="marks"),
        foot,
        class_="board-card",
        key=task.id,
        data_task=task.id,
        data_drag=task.id if may_run else None,
    )


def run_state(run: WorkflowRun | None) -> Node:
    """The state of a task's newest run, which leads to it."""
    if run is None:
        return h("span", "Not run yet", class_="muted small")
    return h("a", looks.status(run.status.value), href=f"/runs/{run.id}", class_="run-state", draggable="false")


def _menu(task: Task) -> Node:
    options = [h("option", looks.label(one.value), value=one.value, selected=one is task.status) for one in TaskStatus]
    move = h(
        "select",
        *options,
        value=task.status.value,
        class_="move",
        aria_label=f"Status of {task.title}",
        on={"change": action("moved", task=task.id)},
    )
    start = h(
        "button",
        icon("play"),
        type="button",
        class_="copy",
        aria_label=f"Run {task.title}",
        title="Run",
        on={"click": action("run", task=task.id)},
    )
    return h("span", move, start, class_="board-menu")

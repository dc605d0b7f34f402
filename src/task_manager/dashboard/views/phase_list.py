"""The phases of a project: made, named, sorted, removed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from task_manager.dashboard.views.forms import form, submit_button
from task_manager.dashboard.views.icons import icon
from task_manager.dashboard.views.parts import button, card, empty
from task_manager.dashboard.views.tree import Node, action, h
from task_manager.models import Phase, Project, Task
from task_manager.results.wording import counted


def draw_phases(
    project: Project, phases: Sequence[Phase], tasks: Sequence[Task], *, may_run: bool, may_remove: bool
) -> Node:
    """The phases in their order, with a form for one more.

    Args:
        project: Whose phases they are.
        phases: In their order.
        tasks: All tasks of the project.
        may_run: Whether phases can be changed and run.
        may_remove: Whether they can be removed.
    """
    counts = Counter(task.phase_id for task in tasks)
    lines = [
        _line(phase, counts[phase.id], place, len(phases), may_run=may_run, may_remove=may_remove)
        for place, phase in enumerate(phases)
    ]
    text = "Phases are the parts of a project, worked on in their order."
    command = f'task-manager phase create {project.id} "Preparation"'
    listed = h("ol", *lines, class_="lines") if lines else empty("No phases yet", text, command, icon_name="projects")
    return card("Phases", listed, _new() if may_run else None)


def _new() -> Node:
    name = h("input", name="name", type="text", class_="input", placeholder="Name of a new phase", required="")
    labelled = h("label", h("span", "Name of a new phase", class_="sr"), name, class_="grow")
    return form(
        "New phase", action("add_phase"), labelled, submit_button("Add phase", icon_name="add"), class_="inline"
    )


def _line(phase: Phase, tasks: int, place: int, total: int, *, may_run: bool, may_remove: bool) -> Node:
    count = h("a", counted(tasks, "task"), href=f"?phase={phase.id}", class_="more")
    if not may_run:
        return h("li", h("div", h("strong", phase.name), count, class_="phase"), key=phase.id)
    renamed = action("rename_phase", phase=phase.id, revision=phase.revision)
    name = h(
        "input",
        type="text",
        class_="input quiet-input",
        aria_label=f"Name of phase {place + 1}",
        on={"change": renamed},
        key=phase.name,
        # Its value at first: what somebody is typing stays, whatever is drawn anew around it.
        **{"^value": phase.name},
    )
    run = button("Run", action("run_phase", phase=phase.id), icon_name="play", look="small", disabled=not tasks)
    removed = action(
        "remove_phase",
        confirm=f"Remove the phase {phase.name} with {counted(tasks, 'task')}?",
        phase=phase.id,
        revision=phase.revision,
    )
    remove = _icon_button("trash", f"Remove {phase.name}", removed) if may_remove else None
    up = _icon_button("up", f"Move {phase.name} up", action("move_phase", phase=phase.id, by=-1), disabled=place == 0)
    down = _icon_button(
        "down", f"Move {phase.name} down", action("move_phase", phase=phase.id, by=1), disabled=place == total - 1
    )
    return h("li", h("div", name, count, run, up, down, remove, class_="phase"), key=phase.id)


def _icon_button(name: str, label: str, act: dict[str, object], *, disabled: bool = False) -> Node:
    return h(
        "button",
        icon(name),
        type="button",
        class_="copy",
        aria_label=label,
        title=label,
        disabled=disabled,
        on={"click": act},
    )

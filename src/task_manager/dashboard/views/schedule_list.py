"""What is started at which times, as the settings show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from zoneinfo import ZoneInfo

from task_manager.dashboard.views import looks
from task_manager.dashboard.views.icons import icon
from task_manager.dashboard.views.parts import button, card, empty
from task_manager.dashboard.views.tree import Node, action, h
from task_manager.schedule_records import Schedule


def schedules_card(schedules: Sequence[Schedule], names: Mapping[str, str]) -> Node:
    """The card of all schedules, each of which can be paused and resumed.

    Args:
        schedules: The schedules.
        names: Of the tasks and projects that they start, by id.
    """
    if not schedules:
        text = "A schedule starts a task or a whole project at certain times."
        example = "task-manager schedule add nightly --cron '0 3 * * *' --project PROJECT"
        return card("Schedules", empty("No schedule", text, example, icon_name="waiting"))
    return card("Schedules", h("ul", *(_schedule(one, names) for one in schedules), class_="lines"))


def _schedule(one: Schedule, names: Mapping[str, str]) -> Node:
    when = h("small", f"{one.cron} in {one.timezone}", class_="wrapped")
    texts = h(
        "span", h("strong", one.name, title=one.name), when, _started(one, names), _times(one), class_="line-text"
    )
    act = "resume" if one.paused_at else "pause"
    change = button(act.capitalize(), action(act, schedule=one.id), look="small", aria_label=f"{act} {one.name}")
    state = looks.chip("Paused", tone=looks.STOPPED) if one.paused_at else None
    beside = h("span", state, change, class_="row-line")
    line = h("div", icon("waiting", class_="lead"), texts, beside, class_="line")
    return h("li", line, key=one.id)


def _started(one: Schedule, names: Mapping[str, str]) -> Node:
    kind, started = ("task", one.task_id) if one.task_id else ("project", one.project_id or "")
    link = h("a", names.get(started, started), href=f"/{kind}s/{started}", class_="link")
    if one.template_id:
        return h("small", f"a task made of {one.template_id} in ", link, class_="wrapped")
    return h("small", f"{kind} ", link, class_="wrapped")


def _times(one: Schedule) -> Node:
    parts: list[Node] = []
    if one.next_due_at is not None:
        local = one.next_due_at.astimezone(ZoneInfo(one.timezone))
        parts.append(h("time", f"next {local:%a %Y-%m-%d %H:%M %Z}", datetime=one.next_due_at.isoformat()))
    if one.last_run_ids:
        parts += [" · "] if parts else []
        parts.append(h("a", "last run", href=f"/runs/{one.last_run_ids[-1]}", class_="link"))
    return h("small", *parts, class_="wrapped")

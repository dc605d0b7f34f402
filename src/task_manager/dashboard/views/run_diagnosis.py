"""Why a run failed, and what can be done."""

from __future__ import annotations

from collections.abc import Iterable

from task_manager.dashboard.views import looks
from task_manager.dashboard.views.parts import card, command
from task_manager.dashboard.views.tree import Node, action, h
from task_manager.results.diagnosis import Diagnosis
from task_manager.results.run_changes import Change, Changes


def draw(found: Diagnosis) -> Node:
    """Draw a diagnosis."""
    kind = looks.chip(found.failure_class.value.replace("_", " "), tone=looks.BAD)
    parts = [h("p", found.summary or "It failed.", class_="headline"), *_where(found), *_history(found)]
    actions = [h("li", command(one.command), h("small", one.why)) for one in found.actions]
    if actions:
        parts.append(h("div", h("h3", "What to do next"), h("ul", *actions, class_="actions"), class_="part"))
    body = h("div", *parts, class_="card-body result")
    return card("Why it failed", body, more=kind, class_="diagnosis", id_="diagnosis")


def _where(found: Diagnosis) -> Iterable[Node]:
    if found.step_id is not None:
        code = f", exit code {found.exit_code}" if found.exit_code is not None else ""
        link = h(
            "button",
            f"Step {found.step_name or found.step_id}",
            type="button",
            class_="link",
            on={"click": action("step", step=found.step_id)},
        )
        yield h("p", link, f"{code}", class_="muted")
    if found.lines:
        yield h("pre", "\n".join(found.lines), class_="block bad", tabindex="0", aria_label="Lines that tell why")


def _history(found: Diagnosis) -> Iterable[Node]:
    if found.flake is not None:
        text = f"It comes and goes: {found.flake.succeeded} of the last runs with the same inputs succeeded."
        yield h("p", looks.chip("flaky", tone=looks.WARN), " ", text)
    if found.changes is not None:
        yield _changes(found.changes)
    if found.tried:
        lines = [h("li", f"Attempt {one.attempt}: {one.action}") for one in found.tried]
        yield h("div", h("h3", "Tried so far"), h("ul", *lines), class_="part")


def _changes(changes: Changes) -> Node:
    since = h("a", "last success", href=f"/runs/{changes.since}", class_="link")
    title = h("h3", "Changed since the ", since)
    if not changes.changes:
        return h("div", title, h("p", "Nothing.", class_="muted"), class_="part")
    lines = [_change(one) for one in changes.changes]
    rest = changes.total - len(changes.changes)
    more = h("li", f"{rest:,} more", class_="muted") if rest > 0 else None
    return h("div", title, h("ul", *lines, more, class_="changes"), class_="part")


def _change(one: Change) -> Node:
    values = " → ".join(part for part in (one.before, one.after) if part)
    return h("li", looks.chip(one.kind.value), h("code", one.name), h("small", values))

"""Parts that many pages have: cards, key figures, empty states, buttons, commands to copy."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from task_manager.dashboard.views.icons import icon
from task_manager.dashboard.views.tree import Action, Node, h


def card(
    title: str, *children: Node | None, more: Node | None = None, class_: str = "", id_: str | None = None
) -> Node:
    """A titled area of a page.

    Args:
        title: Its heading.
        children: What is in it.
        more: At the right of the heading.
        class_: Further classes.
        id_: For links to it.
    """
    heading = h("header", h("h2", title), more, class_="card-head")
    return h("section", heading, *children, class_=f"card {class_}".strip(), id=id_, aria_label=title)


def prose(text: str) -> list[Node]:
    """A text as descriptions have it: what stands between backquotes is code."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return [text]
    return [h("code", part) if place % 2 else part for place, part in enumerate(parts) if part]


def figure(name: str, value: str, *, note: str = "", tone: str = "", href: str | None = None) -> Node:
    """A key figure.

    Args:
        name: What it says.
        value: The figure.
        note: Below it.
        tone: Of the value; one of `looks`.
        href: Where it leads.
    """
    shown = h("span", value, class_=f"figure-value tone-{tone}" if tone else "figure-value")
    parts = (h("span", name, class_="figure-name"), shown, h("span", note, class_="figure-note"))
    return h("a", *parts, class_="figure", href=href) if href else h("div", *parts, class_="figure")


def empty(title: str, text: str, *commands: str, icon_name: str = "runs") -> Node:
    """Says that there is nothing, and which command changes that.

    Args:
        title: What there is not.
        text: What would be here.
        commands: What to enter next.
        icon_name: The drawing.
    """
    lines = [command(one) for one in commands]
    return h("div", icon(icon_name), h("h3", title), h("p", text), *lines, class_="empty")


def command(text: str) -> Node:
    """A command line that can be copied."""
    button = h("button", icon("copy"), type="button", class_="copy", data_copy=text, aria_label=f"Copy: {text}")
    return h("div", h("code", text), button, class_="command")


def button(
    text: str,
    act: Action,
    *,
    icon_name: str | None = None,
    look: str = "",
    disabled: bool = False,
    **attributes: Any,
) -> Node:
    """A button.

    Args:
        text: What it does.
        act: What the server is told.
        icon_name: A drawing before the text.
        look: `primary`, `danger` or nothing.
        disabled: Whether it cannot be used now.
        attributes: Further attributes.
    """
    drawn = icon(icon_name) if icon_name else None
    classes = f"button {look}".strip()
    on = {"click": act}
    return h("button", drawn, h("span", text), type="button", class_=classes, disabled=disabled, on=on, **attributes)


def menu(label: str, options: Iterable[tuple[str, str]], value: str, act: Action, *, name: str | None = None) -> Node:
    """A field with a choice that takes effect at once.

    Args:
        label: What is chosen, for those who do not see it.
        options: Values with what they are called.
        value: The one that is chosen.
        act: What the server is told.
        name: Of the field in its form; none: it stands alone.
    """
    drawn = [h("option", text, value=one, selected=one == value) for one, text in options]
    return h("select", *drawn, name=name, class_="input", aria_label=label, on={"change": act}, value=value)


def search_field(label: str, value: str, act: Action, *, name: str, hint: str = "", look: str = "") -> Node:
    """A field for what is searched, told to the server when it was entered.

    Args:
        label: What is searched.
        value: What was entered before.
        act: What the server is told.
        name: Of the field in its form.
        hint: Shown as long as nothing was entered; by default the label.
        look: Further classes.
    """
    return h(
        "input",
        type="search",
        name=name,
        placeholder=hint or label,
        aria_label=label,
        class_=f"input {look}".strip(),
        on={"change": act},
        # Its value at first: what somebody is typing stays, whatever is drawn anew around it.
        **{"^value": value},
    )


def table(heads: list[Node], rows: list[Node], *, label: str, class_: str = "") -> Node:
    """A table in a box that scrolls sideways where the screen is narrow.

    Args:
        heads: `th` elements.
        rows: `tr` elements.
        label: What it lists.
        class_: Further classes.
    """
    drawn = h(
        "table", h("thead", h("tr", *heads)), h("tbody", *rows), class_=f"table {class_}".strip(), aria_label=label
    )
    return h("div", drawn, class_="scroll", tabindex="0", role="region", aria_label=label)


def facts(*pairs: tuple[str, Node | None]) -> Node:
    """Names with what they are; those without a value are left out."""
    rows = [h("div", h("dt", name), h("dd", value)) for name, value in pairs if value is not None and value != ""]
    return h("dl", *rows, class_="facts")


def meter(done: float, total: float, *, tone: str = "active", label: str) -> Node:
    """How far something is, as a bar."""
    share = 0.0 if total <= 0 else min(max(done / total, 0.0), 1.0)
    bar = h("span", class_=f"meter-bar tone-{tone}", style=f"width:{share * 100:.1f}%")
    return h(
        "span",
        bar,
        class_="meter",
        role="progressbar",
        aria_label=label,
        aria_valuemin="0",
        aria_valuemax=f"{total:g}",
        aria_valuenow=f"{done:g}",
    )

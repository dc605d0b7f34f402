"""Parts of a page as plain data: what pages draw, and the browser renders.

A node is a text, or a list of the element's name, its attributes, and its children. Texts stay texts, whatever is in
them: no markup can come in by a title or a log line. The browser changes only what differs from the tree before, so
that focus, scrolling and what was opened stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

Node: TypeAlias = "str | list[Any]"


def h(tag: str, *children: Node | None, on: Mapping[str, Action] | None = None, **attributes: Any) -> Node:
    """An element.

    Args:
        tag: Its name.
        children: What is in it; None is left out.
        on: What browser events do: `click`, `change`, `input`, `submit`.
        attributes: With `_` for `-`, `class_` for `class`; None and False are left out.
    """
    given = {_attribute(name): value for name, value in attributes.items() if value is not None and value is not False}
    if on:
        given["on"] = dict(on)
    return [tag, given, *(child for child in children if child is not None)]


Action: TypeAlias = "dict[str, Any]"


def action(name: str, /, *, confirm: str | None = None, **data: Any) -> Action:
    """What the server is told when something is clicked or changed.

    Args:
        name: Which of the section's actions.
        confirm: What is asked before; none: nothing.
        data: Sent along, JSON-like.
    """
    asked = {"confirm": confirm} if confirm else {}
    return {"name": name, "data": data, **asked}


def texts(node: Node) -> Iterable[str]:
    """All texts of a tree, in order."""
    if isinstance(node, str):
        yield node
        return
    for child in node[2:]:
        yield from texts(child)


def _attribute(name: str) -> str:
    return name.rstrip("_").replace("_", "-")

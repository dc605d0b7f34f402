"""A tree of plain data in the browser."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from nicegui.element import Element
from nicegui.events import GenericEventArguments

from task_manager.dashboard.views.tree import Node


@dataclass(frozen=True)
class Act:
    """What somebody did in the browser.

    Attributes:
        name: Which action.
        data: What the tree said about it.
        value: What the element had; a truth for boxes.
        fields: What its form has, by name; empty for clicks.
    """

    name: str
    data: dict[str, Any]
    value: Any
    fields: dict[str, Any]


class Tree(Element, component="tree.js"):
    """Shows a tree, and tells what is done in it.

    Args:
        done: Called when somebody uses an element that has an action.
    """

    def __init__(self, done: Callable[[Act], Awaitable[None]]) -> None:
        super().__init__()
        self._props["tree"] = []

        async def heard(event: GenericEventArguments) -> None:
            told = event.args if isinstance(event.args, dict) else {}
            data, fields = told.get("data"), told.get("fields")
            await done(
                Act(
                    str(told.get("name", "")),
                    data if isinstance(data, dict) else {},
                    told.get("value"),
                    fields if isinstance(fields, dict) else {},
                )
            )

        self.on("act", heard)

    def show(self, *nodes: Node) -> None:
        """Show these; nothing is sent when they are what is shown already."""
        if self._props["tree"] != list(nodes):
            self._props["tree"] = list(nodes)
            self.update()

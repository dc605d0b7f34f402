"""A tree of plain data in the browser."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from nicegui.element import Element
from nicegui.events import GenericEventArguments

from task_manager.dashboard.views.tree_difference import Drawing


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
        self._shown = Drawing(())
        self._props["tree"] = self._shown.nodes
        self._props["version"] = 0

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
        self.on("lost", self.update)

    def show(self, drawing: Drawing) -> None:
        """Show this; only what differs is sent, nothing when it is what is shown already.

        A browser that has not the tree which the difference begins with says so, and is sent the whole one.
        """
        before, self._shown = self._shown, drawing
        version = self._props["version"]
        if not version:
            self._props.update(tree=drawing.nodes, version=1)
        elif (parts := drawing.since(before)) is not None:
            # Kept without being sent: whoever connects later gets the whole tree by it.
            with self._props.suspend_updates():
                self._props.update(tree=drawing.nodes, version=version + 1)
            self.client.run_javascript(f'runMethod({self.id}, "change", [{version}, {parts}])')

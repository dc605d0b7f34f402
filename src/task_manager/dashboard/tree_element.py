"""A tree of plain data in the browser."""

from __future__ import annotations

import functools
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
        self._shown: Drawing | None = None
        self._props.update(tree=(), number=0)

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
        if self._shown is None:
            self._props.update(tree=drawing.nodes, number=drawing.number)
        elif (change := drawing.since(self._shown)) is not None:
            # Kept without being sent: whoever connects later gets the whole tree by it.
            with self._props.suspend_updates():
                self._props.update(tree=drawing.nodes, number=drawing.number)
            self.client.run_javascript(_script(self.id, change))
        else:
            return
        self._shown = drawing


@functools.lru_cache(maxsize=64)
def _script(element: int, change: str) -> str:
    """What a browser is sent. NiceGUI keeps it for browsers that come back: one text for all, not one for each."""
    return f'runMethod({element}, "change", {change})'

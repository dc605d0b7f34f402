"""A log in the browser."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nicegui.element import Element
from nicegui.events import GenericEventArguments


class Log(Element, component="log.js"):
    """Shows lines, and follows what comes while the reader is at its end.

    Args:
        name: What it is the log of.
        following: Called when the reader leaves the end, or comes back to it.
    """

    def __init__(self, name: str, following: Callable[[bool], None]) -> None:
        super().__init__()
        self._props["name"] = name

        def heard(event: GenericEventArguments) -> None:
            following(bool(event.args))

        self.on("following", heard)

    def append(self, lines: Sequence[tuple[int, str]]) -> None:
        """Add lines, each with its number."""
        self.run_method("append", [list(line) for line in lines])

    def clear_lines(self) -> None:
        """Show nothing."""
        self.run_method("clear")

    def follow(self, on: bool) -> None:
        """Go to the end, and stay there; or stay where the reader is."""
        self.run_method("follow", on)

"""What others wrote, in a terminal: characters that would command it are shown as signs, and do nothing."""

from __future__ import annotations

from typing import Final

from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderableType, RenderHook, RenderResult
from rich.segment import Segment

# Of Unicode's control pictures, that of each character below the space follows in the same order; others have none.
_SIGNS: Final = {code: 0x2400 + code for code in range(0x20) if chr(code) not in "\n\t"} | dict.fromkeys(
    range(0x7F, 0xA0), 0xFFFD
)


class Harmless:
    """Something to print, with signs for the control characters in its text.

    Args:
        renderable: What is printed; its own styles and the cursor's moves of displays stay.
    """

    def __init__(self, renderable: RenderableType) -> None:
        self._renderable = renderable

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Its segments."""
        for segment in console.render(self._renderable, options):
            yield segment if segment.control else Segment(segment.text.translate(_SIGNS), segment.style)


class HarmlessText(RenderHook):
    """Makes whatever a console prints harmless."""

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        """What is printed instead."""
        return [Harmless(renderable) for renderable in renderables]

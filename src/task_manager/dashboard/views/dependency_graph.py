"""Things that need others, drawn from left to right: boxes with lines between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from task_manager.dashboard.views.tree import Node, h
from task_manager.graph import layers

WIDTH: Final = 216
HEIGHT: Final = 62
_GAP: Final = 56
_ROW: Final = 18


@dataclass(frozen=True)
class Place:
    """Where a box stands: its upper left corner, in pixels."""

    x: int
    y: int


def placed(edges: Mapping[str, Sequence[str]]) -> dict[str, Place]:
    """Where the boxes stand.

    Each stands to the right of all that it needs, and beside its first neighbours as far as there is room: within its
    column the boxes are sorted by the middle of those that they need.

    Args:
        edges: Each box with those it needs; without circles.
    """
    rows: dict[str, float] = {}
    places: dict[str, Place] = {}
    for column, nodes in enumerate(layers(edges)):
        ordered = sorted(nodes, key=lambda node: _middle([rows[one] for one in edges[node] if one in rows]))
        for row, node in enumerate(ordered):
            rows[node] = row - len(nodes) / 2
            places[node] = Place(column * (WIDTH + _GAP), row * (HEIGHT + _ROW))
    return places


def draw(boxes: Mapping[str, Node], edges: Mapping[str, Sequence[str]], *, label: str) -> Node:
    """The boxes with lines from those that are needed to those that need them.

    Args:
        boxes: What stands in each box.
        edges: Each box with those it needs; without circles. Those that are not among the boxes are left out.
        label: What it shows, for screen readers.
    """
    known = {node: [one for one in edges.get(node, ()) if one in boxes] for node in boxes}
    places = placed(known)
    width = max((place.x + WIDTH for place in places.values()), default=0)
    height = max((place.y + HEIGHT for place in places.values()), default=0)
    lines = [_line(places[one], places[node]) for node, needed in known.items() for one in needed]
    items = [
        h("li", boxes[node], style=f"left:{place.x}px;top:{place.y}px", key=node) for node, place in places.items()
    ]
    drawing = h("svg", *lines, width=str(width), height=str(height), class_="task-lines", aria_hidden="true")
    size = f"width:{width}px;height:{height}px"
    return h(
        "div",
        h("div", drawing, h("ul", *items), class_="task-graph", style=size),
        class_="scroll task-scroll",
        tabindex="0",
        role="region",
        aria_label=label,
    )


def _middle(rows: Sequence[float]) -> float:
    return sum(rows) / len(rows) if rows else 0.0


def _line(start: Place, end: Place) -> Node:
    x, y = start.x + WIDTH, start.y + HEIGHT // 2
    to_x, to_y = end.x, end.y + HEIGHT // 2
    bend = max((to_x - x) // 2, _GAP // 2)
    return h("path", d=f"M{x} {y}C{x + bend} {y} {to_x - bend} {to_y} {to_x} {to_y}")

"""What differs between two trees, in far less than the second one: what a page is sent when something happens.

A difference of two lists of nodes is a list of parts, in the order of the second one:

- a number: the node at that index of the first list, as it is;
- a list that begins with a number: the node at that index with other attributes (null: the same) and with a difference
  of its children;
- anything else: a node that is new.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from typing import Any, Final, TypeAlias
from weakref import WeakKeyDictionary

from task_manager.dashboard.views.tree import Node

Part: TypeAlias = "int | Node"

_COUNTED_ON: Final = frozenset({"data-ago", "data-elapsed"})
"""What elements have whose texts tell a time that the browser counts on (see moments.py)."""


_numbers = itertools.count(1)


class Drawing:
    """What pages show. Pages that show the same share it, and what differs from what they showed before.

    Args:
        nodes: What is shown; not changed from here on.

    Attributes:
        number: Its own, in this process.
    """

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.number = next(_numbers)
        # A tuple, for NiceGUI copies lists that are properties, with all that is in them, to hear of their changes.
        self.nodes = tuple(nodes)
        self._since: WeakKeyDictionary[Drawing, str | None] = WeakKeyDictionary()

    def since(self, before: Drawing) -> str | None:
        """What makes this of another drawing: both numbers and the difference, as JSON. None: pages show it already."""
        if before not in self._since:
            parts = difference(before.nodes, self.nodes)
            self._since[before] = (
                None if _is_nothing(before.nodes, parts) else json.dumps([before.number, self.number, parts])
            )
        return self._since[before]


def difference(old: Sequence[Node], new: Sequence[Node]) -> list[Part]:
    """What makes one list of nodes another.

    Nodes are the same when they have the same name and the same attribute `key`; those without one, the same place
    among such. Texts that the browser counts on by itself do not differ.
    """
    places = _places(old)
    return [_part(old, places.get(name), node) for name, node in _named(new)]


def changed(old: Sequence[Node], parts: Sequence[Part]) -> list[Node]:
    """The second list, made of the first one and the difference; as the browser does it."""
    return [_made(old, part) for part in parts]


def _part(old: Sequence[Node], place: int | None, node: Node) -> Part:
    if place is None:
        return node
    before = old[place]
    if before is node or before == node:
        return place
    if isinstance(before, str) or isinstance(node, str):
        return node
    attributes = None if before[1] == node[1] else node[1]
    if attributes is None and not _COUNTED_ON.isdisjoint(node[1]):
        return place
    parts = difference(before[2:], node[2:])
    return place if attributes is None and _is_nothing(before[2:], parts) else [place, attributes, parts]


def _is_nothing(old: Sequence[Node], parts: Sequence[Part]) -> bool:
    return list(parts) == list(range(len(old)))


def _made(old: Sequence[Node], part: Part) -> Node:
    if isinstance(part, int):
        return old[part]
    if isinstance(part, str) or isinstance(part[0], str):
        return part
    place, attributes, parts = part
    before: Any = old[place]
    return [before[0], before[1] if attributes is None else attributes, *changed(before[2:], parts)]


def _places(nodes: Sequence[Node]) -> dict[object, int]:
    places: dict[object, int] = {}
    for place, (name, _) in enumerate(_named(nodes)):
        places.setdefault(name, place)
    return places


def _named(nodes: Sequence[Node]) -> list[tuple[object, Node]]:
    """Nodes with what tells one among its brothers from another."""
    counted: dict[object, int] = {}
    named: list[tuple[object, Node]] = []
    for node in nodes:
        kind = "" if isinstance(node, str) else (node[0], node[1].get("key"))
        number = counted[kind] = counted.get(kind, -1) + 1
        named.append(((kind, number), node))
    return named

"""Graphs of what needs what: finding circles, and the order in which work can be done.

A graph is a mapping from each node to the nodes that it needs. A needed name that is not a key lies outside of the
graph and is ignored, so that a part of a graph (some tasks of a project) is a graph too.
"""

from collections.abc import Collection, Mapping
from graphlib import CycleError, TopologicalSorter


def find_cycle(edges: Mapping[str, Collection[str]]) -> list[str] | None:
    """Find nodes that wait for each other.

    Args:
        edges: Each node with those it needs.

    Returns:
        One circle, each node followed by one that it needs and the last one needing the first, starting with the node
        that comes first in `edges`; None when there is no circle. The same graph always gives the same answer.
    """
    try:
        _sorter(edges).prepare()
    except CycleError as error:
        # The standard library lists each node before those that need it, and the first one again at the end.
        cycle: list[str] = error.args[1][:0:-1]
        first = cycle.index(next(node for node in edges if node in set(cycle)))
        return cycle[first:] + cycle[:first]
    return None


def layers(edges: Mapping[str, Collection[str]]) -> list[list[str]]:
    """Sort nodes into layers: each node as early as possible, after all that it needs.

    Args:
        edges: Each node with those it needs.

    Returns:
        The layers, first to last; the nodes of a layer need nothing of one another and stand in the order of `edges`.

    Raises:
        graphlib.CycleError: Nodes wait for each other; `find_cycle` names them.
    """
    place = {node: index for index, node in enumerate(edges)}
    sorter = _sorter(edges)
    sorter.prepare()
    found = []
    while sorter.is_active():
        layer = sorted(sorter.get_ready(), key=place.__getitem__)
        sorter.done(*layer)
        found.append(layer)
    return found


def _sorter(edges: Mapping[str, Collection[str]]) -> TopologicalSorter[str]:
    return TopologicalSorter({node: sorted(name for name in needed if name in edges) for node, needed in edges.items()})

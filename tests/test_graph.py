"""`task_manager.graph`: circles are found and named; layers are what can be done at the same time."""

from graphlib import CycleError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from task_manager.graph import find_cycle, layers

NAMES = [f"n{number}" for number in range(8)]
ANY_GRAPH = st.dictionaries(st.sampled_from(NAMES), st.frozensets(st.sampled_from(NAMES), max_size=4))


@st.composite
def acyclic_graphs(draw: st.DrawFn) -> dict[str, frozenset[str]]:
    """A node needs only nodes that come before it in a random order, and the mapping has another random order."""
    order = draw(st.permutations(NAMES))
    edges = {
        node: draw(st.frozensets(st.sampled_from(order[:index]))) if index else frozenset()
        for index, node in enumerate(order)
    }
    return {node: edges[node] for node in draw(st.permutations(order))}


@given(ANY_GRAPH)
def test_a_found_cycle_is_one(edges: dict[str, frozenset[str]]) -> None:
    """Each node of the circle needs the next one, the last one needs the first, and none comes twice."""
    cycle = find_cycle(edges)
    if cycle is None:
        layers(edges)
        return
    assert len(set(cycle)) == len(cycle)
    assert all(following in edges[node] for node, following in zip(cycle, cycle[1:] + cycle[:1], strict=True))
    with pytest.raises(CycleError):
        layers(edges)


@given(acyclic_graphs())
def test_layers_respect_edges_and_are_as_early_as_possible(edges: dict[str, frozenset[str]]) -> None:
    """Every node stands once, one layer after the latest of those it needs."""
    found = layers(edges)
    depth = {node: index for index, layer in enumerate(found) for node in layer}
    assert sorted(node for layer in found for node in layer) == sorted(edges)
    for node, needed in edges.items():
        assert depth[node] == max((depth[name] + 1 for name in needed), default=0)


def test_a_circle_is_named_from_the_first_node_on() -> None:
    assert find_cycle({"report": ["test"], "test": ["build"], "build": ["report"]}) == ["report", "test", "build"]


def test_a_node_that_needs_itself_is_a_circle() -> None:
    assert find_cycle({"a": ["a"]}) == ["a"]


def test_names_outside_of_the_graph_are_ignored() -> None:
    edges = {"b": ["a", "elsewhere"], "a": ["elsewhere"]}
    assert find_cycle(edges) is None
    assert layers(edges) == [["a"], ["b"]]


def test_nodes_of_one_layer_keep_the_order_of_the_mapping() -> None:
    assert layers({"z": [], "a": [], "m": ["z", "a"]}) == [["z", "a"], ["m"]]


def test_an_empty_graph_has_no_layers() -> None:
    assert layers({}) == []
    assert find_cycle({}) is None

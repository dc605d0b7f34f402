"""Differences of trees lead from the one to the other, and are small where little differs."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from task_manager.dashboard.views.moments import ago
from task_manager.dashboard.views.tree import Node, h
from task_manager.dashboard.views.tree_difference import Drawing, changed, difference

attributes = st.dictionaries(st.sampled_from(["key", "class", "href"]), st.sampled_from(["a", "b", "c"]), max_size=2)
nodes: st.SearchStrategy[Any] = st.recursive(
    st.text(max_size=3),
    lambda inner: st.builds(
        lambda tag, given, children: [tag, given, *children],
        st.sampled_from(["div", "span"]),
        attributes,
        st.lists(inner, max_size=4),
    ),
    max_leaves=12,
)
trees = st.lists(nodes, max_size=5)


@given(old=trees, new=trees)
def test_a_tree_and_the_difference_make_the_other_tree(old: list[Node], new: list[Node]) -> None:
    parts = json.loads(json.dumps(difference(old, new)))
    assert changed(old, parts) == new


@given(tree=trees)
def test_of_equal_trees_only_places_are_told(tree: list[Node]) -> None:
    assert difference(tree, tree) == list(range(len(tree)))


def test_a_time_that_the_browser_counts_on_is_no_difference() -> None:
    since = datetime(2026, 1, 1, tzinfo=UTC)
    before, after = (
        Drawing([h("p", "Created ", ago(since, since + timedelta(seconds=seconds)))]) for seconds in (1, 90)
    )
    assert before.nodes != after.nodes
    assert after.since(before) is None


def test_what_differs_from_a_drawing_is_told_as_the_same_to_each_page() -> None:
    before, after = Drawing([h("p", "one")]), Drawing([h("p", "two")])
    told = after.since(before)
    assert told is not None
    *numbers, parts = json.loads(told)
    assert numbers == [before.number, after.number]
    assert changed(before.nodes, parts) == list(after.nodes)
    assert after.since(before) is told
    assert after.since(after) is None


def row(number: int, status: str = "succeeded") -> Node:
    return h("tr", h("td", f"Run {number}"), h("td", h("span", status, class_="chip")), key=f"run-{number}")


def test_a_new_row_above_many_and_a_changed_one_cost_no_more_than_these() -> None:
    old = [h("table", *(row(number) for number in range(50, 0, -1)))]
    new = [
        h(
            "table",
            row(51, "queued"),
            *(row(number, "failed" if number == 7 else "succeeded") for number in range(50, 1, -1)),
        )
    ]
    told = difference(old, new)
    assert changed(old, told) == new
    assert len(json.dumps(told)) < len(json.dumps(new)) / 10

"""Ids and records."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from task_manager.models import IdSource, new_id


@given(st.lists(st.floats(0, 2**34), min_size=1, max_size=50))
def test_ids_sort_in_the_order_in_which_they_were_made_whatever_the_clock_does(moments: list[float]) -> None:
    clock = iter(moments)
    source = IdSource(now=lambda: next(clock))
    ids = [source("task") for _ in moments]
    assert ids == sorted(ids)
    assert len(set(ids)) == len(ids)


def test_an_id_says_what_it_names_and_is_short() -> None:
    assert new_id("run").startswith("run-")
    assert len(new_id("run")) == 25


def test_two_sources_at_the_same_moment_make_different_ids() -> None:
    assert IdSource(now=lambda: 1.0)("task") != IdSource(now=lambda: 1.0)("task")

"""The pipeline cache: look-ups, its bound, threads, statistics."""

from __future__ import annotations

from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from hypothesis import given
from hypothesis import strategies as st

from task_manager.workflow_cache import CacheStatistics, PipelineCache


def test_an_entry_is_compiled_once() -> None:
    cache: PipelineCache[list[int]] = PipelineCache()
    first = cache.get_or_compile("a", lambda: [1])
    assert cache.get_or_compile("a", lambda: [2]) is first
    assert cache.statistics == CacheStatistics(hits=1, misses=1, evictions=0, entries=1)


def test_what_could_not_be_compiled_is_tried_again() -> None:
    cache: PipelineCache[int] = PipelineCache()

    def fail() -> int:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        cache.get_or_compile("a", fail)
    assert cache.get_or_compile("a", lambda: 1) == 1
    assert cache.statistics == CacheStatistics(hits=0, misses=2, evictions=0, entries=1)


def test_what_was_unused_the_longest_goes_first() -> None:
    cache: PipelineCache[str] = PipelineCache(capacity=2)
    for key in ("a", "b", "a", "c"):
        cache.get_or_compile(key, lambda: "old")
    assert cache.get_or_compile("a", lambda: "new") == "old"
    assert cache.get_or_compile("b", lambda: "new") == "new"


def test_clearing_forgets_entries_and_keeps_the_statistics() -> None:
    cache: PipelineCache[str] = PipelineCache()
    cache.get_or_compile("a", lambda: "old")
    cache.clear()
    assert cache.statistics == CacheStatistics(hits=0, misses=1, evictions=0, entries=0)
    assert cache.get_or_compile("a", lambda: "new") == "new"


def test_a_cache_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        PipelineCache(capacity=0)


@given(st.integers(1, 5), st.lists(st.integers(0, 8), max_size=60))
def test_it_behaves_like_a_bounded_list_ordered_by_use(capacity: int, keys: list[int]) -> None:
    cache: PipelineCache[int] = PipelineCache(capacity)
    model: OrderedDict[int, int] = OrderedDict()
    hits = evictions = 0
    for number, key in enumerate(keys):
        if key in model:
            hits += 1
        model[key] = model.pop(key, number)
        if len(model) > capacity:
            model.popitem(last=False)
            evictions += 1
        assert cache.get_or_compile(str(key), lambda number=number: number) == model[key]  # type: ignore[misc]
        assert cache.statistics == CacheStatistics(hits, number + 1 - hits, evictions, len(model))


def test_threads_that_compile_the_same_get_the_same() -> None:
    cache: PipelineCache[object] = PipelineCache(capacity=4)
    threads = 8
    together = Barrier(threads)

    def compile_together() -> object:
        together.wait(timeout=10)  # every thread has missed before the first one stores
        return object()

    with ThreadPoolExecutor(threads) as pool:
        found = list(pool.map(lambda _: cache.get_or_compile("a", compile_together), range(threads)))
    assert len({id(value) for value in found}) == 1
    assert cache.statistics == CacheStatistics(hits=0, misses=threads, evictions=0, entries=1)


def test_threads_with_different_keys_stay_within_the_bound() -> None:
    cache: PipelineCache[int] = PipelineCache(capacity=3)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda n: cache.get_or_compile(str(n % 7), lambda: n % 7), range(700)))
    assert found == [n % 7 for n in range(700)]
    statistics = cache.statistics
    assert statistics.hits + statistics.misses == 700
    assert statistics.entries == 3

"""What every tier of the cache does, on real servers; and what happens when one does not."""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import generate_latest

from task_manager.caching.entries import encoded
from task_manager.caching.metrics import CacheMetrics
from task_manager.caching.tiers import Tier, disk_tier, memory_tier, shared_tier
from task_manager.errors import InvalidConfiguration
from task_manager.workflow_cache import REMOVED, RESULTS, Found, Missing, Selection, WorkflowCache
from tests.caching.entries import NOW, an_entry
from tests.environment.postgresql import PostgresqlServer
from tests.environment.redis import RedisServer

SECONDS = 5.0
LIMIT = 20_000

Make = Callable[[], Tier]


@pytest.fixture
def metrics() -> CacheMetrics:
    return CacheMetrics()


@pytest.fixture(params=["memory", "disk", "redis", "postgresql", "s3", "s3 below a prefix"])
def make(request: pytest.FixtureRequest, tmp_path: Path, metrics: CacheMetrics) -> Make:
    """Makes the tier, always over the same data."""
    if request.param == "memory":
        tier = memory_tier(LIMIT, metrics)
        return lambda: tier
    if request.param == "disk":
        return lambda: disk_tier(tmp_path, LIMIT, SECONDS, metrics)
    if request.param == "redis":
        server: RedisServer = request.getfixturevalue("redis")
        return lambda: shared_tier(server.url(), SECONDS, metrics)
    if request.param.startswith("s3"):
        bucket: str = request.getfixturevalue("s3_bucket")
        return lambda: shared_tier(bucket if request.param == "s3" else f"{bucket}/team/cache/", SECONDS, metrics)
    database: PostgresqlServer = request.getfixturevalue("postgresql")
    url = database.url(database.new_database())
    return lambda: shared_tier(url, SECONDS, metrics)


@pytest.fixture
async def tier(make: Make) -> AsyncIterator[Tier]:
    made = make()
    yield made
    await made.close()


def over(*tiers: Tier, metrics: CacheMetrics, now: datetime = NOW, folder: Path | None = None) -> WorkflowCache:
    return WorkflowCache(tiers, metrics, clock=lambda: now, folder=folder)


def reason(found: Found | Missing) -> str:
    return found.reason if isinstance(found, Missing) else "found"


async def test_what_was_put_is_found_as_it_was(tier: Tier, metrics: CacheMetrics) -> None:
    cache = over(tier, metrics=metrics)
    entry = an_entry("a", tags=("ä", "b"))
    assert reason(await cache.get(entry.key)) == "not_stored"
    assert await cache.put(entry)
    assert await cache.get(entry.key) == Found(entry, tier.name)


async def test_prefixes_of_one_bucket_share_nothing(s3_bucket: str, metrics: CacheMetrics) -> None:
    first, second, whole = (shared_tier(f"{s3_bucket}{end}", SECONDS, metrics) for end in ("/a", "/b", ""))
    try:
        entry = an_entry()
        assert await over(first, metrics=metrics).put(entry)
        assert isinstance(await over(first, metrics=metrics).get(entry.key), Found)
        for other in (second, whole):
            assert reason(await over(other, metrics=metrics).get(entry.key)) == "not_stored"
    finally:
        for tier in (first, second, whole):
            await tier.close()


@pytest.mark.parametrize("url", ["s3://", "s3:///prefix", "s3://bucket?endpoint=x", "s3://key:word@bucket"])
def test_an_address_that_is_no_bucket_is_refused_without_its_password(url: str, metrics: CacheMetrics) -> None:
    with pytest.raises(InvalidConfiguration, match="s3://BUCKET/PREFIX") as refused:
        shared_tier(url, SECONDS, metrics)
    assert "word" not in str(refused.value)


async def test_another_process_finds_it_too(make: Make, metrics: CacheMetrics) -> None:
    first = make()
    await over(first, metrics=metrics).put(an_entry())
    await first.close()
    second = make()
    assert isinstance(await over(second, metrics=metrics).get(an_entry().key), Found)
    await second.close()


async def test_what_is_too_old_is_a_miss_that_says_so(tier: Tier, metrics: CacheMetrics) -> None:
    entry = an_entry(expires_at=NOW + timedelta(hours=1))
    await over(tier, metrics=metrics).put(entry)
    later = over(tier, metrics=metrics, now=NOW + timedelta(hours=1))
    assert [reason(await later.get(entry.key)) for _ in range(2)] == ["expired", "expired"]


async def test_what_counts_no_more_is_removed_and_told_as_such(tier: Tier, metrics: CacheMetrics) -> None:
    old, new = an_entry("old", expires_at=NOW + timedelta(hours=1)), an_entry("new")
    for entry in (old, new):
        await over(tier, metrics=metrics).put(entry)
    later = over(tier, metrics=metrics, now=NOW + timedelta(hours=2))
    keys = [old.key, new.key]
    assert [await later.remove_expired(keys) for _ in range(2)] == [1, 0]
    assert await tier.get(RESULTS, old.key.removeprefix("sha256:")) is None
    assert [reason(await later.get(key)) for key in keys] == ["expired", "found"]


async def test_a_tier_tells_how_many_results_it_has_or_that_it_cannot(tier: Tier, metrics: CacheMetrics) -> None:
    cache = over(tier, metrics=metrics)
    await cache.put(an_entry())
    (state,) = await cache.states()
    assert state.entries == (1 if tier.can_list else None)
    assert [entry async for entry, _ in cache.entries([an_entry().key])] == [an_entry()]


async def test_what_was_removed_is_a_miss_that_still_knows_its_components(tier: Tier, metrics: CacheMetrics) -> None:
    cache = over(tier, metrics=metrics)
    entry, other = an_entry("a"), an_entry("b")
    for one in (entry, other):
        await cache.put(one)
    keys = [entry.key, other.key]
    assert await cache.clear(Selection(task="a"), dry_run=True, known=keys) == (entry,)
    assert isinstance(await cache.get(entry.key), Found)
    await cache.clear(Selection(task="a"), known=keys)
    missing = await cache.get(entry.key)
    assert isinstance(missing, Missing)
    assert missing.reason == "cleared"
    assert missing.removed is not None
    assert missing.removed.components == entry.components
    assert isinstance(await cache.get(other.key), Found)


@pytest.mark.parametrize(
    "damage",
    [
        {"checksum": "0" * 64},
        {"version": 99},
        {"body": "{}"},
        {"body": None},
    ],
)
async def test_a_damaged_or_foreign_entry_is_a_miss_reported_once_and_removed(
    tier: Tier, metrics: CacheMetrics, damage: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    cache = over(tier, metrics=metrics)
    entry = an_entry()
    name = entry.key.removeprefix("sha256:")
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            await tier.put(RESULTS, name, {**encoded(entry), **damage}, None)
            assert reason(await cache.get(entry.key)) == "not_stored"
            assert await tier.get(RESULTS, name) is None
    assert caplog.text.count("cache_entry_damaged") == 1


async def test_an_entry_under_another_key_is_no_hit(tier: Tier, metrics: CacheMetrics) -> None:
    cache = over(tier, metrics=metrics)
    await tier.put(RESULTS, "ff00", encoded(an_entry()), None)
    assert reason(await cache.get("sha256:ff00")) == "not_stored"


async def test_verifying_reads_all_and_removes_what_is_damaged(tier: Tier, metrics: CacheMetrics) -> None:
    cache = over(tier, metrics=metrics)
    good, bad = an_entry("good"), an_entry("bad")
    await cache.put(good)
    await tier.put(RESULTS, bad.key.removeprefix("sha256:"), {"version": 1, "body": "x", "checksum": "y"}, None)
    keys = [good.key, bad.key]
    found = await cache.verify(keys)
    assert (found.checked, found.damaged) == (2, (bad.key,))
    assert (await cache.verify(keys)).damaged == ()


@pytest.mark.parametrize("kind", ["memory", "disk"])
async def test_beyond_its_bytes_what_was_unused_the_longest_goes(
    kind: str, tmp_path: Path, metrics: CacheMetrics
) -> None:
    tier = memory_tier(LIMIT, metrics) if kind == "memory" else disk_tier(tmp_path, LIMIT, SECONDS, metrics)
    cache = over(tier, metrics=metrics)
    entries = [an_entry(str(number), size=5000) for number in range(3)]
    for entry in entries:
        await cache.put(entry)
    assert isinstance(await cache.get(entries[0].key), Found)
    await cache.put(an_entry("new", size=5000))
    kept = [reason(await cache.get(entry.key)) == "found" for entry in entries]
    assert kept == [True, False, True]
    assert (tier.size() or 0) <= LIMIT
    assert metrics.evictions.labels(kind)._value.get() >= 1


async def test_a_value_larger_than_the_tier_is_not_taken(metrics: CacheMetrics) -> None:
    assert not await over(memory_tier(1000, metrics), metrics=metrics).put(an_entry(size=5000))


async def test_what_a_slower_tier_has_is_written_to_the_faster_ones(tmp_path: Path, metrics: CacheMetrics) -> None:
    memory, disk = memory_tier(LIMIT, metrics), disk_tier(tmp_path, LIMIT, SECONDS, metrics)
    entry = an_entry()
    await over(disk, metrics=metrics).put(entry)
    cache = over(memory, disk, metrics=metrics)
    found = [await cache.get(entry.key) for _ in range(2)]
    assert [one.tier for one in found if isinstance(one, Found)] == ["disk", "memory"]


async def test_a_folder_that_was_copied_has_its_entries_and_leaves_the_first_alone(
    tmp_path: Path, metrics: CacheMetrics
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    entry = an_entry()
    await over(disk_tier(first, LIMIT, SECONDS, metrics), metrics=metrics).put(entry)
    shutil.copytree(first, second)
    copied = over(disk_tier(second, LIMIT, SECONDS, metrics), metrics=metrics)
    assert isinstance(await copied.get(entry.key), Found)
    await copied.clear(Selection())
    assert not isinstance(await copied.get(entry.key), Found)
    again = over(disk_tier(first, LIMIT, SECONDS, metrics), metrics=metrics)
    assert isinstance(await again.get(entry.key), Found)


async def test_memory_forgets_what_another_process_removed(tmp_path: Path, metrics: CacheMetrics) -> None:
    entry = an_entry()
    caches = [
        over(
            memory_tier(LIMIT, metrics),
            disk_tier(tmp_path, LIMIT, SECONDS, metrics),
            metrics=metrics,
            folder=tmp_path,
        )
        for _ in range(2)
    ]
    await caches[0].put(entry)
    assert isinstance(await caches[1].get(entry.key), Found)
    await caches[0].clear(Selection())
    assert reason(await caches[1].get(entry.key)) == "cleared"


async def test_a_truncated_file_is_a_miss(tmp_path: Path, metrics: CacheMetrics) -> None:
    cache = over(disk_tier(tmp_path, LIMIT, SECONDS, metrics), metrics=metrics)
    entry = an_entry()
    await cache.put(entry)
    (file,) = (tmp_path / "entries" / RESULTS).glob("*.json")
    file.write_text(file.read_text()[:100])
    assert reason(await cache.get(entry.key)) == "not_stored"
    assert not file.exists()
    assert list((tmp_path / "entries" / REMOVED).glob("*.json")) == []


@pytest.mark.alone
async def test_a_dead_tier_is_left_out_and_counted(redis: RedisServer, metrics: CacheMetrics) -> None:
    shared = shared_tier(redis.url(), 0.5, metrics)
    cache = over(memory_tier(LIMIT, metrics), shared, metrics=metrics)
    await cache.put(an_entry("a"))
    redis.kill()
    for name in ("b", "c", "d"):
        assert await cache.put(an_entry(name)), "memory takes it"
        assert isinstance(await cache.get(an_entry(name).key), Found)
    assert not shared.is_open
    start = time.perf_counter()
    assert reason(await cache.get(an_entry("unknown").key)) == "not_stored"
    assert time.perf_counter() - start < 0.4, "it is not even asked"
    exposed = generate_latest(metrics.registry).decode()
    assert 'task_manager_cache_tier_skips_total{tier="redis",why="error"}' in exposed
    assert 'task_manager_cache_tier_skips_total{tier="redis",why="left_out"}' in exposed
    await cache.close()


async def test_a_tier_that_does_not_answer_is_left_after_its_time(redis: RedisServer, metrics: CacheMetrics) -> None:
    shared = shared_tier(redis.url(), 0.2, metrics)
    cache = over(shared, metrics=metrics)
    await cache.put(an_entry())
    redis.stop()
    async with asyncio.timeout(30):
        assert reason(await cache.get(an_entry().key)) == "not_stored"
    await cache.close()

"""How the cache has done: over all runs that are still known, counted by all processes; also for Prometheus."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from task_manager.models import CacheOutcome
from task_manager.workflow_cache import TierState

if TYPE_CHECKING:
    from prometheus_client import Metric

NO_TEMPLATE = "(none)"
"""The name of definitions of their own, which were made from no template."""


@dataclass(frozen=True)
class CacheFigures:
    """How the cache has done.

    Attributes:
        misses: By reason.
        off: How many runs it was not asked for, by reason.
        saved_seconds: By all hits.
        by_template: Hits, misses and seconds saved by template; `(none)` for definitions of their own.
        by_project: The same by project's name.
        hits_by_tier: How many hits each tier gave.
        saved_by_tier: Seconds that these saved.
        evictions: How many entries each tier let go for newer ones, in all processes since the data folder was made.
        damaged: How many damaged entries were found in each tier and removed, in the same way.
        skips: How many calls of each tier failed or were left out, in the same way.
        tiers: How they are now.
    """

    hits: int
    misses: Mapping[str, int]
    off: Mapping[str, int]
    saved_seconds: float
    by_template: Mapping[str, Mapping[str, float]]
    by_project: Mapping[str, Mapping[str, float]]
    hits_by_tier: Mapping[str, int]
    saved_by_tier: Mapping[str, float]
    evictions: Mapping[str, int]
    damaged: Mapping[str, int]
    skips: Mapping[str, int]
    tiers: tuple[TierState, ...] = ()


def figures_of(
    counted: Sequence[Mapping[str, Any]],
    happened: Mapping[tuple[str, str], int],
    projects: Mapping[str, str],
    tiers: tuple[TierState, ...],
) -> CacheFigures:
    """The figures.

    Args:
        counted: Runs by outcome, reason, tier, project and template, as the store counts them.
        happened: What happened to tiers, by name and tier.
        projects: The projects' names by id.
        tiers: How the tiers are.
    """
    by_tier: Counter[str] = Counter()
    saved: dict[str, float] = {}
    for row in counted:
        if row["outcome"] == CacheOutcome.HIT.value:
            tier = row["tier"] or ""
            by_tier[tier] += row["runs"]
            saved[tier] = saved.get(tier, 0.0) + row["saved_seconds"]
    return CacheFigures(
        hits=sum(by_tier.values()),
        misses=_by_reason(counted, CacheOutcome.MISS),
        off=_by_reason(counted, CacheOutcome.OFF),
        saved_seconds=sum(row["saved_seconds"] for row in counted),
        by_template=_grouped(counted, lambda row: row["template_id"] or NO_TEMPLATE),
        by_project=_grouped(counted, lambda row: projects[row["project_id"]]),
        hits_by_tier=dict(by_tier),
        saved_by_tier=saved,
        evictions=_of(happened, "evictions"),
        damaged=_of(happened, "damaged"),
        skips=_of(happened, "skips"),
        tiers=tiers,
    )


def prometheus_metrics(figures: CacheFigures) -> Iterator[Metric]:
    """The figures as a collector of `prometheus_client` yields them; names begin with `task_manager_cache_`."""
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    prefix = "task_manager_cache"
    runs = CounterMetricFamily(f"{prefix}_runs", "Runs by what the cache was for them.", labels=("outcome", "reason"))
    runs.add_metric(("hit", "cached"), figures.hits)
    for outcome, reasons in (("miss", figures.misses), ("off", figures.off)):
        for reason, count in reasons.items():
            runs.add_metric((outcome, reason), count)
    yield runs
    # By template, but not by project: of those there may be any number, with whatever names.
    for name, text in (("hits", "Hits"), ("misses", "Misses"), ("saved_seconds", "Seconds that hits saved")):
        family = CounterMetricFamily(f"{prefix}_template_{name}", f"{text}, by template.", labels=("template",))
        for group, values in figures.by_template.items():
            family.add_metric((group,), values[name])
        yield family
    counted: tuple[tuple[str, str, Mapping[str, float]], ...] = (
        ("hits", "Hits", figures.hits_by_tier),
        ("saved_seconds", "Seconds that hits saved", figures.saved_by_tier),
        ("evictions", "Entries that had to go for newer ones", figures.evictions),
        ("damaged", "Entries that could not be read", figures.damaged),
        ("skips", "Calls that failed or were left out", figures.skips),
    )
    for name, text, counts in counted:
        family = CounterMetricFamily(f"{prefix}_tier_{name}", f"{text}, by tier.", labels=("tier",))
        for tier, value in counts.items():
            family.add_metric((tier,), value)
        yield family
    size = GaugeMetricFamily(f"{prefix}_tier_bytes", "What a tier takes, as far as it tells.", labels=("tier",))
    entries = GaugeMetricFamily(f"{prefix}_tier_entries", "How many results a tier has.", labels=("tier",))
    usable = GaugeMetricFamily(f"{prefix}_tier_open", "0 while a tier is left out after failures.", labels=("tier",))
    for state in figures.tiers:
        usable.add_metric((state.name,), state.is_open)
        if state.entries is not None:
            entries.add_metric((state.name,), state.entries)
        if state.bytes is not None:
            size.add_metric((state.name,), state.bytes)
    yield from (size, entries, usable)


def _of(happened: Mapping[tuple[str, str], int], name: str) -> dict[str, int]:
    return {tier: count for (what, tier), count in happened.items() if what == name}


def _by_reason(counted: Sequence[Mapping[str, Any]], outcome: CacheOutcome) -> dict[str, int]:
    found: Counter[str] = Counter()
    for row in counted:
        if row["outcome"] == outcome.value:
            found[row["reason"]] += row["runs"]
    return dict(found)


def _grouped(
    counted: Sequence[Mapping[str, Any]], name: Callable[[Mapping[str, Any]], str]
) -> dict[str, dict[str, float]]:
    groups: dict[str, dict[str, float]] = {}
    for row in counted:
        group = groups.setdefault(name(row), {"hits": 0, "misses": 0, "saved_seconds": 0.0})
        if row["outcome"] == CacheOutcome.HIT.value:
            group["hits"] += row["runs"]
        elif row["outcome"] == CacheOutcome.MISS.value:
            group["misses"] += row["runs"]
        group["saved_seconds"] += row["saved_seconds"]
    return groups

"""The cache's figures for Prometheus: a registry of its own, which a server may expose."""

from __future__ import annotations

from collections import Counter as Counter_

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_FAST = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0, 5.0)


class CacheMetrics:
    """Counters of one process. What all processes counted is in the store: see `cache_figures`.

    Attributes:
        registry: What `prometheus_client.generate_latest` takes.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.lookups = Counter(
            "task_manager_cache_lookups",
            "Runs that the cache was asked for, by what came of it.",
            ("outcome", "reason", "template", "project"),
            registry=self.registry,
        )
        self.hits = Counter(
            "task_manager_cache_tier_hits", "Entries found, by tier.", ("tier",), registry=self.registry
        )
        self.skips = Counter(
            "task_manager_cache_tier_skips",
            "Calls of a tier that were left out or failed, by why.",
            ("tier", "why"),
            registry=self.registry,
        )
        self.damaged = Counter(
            "task_manager_cache_damaged", "Entries that could not be read, by tier.", ("tier",), registry=self.registry
        )
        self.evictions = Counter(
            "task_manager_cache_evictions", "Entries that had to go for newer ones.", ("tier",), registry=self.registry
        )
        self.size = Gauge(
            "task_manager_cache_bytes", "What a tier takes, as far as it tells.", ("tier",), registry=self.registry
        )
        self.saved = Counter(
            "task_manager_cache_saved_seconds",
            "Seconds that hits saved.",
            ("template", "project"),
            registry=self.registry,
        )
        self.seconds = Histogram(
            "task_manager_cache_lookup_seconds", "How long look-ups took.", buckets=_FAST, registry=self.registry
        )

    def happened(self) -> dict[tuple[str, str], int]:
        """How often tiers gave entries up, had damaged ones, and were left out: by `evictions` and so on, and tier."""
        counted: Counter_[tuple[str, str]] = Counter_()
        for name, counter in (("evictions", self.evictions), ("damaged", self.damaged), ("skips", self.skips)):
            for metric in counter.collect():
                for sample in metric.samples:
                    if sample.name.endswith("_total"):
                        counted[name, sample.labels["tier"]] += int(sample.value)
        return dict(counted)

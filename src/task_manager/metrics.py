"""Figures for Prometheus: what the store tells of runs, cache, workers, hooks and schedules, and this process's own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from task_manager.cache_figures import prometheus_metrics

if TYPE_CHECKING:
    from task_manager.application import Application
    from task_manager.communication import EngineStatus
    from task_manager.store.fleet import FleetFigures

PATH: Final = "/metrics"

RUN_BOUNDS: Final = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 4 * 3600.0)
"""Seconds by which the durations of runs are counted."""

_ANSWER_BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Metrics:
    """The route at `/metrics`, and the counters of this process.

    No label has a value that users choose: there are as many series as there are statuses, reasons, tiers and routes.

    Args:
        application: An open application.
    """

    def __init__(self, application: Application) -> None:
        self._application = application
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._requests = Counter(
            "task_manager_http_requests",
            "Answered requests.",
            ("method", "route", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "task_manager_http_answer_seconds",
            "How long requests waited until the answer began.",
            ("method", "route"),
            buckets=_ANSWER_BOUNDS,
            registry=self._registry,
        )
        self.routes = [Route(PATH, self._show)]

    def measured(self, app: ASGIApp) -> ASGIApp:
        """An application whose requests are counted."""

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            begun = perf_counter()

            async def count(message: Message) -> None:
                if message["type"] == "http.response.start":
                    self._count(scope, message["status"], perf_counter() - begun)
                await send(message)

            await app(scope, receive, count)

        return answer

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        route = route_of(scope)
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)

    async def _show(self, _request: Request) -> Response:
        from task_manager.store import fleet

        application = self._application
        figures = await application.store.run(fleet.figures, RUN_BOUNDS)
        engine = (await application.workflows()).communication.status()
        cache = await application.cache.figures()
        listeners = application.broadcast.listeners
        told = _Told([*families(figures, engine, datetime.now(UTC)), _listeners(listeners), *prometheus_metrics(cache)])
        registry = CollectorRegistry()
        registry.register(told)
        content = generate_latest(registry) + generate_latest(self._registry)
        return Response(content, headers={"Cache-Control": "no-store"}, media_type=CONTENT_TYPE_PLAIN_0_0_4)


class _Told(Collector):
    """Families that were made already."""

    def __init__(self, made: Iterable[Metric]) -> None:
        self._made = list(made)

    def collect(self) -> Iterator[Metric]:
        """Them."""
        return iter(self._made)


def families(figures: FleetFigures, engine: EngineStatus, now: datetime) -> Iterator[Metric]:
    """What the store tells, as families of metrics.

    Args:
        figures: Of runs, workers, hooks and schedules; the durations by `RUN_BOUNDS`.
        engine: This process's side of the engine.
        now: The time.
    """
    yield _by("task_manager_runs", "Runs that are known, by status.", "status", figures.by_status)
    durations = HistogramMetricFamily("task_manager_run_seconds", "How long runs took that have ended.")
    buckets = [(str(bound), count) for bound, count in zip(RUN_BOUNDS, figures.durations, strict=True)]
    durations.add_metric([], [*buckets, ("+Inf", figures.timed)], figures.seconds)
    yield durations
    waited = _seconds_since(figures.waiting_since, now)
    yield _one("task_manager_queue_oldest_seconds", "Age of the run that has been queued longest; 0: none is.", waited)
    yield _by("task_manager_workers", "Workers, by state.", "state", figures.workers)
    yield _one("task_manager_worker_capacity", "Runs that all workers execute at once.", figures.capacity)
    yield _by("task_manager_hook_messages", "Messages of hooks, by state.", "state", figures.messages)
    unsent = _seconds_since(figures.unsent_since, now)
    yield _one(
        "task_manager_hook_oldest_seconds", "Age of the message that has been pending longest; 0: none is.", unsent
    )
    yield _by("task_manager_schedules", "Schedules, by state.", "state", figures.schedules)
    late = _seconds_since(figures.next_due_at, now)
    yield _one(
        "task_manager_schedule_late_seconds", "How long ago a due time came that nobody has seen to; 0: none.", late
    )
    breaker = {state: float(state is engine.breaker) for state in type(engine.breaker)}
    yield _by("task_manager_engine_breaker", "1 for the state of this process's circuit breaker.", "state", breaker)
    yield _one("task_manager_engine_session", "1 while this process has an open engine session.", engine.alive)


def route_of(scope: Scope) -> str:
    """The route that answered, with its parameters unnamed; never the path that was asked for."""
    path = getattr(scope.get("route"), "path", None)
    return f"{scope.get('root_path', '')}{path}" if isinstance(path, str) else "none"


def _seconds_since(moment: datetime | None, now: datetime) -> float:
    return max((now - moment).total_seconds(), 0.0) if moment else 0.0


def _listeners(count: int) -> Metric:
    return _one("task_manager_event_listeners", "Who follows the event log in this process.", count)


def _one(name: str, about: str, value: float) -> Metric:
    return GaugeMetricFamily(name, about, value=value)


def _by(name: str, about: str, label: str, values: Mapping[Any, float]) -> Metric:
    family = GaugeMetricFamily(name, about, labels=(label,))
    for key, value in values.items():
        family.add_metric((str(getattr(key, "value", key)),), value)
    return family

"""Which runs of the queue start now, and what the others wait for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from task_manager.config import Settings
from task_manager.models import Priority, WorkerRecord, WorkerState, WorkflowRun
from task_manager.workflow_status import Reason, WorkflowStatus

DEAD_AFTER_SECONDS: Final = 15.0
"""How long a worker may be silent before it counts as dead, and others take over what it had."""

EQUAL_RUN: Final = "equal_run"
"""Why a run is held that takes the result of another one."""

_RANKS = {priority: rank for rank, priority in enumerate(reversed(Priority), start=1)}


def rank(priority: Priority) -> int:
    """The place of a priority: 1 is the most urgent."""
    return _RANKS[priority]


def flight_of(run: WorkflowRun) -> str | None:
    """The key under which a run waits for equal ones, or they for it; none where it is executed in any case."""
    anew = run.skip_cache or run.rerun_of is not None or run.attempt > 1
    return None if anew else run.cache_key


@dataclass(frozen=True)
class RunLimits:
    """How many runs may be under way at once.

    Attributes:
        places: By all workers together.
        per_project: Of one project; none for no limit.
        per_template: Of a template, by its id; one that is not named has no limit.
        keeps_results: Whether runs leave results for equal ones; where they do not, none waits for another.
    """

    places: int
    per_project: int | None = None
    per_template: Mapping[str, int] = field(default_factory=dict)
    keeps_results: bool = True


def run_limits(settings: Settings, workers: Iterable[WorkerRecord], now: datetime, dead_after: float) -> RunLimits:
    """The limits by the settings, and by the places of the workers that live.

    Args:
        settings: All settings.
        workers: All workers that are known.
        now: The time.
        dead_after: Seconds without a sign of life after which a worker counts as dead.
    """
    places = sum(
        worker.capacity
        for worker in workers
        if worker.state is WorkerState.RUNNING and (now - worker.seen_at).total_seconds() < dead_after
    )
    keeps_results = not settings.cache.read_only
    return RunLimits(places, settings.project_parallelism, settings.template_parallelism, keeps_results)


@dataclass(frozen=True)
class Queue:
    """What has to be known to decide.

    Attributes:
        candidates: Runs that were not handed over yet, in any order.
        under_way: Runs that were, and are not over.
        paused: The ids of the projects whose runs do not start.
    """

    candidates: Sequence[WorkflowRun]
    under_way: Sequence[WorkflowRun]
    paused: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Decision:
    """What `decide` found.

    Attributes:
        admitted: The runs that start now, the most urgent first.
        held: Why each other one does not, by its id, in the queue's order.
    """

    admitted: tuple[WorkflowRun, ...]
    held: Mapping[str, Reason]


def decide(queue: Queue, limits: RunLimits, now: datetime) -> Decision:
    """Choose the runs that start now: the most urgent first, then the oldest, as far as places and limits go."""
    places = _Places(queue.under_way, limits)
    admitted: list[WorkflowRun] = []
    held: dict[str, Reason] = {}
    waiting = 0
    for run in sorted(queue.candidates, key=lambda run: (rank(run.priority), run.id)):
        reason = _not_before(run, now) or _paused(run, queue.paused) or places.why_not(run, waiting + 1)
        if reason is None:
            places.take(run)
            admitted.append(run)
        else:
            held[run.id] = reason
            waiting += 1
    return Decision(tuple(admitted), held)


class _Places:
    def __init__(self, under_way: Sequence[WorkflowRun], limits: RunLimits) -> None:
        self._limits = limits
        self._taken = 0
        self._projects: Counter[str] = Counter()
        self._templates: Counter[str] = Counter()
        self._flights: dict[str, str] = {}
        for run in under_way:
            self.take(run)

    def take(self, run: WorkflowRun) -> None:
        self._taken += 1
        key = run.flight or (flight_of(run) if self._limits.keeps_results else None)
        if key is not None:
            self._flights.setdefault(key, run.id)
        self._projects[run.project_id] += 1
        if run.template_id is not None:
            self._templates[run.template_id] += 1

    def why_not(self, run: WorkflowRun, position: int) -> Reason | None:
        return self._equal_run(run) or self._project_limit(run) or self._template_limit(run) or self._no_place(position)

    def _equal_run(self, run: WorkflowRun) -> Reason | None:
        other = self._flights.get(flight_of(run) or "")
        if other is None or other == run.id:
            return None
        return Reason(
            code=EQUAL_RUN,
            text=f"Waits for the result of run {other}, which is equal.",
            details={"run": other},
        )

    def _project_limit(self, run: WorkflowRun) -> Reason | None:
        limit = self._limits.per_project
        if limit is None or self._projects[run.project_id] < limit:
            return None
        return Reason(
            code="project_limit",
            text=f"Waits for another run of its project to end: at most {limit} run at once.",
            details={"limit": limit, "setting": "project_parallelism"},
        )

    def _template_limit(self, run: WorkflowRun) -> Reason | None:
        limit = self._limits.per_template.get(run.template_id or "")
        if limit is None or self._templates[run.template_id or ""] < limit:
            return None
        return Reason(
            code="template_limit",
            text=f"Waits for another run of template {run.template_id} to end: at most {limit} run at once.",
            details={"limit": limit, "template": run.template_id, "setting": "template_parallelism"},
        )

    def _no_place(self, position: int) -> Reason | None:
        if self._taken < self._limits.places:
            return None
        if self._limits.places == 0:
            return Reason(
                code="no_worker",
                text="Waits for a worker: none is running. To see why: task-manager worker run.",
                details={"position": position},
            )
        return Reason(
            code="waiting_for_place",
            text=f"Waits for a free place: {self._limits.places} run at once; position {position} in the queue.",
            details={"position": position, "places": self._limits.places},
        )


def _not_before(run: WorkflowRun, now: datetime) -> Reason | None:
    if run.status is not WorkflowStatus.RETRYING or run.due_at is None or run.due_at <= now:
        return None
    seconds = (run.due_at - now).total_seconds()
    return Reason(
        code="waiting_for_retry",
        text=f"Attempt {run.attempt} starts in {seconds:.1f} s.",
        details={"attempt": run.attempt, "due_at": run.due_at.isoformat()},
    )


def _paused(run: WorkflowRun, paused: frozenset[str]) -> Reason | None:
    if run.project_id not in paused:
        return None
    return Reason(
        code="project_paused",
        text="Waits because its project is paused: task-manager project resume PROJECT.",
        details={"project": run.project_id},
    )

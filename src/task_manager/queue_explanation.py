"""What a run waits for, in words and facts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Final

from task_manager.admission import DEAD_AFTER_SECONDS, RunLimits, decide, rank, run_limits
from task_manager.config import Settings
from task_manager.models import WorkflowRun
from task_manager.store import Connection, Store, queue, read_only, runs, tasks, workers
from task_manager.workflow_status import Reason, WorkflowStatus

_FOR_A_PLACE: Final = ("waiting_for_place", "no_worker")


@dataclass(frozen=True)
class Upstream:
    """A run that another one waits for."""

    run_id: str
    task: str
    status: WorkflowStatus


@dataclass(frozen=True)
class Wait:
    """What a run waits for.

    Attributes:
        reason: Why it does not go on; none where nothing holds it up.
        upstream: The runs that it waits for which are not over.
        position: Its place among the runs that could start, from 1; none for any other.
        seconds: An estimate until it starts; none where there is nothing to go by.
    """

    run: WorkflowRun
    reason: Reason | None
    upstream: tuple[Upstream, ...] = ()
    position: int | None = None
    seconds: float | None = None


async def explain_wait(store: Store, settings: Settings, run_id: str, *, now: datetime) -> Wait:
    """Say what a run waits for, as of now.

    Raises:
        NotFound: There is no such run.
    """
    return await store.run(_explain_one, settings, run_id, now)


async def explain_queue(
    store: Store, settings: Settings, *, project_id: str | None, limit: int | None, now: datetime
) -> tuple[Wait, ...]:
    """Say what the runs wait for that are not over, in the order in which they start.

    Args:
        store: Where they are.
        settings: The limits.
        project_id: Of this project alone.
        limit: How many at most; none: all.
        now: The time.
    """
    return await store.run(_explain_all, settings, project_id, limit, now)


class _Places:
    """Which runs the limits let start, found out when it is asked for."""

    def __init__(self, c: Connection, settings: Settings, now: datetime) -> None:
        self._c = c
        self._settings = settings
        self._now = now

    @cached_property
    def held(self) -> dict[str, Reason]:
        """Why runs do not start, by their ids."""
        return dict(decide(queue.load(self._c), self._limits, self._now).held)

    @cached_property
    def ahead(self) -> list[str]:
        """The runs that only wait for a place, in their order."""
        return [held for held, why in self.held.items() if why.code in _FOR_A_PLACE]

    def seconds(self, position: int) -> float | None:
        """An estimate until the run at this position starts."""
        usual, places = runs.usual_seconds(self._c), self._limits.places
        return position * usual / places if usual is not None and places else None

    @cached_property
    def _limits(self) -> RunLimits:
        return run_limits(self._settings, workers.all_(self._c), self._now, DEAD_AFTER_SECONDS)


@read_only
def _explain_one(c: Connection, settings: Settings, run_id: str, now: datetime) -> Wait:
    return _explain(c, runs.get(c, run_id), _Places(c, settings, now))


@read_only
def _explain_all(
    c: Connection, settings: Settings, project_id: str | None, limit: int | None, now: datetime
) -> tuple[Wait, ...]:
    active = runs.active(c, project_id=project_id)
    ordered = sorted(active, key=lambda run: (run.started_at is None, rank(run.priority), run.id))
    places = _Places(c, settings, now)
    return tuple(_explain(c, run, places) for run in ordered[:limit])


def _explain(c: Connection, run: WorkflowRun, places: _Places) -> Wait:
    if run.status is WorkflowStatus.WAITING:
        return _waiting(c, run)
    if run.status not in (WorkflowStatus.QUEUED, WorkflowStatus.RETRYING):
        return Wait(run, None)
    starting = Reason(code="starting", text="A worker is about to take it.")
    reason = starting if run.dispatched >= run.attempt else places.held.get(run.id) or starting
    if reason.code not in _FOR_A_PLACE:
        return Wait(run, reason)
    position = places.ahead.index(run.id) + 1
    return Wait(run, reason, position=position, seconds=places.seconds(position))


def _waiting(c: Connection, run: WorkflowRun) -> Wait:
    open_runs = [other for other in runs.upstream(c, run.id) if not other.status.is_terminal]
    upstream = tuple(Upstream(other.id, tasks.get(c, other.task_id).title, other.status) for other in open_runs)
    names = ", ".join(f"{other.task!r} ({other.status})" for other in upstream)
    text = f"Waits for {names}." if names else "All that it waited for is over; it is about to be queued."
    return Wait(run, Reason(code="waiting_for_dependencies", text=text), upstream)

"""What a run waits for, in words and facts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from task_manager.admission import DEAD_AFTER_SECONDS, decide, run_limits
from task_manager.config import Settings
from task_manager.models import WorkflowRun
from task_manager.store import Connection, Store, queue, read_only, runs, tasks, workers
from task_manager.workflow_status import Reason, WorkflowStatus


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
    return await store.run(_explain, settings, run_id, now)


@read_only
def _explain(c: Connection, settings: Settings, run_id: str, now: datetime) -> Wait:
    run = runs.get(c, run_id)
    if run.status is WorkflowStatus.WAITING:
        return _waiting(c, run)
    if run.status not in (WorkflowStatus.QUEUED, WorkflowStatus.RETRYING):
        return Wait(run, None)
    if run.dispatched >= run.attempt:
        return Wait(run, Reason(code="starting", text="A worker is about to take it."))
    limits = run_limits(settings, workers.all_(c), now, DEAD_AFTER_SECONDS)
    waiting = queue.load(c)
    decision = decide(waiting, limits, now)
    reason = decision.held.get(run.id) or Reason(code="starting", text="A worker is about to take it.")
    if reason.code not in ("waiting_for_place", "no_worker"):
        return Wait(run, reason)
    ahead = [held for held, why in decision.held.items() if why.code in ("waiting_for_place", "no_worker")]
    position = ahead.index(run.id) + 1
    return Wait(run, reason, position=position, seconds=_estimate(c, position, limits.places))


def _estimate(c: Connection, position: int, places: int) -> float | None:
    usual = runs.usual_seconds(c)
    return position * usual / places if usual is not None and places else None


def _waiting(c: Connection, run: WorkflowRun) -> Wait:
    open_runs = [other for other in runs.upstream(c, run.id) if not other.status.is_terminal]
    upstream = tuple(Upstream(other.id, tasks.get(c, other.task_id).title, other.status) for other in open_runs)
    names = ", ".join(f"{other.task!r} ({other.status})" for other in upstream)
    text = f"Waits for {names}." if names else "All that it waited for is over; it is about to be queued."
    return Wait(run, Reason(code="waiting_for_dependencies", text=text), upstream)

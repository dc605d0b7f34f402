"""Questions that people and other systems have about runs: `RunQueries`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from task_manager.errors import InvalidInput
from task_manager.models import Event, WorkflowRun, utc_now
from task_manager.run_diagnosis import events_of_run, failure_of_run
from task_manager.run_statistics import Progress, RunStatistics, RunTrends
from task_manager.store import Page, Store, events, overviews, run_queries, run_trends, runs
from task_manager.store.overviews import RunOverview, TaskOverview
from task_manager.store.paging import DEFAULT_LIMIT, MAX_LIMIT
from task_manager.store.run_queries import ALL, RunFilter
from task_manager.workflow_status import WorkflowStatus

__all__ = ["RunOverview", "RunQueries", "TaskOverview"]

MOST_FAILURES: Final = 100
"""How many failures are looked at to tell their classes, at most; of each, its steps and events are read."""

_FAILED: Final = frozenset({WorkflowStatus.FAILED, WorkflowStatus.TIMED_OUT, WorkflowStatus.LOST})


@dataclass(frozen=True)
class FailureCounts:
    """How many failures there are of each class.

    Attributes:
        runs: How many failures were looked at: all, or the newest.
        by_class: By the value of `FailureClass`, the most frequent first.
    """

    runs: int
    by_class: dict[str, int]


class RunQueries:
    """Answers from the store; nothing is changed.

    Args:
        store: Where the runs are.
        clock: The time, in UTC.
    """

    def __init__(self, store: Store, clock: Callable[[], datetime] = utc_now) -> None:
        self._store = store
        self._clock = clock

    async def get(self, run_id: str) -> WorkflowRun:
        """The run of that id.

        Raises:
            NotFound: There is none.
        """
        return await self._store.run(runs.get, run_id)

    async def list(
        self, where: RunFilter = ALL, *, limit: int = DEFAULT_LIMIT, cursor: str | None = None
    ) -> Page[WorkflowRun]:
        """A page of runs, newest first.

        Args:
            where: Which runs.
            limit: How many at most.
            cursor: The `next_cursor` of the page before.

        Raises:
            InvalidInput: The limit or the cursor cannot be used.
        """
        return await self._store.run(run_queries.list_, where, limit=limit, cursor=cursor)

    async def events(self, run_id: str, *, after: int = 0, limit: int = MAX_LIMIT) -> tuple[Event, ...]:
        """What happened to a run, in order.

        Args:
            run_id: The run.
            after: The last sequence number that the reader has; 0 for the beginning.
            limit: How many events at most.

        Raises:
            InvalidInput: A number cannot be used.
            NotFound: There is no such run.
        """
        if after < 0:
            raise InvalidInput(f"A sequence number is 0 or more, not {after}.")
        run = await self.get(run_id)
        return await self._store.run(events.after, after, run_id=run.id, limit=limit)

    async def count_by_status(self, where: RunFilter = ALL) -> dict[WorkflowStatus, int]:
        """How many runs are in each status; 0 for statuses without any."""
        return await self._store.run(run_queries.count_by_status, where)

    async def statistics(self, where: RunFilter = ALL) -> RunStatistics:
        """How runs went: by status, durations, success rate, steps from earlier runs; by template and workflow type."""
        return await self._store.run(run_queries.statistics, where)

    async def overview(self, run_id: str) -> RunOverview:
        """How a run is: with its steps, its progress and its result, as of one moment.

        Raises:
            NotFound: There is no such run.
        """
        return await self._store.run(overviews.of_run, run_id, self._clock())

    async def task_overview(self, id_or_title: str) -> TaskOverview:
        """How a task is: with its current workflow and its latest run, as of one moment.

        Raises:
            NotFound: There is no such task.
        """
        return await self._store.run(overviews.of_task, id_or_title, self._clock())

    async def trends(self, moments: Sequence[datetime], where: RunFilter = ALL) -> RunTrends:
        """How runs went, from each moment until the next.

        Args:
            moments: At least two, ascending: runs that were made from the first until before the last are looked at.
            where: Which; its times are not looked at.

        Raises:
            InvalidInput: The moments are too few, have no time zone, or do not ascend.
        """
        return await self._store.run(run_trends.trends, moments, where)

    async def failures(self, where: RunFilter = ALL) -> FailureCounts:
        """Of which classes the newest failures are.

        Args:
            where: Which runs; its statuses are not looked at.
        """
        failed = replace(where, statuses=_FAILED)
        newest = (await self.list(failed, limit=MOST_FAILURES)).items
        found = [await failure_of_run(self._store, run, await events_of_run(self._store, run.id)) for run in newest]
        classes = Counter(one.classification.failure_class.value for one in found if one)
        return FailureCounts(sum(classes.values()), dict(classes.most_common()))

    async def progress(self, run_id: str) -> Progress:
        """How far a run is, and an estimate of what remains, from the last successful runs of its workflow.

        Raises:
            NotFound: There is no such run.
        """
        return await self._store.run(run_queries.progress, run_id, self._clock())

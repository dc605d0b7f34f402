"""Following runs: what they are doing, read from the event log."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass

from task_manager.models import Event, StepRecord, WorkflowRun, utc_now
from task_manager.run_statistics import Progress
from task_manager.store import Store, events, run_queries, runs, steps


@dataclass(frozen=True)
class RunView:
    """A run as it was last read.

    Attributes:
        title: Its task's title.
        progress: How far it was; none before it was read.
    """

    title: str
    run: WorkflowRun
    steps: tuple[StepRecord, ...] = ()
    progress: Progress | None = None


class Follower:
    """Reads what happens to some runs of one project, from the first of their events on.

    Attributes:
        views: Each run's latest view, by id, in the order in which the runs were given.
    """

    def __init__(self, store: Store, started: Sequence[WorkflowRun], titles: Mapping[str, str]) -> None:
        """Follow runs.

        Args:
            store: Where they are.
            started: The runs, all of one project.
            titles: The titles of their tasks, by the tasks' ids.
        """
        self._store = store
        self._project_id = started[0].project_id
        self.views = {run.id: RunView(titles[run.task_id], run) for run in started}

    @property
    def unfinished(self) -> tuple[WorkflowRun, ...]:
        """The runs that are not over."""
        return tuple(view.run for view in self.views.values() if not view.run.status.is_terminal)

    async def changes(self) -> AsyncGenerator[tuple[Event, ...]]:
        """The runs' events as they happen, in order, until all runs are over; the views are up to date each time."""
        after = await self._before_first()
        if after is None and not self.unfinished:  # their events were removed
            return
        async with contextlib.aclosing(self._store.feed.pages(after=after or 0, project_id=self._project_id)) as pages:
            async for page in pages:
                ours = tuple(event for event in page if event.run_id in self.views)
                for run_id in {event.run_id for event in ours}:
                    await self._refresh(run_id)
                yield ours
                if not self.unfinished:
                    return

    async def _before_first(self) -> int | None:
        firsts = [await self._store.run(events.after, 0, run_id=run_id, limit=1) for run_id in self.views]
        return min((first[0].sequence - 1 for first in firsts if first), default=None)

    async def _refresh(self, run_id: str) -> None:
        run = await self._store.run(runs.get, run_id)
        records = await self._store.run(steps.of_run, run_id)
        progress = await self._store.run(run_queries.progress, run_id, utc_now())
        self.views[run_id] = RunView(self.views[run_id].title, run, tuple(records), progress)

"""The table of runs: filters, ticks, and what is done to several runs at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from task_manager.dashboard.page import Dashboard, Page
from task_manager.dashboard.tree_element import Act
from task_manager.dashboard.views import runs
from task_manager.errors import TaskManagerError
from task_manager.models import TokenScope, WorkflowRun
from task_manager.results.wording import counted


def add_pages(dashboard: Dashboard) -> None:
    """Add the page."""

    @dashboard.page("/runs", "Runs", place="runs")
    async def show(page: Page) -> None:
        await _Runs(page).show()


@dataclass(frozen=True)
class _View:
    """What a visitor looks at.

    Attributes:
        query: What the address asks for.
        chosen: The ids of the runs that are ticked.
        may_run: Whether the visitor may cancel and repeat runs.
    """

    query: runs.RunsQuery
    chosen: frozenset[str]
    may_run: bool


class _Runs:
    """The page of one visitor: what it asks for, and what is ticked."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._query = runs.RunsQuery.of(page.query)
        self._chosen: set[str] = set()

    async def show(self) -> None:
        await self._page.shared_section(
            self._view,
            self._load,
            lambda facts, view: runs.draw(facts, view.chosen, may_run=view.may_run),
            does={
                "filter": self._filter,
                "choose": self._choose,
                "choose-none": self._choose_none,
                "cancel": self._cancel,
                "retry": self._retry,
            },
        )

    def _view(self) -> _View:
        return _View(self._query, frozenset(self._chosen), self._page.visitor.may_run)

    async def _load(self, view: _View) -> runs.RunsTable:
        query, application = view.query, self._page.application
        return await self._page.dashboard.live.shared(query, lambda: runs.load(application, query))

    async def _filter(self, act: Act) -> None:
        self._query = runs.RunsQuery.of(act.fields)
        self._page.set_address(self._query.address)

    async def _choose(self, act: Act) -> None:
        named = {str(one) for one in act.data.get("runs", ())}
        self._chosen = self._chosen | named if act.value else self._chosen - named

    async def _choose_none(self, _act: Act) -> None:
        self._chosen.clear()

    async def _cancel(self, act: Act) -> None:
        self._page.require(TokenScope.RUN)
        workflows = await self._page.application.workflows()
        actor = self._page.visitor.actor
        await self._each(act, "cancelled", lambda run_id: workflows.cancel_run(run_id, actor=actor))

    async def _retry(self, act: Act) -> None:
        self._page.require(TokenScope.RUN)
        workflows = await self._page.application.workflows()
        actor = self._page.visitor.actor
        await self._each(act, "started again", lambda run_id: workflows.rerun(run_id, actor=actor))

    async def _each(self, act: Act, done: str, do: Callable[[str], Awaitable[WorkflowRun]]) -> None:
        ids = [str(one) for one in act.data.get("runs", ())]
        self._chosen.clear()
        outcomes = await asyncio.gather(*map(do, ids), return_exceptions=True)
        failures = [one for one in outcomes if isinstance(one, BaseException)]
        for failure in failures:
            if not isinstance(failure, TaskManagerError):
                raise failure
        if len(failures) < len(ids):
            self._page.tell(f"{counted(len(ids) - len(failures), 'run')} {done}.")
        if failures:
            self._page.tell(f"{counted(len(failures), 'run')} not: {failures[0]}", good=False)

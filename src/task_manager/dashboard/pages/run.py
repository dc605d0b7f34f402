"""A run's page: what its buttons do, which of its parts is shown."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urlencode

from nicegui import context, ui

from task_manager.dashboard.live import Batch
from task_manager.dashboard.log_element import Log
from task_manager.dashboard.log_reader import LogReader
from task_manager.dashboard.page import Dashboard, Page, Section
from task_manager.dashboard.pages.artifact_previews import preview
from task_manager.dashboard.tree_element import Act
from task_manager.dashboard.views import run, run_log, run_result
from task_manager.dashboard.views.tree import Node
from task_manager.errors import NotFound
from task_manager.models import TokenScope


def add_pages(dashboard: Dashboard) -> None:
    """Add the page."""

    @dashboard.page("/runs/{run_id}", "Run", place="runs")
    async def show(page: Page) -> None:
        await _Run(page).show()


class _Run:
    """The page of one visitor."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._run_id = page.path["run_id"]
        tab = page.query.get("tab", "")
        self._tab = tab if tab in run.TABS else ""
        self._step = page.query.get("step", "")
        self._choice = run_log.LogChoice()
        self._following = True
        self._previews: dict[str, Node] = {}
        self._facts: run.RunFacts | None = None
        self._sections: list[Section] = []

    async def show(self) -> None:
        if not await self._is_there():
            return
        does = {
            "cancel": self._cancel,
            "rerun": self._rerun,
            "start": self._start,
            "step": self._choose_step,
            "tab": self._choose_tab,
            "stream": self._choose_stream,
            "search": self._search,
            "follow": self._follow,
            "preview": self._preview,
        }
        await self._add(self._load_head, lambda of: run.head(of, may_run=self._page.visitor.may_run), does)
        await self._add(self._load, self._draw_steps, does)
        with ui.element("section").classes("card").props('aria-label="Parts of the run"'):
            await self._add(self._load, lambda of: [run.tabs(self._tab, of)], does)
            with ui.element("div").props('id=run-part role=tabpanel aria-label="Part of the run"'):
                await self._add(self._load_part, lambda nodes: nodes, does)
                self._log = Log("Log of the step", self._heard_following)
        self._reader = LogReader(
            self._page.application.logs, self._run_id, self._log, self._is_step_over, self._tell_error
        )
        context.client.on_delete(self._reader.stop)
        self._log.set_visibility(self._tab == "log" and bool(self._choice.step))
        self._page.when_connected(lambda: self._reader.show(self._choice))

    async def _is_there(self) -> bool:
        """Whether there is such a run; if not, the page says so."""
        try:
            await self._load()
        except NotFound:
            await self._page.section(self._load, lambda _: [])
            return False
        return True

    async def _add(self, load: object, draw: object, does: object) -> None:
        concerns = self._concerns if self._sections else self._concerns_head
        self._sections.append(
            await self._page.section(load, draw, concerns=concerns, does=does)  # type: ignore[arg-type]
        )

    def _concerns_head(self, batch: Batch) -> bool:
        """Whether something happened to the run, or it may have been removed, which no event tells."""
        return self._run_id in batch.runs or not batch.runs

    def _concerns(self, batch: Batch) -> bool:
        """Whether something happened to the run, or its estimate has aged."""
        return self._run_id in batch.runs or not (batch.runs or (self._facts and self._facts.is_over))

    async def _load(self) -> run.RunFacts:
        application = self._page.application
        live = self._page.dashboard.live
        facts = await live.shared(("run", self._run_id), lambda: run.load(application, self._run_id))
        self._facts = facts
        if not self._tab:
            self._tab = "result" if facts.is_over and facts.state.diagnosis is None and facts.result else "log"
        self._choose_first_log(facts)
        return facts

    async def _load_head(self) -> run.RunFacts:
        try:
            return await self._load()
        except NotFound:
            self._page.go(f"/runs/{self._run_id}")  # Every part of the page was about it.
            raise

    def _choose_first_log(self, facts: run.RunFacts) -> None:
        """Show the log of the step that was chosen, else of the one that is of most interest now."""
        wanted = run_log.first_choice(facts.state.steps, self._step)
        if wanted.step != self._choice.step:
            self._choice = wanted
            if hasattr(self, "_reader"):
                self._reader.show(wanted)
                self._log.set_visibility(self._tab == "log")

    def _is_step_over(self, step: str) -> bool:
        facts = self._facts
        if facts is None:
            return False
        of_step = [one for one in facts.state.steps if one.step_id == step]
        return facts.is_over or any(one.status.is_terminal for one in of_step)

    def _draw_steps(self, of: run.RunFacts) -> list[Node]:
        return run.steps(of, self._choice.step, may_run=self._page.visitor.may_run)

    async def _load_part(self) -> list[Node]:
        facts, application = await self._load(), self._page.application
        if self._tab == "log":
            bar = run_log.bar(self._run_id, facts.state.steps, self._choice, following=self._following)
            return bar if self._choice.step else run.no_log(facts)
        if self._tab == "events":
            return run.events(await application.runs.events(self._run_id))
        if self._tab == "cache":
            return run.cache(await application.cache.explain(self._run_id))
        return {
            "result": lambda: run_result.draw(facts.result),
            "artifacts": lambda: run_result.artifacts(self._run_id, facts.state.artifacts, self._previews),
            "inputs": lambda: run.inputs(facts),
        }[self._tab]()

    async def _refresh(self) -> None:
        query = {"tab": self._tab} | ({"step": self._step} if self._step else {})
        self._page.set_address(f"/runs/{self._run_id}?{urlencode(query)}")
        for section in self._sections:
            await section.begin()

    async def _choose_tab(self, act: Act) -> None:
        tab = str(act.data.get("tab"))
        self._tab = tab if tab in run.TABS else "log"
        self._log.set_visibility(self._tab == "log" and bool(self._choice.step))
        await self._refresh()
        if self._tab == "log":
            self._log.follow(self._following)

    async def _choose_step(self, act: Act) -> None:
        self._step = str(act.data.get("step") or act.value or "")
        self._tab = "log"
        facts = await self._load()
        self._log.set_visibility(bool(self._choice.step))
        self._show_log(run_log.first_choice(facts.state.steps, self._step))
        await self._refresh()

    async def _choose_stream(self, act: Act) -> None:
        stream = str(act.data.get("stream"))
        if stream in run_log.STREAMS:
            self._show_log(replace(self._choice, stream=stream))
        await self._refresh()

    async def _search(self, act: Act) -> None:
        self._show_log(replace(self._choice, pattern=str(act.value or "")[:1000]))

    def _show_log(self, choice: run_log.LogChoice) -> None:
        self._choice = choice
        self._reader.show(choice)

    async def _follow(self, _act: Act) -> None:
        self._following = not self._following
        self._log.follow(self._following)

    def _heard_following(self, on: bool) -> None:
        self._following = on

    async def _preview(self, act: Act) -> None:
        name = str(act.data.get("name"))
        if self._previews.pop(name, None) is None and self._facts is not None:
            self._previews[name] = await preview(self._page.application, self._facts.state.artifacts, name)

    def _tell_error(self, text: str) -> None:
        self._page.tell(text, good=False)

    async def _cancel(self, _act: Act) -> None:
        self._page.require(TokenScope.RUN)
        workflows = await self._page.application.workflows()
        await workflows.cancel_run(self._run_id, actor=self._page.visitor.actor)

    async def _rerun(self, act: Act) -> None:
        self._page.require(TokenScope.RUN)
        step = act.data.get("step")
        workflows = await self._page.application.workflows()
        again = await workflows.rerun(
            self._run_id, from_step=str(step) if step else None, actor=self._page.visitor.actor
        )
        self._page.go(f"/runs/{again.id}")

    async def _start(self, _act: Act) -> None:
        self._page.require(TokenScope.RUN)
        facts = await self._load()
        workflows = await self._page.application.workflows()
        started = await workflows.execute_task_workflow(facts.state.run.task_id, actor=self._page.visitor.actor)
        self._page.go(f"/runs/{started.id}")

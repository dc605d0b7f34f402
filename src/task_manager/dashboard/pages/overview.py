"""The overview's page."""

from __future__ import annotations

from task_manager.dashboard.engine_choice import describe_engine_choice
from task_manager.dashboard.page import Dashboard, Page
from task_manager.dashboard.views import overview


def add_pages(dashboard: Dashboard) -> None:
    """Add the page."""
    application = dashboard.application
    engine: list[str] = []

    async def load(_place: str) -> overview.Overview:
        if not engine:
            engine.append(await describe_engine_choice(application.settings))
        return await overview.load(application, engine[0])

    @dashboard.page("/", "Overview", place="overview")
    async def show(page: Page) -> None:
        await page.shared_section(lambda: "overview", load, lambda facts, _place: overview.draw(facts))

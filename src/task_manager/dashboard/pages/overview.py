"""The overview's page."""

from __future__ import annotations

from task_manager.communication.sessions import choose_engine
from task_manager.config import Settings
from task_manager.dashboard.page import Dashboard, Page
from task_manager.dashboard.views import overview
from task_manager.errors import TaskManagerError


def add_pages(dashboard: Dashboard) -> None:
    """Add the page."""
    application = dashboard.application
    engine: list[str] = []

    async def load() -> overview.Overview:
        if not engine:
            engine.append(await _engine(application.settings))
        return await overview.load(application, engine[0])

    @dashboard.page("/", "Overview", place="overview")
    async def show(page: Page) -> None:
        await page.section(load, overview.draw, key="overview")


async def _engine(settings: Settings) -> str:
    """Which engine executes, and why; it is found out once, because asking for Docker takes a while."""
    try:
        choice = await choose_engine(settings)
    except TaskManagerError as error:
        return f"No engine: {error.message}"
    return f"{choice.kind.value.capitalize()} engine: {choice.reason}"

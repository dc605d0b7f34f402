"""The page of statistics."""

from __future__ import annotations

from task_manager.dashboard.page import Dashboard, Page
from task_manager.dashboard.tree_element import Act
from task_manager.dashboard.views import statistics_page
from task_manager.dashboard.views.statistics_page import StatisticsView


def add_pages(dashboard: Dashboard) -> None:
    """Add the page."""

    @dashboard.page("/statistics", "Statistics", place="statistics")
    async def show(page: Page) -> None:
        view = StatisticsView.of_query(page.query)

        async def load(asked: StatisticsView) -> statistics_page.StatisticsFacts:
            return await statistics_page.load(page.application, asked)

        async def look(act: Act) -> None:
            nonlocal view
            asked = {"days": str(view.days), "project": view.project, "template": view.template}
            asked[str(act.data["field"])] = str(act.data.get("value", act.value or ""))
            view = StatisticsView.of_query(asked)
            page.set_address(f"/statistics{view.address}")

        await page.shared_section(lambda: view, load, statistics_page.draw, does={"look": look})

"""The page of settings and health."""

from __future__ import annotations

from datetime import timedelta

from task_manager.dashboard.engine_choice import describe_engine_choice
from task_manager.dashboard.page import Dashboard, Page
from task_manager.dashboard.tree_element import Act
from task_manager.dashboard.views import settings_page
from task_manager.dashboard.views.form_problems import problems_at_fields
from task_manager.dashboard.views.settings_page import Said, SettingsFacts
from task_manager.dashboard.views.tree import Node
from task_manager.errors import TaskManagerError
from task_manager.models import TokenScope


def add_pages(dashboard: Dashboard) -> None:
    """Add the page."""

    @dashboard.page("/settings", "Settings", place="settings")
    async def show(page: Page) -> None:
        await SettingsPage(page).show()


class SettingsPage:
    """The page, and what can be done on it.

    Args:
        page: The page.
    """

    def __init__(self, page: Page) -> None:
        self._page = page
        self._choice = ""
        self._said = Said()

    async def show(self) -> None:
        """Fill the page."""
        self._choice = await describe_engine_choice(self._page.application.settings)
        does = {
            "examine": self._examine,
            "create": self._create,
            "forget": self._forget,
            "revoke": self._revoke,
            "pause": self._pause,
            "resume": self._resume,
        }
        await self._page.section(self._load, self._draw, does=does)

    async def _load(self) -> SettingsFacts:
        may = self._page.visitor.may_remove
        return await settings_page.load(self._page.application, self._choice, with_tokens=may)

    def _draw(self, facts: SettingsFacts) -> list[Node]:
        return settings_page.draw(facts, self._said)

    async def _examine(self, _act: Act) -> None:
        from task_manager.engine_report import report_engine

        self._page.require(TokenScope.RUN)
        self._page.tell("The engine is asked; this takes a few seconds.")
        report = await report_engine(self._page.application.settings, thorough=True)
        self._said = Said(engine=report)

    async def _create(self, act: Act) -> None:
        self._page.require(TokenScope.ADMIN)
        self._said = Said(engine=self._said.engine)
        name, days = str(act.fields.get("name", "")), str(act.fields.get("days", "")).strip()
        try:
            lifetime = timedelta(days=float(days)) if days else None
            scope = TokenScope(str(act.fields.get("scope")))
        except (ValueError, OverflowError):
            self._said = Said(engine=self._said.engine, problems={"days": f"Expected a number of days, not {days!r}."})
            return
        try:
            token, secret = await self._page.application.access.create(name, scope, lifetime=lifetime)
        except TaskManagerError as error:
            self._said = Said(engine=self._said.engine, problems=problems_at_fields(error, ("name",)))
        else:
            self._said = Said(engine=self._said.engine, secret=(token.name, secret))

    async def _forget(self, _act: Act) -> None:
        self._said = Said(engine=self._said.engine)

    async def _revoke(self, act: Act) -> None:
        self._page.require(TokenScope.ADMIN)
        self._said = Said(engine=self._said.engine)
        token = await self._page.application.access.revoke(str(act.data["token"]))
        self._page.tell(f"Token {token.name} is refused from now on.")

    async def _pause(self, act: Act) -> None:
        self._page.require(TokenScope.RUN)
        schedule = await self._page.application.schedules.pause(str(act.data["schedule"]))
        self._page.tell(f"Schedule {schedule.name} is paused.")

    async def _resume(self, act: Act) -> None:
        self._page.require(TokenScope.RUN)
        schedule = await self._page.application.schedules.resume(str(act.data["schedule"]))
        self._page.tell(f"Schedule {schedule.name} goes on.")

"""The pages of templates."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode

from pydantic import JsonValue

from task_manager.dashboard.page import Dashboard, Page
from task_manager.dashboard.tree_element import Act
from task_manager.dashboard.views import template_list, template_page
from task_manager.dashboard.views.form_problems import problems_at_fields
from task_manager.dashboard.views.parameter_forms import problems_by_field, read_form, typed_in, without_defaults
from task_manager.dashboard.views.template_page import NEW, PREFIX, Said, Target, TemplateFacts
from task_manager.dashboard.views.tree import Node
from task_manager.errors import InvalidParameters, TaskManagerError
from task_manager.models import TokenScope


def add_pages(dashboard: Dashboard) -> None:
    """Add the pages."""

    @dashboard.page("/templates", "Templates", place="templates")
    async def catalog(page: Page) -> None:
        view = "templates", page.query.get("category", "")
        await page.shared_section(
            lambda: view,
            lambda _asked: template_list.load(page.application),
            lambda facts, asked: template_list.draw(facts, asked[1]),
        )

    @dashboard.page("/templates/{template_id}", "Template", place="templates")
    async def show(page: Page) -> None:
        await TemplatePage(page).show()


class TemplatePage:
    """A template's page, and what can be done on it.

    Args:
        page: The page.
    """

    def __init__(self, page: Page) -> None:
        self._page = page
        self._template_id = page.path["template_id"]
        self._version = page.query.get("version")
        asked = page.query.get("project")
        self._target = None if asked is None else Target(asked, page.query.get("task", NEW))
        self._facts: TemplateFacts | None = None
        self._said = Said()

    async def show(self) -> None:
        """Fill the page."""
        await self._page.section(self._load, self._draw, does={"start": self._start, "target": self._choose})

    async def _load(self) -> TemplateFacts:
        self._facts = await template_page.load(
            self._page.application,
            self._template_id,
            self._version,
            self._target,
            may_run=self._page.visitor.may_run,
        )
        return self._facts

    def _draw(self, facts: TemplateFacts) -> list[Node]:
        return template_page.draw(facts, self._said)

    async def _choose(self, act: Act) -> None:
        value = str(act.value or "")
        before = self._facts.target if self._facts else Target()
        self._target = Target(value) if act.data["field"] == "project" else Target(before.project, value)
        said = {"version": self._version, "project": self._target.project, "task": self._target.task}
        query = urlencode({name: one for name, one in said.items() if one})
        self._page.set_address(f"/templates/{self._template_id}?{query}")

    async def _start(self, act: Act) -> None:
        self._page.require(TokenScope.RUN)
        facts = self._facts
        if facts is None:
            return
        reading = read_form(facts.fields, typed_in(facts.fields, act.fields, PREFIX))
        self._said = Said(reading.problems)
        if reading.problems:
            return
        values = without_defaults(reading.values, facts.template.parameters)
        try:
            facts.template.resolve_parameters(values)
            run_id = await self._started(facts, values, act.fields)
        except InvalidParameters as error:
            self._said = Said(problems_by_field(error, facts.fields))
        except TaskManagerError as error:
            self._said = Said(target=problems_at_fields(error, ("name", "title", "source_folder")))
        else:
            self._page.go(f"/runs/{run_id}")

    async def _started(self, facts: TemplateFacts, values: Mapping[str, JsonValue], typed: Mapping[str, object]) -> str:
        """The id of the run of the template for the task that was chosen, or that is made."""
        service, target = self._page.application.tasks, facts.target
        workflows = await self._page.application.workflows()
        task_id = target.task
        if task_id == NEW:
            project_id = target.project
            if project_id == NEW:
                folder = str(typed.get("source_folder", "")).strip() or None
                made = await service.create_project(str(typed.get("project_name", "")), source_folder=folder)
                # From here on it is there, whatever becomes of the task.
                project_id, self._target = made.id, Target(made.id)
            title = str(typed.get("title", ""))
            task = await service.create_task(project_id, title, template_id=facts.template.id, inputs=values)
            task_id, self._target = task.id, Target(project_id, task.id)
        await workflows.create_workflow_from_template(task_id, facts.template.id, values)
        run = await workflows.execute_task_workflow(task_id, actor=self._page.visitor.actor)
        return run.id

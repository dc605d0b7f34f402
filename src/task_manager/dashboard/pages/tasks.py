"""The pages of tasks."""

from __future__ import annotations

from task_manager.dashboard.page import Dashboard, Page
from task_manager.dashboard.pages.task_editor import TaskEditor
from task_manager.dashboard.tree_element import Act
from task_manager.dashboard.views import task_page
from task_manager.dashboard.views.form_problems import problems_at_fields
from task_manager.dashboard.views.parameter_forms import changed_values, problems_by_field, read_form, typed_in
from task_manager.dashboard.views.task_page import PREFIX, Starting, TaskFacts
from task_manager.dashboard.views.tree import Node
from task_manager.errors import InvalidParameters, TaskManagerError
from task_manager.models import TokenScope


def add_pages(dashboard: Dashboard) -> None:
    """Add the pages."""

    @dashboard.page("/projects/{project_id}/tasks/new", "New task", place="projects")
    async def new(page: Page) -> None:
        await TaskEditor(page, None).show()

    @dashboard.page("/tasks/{task_id}/edit", "Edit task", place="projects")
    async def edit(page: Page) -> None:
        await TaskEditor(page, page.path["task_id"]).show()

    @dashboard.page("/tasks/{task_id}", "Task", place="projects")
    async def show(page: Page) -> None:
        await TaskPage(page).show()


class TaskPage:
    """A task's page, and what can be done on it.

    Args:
        page: The page.
    """

    def __init__(self, page: Page) -> None:
        self._page = page
        self._task_id = page.path["task_id"]
        self._facts: TaskFacts | None = None
        self._starting = Starting()

    async def show(self) -> None:
        """Fill the page."""
        await self._page.section(
            self._load,
            self._draw,
            concerns=lambda batch: (
                not batch.projects or self._facts is None or self._facts.project.id in batch.projects
            ),
            does={"status": self._set_status, "start": self._start},
        )

    async def _load(self) -> TaskFacts:
        application, visitor = self._page.application, self._page.visitor
        self._facts = await self._page.dashboard.live.shared(
            ("task", self._task_id, visitor.may_run, visitor.may_remove),
            lambda: task_page.load(application, self._task_id, may_run=visitor.may_run, may_remove=visitor.may_remove),
        )
        return self._facts

    def _draw(self, facts: TaskFacts) -> list[Node]:
        return task_page.draw(facts, self._starting)

    async def _set_status(self, act: Act) -> None:
        self._page.require(TokenScope.RUN)
        service = self._page.application.tasks
        await service.update_task(self._task_id, {"status": str(act.value)}, int(act.data["revision"]))

    async def _start(self, act: Act) -> None:
        self._page.require(TokenScope.RUN)
        if self._facts is None:
            return
        fields, template = self._facts.fields, self._facts.template
        typed = typed_in(fields, act.fields, PREFIX)
        reading = read_form(fields, typed)
        self._starting = Starting(reading.problems)
        if reading.problems:
            return
        changed = changed_values(fields, typed, reading.values, template.parameters) if template else {}
        workflows = await self._page.application.workflows()
        try:
            run = await workflows.execute_task_workflow(
                self._facts.task.id,
                workflow_params=changed or None,
                skip_cache="skip_cache" in act.fields,
                actor=self._page.visitor.actor,
            )
        except InvalidParameters as error:
            self._starting = Starting(problems_by_field(error, fields))
        except TaskManagerError as error:
            self._starting = Starting(problems_at_fields(error, ()))
        else:
            self._page.tell(f"Run {run.id} started.")

"""The form that makes or changes a task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from task_manager.dashboard.page import Page
from task_manager.dashboard.tree_element import Act
from task_manager.dashboard.views import form_banners, task_form
from task_manager.dashboard.views.form_problems import changed_meanwhile, problems_at_fields
from task_manager.dashboard.views.parameter_forms import problems_by_field
from task_manager.dashboard.views.task_form import LABELS, TaskForm
from task_manager.dashboard.views.tree import Node
from task_manager.errors import Conflict, InvalidParameters, TaskManagerError
from task_manager.models import Task, TokenScope


@dataclass(frozen=True)
class _Said:
    """What the form says beside its fields."""

    problems: Mapping[str, str] = field(default_factory=dict)
    parameter_problems: Mapping[str, str] = field(default_factory=dict)
    note: Node | None = None


class TaskEditor:
    """The form; what was typed stays whatever happens.

    Args:
        page: The page; its path names the project of a new task.
        task_id: What is changed, by id; none: a new one is made.
    """

    def __init__(self, page: Page, task_id: str | None) -> None:
        self._page = page
        self._task_id = task_id
        self._seen: Task | None = None
        self._template_id: str | None = page.query.get("template") if task_id is None else None
        self._said = _Said()

    async def show(self) -> None:
        """Fill the page."""
        does = {"save": self._save, "remove": self._remove, "template": self._choose}
        await self._page.section(self._load, self._draw, concerns=lambda _batch: False, does=does)

    async def _load(self) -> TaskForm:
        application = self._page.application
        service = application.tasks
        if self._seen is None and self._task_id is not None:
            self._seen = await service.get_task(self._task_id)
        if self._template_id is None:
            self._template_id = task_form.chosen_template(self._seen)
        project = await service.get_project(self._seen.project_id if self._seen else self._page.path["project_id"])
        tasks = (await service.list_tasks(project.id, limit=500)).items
        return TaskForm(
            project=project,
            task=self._seen,
            phases=(await service.list_phases(project.id, limit=500)).items,
            others=[task for task in tasks if self._seen is None or task.id != self._seen.id],
            templates=application.templates.list(),
            template_id=self._template_id,
            problems=self._said.problems,
            parameter_problems=self._said.parameter_problems,
            note=self._said.note,
            may_remove=self._page.visitor.may_remove,
        )

    def _draw(self, page: TaskForm) -> list[Node]:
        return task_form.draw(page, self._seen.revision if self._seen else 0)

    async def _choose(self, act: Act) -> None:
        self._template_id = str(act.value)
        self._said = _Said()

    async def _save(self, act: Act) -> None:
        self._said = _Said()
        try:
            self._page.require(TokenScope.RUN)
            task = await self._stored(act)
        except Conflict:
            await self._tell_conflict()
        except InvalidParameters as error:
            page = await self._load()
            self._said = _Said(parameter_problems=problems_by_field(error, page.parameters))
        except TaskManagerError as error:
            self._said = _Said(problems_at_fields(error, LABELS))
        else:
            if task is not None:
                self._page.go(f"/tasks/{task.id}")

    async def _stored(self, act: Act) -> Task | None:
        """The task as it is stored now; None when something typed cannot be read."""
        page = await self._load()
        values, reading = task_form.changes(page, act.fields)
        if reading.problems:
            self._said = _Said(reading.problems, reading.problems)
            return None
        if page.template is not None and not self._keeps_inputs(values):
            page.template.resolve_parameters(reading.values)
        service = self._page.application.tasks
        if self._seen is None:
            title = str(values.pop("title"))
            return await service.create_task(page.project.id, title, **values)  # type: ignore[arg-type]  # it checks
        return await service.update_task(self._seen.id, values, int(act.data["revision"]))

    def _keeps_inputs(self, values: Mapping[str, object]) -> bool:
        """Whether template and inputs stay as they are: then others have to answer for them."""
        seen = self._seen
        return seen is not None and (seen.template_id, seen.inputs) == (values["template_id"], values["inputs"])

    async def _tell_conflict(self) -> None:
        if self._seen is None:
            return
        before, self._seen = self._seen, await self._page.application.tasks.get_task(self._seen.id)
        changed = changed_meanwhile(before, self._seen, LABELS)
        self._said = _Said(note=form_banners.conflict(changed, LABELS, f"/tasks/{self._seen.id}/edit"))

    async def _remove(self, act: Act) -> None:
        self._page.require(TokenScope.ADMIN)
        if self._seen is not None:
            await self._page.application.tasks.delete_task(self._seen.id, expected_revision=int(act.data["revision"]))
            self._page.go(f"/projects/{self._seen.project_id}")

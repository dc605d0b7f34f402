"""The pages of projects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from task_manager.dashboard.page import Dashboard, Page
from task_manager.dashboard.tree_element import Act
from task_manager.dashboard.views import form_banners, project_form, project_list, project_page
from task_manager.dashboard.views.form_problems import changed_meanwhile, problems_at_fields
from task_manager.dashboard.views.project_page import ProjectView, Shape
from task_manager.dashboard.views.tree import Node
from task_manager.errors import Conflict, TaskManagerError
from task_manager.models import Project, TokenScope
from task_manager.results.wording import counted


def add_pages(dashboard: Dashboard) -> None:
    """Add the pages."""
    _add_list(dashboard)
    _add_forms(dashboard)

    @dashboard.page("/projects/{project_id}", "Project", place="projects")
    async def show(page: Page) -> None:
        await ProjectBoard(page).show()


def _add_list(dashboard: Dashboard) -> None:
    @dashboard.page("/projects", "Projects", place="projects")
    async def show(page: Page) -> None:
        view = "projects", page.query.get("after")
        await page.shared_section(
            lambda: view,
            lambda asked: project_list.load(page.application, asked[1]),
            lambda facts, _asked: project_list.draw(facts),
        )


def _add_forms(dashboard: Dashboard) -> None:
    @dashboard.page("/projects/new", "New project", place="projects")
    async def new(page: Page) -> None:
        await ProjectEditor(page, None).show()

    @dashboard.page("/projects/{project_id}/edit", "Edit project", place="projects")
    async def edit(page: Page) -> None:
        await ProjectEditor(page, page.path["project_id"]).show()


class ProjectBoard:
    """A project's page, and what can be done on it.

    Args:
        page: The page.
    """

    def __init__(self, page: Page) -> None:
        self._page = page
        self._project_id = page.path["project_id"]
        self._view = ProjectView.of_query(page.query)

    async def show(self) -> None:
        """Fill the page."""
        tasks = {"moved": self._moved, "dropped": self._dropped, "run": self._run_task}
        project = {"run_all": self._run_all, "pause": self._pause, "resume": self._resume, "cancel": self._cancel}
        phases = {"add_phase": self._add_phase, "rename_phase": self._rename_phase, "move_phase": self._move_phase}
        await self._page.section(
            self._load,
            self._draw,
            concerns=lambda batch: not batch.projects or self._project_id in batch.projects,
            does={
                "show": self._show,
                "filter": self._filter,
                **tasks,
                **project,
                **phases,
                "remove_phase": self._remove_phase,
                "run_phase": self._run_phase,
            },
        )

    async def _load(self) -> project_page.ProjectFacts:
        application, visitor, project_id = self._page.application, self._page.visitor, self._project_id
        facts = await self._page.dashboard.live.shared(
            ("project", project_id, visitor.may_run, visitor.may_remove),
            lambda: project_page.load(application, project_id, may_run=visitor.may_run, may_remove=visitor.may_remove),
        )
        self._project_id = facts.project.id
        return facts

    def _draw(self, facts: project_page.ProjectFacts) -> list[Node]:
        return project_page.draw(facts, self._view)

    def _look(self, view: ProjectView) -> None:
        self._view = view
        self._page.set_address(f"/projects/{self._project_id}{view.address.rstrip('?')}")

    async def _show(self, act: Act) -> None:
        self._look(replace(self._view, shape=Shape(act.data["shape"])))

    async def _filter(self, act: Act) -> None:
        field_name = str(act.data["field"])
        asked = {"phase": self._view.phase, "status": self._view.status, "q": self._view.text}
        asked["q" if field_name == "text" else field_name] = str(act.value or "")
        self._look(ProjectView.of_query({**asked, "view": self._view.shape.value}))

    async def _moved(self, act: Act) -> None:
        await self._set_status(str(act.data["task"]), str(act.value))

    async def _dropped(self, act: Act) -> None:
        await self._set_status(str(act.value), str(act.data["status"]))

    async def _set_status(self, task_id: str, status: str) -> None:
        self._page.require(TokenScope.RUN)
        tasks = self._page.application.tasks
        task = await tasks.get_task(task_id, self._project_id)
        if task.status.value != status:
            await tasks.update_task(task.id, {"status": status}, task.revision)

    async def _run_task(self, act: Act) -> None:
        self._page.require(TokenScope.RUN)
        workflows = await self._page.application.workflows()
        await workflows.execute_task_workflow(str(act.data["task"]), actor=self._page.visitor.actor)

    async def _run_all(self, _act: Act) -> None:
        await self._run(self._view.phase or None)

    async def _run_phase(self, act: Act) -> None:
        await self._run(str(act.data["phase"]))

    async def _run(self, phase_id: str | None) -> None:
        self._page.require(TokenScope.RUN)
        workflows = await self._page.application.workflows()
        started = await workflows.execute_workflows_for_project(
            self._project_id, phase_id=phase_id, actor=self._page.visitor.actor
        )
        self._page.tell(f"{counted(len(started), 'run')} started.")

    async def _pause(self, _act: Act) -> None:
        self._page.require(TokenScope.RUN)
        await (await self._page.application.workflows()).pause_project(self._project_id)

    async def _resume(self, _act: Act) -> None:
        self._page.require(TokenScope.RUN)
        await (await self._page.application.workflows()).resume_project(self._project_id)

    async def _cancel(self, _act: Act) -> None:
        self._page.require(TokenScope.RUN)
        workflows = await self._page.application.workflows()
        ended = await workflows.cancel_project(self._project_id, actor=self._page.visitor.actor)
        self._page.tell(f"{counted(len(ended), 'run')} cancelled.")

    async def _add_phase(self, act: Act) -> None:
        self._page.require(TokenScope.RUN)
        await self._page.application.tasks.create_phase(self._project_id, str(act.fields.get("name", "")))

    async def _rename_phase(self, act: Act) -> None:
        self._page.require(TokenScope.RUN)
        tasks = self._page.application.tasks
        await tasks.update_phase(str(act.data["phase"]), {"name": str(act.value)}, int(act.data["revision"]))

    async def _move_phase(self, act: Act) -> None:
        self._page.require(TokenScope.RUN)
        service = self._page.application.tasks
        order = [phase.id for phase in (await service.list_phases(self._project_id, limit=500)).items]
        place = order.index(str(act.data["phase"]))
        order.insert(place + int(act.data["by"]), order.pop(place))
        for number, phase_id in enumerate(order):
            if (await service.get_phase(phase_id)).order != number:
                await service.update_phase(phase_id, {"order": number})

    async def _remove_phase(self, act: Act) -> None:
        self._page.require(TokenScope.ADMIN)
        tasks = self._page.application.tasks
        await tasks.delete_phase(str(act.data["phase"]), expected_revision=int(act.data["revision"]))


@dataclass
class _Said:
    """What a form says beside its fields."""

    problems: Mapping[str, str] = field(default_factory=dict)
    note: Node | None = None


class ProjectEditor:
    """The form that makes or changes a project; what was typed stays whatever happens.

    Args:
        page: The page.
        project_id: What is changed, by id or name; none: a new one is made.
    """

    def __init__(self, page: Page, project_id: str | None) -> None:
        self._page = page
        self._project_id = project_id
        self._seen: Project | None = None
        self._said = _Said()

    async def show(self) -> None:
        """Fill the page."""
        await self._page.section(
            self._load, self._draw, concerns=lambda _batch: False, does={"save": self._save, "remove": self._remove}
        )

    async def _load(self) -> Project | None:
        if self._seen is None and self._project_id is not None:
            self._seen = await self._page.application.tasks.get_project(self._project_id)
        return self._seen

    def _draw(self, project: Project | None) -> list[Node]:
        revision = project.revision if project else 0
        return project_form.draw(
            project, self._said.problems, revision, may_remove=self._page.visitor.may_remove, note=self._said.note
        )

    async def _save(self, act: Act) -> None:
        self._said = _Said()
        service = self._page.application.tasks
        try:
            self._page.require(TokenScope.RUN)
            changes = project_form.changes(act.fields)
            if self._seen is None:
                project = await service.create_project(**changes)  # type: ignore[arg-type]  # it checks them
            else:
                project = await service.update_project(self._seen.id, changes, int(act.data["revision"]))
        except Conflict:
            await self._tell_conflict()
        except TaskManagerError as error:
            self._said = _Said(problems_at_fields(error, project_form.FIELDS))
        else:
            self._page.go(f"/projects/{project.id}")

    async def _tell_conflict(self) -> None:
        if self._seen is None:
            return
        before, self._seen = self._seen, await self._page.application.tasks.get_project(self._seen.id)
        changed = changed_meanwhile(before, self._seen, project_form.FIELDS)
        note = form_banners.conflict(changed, project_form.LABELS, f"/projects/{self._seen.id}/edit")
        self._said = _Said(note=note)

    async def _remove(self, act: Act) -> None:
        self._page.require(TokenScope.ADMIN)
        if self._seen is not None:
            await self._page.application.tasks.delete_project(
                self._seen.id, expected_revision=int(act.data["revision"])
            )
            self._page.go("/projects")

"""Projects and tasks for agents: plan, claim, change, complete."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from task_manager.errors import InvalidInput
from task_manager.mcp_server.backend import Backend
from task_manager.mcp_server.callers import caller_name
from task_manager.mcp_server.presenting import (
    cut,
    phase_view,
    project_view,
    task_view,
    within,
)
from task_manager.mcp_server.toolset import tool
from task_manager.mcp_server.views import (
    Detail,
    PhasesView,
    PhaseView,
    ProjectsView,
    ProjectView,
    RemovedView,
    TasksView,
    TaskView,
)
from task_manager.models import TokenScope
from task_manager.workflow_status import TaskStatus

if TYPE_CHECKING:
    from task_manager.application import Application
    from task_manager.models import TaskClaim
    from task_manager.task_planning import PlannedTask

StatusOfTask = Literal["todo", "in_progress", "blocked", "done", "cancelled"]
Urgency = Literal["lowest", "low", "medium", "high", "critical"]
_FIELDS: Final = {"depends_on": "dependencies", "parameters": "inputs"}
"""Fields of a task by the names that arguments have."""

Limit = Annotated[int, Field(ge=1, le=200)]


class TaskOfPlan(BaseModel):
    """A task of a plan; `after` names tasks of the plan or the project by title or id."""

    model_config = ConfigDict(defer_build=True, extra="forbid")

    title: str
    after: list[str] = []
    template_id: str | None = None
    parameters: dict[str, Any] = {}
    description: str = ""
    type: str | None = None
    priority: Urgency | None = None
    labels: list[str] = []
    source_folder: str | None = None
    pipeline: dict[str, Any] | None = None
    acceptance_criteria: list[str] = []
    phase_id: str | None = None


class TaskTools:
    """The tools about projects, phases and tasks.

    Args:
        backend: What they work with.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    @tool(
        "Create a task",
        example={"title": "Run the tests", "template_id": "python-tests"},
        access=TokenScope.RUN,
        listed=True,
    )
    async def create_task(
        self,
        title: str,
        project_id: str | None = None,
        template_id: str | None = None,
        parameters: dict[str, Any] | None = None,
        depends_on: list[str] | None = None,
        *,
        pipeline: dict[str, Any] | None = None,
        description: str | None = None,
        type: str | None = None,  # noqa: A002 - the argument's name
        priority: Urgency | None = None,
        labels: list[str] | None = None,
        source_folder: str | None = None,
        acceptance_criteria: list[str] | None = None,
        phase_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> TaskView:
        """Write down something to do, and what runs it: a template with parameters, or a pipeline.

        Example: title="Run the tests", template_id="python-tests". A pipeline's steps get parameters as INPUT_NAME
        variables. Without project_id it belongs to the project of
        the working folder's git root, made if need be. Next: execute_task_workflow.
        """
        application = await self._backend.application()
        fields = {
            "template_id": template_id,
            "inputs": parameters,
            "dependencies": depends_on,
            "pipeline": pipeline,
            "description": description,
            "type": type,
            "priority": priority,
            "labels": labels,
            "source_folder": source_folder,
            "acceptance_criteria": acceptance_criteria,
            "phase_id": phase_id,
        }
        _check_template(application, template_id)
        project = project_id or Path.cwd()
        task = await application.planning.create_task(project, title, fields, idempotency_key=idempotency_key)
        return task_view(task, next_=f"execute_task_workflow(task_id={task.id!r})")

    @tool(
        "Create a plan",
        example={
            "tasks": [
                {"title": "Test", "template_id": "python-tests"},
                {"title": "Build", "template_id": "build-package", "after": ["Test"]},
            ]
        },
        access=TokenScope.RUN,
        listed=True,
    )
    async def create_plan(
        self, tasks: list[TaskOfPlan], project_id: str | None = None, idempotency_key: str | None = None
    ) -> TasksView:
        """Create many tasks with dependencies in one call, all or none.

        Next: execute_workflows_for_project.
        """
        application = await self._backend.application()
        for one in tasks:
            _check_template(application, one.template_id)
        project = project_id or Path.cwd()
        made = await application.planning.create_plan(
            project, [_planned(one) for one in tasks], idempotency_key=idempotency_key
        )
        shown = within([task_view(task) for task in made])
        run = f"execute_workflows_for_project(project_id={made[0].project_id!r})"
        return TasksView(count=len(made), tasks=shown, next=run)

    @tool(
        "Change a task",
        example={"task_id": "task-1m8", "changes": {"priority": "high"}},
        access=TokenScope.RUN,
        idempotent=True,
        listed=True,
    )
    async def update_task(
        self, task_id: str, changes: dict[str, Any], expected_revision: int | None = None
    ) -> TaskView:
        """Change fields of a task: status, title, inputs, template_id, pipeline, priority, dependencies.

        With expected_revision it is refused as a conflict when somebody changed the task in between.
        """
        application = await self._backend.application()
        named = {_FIELDS.get(name, name): value for name, value in changes.items()}
        return task_view(await application.tasks.update_task(task_id, named, expected_revision))

    @tool("Show a task", example={"task_id": "task-1m8"})
    async def get_task(self, task_id: str, project_id: str | None = None, detail: Detail = "full") -> TaskView:
        """A task by id or title, with who has claimed it."""
        application = await self._backend.application()
        task = await application.tasks.get_task(task_id, project_id)
        claimed = await application.planning.claims_of([task.id])
        return _with_claim(task_view(task, full=detail == "full"), claimed.get(task.id))

    @tool("List tasks", example={"project_id": "textkit", "status": "todo"})
    async def list_tasks(
        self,
        project_id: str | None = None,
        phase_id: str | None = None,
        status: StatusOfTask | None = None,
        *,
        limit: Limit = 50,
        cursor: str | None = None,
        detail: Detail = "brief",
    ) -> TasksView:
        """Tasks, oldest first, of a project, a phase or a status; the next page by next_cursor."""
        application = await self._backend.application()
        page = await application.tasks.list_tasks(
            project_id,
            phase_id=phase_id,
            status=TaskStatus(status) if status else None,
            limit=limit,
            cursor=cursor,
        )
        shown, following = cut([task_view(task, full=detail == "full") for task in page.items], page.next_cursor)
        return TasksView(count=len(shown), tasks=shown, next_cursor=following)

    @tool("Delete a task", example={"task_id": "task-1m8"}, access=TokenScope.ADMIN, destructive=True)
    async def delete_task(self, task_id: str, project_id: str | None = None) -> RemovedView:
        """Remove a task with its workflows, runs and results; refused while a run of it goes on."""
        application = await self._backend.application()
        task = await application.tasks.get_task(task_id, project_id)
        removed = await application.tasks.delete_task(task.id)
        return RemovedView(id=task.id, runs=len(removed))

    @tool("Claim the next task", example={"project_id": "textkit"}, access=TokenScope.RUN)
    async def next_task(
        self, project_id: str | None = None, labels: list[str] | None = None, lease_seconds: float = 900
    ) -> TasksView:
        """Take the most urgent task that is ready: all it depends on is done and nobody has it.

        It is yours until the lease ends; claim_task keeps it longer, complete_task ends it. Agents that ask at the
        same time get different tasks. No task: count is 0.
        """
        application = await self._backend.application()
        found = await application.planning.claim_next(
            caller_name(), project_id=project_id, labels=labels or (), lease_seconds=lease_seconds
        )
        if found is None:
            return TasksView(count=0, next="No task is ready; list_tasks shows what the others wait for.")
        return TasksView(count=1, tasks=[_with_claim(task_view(found[0], full=True), found[1])])

    @tool(
        "Claim a task",
        example={"task_id": "task-1m8", "lease_seconds": 900},
        access=TokenScope.RUN,
        idempotent=True,
    )
    async def claim_task(self, task_id: str, lease_seconds: float = 900) -> TaskView:
        """Take this task, or keep it longer; a conflict when somebody else has it."""
        application = await self._backend.application()
        task, claim = await application.planning.claim(task_id, caller_name(), lease_seconds=lease_seconds)
        return _with_claim(task_view(task), claim)

    @tool("Release a task", example={"task_id": "task-1m8"}, access=TokenScope.RUN, idempotent=True)
    async def release_task(self, task_id: str) -> TaskView:
        """Give a claimed task back: it is to be done again."""
        application = await self._backend.application()
        return task_view(await application.planning.release(task_id, caller_name()))

    @tool("Complete a task", example={"task_id": "task-1m8"}, access=TokenScope.RUN, idempotent=True)
    async def complete_task(self, task_id: str, expected_revision: int | None = None) -> TaskView:
        """Mark a task as done without a run, such as one that a person did; a run that succeeds does so itself."""
        application = await self._backend.application()
        task = await application.planning.complete(task_id, caller_name(), expected_revision=expected_revision)
        return task_view(task)

    @tool(
        "Link a task",
        example={"task_id": "task-1m8", "depends_on": ["task-1m7"]},
        access=TokenScope.RUN,
        idempotent=True,
    )
    async def link_task(
        self,
        task_id: str,
        depends_on: list[str] | None = None,
        urls: list[str] | None = None,
        *,
        remove: bool = False,
    ) -> TaskView:
        """Add or remove what a task depends on, and addresses such as an issue or a pull request."""
        application = await self._backend.application()
        task = await application.planning.link(task_id, depends_on=depends_on or (), urls=urls or (), remove=remove)
        return task_view(task, full=True)

    @tool("Create a project", example={"name": "textkit", "source_folder": "/home/me/textkit"}, access=TokenScope.RUN)
    async def create_project(
        self,
        name: str,
        description: str = "",
        source_folder: str | None = None,
        metadata: dict[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> ProjectView:
        """Create a project: a body of work with a source folder. Rarely needed: create_task makes one."""
        application = await self._backend.application()
        project = await application.tasks.create_project(
            name, description, source_folder, metadata, idempotency_key=idempotency_key
        )
        return project_view(project, full=True)

    @tool("Show a project", example={"project_id": "textkit"})
    async def get_project(self, project_id: str) -> ProjectView:
        """A project by id or name: its phases, and how many tasks are in each status."""
        application = await self._backend.application()
        return await project_overview(application, project_id)

    @tool("List projects", example={"limit": 20})
    async def list_projects(self, limit: Limit = 50, cursor: str | None = None) -> ProjectsView:
        """Projects, oldest first; the next page by next_cursor."""
        application = await self._backend.application()
        page = await application.tasks.list_projects(limit=limit, cursor=cursor)
        shown, following = cut([project_view(one) for one in page.items], page.next_cursor)
        return ProjectsView(count=len(shown), projects=shown, next_cursor=following)

    @tool(
        "Change a project",
        example={"project_id": "textkit", "changes": {"description": "A library"}},
        access=TokenScope.RUN,
        idempotent=True,
    )
    async def update_project(
        self, project_id: str, changes: dict[str, Any], expected_revision: int | None = None
    ) -> ProjectView:
        """Change name, description, source_folder or metadata of a project."""
        application = await self._backend.application()
        return project_view(await application.tasks.update_project(project_id, changes, expected_revision), full=True)

    @tool("Delete a project", example={"project_id": "textkit"}, access=TokenScope.ADMIN, destructive=True)
    async def delete_project(self, project_id: str) -> RemovedView:
        """Remove a project with its tasks, runs and results; refused while a run of it goes on."""
        application = await self._backend.application()
        project = await application.tasks.get_project(project_id)
        removed = await application.tasks.delete_project(project.id)
        return RemovedView(id=project.id, runs=len(removed))

    @tool("Create a phase", example={"project_id": "textkit", "name": "Verify"}, access=TokenScope.RUN)
    async def create_phase(
        self, project_id: str, name: str, order: int | None = None, idempotency_key: str | None = None
    ) -> PhaseView:
        """Create a phase of a project: a group of tasks, in an order."""
        application = await self._backend.application()
        phase = await application.tasks.create_phase(project_id, name, order, idempotency_key=idempotency_key)
        return phase_view(phase)

    @tool("List phases", example={"project_id": "textkit"})
    async def list_phases(self, project_id: str) -> PhasesView:
        """The phases of a project, in their order."""
        application = await self._backend.application()
        page = await application.tasks.list_phases(project_id, limit=200)
        return PhasesView(phases=[phase_view(one) for one in page.items])


async def project_overview(application: Application, project_id: str) -> ProjectView:
    """A project with its phases and how many tasks are in each status."""
    project = await application.tasks.get_project(project_id)
    phases = await application.tasks.list_phases(project.id, limit=200)
    counted = await application.planning.count_by_status(project.id)
    return project_view(project, full=True).model_copy(
        update={
            "phases": [phase_view(one) for one in phases.items],
            "tasks": {status.value: count for status, count in counted.items() if count},
        }
    )


def _check_template(application: Application, template_id: str | None) -> None:
    """An unknown template is told when it is named, not when the task is run."""
    if template_id is not None:
        application.templates.get(template_id)


def _planned(one: TaskOfPlan) -> PlannedTask:
    from task_manager.task_planning import PlannedTask

    if one.template_id is not None and one.pipeline is not None:
        raise InvalidInput(f"Task {one.title!r} has a template and a pipeline.", remedy="Give it one of them.")
    fields = one.model_dump(exclude={"title", "after", "parameters"}, exclude_defaults=True)
    return PlannedTask(one.title, tuple(one.after), {**fields, "inputs": one.parameters})


def _with_claim(view: TaskView, claim: TaskClaim | None) -> TaskView:
    if claim is None:
        return view
    until = claim.expires_at.isoformat(timespec="seconds")
    return view.model_copy(update={"claimed_by": claim.holder, "claimed_until": until})

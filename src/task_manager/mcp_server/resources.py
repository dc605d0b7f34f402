"""What agents can read by address: workflows, templates, projects, tasks, runs, logs, artifacts, the inbox."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

from mcp.server.mcpserver import MCPServer
from mcp.shared.exceptions import MCPError
from mcp_types import INTERNAL_ERROR, INVALID_PARAMS
from pydantic import BaseModel

from task_manager.errors import InvalidInput, TaskManagerError
from task_manager.mcp_server.backend import Backend
from task_manager.mcp_server.callers import caller_name
from task_manager.mcp_server.presenting import (
    cut,
    cut_runs,
    log_view,
    project_view,
    run_view,
    status_view,
    task_view,
    template_view,
    workflow_view,
)
from task_manager.mcp_server.tasks import project_overview
from task_manager.mcp_server.views import ProjectsView, RunView, TasksView, TemplatesView, WorkflowPageView
from task_manager.mcp_server.wording import in_tools

if TYPE_CHECKING:
    from task_manager.application import Application
    from task_manager.models import Artifact

ROOT: Final = "task-manager://"
_JSON: Final = "application/json"
_LARGEST_ARTIFACT: Final = 1024 * 1024
_PAGE: Final = 200

Reading = Callable[..., Awaitable[BaseModel | str | bytes]]


class Resources:
    """Registers resources on a server.

    Args:
        server: Where they are registered.
        backend: What they work with.
    """

    def __init__(self, server: MCPServer[Any], backend: Backend) -> None:
        self._server = server
        self._backend = backend

    def register(self) -> None:
        """Register all of them."""
        self._lists()
        self._records()
        self._parts_of_runs()

    def _lists(self) -> None:
        self._paged("dagger/workflows", "Workflows", "Workflows of all tasks, newest first.", self._workflows)
        self._add("dagger/stats", "Statistics", "How runs went, by status, template and workflow type.", self._stats)
        self._add("dagger/templates", "Templates", "Workflow templates, one line each.", self._templates)
        self._paged("projects", "Projects", "Projects, oldest first.", self._projects)
        self._paged("inbox", "Inbox", "Your runs that are over and whose end you have not seen.", self._inbox)

    def _records(self) -> None:
        self._add("dagger/workflows/{task_id}", "A task's workflow", "Workflow and latest run of a task.", self._status)
        self._paged(
            "dagger/projects/{project_id}/workflows", "A project's workflows", "Its workflows.", self._of_project
        )
        self._add("dagger/templates/{template_id}", "A template", "With parameters and steps.", self._template)
        self._add(
            "dagger/templates/category/{category}", "Templates of a category", "One line each.", self._of_category
        )
        self._add("projects/{project_id}", "A project", "With its phases and how its tasks stand.", self._project)
        self._paged("projects/{project_id}/tasks", "A project's tasks", "Oldest first.", self._tasks)
        self._add("tasks/{task_id}", "A task", "Everything about a task.", self._task)
        self._add("runs/{run_id}", "A run", "Everything about a run; it notifies of every change.", self._run)

    def _parts_of_runs(self) -> None:
        self._add("runs/{run_id}/logs/{step}", "A step's log", "The end of its standard output.", self._log)
        self._add("runs/{run_id}/artifacts/{+name}", "An artifact", "A file that a run left, or the list of a folder.",
                  self._artifact, "application/octet-stream")  # fmt: skip

    def _paged(self, path: str, title: str, description: str, read: Reading) -> None:
        """A list under its plain address, and its other pages."""
        if "{" not in path:

            async def first() -> BaseModel | str | bytes:
                return await read(None)

            self._add(path, title, description, first)
        self._add(f"{path}{{?cursor}}", f"{title}, by page", f"{description} next_cursor leads on.", read)

    def _add(self, path: str, title: str, description: str, read: Reading, mime_type: str = _JSON) -> None:
        name = path.replace("/", "_").replace("{+", "").translate({ord(c): None for c in "{}?"})
        self._server.resource(ROOT + path, name=name, title=title, description=description, mime_type=mime_type)(
            _reading(read, ROOT + path)
        )

    async def _workflows(self, cursor: str | None = None) -> WorkflowPageView:
        return await self._workflow_page(await self._backend.application(), None, cursor)

    async def _of_project(self, project_id: str, cursor: str | None = None) -> WorkflowPageView:
        application = await self._backend.application()
        project = await application.tasks.get_project(project_id)
        return await self._workflow_page(application, project.id, cursor)

    async def _workflow_page(
        self, application: Application, project_id: str | None, cursor: str | None
    ) -> WorkflowPageView:
        from task_manager.store import workflows

        page = await application.store.run(workflows.list_, project_id=project_id, limit=_PAGE, cursor=cursor)
        shown, following = cut([workflow_view(one) for one in page.items], page.next_cursor)
        return WorkflowPageView(workflows=shown, next_cursor=following)

    async def _stats(self) -> str:
        from pydantic import TypeAdapter

        application = await self._backend.application()
        statistics = await application.runs.statistics()
        return TypeAdapter(type(statistics)).dump_json(statistics).decode()

    async def _templates(self) -> TemplatesView:
        registry = (await self._backend.application()).templates
        return TemplatesView(templates=[template_view(one) for one in registry.list()])

    async def _template(self, template_id: str) -> BaseModel:
        return template_view((await self._backend.application()).templates.get(template_id), full=True)

    async def _of_category(self, category: str) -> TemplatesView:
        registry = (await self._backend.application()).templates
        return TemplatesView(templates=[template_view(one) for one in registry.list(category)])

    async def _projects(self, cursor: str | None = None) -> ProjectsView:
        page = await (await self._backend.application()).tasks.list_projects(limit=_PAGE, cursor=cursor)
        shown, following = cut([project_view(one) for one in page.items], page.next_cursor)
        return ProjectsView(count=len(shown), projects=shown, next_cursor=following)

    async def _inbox(self, cursor: str | None = None) -> BaseModel:
        inbox = (await self._backend.application()).inbox
        return cut_runs(await inbox.unread(caller_name(), limit=_PAGE, cursor=cursor))

    async def _status(self, task_id: str) -> BaseModel:
        workflows = await (await self._backend.application()).workflows()
        return status_view(await workflows.get_workflow_status(task_id), full=True)

    async def _project(self, project_id: str) -> BaseModel:
        return await project_overview(await self._backend.application(), project_id)

    async def _tasks(self, project_id: str, cursor: str | None = None) -> TasksView:
        application = await self._backend.application()
        page = await application.tasks.list_tasks(project_id, limit=_PAGE, cursor=cursor)
        shown, following = cut([task_view(one) for one in page.items], page.next_cursor)
        return TasksView(count=len(shown), tasks=shown, next_cursor=following)

    async def _task(self, task_id: str) -> BaseModel:
        return task_view(await (await self._backend.application()).tasks.get_task(task_id), full=True)

    async def _run(self, run_id: str) -> RunView:
        application = await self._backend.application()
        state = await (await application.workflows()).get_run(run_id)
        await application.inbox.read(state.run, caller_name())
        return run_view(state, full=True)

    async def _log(self, run_id: str, step: str) -> BaseModel:
        application = await self._backend.application()
        return log_view(await application.logs.read(run_id, step, tail=500, max_bytes=32_000))

    async def _artifact(self, run_id: str, name: str) -> str | bytes:
        from task_manager.artifacts.names import artifact_called

        application = await self._backend.application()
        state = await (await application.workflows()).get_run(run_id)
        artifact = artifact_called(name, state.artifacts)
        if artifact.is_directory:
            entries = await application.artifacts.entries(artifact.digest)
            return json.dumps({"name": artifact.name, "files": [entry.path for entry in entries]})
        _check_size(artifact)
        return await application.artifacts.read(artifact.digest, limit=_LARGEST_ARTIFACT)


def _check_size(artifact: Artifact) -> None:
    if artifact.size > _LARGEST_ARTIFACT:
        raise InvalidInput(
            f"Artifact {artifact.name} has {artifact.size:,} bytes; up to {_LARGEST_ARTIFACT:,} can be read here.",
            remedy=f"Ask for it on this machine: task-manager artifact get RUN {artifact.name} TARGET.",
        )


def _reading(read: Reading, template: str) -> Callable[..., Awaitable[str | bytes]]:
    """The function that a server calls: views become JSON, errors those of the protocol."""
    import inspect

    async def call(**parameters: Any) -> str | bytes:
        try:
            found = await read(**parameters)
        except InvalidInput as error:
            raise _refused(error, INVALID_PARAMS, template, parameters) from error
        except TaskManagerError as error:
            raise _refused(error, INTERNAL_ERROR, template, parameters) from error
        return found.model_dump_json(exclude_defaults=True) if isinstance(found, BaseModel) else found

    signature = inspect.signature(read, eval_str=True)
    call.__signature__ = signature.replace(return_annotation=str | bytes)  # type: ignore[attr-defined]
    call.__annotations__ = {key: one.annotation for key, one in signature.parameters.items()}
    return call


def _refused(error: TaskManagerError, code: int, template: str, parameters: dict[str, Any]) -> MCPError:
    uri = template.partition("{?")[0].replace("{+", "{").format(**parameters)
    return MCPError(
        code=code, message=error.message, data={"uri": uri, "code": error.code, "remedy": in_tools(error.remedy)}
    )

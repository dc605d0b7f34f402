"""Workflows for agents: `DaggerWorkflowIntegration` registers the workflow tools and resources on a server."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from mcp.server.mcpserver import MCPServer

from task_manager.config import Settings, load_settings
from task_manager.mcp_server.backend import Backend
from task_manager.mcp_server.callers import caller_name
from task_manager.mcp_server.completion import add_completion
from task_manager.mcp_server.discovery import Discovery
from task_manager.mcp_server.gateway import Gateway
from task_manager.mcp_server.listening import Listening
from task_manager.mcp_server.presenting import (
    brief_run,
    status_view,
    template_view,
    within,
    workflow_view,
)
from task_manager.mcp_server.resources import Resources
from task_manager.mcp_server.runs import RunTools
from task_manager.mcp_server.subscriptions import EventBus, LegacySubscriptions
from task_manager.mcp_server.tasks import TaskTools
from task_manager.mcp_server.tasks_extension import TasksExtension
from task_manager.mcp_server.toolset import Toolset, tool
from task_manager.mcp_server.views import (
    Detail,
    RunsView,
    RunView,
    StatusView,
    TemplatesView,
    TemplateView,
    WorkflowsView,
    WorkflowView,
)
from task_manager.models import TokenScope

if TYPE_CHECKING:
    from task_manager.application import Application

TypeOfWorkflow = Literal["containerized_workflow", "dagger_pipeline"]
StatusOfTask = Literal["todo", "in_progress", "blocked", "done", "cancelled"]


class WorkflowTools:
    """The tools that make and run workflows.

    Args:
        backend: What they work with.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    @tool("Create a task's workflow", example={"task_id": "task-1m8"}, access=TokenScope.RUN, listed=True)
    async def create_workflow_from_task(
        self,
        task_id: str,
        workflow_name: str | None = None,
        custom_inputs: dict[str, Any] | None = None,
        detail: Detail = "brief",
        idempotency_key: str | None = None,
    ) -> WorkflowView:
        """Make or renew a task's workflow; rarely needed, executing does it.

        custom_inputs win over the task's inputs. Returns steps and parameters.
        """
        workflows = await (await self._backend.application()).workflows()
        made = await workflows.create_workflow_from_task(
            task_id, workflow_name, custom_inputs, idempotency_key=idempotency_key
        )
        return workflow_view(made, full=detail == "full")

    @tool(
        "Run a task",
        example={"task_id": "task-1m8", "workflow_params": {"paths": ["tests"]}},
        access=TokenScope.RUN,
        listed=True,
        starts_run=True,
    )
    async def execute_task_workflow(
        self,
        task_id: str,
        workflow_type: TypeOfWorkflow | None = None,
        workflow_params: dict[str, Any] | None = None,
        *,
        skip_cache: bool = False,
        idempotency_key: str | None = None,
    ) -> RunView:
        """Start a task's workflow in containers; returns the run at once. Then call wait_for_run.

        workflow_params, such as {"python": "3.12"}, change parameters for this and later runs.
        """
        workflows = await (await self._backend.application()).workflows()
        run = await workflows.execute_task_workflow(
            task_id,
            workflow_type,
            workflow_params,
            skip_cache,
            actor=caller_name(),
            idempotency_key=idempotency_key,
        )
        return brief_run(run, next_=f"wait_for_run(run_id={run.id!r})")

    @tool("Status of a task's workflow", example={"task_id": "task-1m8"}, listed=True)
    async def get_workflow_status(self, task_id: str, detail: Detail = "brief") -> StatusView:
        """How a task stands: its current workflow, its latest run, why that failed."""
        workflows = await (await self._backend.application()).workflows()
        return status_view(await workflows.get_workflow_status(task_id), full=detail == "full")

    @tool("Create a project's workflows", example={"project_id": "textkit"}, access=TokenScope.RUN, listed=True)
    async def create_workflows_for_project(
        self, project_id: str, phase_id: str | None = None, status: StatusOfTask | None = None
    ) -> WorkflowsView:
        """Make workflows for a project's tasks, all or none: checks a plan before it runs."""
        workflows = await (await self._backend.application()).workflows()
        made = await workflows.create_workflows_for_project(project_id, phase_id, status)
        shown = within([workflow_view(one) for one in made])
        return WorkflowsView(count=len(made), workflows=shown, next="execute_workflows_for_project")

    @tool("Run a project", example={"project_id": "textkit", "status": "todo"}, access=TokenScope.RUN, listed=True)
    async def execute_workflows_for_project(
        self,
        project_id: str,
        workflow_type: TypeOfWorkflow | None = None,
        phase_id: str | None = None,
        status: StatusOfTask | None = None,
        *,
        skip_cache: bool = False,
        idempotency_key: str | None = None,
    ) -> RunsView:
        """Start a project's tasks in the order of their dependencies, in parallel where possible.

        Returns the runs; wait for the last one.
        """
        workflows = await (await self._backend.application()).workflows()
        started = await workflows.execute_workflows_for_project(
            project_id,
            workflow_type,
            phase_id,
            status,
            skip_cache,
            actor=caller_name(),
            idempotency_key=idempotency_key,
        )
        shown = within([brief_run(run) for run in started])
        return RunsView(count=len(started), runs=shown, next=f"wait_for_run(run_id={started[-1].id!r})")

    @tool("List templates", example={"category": "testing"}, listed=True)
    async def list_workflow_templates(self, category: str | None = None) -> TemplatesView:
        """Ready-made workflows (tests, lint, build, training, data), one line each."""
        registry = (await self._backend.application()).templates
        return TemplatesView(
            templates=[template_view(one) for one in registry.list(category)],
            problems=[str(problem) for problem in registry.problems],
        )

    @tool("Show a template", example={"template_id": "python-tests"}, listed=True)
    async def get_workflow_template(self, template_id: str, detail: Detail = "brief") -> TemplateView:
        """A template's parameters as JSON Schema; detail="full" adds its steps."""
        registry = (await self._backend.application()).templates
        view = template_view(registry.get(template_id), full=True)
        return view if detail == "full" else view.model_copy(update={"definition": {}})

    @tool(
        "Create a workflow from a template",
        example={"task_id": "task-1m8", "template_id": "python-tests", "parameters": {"paths": ["tests"]}},
        access=TokenScope.RUN,
        listed=True,
    )
    async def create_workflow_from_template(
        self,
        task_id: str,
        template_id: str,
        parameters: dict[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> WorkflowView:
        """Give a task the workflow of this template, with these parameters."""
        workflows = await (await self._backend.application()).workflows()
        made = await workflows.create_workflow_from_template(
            task_id, template_id, parameters, idempotency_key=idempotency_key
        )
        return workflow_view(made)


class DaggerWorkflowIntegration:
    """Registers the workflow tools and resources on a server.

    An async context manager; left, it closes what it opened::

        server = MCPServer("my-server")
        async with DaggerWorkflowIntegration(server, templates_dir="templates"):
            await server.run_stdio_async()

    Args:
        server: Any server of the official SDK; what it has already stays.
        task_manager: An open application, which is not closed here; by default one of its own, opened with the first
            call that needs it.
        dagger_config_path: The file of engine settings, for an application of its own.
        templates_dir: A folder of templates beside the built-in ones, for an application of its own.
        settings: All settings, for an application of its own; by default those of arguments, environment and files.
        every_tool: Whether clients are shown every tool, not only the usual ones.
        tasks: The extension that the server was made with, to answer clients that know it with handles.
        on_demand: Whether tools are registered only when a client asks for them, so that the server starts sooner;
            what its own methods list before that lacks them.
    """

    def __init__(
        self,
        server: MCPServer[Any],
        *,
        task_manager: Application | None = None,
        dagger_config_path: Path | str | None = None,
        templates_dir: Path | str | None = None,
        settings: Settings | None = None,
        every_tool: bool = False,
        tasks: TasksExtension | None = None,
        on_demand: bool = False,
    ) -> None:
        arguments = {"dagger_config_path": dagger_config_path, "templates_dir": templates_dir}
        self.backend = Backend(task_manager, lambda: settings or _settings(arguments))
        self.toolset = Toolset(server, on_demand=on_demand)
        for tools in (
            WorkflowTools(self.backend),
            TaskTools(self.backend),
            RunTools(self.backend),
            Discovery(server, self.toolset),
        ):
            self.toolset.add(tools)
        Resources(server, self.backend).register()
        add_completion(server, self.backend)
        if tasks is not None:
            tasks.attach(self.backend, self.toolset)
        bus = EventBus(self.backend)
        listening = Listening(bus, tasks.told if tasks is not None else None)
        server.middleware.append(Gateway(self.toolset, LegacySubscriptions(bus), listening, every_tool=every_tool))

    async def initialize(self) -> None:
        """Open the store now, not with the first call.

        Raises:
            StoreError: It cannot be opened.
        """
        await self.backend.application()

    async def shutdown(self) -> None:
        """Close what was opened; runs go on. A second call does nothing."""
        await self.backend.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.shutdown()


def _settings(arguments: Mapping[str, object]) -> Settings:
    return load_settings({name: value for name, value in arguments.items() if value})[0]

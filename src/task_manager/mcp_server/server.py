"""The product's own server: every tool, resource and prompt under one name."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

from mcp.server.caching import CacheableMethod, CacheHint
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.resources import ResourceSecurity

from task_manager.mcp_server.client_configuration import NAME
from task_manager.mcp_server.prompts import add_prompts
from task_manager.mcp_server.tasks_extension import TasksExtension
from task_manager.mcp_server.workflows import DaggerWorkflowIntegration

if TYPE_CHECKING:
    from task_manager.application import Application
    from task_manager.config import Settings

INSTRUCTIONS: Final = """\
Tasks here are executed in containers and their results are checked, not claimed.
From a wish to a verified result:
1. create_task(title, template_id, parameters): the project defaults to this folder's repository.
   list_workflow_templates shows what there is: tests, lint, build, training, data.
2. execute_task_workflow(task_id) returns a run at once; wait_for_run(run_id) until over is true.
3. Succeeded: get_run_result(run_id). Failed: get_run_diagnosis(run_id) names step, reason and what to change;
   fix the source or the task, then execute again.
Many tasks: create_plan makes them with dependencies, all or none; execute_workflows_for_project runs them in order.
A result that you missed stands in the inbox. Errors say what to do next. more_tools finds every other tool.
"""


_MINUTE: Final = 60_000
CACHE_HINTS: Final[dict[CacheableMethod, CacheHint]] = {
    "tools/list": CacheHint(_MINUTE, "private"),
    "resources/list": CacheHint(_MINUTE, "private"),
    "resources/templates/list": CacheHint(_MINUTE, "private"),
    "prompts/list": CacheHint(_MINUTE, "private"),
    "resources/read": CacheHint(0, "private"),
}
"""For how many milliseconds answers may be used again, and by whom: what there is depends on who asks."""


@dataclass(frozen=True)
class ProductServer:
    """A server with what it works with.

    Attributes:
        server: The SDK's server.
        integration: What is registered on it.
        tasks: Turns calls that start runs into handles.
    """

    server: MCPServer[Any]
    integration: DaggerWorkflowIntegration
    tasks: TasksExtension


def create_server(
    application: Application | None = None, *, settings: Settings | None = None, every_tool: bool = False
) -> ProductServer:
    """Make the server.

    Args:
        application: An open application; none: one of its own, opened with the first call that needs it.
        settings: Of an application of its own.
        every_tool: Whether clients are shown every tool, not only the usual ones.
    """
    made: list[DaggerWorkflowIntegration] = []

    @contextlib.asynccontextmanager
    async def lifespan(_: MCPServer[Any]) -> AsyncIterator[dict[str, Any]]:
        try:
            yield {}
        finally:
            await made[0].shutdown()

    tasks = TasksExtension()
    server: MCPServer[Any] = MCPServer(
        NAME,
        title="Task Manager",
        instructions=INSTRUCTIONS,
        version=version("task-manager-dagger"),
        log_level="WARNING",
        lifespan=lifespan,
        extensions=[tasks],
        cache_hints=CACHE_HINTS,
        resource_security=ResourceSecurity(),
    )
    integration = DaggerWorkflowIntegration(
        server, task_manager=application, settings=settings, every_tool=every_tool, tasks=tasks, on_demand=True
    )
    add_prompts(server)
    made.append(integration)
    return ProductServer(server, integration, tasks)

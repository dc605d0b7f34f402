"""What the suite starts as tasks: runs of the product, through its own extension."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.server import require_client_extension
from mcp_types import CallToolResult, InputRequiredResult, TextContent

from task_manager import Application
from task_manager.mcp_server.presenting import brief_run
from task_manager.mcp_server.server import ProductServer
from task_manager.mcp_server.tasks_extension import IDENTIFIER
from task_manager.mcp_server.toolset import answer
from task_manager.models import WorkflowRun, utc_now
from task_manager.store import queue
from tests.mcp_server.conformance.input_fixtures import answered, question
from tests.mcp_server.conftest import shell_pipeline

Start = Callable[..., Awaitable[WorkflowRun]]

LONG_SECONDS: Final = 10
"""The suite ends before what takes so long: such runs wait, and need no container."""


def add_tasks(product: ProductServer, application: Application, project: str, paused: str) -> None:
    """Register all of it on the product's server.

    Args:
        product: Where it is registered.
        application: Executes the runs.
        project: Where the tasks of those are put that are to be executed.
        paused: A project that is paused, for those that are not to begin.
    """

    async def started(command: str, *, begins: bool = True) -> WorkflowRun:
        pipeline = shell_pipeline(command)
        task = await application.tasks.create_task(project if begins else paused, "Conform", pipeline=pipeline)
        return await (await application.workflows()).execute_task_workflow(task.id)

    _add_plain(product.server)
    _add_runs(product, started)
    _add_asking(product, started)
    _add_lost(product, application, started)


def _add_plain(server: MCPServer[Any]) -> None:
    @server.tool(description="A fixture of the suite.")
    def greet(name: str) -> CallToolResult:
        return CallToolResult(content=[TextContent(type="text", text=f"Hello, {name}!")])


def _add_runs(product: ProductServer, started: Start) -> None:
    server = product.server

    @server.tool(description="A fixture of the suite.")
    async def slow_compute(seconds: float, label: str = "") -> CallToolResult:
        begins = seconds < LONG_SECONDS
        return answer(brief_run(await started(f"sleep {seconds}; echo {label!r}", begins=begins)))

    @server.tool(description="A fixture of the suite.")
    async def failing_job(context: Context) -> CallToolResult:
        require_client_extension(context.request_context, IDENTIFIER)
        return answer(brief_run(await started("exit 3")))

    product.tasks.starting |= {"slow_compute", "failing_job"}


def _add_asking(product: ProductServer, started: Start) -> None:
    @product.server.tool(description="A fixture of the suite.")
    async def test_tool_with_task(context: Context) -> CallToolResult | InputRequiredResult:
        name = answered(context, "user_name")
        if name is None:
            return InputRequiredResult(input_requests={"user_name": question("What is your name?")})
        return answer(brief_run(await started(f"echo 'error: {name}' >&2; exit 1")))

    product.tasks.starting.add("test_tool_with_task")


def _add_lost(product: ProductServer, application: Application, started: Start) -> None:
    @product.server.tool(description="A fixture of the suite.")
    async def protocol_error_job() -> CallToolResult:
        run = await started("true", begins=False)
        lost = await application.store.run(queue.give_up, run, now=utc_now())
        return answer(brief_run(lost))

    product.tasks.starting.add("protocol_error_job")

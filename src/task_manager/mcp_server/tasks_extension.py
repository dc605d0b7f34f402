"""The Tasks extension: runs as durable handles, for clients that declare it.

A handle's id is its run's, so it lives in the store: every server process over the same store answers for it, also
after a restart. See the specification of `io.modelcontextprotocol/tasks`, version 2026-07-28.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.extension import Extension, MethodBinding
from mcp.server.mcpserver.server import require_client_extension
from mcp.shared.exceptions import MCPError
from mcp_types import HEADER_MISMATCH, INTERNAL_ERROR, INVALID_PARAMS, CallToolRequestParams, CallToolResult
from mcp_types import RequestParams as Params
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import Field

from task_manager.errors import InvalidInput, TaskManagerError
from task_manager.mcp_server.callers import caller_name, current_caller
from task_manager.mcp_server.presenting import run_view
from task_manager.mcp_server.toolset import answer
from task_manager.models import TokenScope
from task_manager.workflow_status import WorkflowStatus

if TYPE_CHECKING:
    from task_manager.application import Application
    from task_manager.dagger_integration import RunState
    from task_manager.mcp_server.backend import Backend
    from task_manager.mcp_server.toolset import Toolset
    from task_manager.models import WorkflowRun

IDENTIFIER: Final = "io.modelcontextprotocol/tasks"
_POLL_MS: Final = 1000
_NAME_HEADER: Final = "mcp-name"


class TaskParams(Params):
    """What `tasks/get` and `tasks/cancel` ask for."""

    task_id: str = Field(alias="taskId")


class UpdateParams(TaskParams):
    """What `tasks/update` says; runs never ask for anything, so it is not looked at."""

    input_responses: dict[str, Any] = Field(alias="inputResponses")


class TasksExtension(Extension):
    """Answers calls that start a run with a handle, and requests about handles.

    Attributes:
        starting: Names of other tools whose answer is a run that they started.
    """

    identifier = IDENTIFIER

    def __init__(self) -> None:
        self.starting: set[str] = set()
        self._backend: Backend | None = None
        self._toolset: Toolset | None = None
        self._cancelling: set[asyncio.Task[object]] = set()

    def attach(self, backend: Backend, toolset: Toolset) -> None:
        """Let it work.

        Args:
            backend: What it works with.
            toolset: Its tools say which of them start runs.
        """
        self._backend, self._toolset = backend, toolset

    def methods(self) -> Sequence[MethodBinding]:
        """The requests about handles."""
        modern = frozenset(MODERN_PROTOCOL_VERSIONS)
        return (
            MethodBinding("tasks/get", TaskParams, self._get, modern),
            MethodBinding("tasks/update", UpdateParams, self._update, modern),
            MethodBinding("tasks/cancel", TaskParams, self._cancel, modern),
        )

    async def intercept_tool_call(
        self, params: CallToolRequestParams, ctx: ServerRequestContext[Any, Any], call_next: CallNext
    ) -> HandlerResult:
        """Answer a call that started a run with a handle, where the client declares that it takes one."""
        result = await call_next(ctx)
        if not self._starts_run(params.name) or not _is_declared(ctx):
            return result
        if not isinstance(result, CallToolResult) or result.is_error or not result.structured_content:
            return result
        run = await (await self._application()).runs.get(result.structured_content["id"])
        return {"resultType": "task", **_seed(run)}

    async def told(self, ctx: ServerRequestContext[Any, Any], task_id: str) -> dict[str, Any] | None:
        """What listeners are told of a task at the moment; None when there is none.

        Raises:
            MCPError: The client does not declare the extension.
        """
        require_client_extension(ctx, IDENTIFIER)
        try:
            state = await (await (await self._application()).workflows()).get_run(task_id)
        except InvalidInput:
            return None
        return _detailed(state)

    async def _get(self, ctx: ServerRequestContext[Any, Any], params: TaskParams) -> HandlerResult:
        state = await self._state(ctx, params.task_id, TokenScope.READ)
        await (await self._application()).inbox.read(state.run, caller_name())
        return {"resultType": "complete", **_detailed(state)}

    async def _update(self, ctx: ServerRequestContext[Any, Any], params: UpdateParams) -> HandlerResult:
        await self._state(ctx, params.task_id, TokenScope.RUN)
        return {"resultType": "complete"}

    async def _cancel(self, ctx: ServerRequestContext[Any, Any], params: TaskParams) -> HandlerResult:
        state = await self._state(ctx, params.task_id, TokenScope.RUN)
        workflows = await (await self._application()).workflows()
        cancelling = asyncio.create_task(workflows.cancel_run(state.run.id, actor=caller_name()))
        self._cancelling.add(cancelling)
        cancelling.add_done_callback(self._cancelling.discard)
        return {"resultType": "complete"}

    async def _state(self, ctx: ServerRequestContext[Any, Any], task_id: str, scope: TokenScope) -> RunState:
        require_client_extension(ctx, IDENTIFIER)
        _check_name_header(ctx, task_id)
        if not current_caller().allows(scope):
            raise MCPError(code=INVALID_PARAMS, message=f"This token may not do that: it needs the scope {scope}.")
        try:
            return await (await (await self._application()).workflows()).get_run(task_id)
        except InvalidInput as error:
            raise MCPError(code=INVALID_PARAMS, message=error.message, data={"taskId": task_id}) from error
        except TaskManagerError as error:
            raise MCPError(code=INTERNAL_ERROR, message=error.message) from error

    async def _application(self) -> Application:
        if self._backend is None:
            raise MCPError(code=INTERNAL_ERROR, message="The server is not ready.")
        return await self._backend.application()

    def _starts_run(self, name: str) -> bool:
        known = self._toolset.tools.get(name) if self._toolset is not None else None
        return name in self.starting or (known is not None and known.declaration.starts_run)


def _is_declared(ctx: ServerRequestContext[Any, Any]) -> bool:
    capabilities = ctx.session.client_capabilities
    declared = (capabilities.extensions if capabilities else None) or {}
    return IDENTIFIER in declared and ctx.protocol_version in MODERN_PROTOCOL_VERSIONS


def _check_name_header(ctx: ServerRequestContext[Any, Any], task_id: str) -> None:
    """Over HTTP the header that intermediaries route by must name the same handle."""
    headers = getattr(ctx.request, "headers", None)
    if headers is not None and headers.get(_NAME_HEADER) != task_id:
        raise MCPError(code=HEADER_MISMATCH, message="The Mcp-Name header does not name the task of the request.")


def _seed(run: WorkflowRun) -> dict[str, Any]:
    return {
        "taskId": run.id,
        "status": _status(run.status),
        "statusMessage": run.reason.text if run.reason else run.status.value,
        "createdAt": run.created_at.isoformat(),
        "lastUpdatedAt": run.updated_at.isoformat(),
        "ttlMs": None,
        "pollIntervalMs": _POLL_MS,
    }


def _detailed(state: RunState) -> dict[str, Any]:
    """A handle with the result that the call would have had, once there is one."""
    seed = _seed(state.run)
    if seed["status"] == "failed":
        return {**seed, "error": {"code": INTERNAL_ERROR, "message": seed["statusMessage"]}}
    if seed["status"] != "completed":
        return seed
    result = answer(run_view(state))
    result = result.model_copy(update={"is_error": state.run.status is not WorkflowStatus.SUCCEEDED})
    return {**seed, "result": result.model_dump(mode="json", by_alias=True, exclude_none=True)}


def _status(status: WorkflowStatus) -> str:
    if not status.is_terminal:
        return "working"
    # A run that failed is a result that says so; only one that was lost has none.
    return {WorkflowStatus.CANCELLED: "cancelled", WorkflowStatus.LOST: "failed"}.get(status, "completed")

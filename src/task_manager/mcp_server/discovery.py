"""The tool that finds and calls the tools that are not listed."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from mcp.server.mcpserver import Context, MCPServer
from mcp_types import CallToolResult, TextContent
from pydantic import JsonValue

from task_manager.errors import InvalidInput, NotFound, TaskManagerError
from task_manager.mcp_server.callers import current_caller
from task_manager.mcp_server.gateway import input_schema
from task_manager.mcp_server.toolset import RegisteredTool, Toolset, tool
from task_manager.mcp_server.views import FoundTool, MoreToolsView
from task_manager.models import TokenScope

_FILLERS: Final = {"all", "and", "for", "from", "how", "that", "the", "what", "with"}


class Discovery:
    """Finds and calls every tool of a toolset.

    Args:
        server: Where the tools are registered.
        toolset: The tools.
    """

    def __init__(self, server: MCPServer[Any], toolset: Toolset) -> None:
        self._server = server
        self._toolset = toolset

    @tool(
        "More tools",
        example={"name": "get_run_logs", "arguments": {"run_id": "run-1m8", "tail": 20}},
        access=TokenScope.READ,
        listed=True,
    )
    async def more_tools(
        self, query: str = "", name: str | None = None, arguments: dict[str, Any] | None = None, *, context: Context
    ) -> MoreToolsView:
        """Find or call tools that are not listed: tasks, claims, projects, logs, cancel, retry, plans, inbox.

        query: words to look for, none for all names. name with arguments: call that tool.
        """
        if name is None:
            return await self._find(query)
        return MoreToolsView(answer=await self._call(name, arguments or {}, context))

    async def _find(self, query: str) -> MoreToolsView:
        words = set(re.findall(r"\w{3,}", query.casefold().replace("_", " "))) - _FILLERS
        hidden = [one for one in self._toolset.tools.values() if not one.declaration.listed and _may(one)]
        if not words:
            return MoreToolsView(tools=[FoundTool(name=one.name, description=one.description) for one in hidden])
        scored = [(sum(word in _text(one) for word in words), one) for one in hidden]
        best = max((score for score, _ in scored), default=0)
        # Words such as "run" stand nearly everywhere: what has no more than half of the best is left out.
        found = [one for score, one in sorted(scored, key=lambda pair: -pair[0]) if 2 * score > best]
        self._toolset.register(*(one.name for one in found))
        schemas = {one.name: input_schema(one.input_schema) for one in await self._server.list_tools()}
        described = [
            FoundTool(name=one.name, description=one.description, input_schema=schemas[one.name]) for one in found
        ]
        return MoreToolsView(tools=described)

    async def _call(self, name: str, arguments: dict[str, Any], context: Context) -> dict[str, JsonValue]:
        known = self._toolset.tools.get(name)
        if known is None or not _may(known):
            missing = NotFound("tool", name, known=[one.name for one in self._toolset.tools.values() if _may(one)])
            missing.remedy = missing.remedy or "more_tools() without a name lists them."
            raise missing
        if name == "more_tools":
            raise InvalidInput("more_tools does not call itself.")
        refusal = known.refusal(arguments)
        if refusal is not None:
            raise refusal
        self._toolset.register(name)
        result = await self._server.call_tool(name, arguments, context)
        if not isinstance(result, CallToolResult):
            raise TaskManagerError(f"{name} answered in a way that cannot be passed on.")
        if result.is_error:
            raise _error_of(result)
        return result.structured_content or {}


def _may(one: RegisteredTool) -> bool:
    return current_caller().allows(one.declaration.access)


def _text(one: RegisteredTool) -> str:
    return f"{one.name} {one.declaration.title} {one.description}".casefold().replace("_", " ")


def _error_of(result: CallToolResult) -> TaskManagerError:
    """The error that a called tool answered with."""
    (content,) = result.content
    told = json.loads(content.text)["error"] if isinstance(content, TextContent) else {}
    error = TaskManagerError(
        str(told.get("message", "")), remedy=str(told.get("remedy", "")), details=told.get("details") or {}
    )
    error.code = str(told.get("code", "error"))  # type: ignore[misc]
    return error

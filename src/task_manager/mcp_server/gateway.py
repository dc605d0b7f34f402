"""What stands before a server's tools: who calls is told, what it may not use is hidden, arguments are checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, METHOD_NOT_FOUND
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from task_manager.errors import InvalidInput
from task_manager.identity import IDENTITY_KEY, Identity
from task_manager.mcp_server.callers import client_name, current_caller, set_caller
from task_manager.mcp_server.listening import METHOD as LISTEN
from task_manager.mcp_server.listening import Listening
from task_manager.mcp_server.subscriptions import LegacySubscriptions
from task_manager.mcp_server.toolset import Toolset, error_result, refuse

_SUBSCRIBING: Final = ("resources/subscribe", "resources/unsubscribe")
_KEPT_TITLES: Final = frozenset({"properties", "$defs"})


class Gateway:
    """Middleware of a server.

    Args:
        toolset: The tools that it knows of; others pass as they are.
        subscriptions: Of clients that subscribe to one resource at a time.
        listening: Answers clients that listen on a stream.
        every_tool: Whether every tool is listed, not only the usual ones.
    """

    def __init__(
        self, toolset: Toolset, subscriptions: LegacySubscriptions, listening: Listening, *, every_tool: bool
    ) -> None:
        self._toolset = toolset
        self._subscriptions = subscriptions
        self._listening = listening
        self._every_tool = every_tool

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Answer one message."""
        set_caller(_caller(ctx))
        if ctx.method == "initialize":
            return _with_subscriptions(await call_next(ctx))
        if ctx.method in _SUBSCRIBING:
            return self._subscribe(ctx)
        if ctx.method == LISTEN:
            return await self._listening(ctx, call_next)
        if ctx.method == "tools/list":
            self._toolset.register(*self._shown())
            return self._listed(await call_next(ctx))
        if ctx.method == "tools/call":
            return await self._call(ctx, call_next)
        return await _told(ctx, call_next)

    def _subscribe(self, ctx: ServerRequestContext[Any, Any]) -> HandlerResult:
        uri = (ctx.params or {}).get("uri")
        if ctx.protocol_version in MODERN_PROTOCOL_VERSIONS:
            raise MCPError(code=METHOD_NOT_FOUND, message="Method not found", data=ctx.method)
        if not isinstance(uri, str):
            raise MCPError(code=INVALID_PARAMS, message="A resource is named by its uri.")
        change = self._subscriptions.subscribe if ctx.method == _SUBSCRIBING[0] else self._subscriptions.unsubscribe
        change(ctx, uri)
        return {}

    async def _call(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Call a tool; arguments that do not fit are told in this project's words."""
        refusal = self._refusal(ctx.params or {})
        refuse(refusal)
        result = await call_next(ctx)
        if refusal is None or not isinstance(result, dict):
            return result
        (told,) = error_result(refusal).content
        return {**result, "content": [told.model_dump(mode="json", by_alias=True, exclude_none=True)]}

    def _refusal(self, params: Mapping[str, Any]) -> InvalidInput | None:
        name, arguments = params.get("name"), params.get("arguments")
        known = self._toolset.tools.get(name) if isinstance(name, str) else None
        if known is not None:
            self._toolset.register(known.name)
        if known is None or not isinstance(arguments, dict | None):
            return None
        return known.refusal(arguments or {})

    def _listed(self, result: HandlerResult) -> HandlerResult:
        if not isinstance(result, dict):
            return result
        names = {name: place for place, name in enumerate(self._shown())}
        ours = self._toolset.tools
        shown = [one for one in result.get("tools", ()) if one["name"] in names or one["name"] not in ours]
        # Tools of others come first, as they were registered.
        in_order = sorted(shown, key=lambda one: names.get(one["name"], -1))
        return {**result, "tools": [self._compact(one) for one in in_order]}

    def _shown(self) -> list[str]:
        """The tools that this caller is shown, the usual ones first."""
        caller = current_caller()
        shown = [
            one
            for one in self._toolset.tools.values()
            if (one.declaration.listed or self._every_tool) and caller.allows(one.declaration.access)
        ]
        return [one.name for one in sorted(shown, key=lambda one: not one.declaration.listed)]

    def _compact(self, one: dict[str, Any]) -> dict[str, Any]:
        if one["name"] not in self._toolset.tools:
            return one
        return {
            **one,
            "inputSchema": input_schema(one["inputSchema"]),
            "outputSchema": output_schema(one["outputSchema"]),
        }


def input_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A schema of arguments without what tells a model nothing: titles, nulls beside another type, null defaults."""
    return {**_without_noise(schema), "additionalProperties": False}


def output_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A schema of answers, likewise: what is null is left out of them, and clients check each answer against it."""
    return _without_noise(schema)


def _without_noise(schema: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in schema.items() if key != "title" and (key, value) != ("default", None)}
    options = [one for one in kept.pop("anyOf", ()) if one != {"type": "null"}]
    if len(options) == 1:
        kept = {**options[0], **kept}
    elif options:
        kept["anyOf"] = options
    if kept.get("additionalProperties") is True:
        del kept["additionalProperties"]
    if isinstance(kept.get("items"), dict):
        kept["items"] = _without_noise(kept["items"])
    for key in _KEPT_TITLES & kept.keys():
        kept[key] = {name: _without_noise(part) for name, part in kept[key].items()}
    return kept


async def _told(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """The SDK's answer; it takes a prompt's name or arguments that do not fit for a failure of the server."""
    try:
        return await call_next(ctx)
    except ValueError as error:
        if ctx.method != "prompts/get":
            raise
        raise MCPError(code=INVALID_PARAMS, message=f"{error}. prompts/list names prompts and arguments.") from error


def _with_subscriptions(result: HandlerResult) -> HandlerResult:
    """What a server tells of itself in the older era, with the subscriptions that it answers here."""
    if not isinstance(result, dict):
        return result
    capabilities = result.get("capabilities") or {}
    resources = {**(capabilities.get("resources") or {}), "subscribe": True}
    return {**result, "capabilities": {**capabilities, "resources": resources}}


def _caller(ctx: ServerRequestContext[Any, Any]) -> Identity:
    """Whoever the HTTP server found out; else the client by the name that it gives itself."""
    scope = getattr(ctx.request, "scope", None) or {}
    known = scope.get(IDENTITY_KEY)
    params = ctx.session.client_params
    own = client_name(params.client_info.name if params else None)
    if isinstance(known, Identity):
        return Identity(known.name or own, known.scope)
    return Identity(own)

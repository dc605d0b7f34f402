"""The reference for agents, from the server: its tools, resources and prompts."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any

from mcp import Client
from mcp_types import Prompt, Tool

from task_manager.config import Settings
from task_manager.mcp_server.server import create_server
from tests.documentation.generated.markdown import WRITTEN, table
from tests.documentation.generated.markdown import page as page_of


def page() -> str:
    """The page, in Markdown."""
    return asyncio.run(_page())


def documents() -> dict[str, Any]:
    """All tools as clients are told of them, by name."""
    return asyncio.run(_documents())


async def _documents() -> dict[str, Any]:
    async with Client(create_server(settings=Settings(), every_tool=True).server) as client:
        tools = (await client.list_tools()).tools
    return {tool.name: tool.model_dump(mode="json", exclude_none=True) for tool in tools}


async def _page() -> str:
    async with Client(create_server(settings=Settings()).server) as client:
        usual = {tool.name for tool in (await client.list_tools()).tools}
    async with Client(create_server(settings=Settings(), every_tool=True).server) as client:
        tools = (await client.list_tools()).tools
        prompts = (await client.list_prompts()).prompts
        resources = [
            *((str(one.uri), one.description or one.title or "") for one in (await client.list_resources()).resources),
            *(
                (one.uri_template, one.description or one.title or "")
                for one in (await client.list_resource_templates()).resource_templates
            ),
        ]
    return page_of(
        "MCP: tools, resources, prompts",
        WRITTEN + " [Agents](agents.md) tells how they belong together.",
        "Tools that are not marked as listed are found and called through `more_tools`, unless the setting "
        '`mcp_tools = "all"` lists every tool.',
        lines=[*_overview(tools, usual), *_tools(tools), *_resources(resources), *_prompts(prompts)],
    )


def _overview(tools: list[Tool], usual: set[str]) -> Iterator[str]:
    yield "## Tools"
    yield ""
    rows = [(f"[`{one.name}`](#{one.name})", one.title or "", "yes" if one.name in usual else "") for one in tools]
    yield from table(("Tool", "What it does", "Listed"), rows)


def _tools(tools: list[Tool]) -> Iterator[str]:
    for tool in tools:
        yield f"### {tool.name}"
        yield ""
        yield tool.description or ""
        yield ""
        schema = tool.input_schema
        required = schema.get("required", [])
        rows = [
            (f"`{name}`", _kind(one), "" if name not in required else "yes", one.get("description", ""))
            for name, one in schema.get("properties", {}).items()
        ]
        yield from table(("Argument", "Type", "Required", "Meaning"), rows)


def _kind(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_kind(one) for one in schema["anyOf"] if one.get("type") != "null"))
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if schema.get("type") == "array":
        return f"array of {_kind(schema.get('items', {})) or 'anything'}"
    return str(schema.get("type", schema.get("const", "")))


def _resources(resources: list[tuple[str, str]]) -> Iterator[str]:
    yield "## Resources"
    yield ""
    yield from table(("Address", "What"), [(f"`{address}`", text) for address, text in sorted(resources)])


def _prompts(prompts: list[Prompt]) -> Iterator[str]:
    yield "## Prompts"
    yield ""
    rows = [
        (f"`{one.name}`", ", ".join(f"`{argument.name}`" for argument in one.arguments or ()), one.description or "")
        for one in prompts
    ]
    yield from table(("Prompt", "Arguments", "What it asks for"), rows)

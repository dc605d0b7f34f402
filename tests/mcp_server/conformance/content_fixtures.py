"""What the suite reads: tools, resources and prompts with contents of every kind."""

import base64
import json
from collections.abc import Mapping
from typing import Annotated, Any, Final

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.prompts.base import Prompt, UserMessage
from mcp.shared.exceptions import MCPError
from mcp_types import (
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    AudioContent,
    EmbeddedResource,
    ImageContent,
    TextContent,
    TextResourceContents,
)
from pydantic import Field

PIXEL: Final = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="  # one pixel
)
SILENCE: Final = base64.b64encode(
    b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0\x40\x1f\0\0\x80\x3e\0\0\2\0\x10\0data\0\0\0\0"
)

SCHEMA: Final[Mapping[str, Any]] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }
    },
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}
"""Keywords of JSON Schema 2020-12 that must arrive as they are."""


def add_content(server: MCPServer[Any]) -> None:
    """Register all of it on a server."""
    _add_contents(server)
    _add_behaviour(server)
    _add_requirements(server)
    _add_schema(server)
    _add_changes(server)
    _add_resources(server)
    _add_prompts(server)


def _add_contents(server: MCPServer[Any]) -> None:
    text = TextContent(type="text", text="Text and more")
    image = ImageContent(type="image", data=PIXEL, mime_type="image/png")
    audio = AudioContent(type="audio", data=SILENCE.decode(), mime_type="audio/wav")

    @server.tool(description="A fixture of the suite.")
    def test_simple_text() -> str:
        return "This is a simple text response for testing."

    @server.tool(description="A fixture of the suite.")
    def test_image_content() -> list[ImageContent]:
        return [image]

    @server.tool(description="A fixture of the suite.")
    def test_audio_content() -> list[AudioContent]:
        return [audio]

    @server.tool(description="A fixture of the suite.")
    def test_embedded_resource() -> list[EmbeddedResource]:
        return [_embedded("test://embedded-resource", "an embedded resource")]

    @server.tool(description="A fixture of the suite.")
    def test_multiple_content_types() -> list[TextContent | ImageContent | EmbeddedResource]:
        return [text, image, _embedded("test://mixed-content-resource", json.dumps({"value": 1}))]


def _embedded(uri: str, text: str) -> EmbeddedResource:
    return EmbeddedResource(type="resource", resource=TextResourceContents(uri=uri, mime_type="text/plain", text=text))


def _add_behaviour(server: MCPServer[Any]) -> None:
    @server.tool(description="A fixture of the suite.")
    def test_error_handling() -> str:
        raise RuntimeError("This tool intentionally returns an error for testing")

    @server.tool(description="A fixture of the suite.")
    async def test_tool_with_progress(context: Context) -> str:
        for done in (0, 50, 100):
            await context.report_progress(done, 100, f"Step {done} of 100")
        return "done"


def _add_requirements(server: MCPServer[Any]) -> None:
    @server.tool(description="A fixture of the suite.")
    def test_x_mcp_header(
        region: Annotated[str, Field(json_schema_extra={"x-mcp-header": "Region"})] = "none",
    ) -> str:
        return f"region={region}"

    @server.tool(description="A fixture of the suite.")
    async def test_missing_capability(context: Context) -> str:
        declared = context.client_capabilities
        if declared is None or declared.sampling is None:
            missing: dict[str, object] = {"requiredCapabilities": {"sampling": {}}}
            raise MCPError(MISSING_REQUIRED_CLIENT_CAPABILITY, "This tool needs the capability sampling.", missing)
        return "declared"


def _add_schema(server: MCPServer[Any]) -> None:
    @server.tool(description="A fixture of the suite.")
    def json_schema_2020_12_tool() -> str:
        return "ok"

    async def with_schema(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        result = await call_next(ctx)
        if ctx.method == "tools/list" and isinstance(result, dict):
            for tool in result["tools"]:
                if tool["name"] == "json_schema_2020_12_tool":
                    tool["inputSchema"] = dict(SCHEMA)
        return result

    server.middleware.append(with_schema)


def _add_changes(server: MCPServer[Any]) -> None:
    def passing() -> str:
        return "gone soon"

    @server.tool(description="A fixture of the suite.")
    async def test_trigger_tool_change(context: Context) -> str:
        server.add_tool(passing, name="test_passing_tool")
        server.remove_tool("test_passing_tool")
        await context.notify_tools_changed()
        return "changed"

    @server.tool(description="A fixture of the suite.")
    async def test_trigger_prompt_change(context: Context) -> str:
        server.add_prompt(Prompt.from_function(passing, name="test_passing_prompt", description="gone soon"))
        server.remove_prompt("test_passing_prompt")
        await context.notify_prompts_changed()
        return "changed"


def _add_resources(server: MCPServer[Any]) -> None:
    @server.resource("test://static-text")
    def static_text() -> str:
        return "This is the content of the static text resource."

    @server.resource("test://static-binary")
    def static_binary() -> bytes:
        return base64.b64decode(PIXEL)

    @server.resource("test://template/{id}/data")
    def template(id: str) -> str:  # noqa: A002 - the suite's name
        return json.dumps({"id": id, "templateTest": True, "data": f"Data for ID: {id}"})

    @server.resource("test://watched-resource")
    def watched() -> str:
        return "watched"


def _add_prompts(server: MCPServer[Any]) -> None:
    def said(content: TextContent | ImageContent | EmbeddedResource) -> UserMessage:
        return UserMessage(role="user", content=content)

    def told(text: str) -> UserMessage:
        return said(TextContent(type="text", text=text))

    @server.prompt(description="A fixture of the suite.")
    def test_simple_prompt() -> list[UserMessage]:
        return [told("This is a simple prompt for testing.")]

    @server.prompt(description="A fixture of the suite.")
    def test_prompt_with_arguments(arg1: str, arg2: str) -> list[UserMessage]:
        return [told(f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'")]

    @server.prompt(description="A fixture of the suite.")
    def test_prompt_with_embedded_resource(resourceUri: str) -> list[UserMessage]:  # noqa: N803 - the suite's name
        return [said(_embedded(resourceUri, "an embedded resource")), told("Please process the resource above.")]

    @server.prompt(description="A fixture of the suite.")
    def test_prompt_with_image() -> list[UserMessage]:
        return [said(ImageContent(type="image", data=PIXEL, mime_type="image/png")), told("Please look at it.")]

"""What asks the suite: requests for input as results, and elicitation during a call in the older era."""

import json
from typing import Annotated, Any

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.prompts.base import UserMessage
from mcp_types import (
    CreateMessageRequest,
    CreateMessageRequestParams,
    CreateMessageResult,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    InputRequest,
    InputRequiredResult,
    ListRootsRequest,
    ListRootsResult,
    SamplingMessage,
    TextContent,
)
from pydantic import BaseModel, Field

Asked = str | InputRequiredResult


def add_input(server: MCPServer[Any]) -> None:
    """Register all of it on a server."""
    _add_questions(server)
    _add_rounds(server)
    _add_states(server)
    _add_prompt(server)
    _add_elicitation(server)


def question(message: str, field: str = "name", kind: str = "string") -> ElicitRequest:
    """A request for one field."""
    schema = {"type": "object", "properties": {field: {"type": kind}}, "required": [field]}
    return ElicitRequest(params=ElicitRequestFormParams(message=message, requested_schema=schema))


def answered(context: Context, key: str, field: str = "name") -> str | None:
    """What was answered to a question."""
    answer = (context.input_responses or {}).get(key)
    return str((answer.content or {}).get(field)) if isinstance(answer, ElicitResult) else None


def _sample(text: str) -> CreateMessageRequest:
    message = SamplingMessage(role="user", content=TextContent(type="text", text=text))
    return CreateMessageRequest(params=CreateMessageRequestParams(messages=[message], max_tokens=50))


def _add_questions(server: MCPServer[Any]) -> None:
    @server.tool(description="A fixture of the suite.")
    async def test_input_required_result_elicitation(context: Context) -> Asked:
        name = answered(context, "user_name")
        if name is not None:
            return f"Hello, {name}!"
        return InputRequiredResult(input_requests={"user_name": question("What is your name?")})

    @server.tool(description="A fixture of the suite.")
    async def test_input_required_result_sampling(context: Context) -> Asked:
        answer = (context.input_responses or {}).get("capital_question")
        if isinstance(answer, CreateMessageResult):
            return f"The model said: {answer.content}"
        return InputRequiredResult(input_requests={"capital_question": _sample("What is the capital of France?")})

    @server.tool(description="A fixture of the suite.")
    async def test_input_required_result_list_roots(context: Context) -> Asked:
        answer = (context.input_responses or {}).get("client_roots")
        if isinstance(answer, ListRootsResult):
            return f"Roots: {', '.join(str(root.uri) for root in answer.roots)}"
        return InputRequiredResult(input_requests={"client_roots": ListRootsRequest()})

    @server.tool(description="A fixture of the suite.")
    async def test_input_required_result_capabilities(context: Context) -> Asked:
        declared = context.client_capabilities
        requests: dict[str, InputRequest] = {}
        if declared is not None and declared.sampling is not None:
            requests["sample"] = _sample("Say hello")
        if declared is not None and declared.elicitation is not None:
            requests["ask"] = question("What is your name?")
        return InputRequiredResult(input_requests=requests, request_state="by capability")


def _add_rounds(server: MCPServer[Any]) -> None:
    @server.tool(description="A fixture of the suite.")
    async def test_input_required_result_multiple_inputs(context: Context) -> Asked:
        if (context.input_responses or {}).keys() >= {"user_name", "greeting", "client_roots"}:
            return "Everything was answered."
        return InputRequiredResult(
            input_requests={
                "user_name": question("What is your name?"),
                "greeting": _sample("Generate a greeting"),
                "client_roots": ListRootsRequest(),
            },
            request_state="several",
        )

    @server.tool(description="A fixture of the suite.")
    async def test_input_required_result_multi_round(context: Context) -> Asked:
        name, colour = answered(context, "step1"), answered(context, "step2", "color")
        before = json.loads(context.request_state or "{}")
        if colour is not None:
            return f"{before.get('name')} likes {colour}."
        if name is not None:
            asked = question("Step 2: What is your favorite color?", "color")
            return InputRequiredResult(input_requests={"step2": asked}, request_state=json.dumps({"name": name}))
        asked = question("Step 1: What is your name?")
        return InputRequiredResult(input_requests={"step1": asked}, request_state=json.dumps({}))


def _add_states(server: MCPServer[Any]) -> None:
    confirm = question("Please confirm", "ok", "boolean")

    @server.tool(description="A fixture of the suite.")
    async def test_input_required_result_request_state(context: Context) -> Asked:
        if "confirm" in (context.input_responses or {}) and context.request_state == "the state":
            return "state-ok"
        return InputRequiredResult(input_requests={"confirm": confirm}, request_state="the state")

    @server.tool(description="A fixture of the suite.")
    async def test_input_required_result_tampered_state(context: Context) -> Asked:
        if context.request_state is not None:
            return "state-ok"
        return InputRequiredResult(input_requests={"confirm": confirm}, request_state="untouched")


def _add_prompt(server: MCPServer[Any]) -> None:
    @server.prompt(description="A fixture of the suite.")
    async def test_input_required_result_prompt(context: Context) -> list[UserMessage] | InputRequiredResult:
        told = answered(context, "user_context", "context")
        if told is not None:
            return [UserMessage(role="user", content=TextContent(type="text", text=f"Use this context: {told}"))]
        asked = question("What context should the prompt use?", "context")
        return InputRequiredResult(input_requests={"user_context": asked})


class Person(BaseModel):
    """Who is asked."""

    username: str
    email: str


class Defaults(BaseModel):
    """Fields with defaults of every primitive type (SEP-1034)."""

    name: str = "John Doe"
    age: int = 30
    score: float = 95.5
    status: Annotated[str, Field(json_schema_extra={"enum": ["active", "inactive", "pending"]})] = "active"
    verified: bool = True


def _titled(values: dict[str, str]) -> list[dict[str, str]]:
    return [{"const": value, "title": title} for value, title in values.items()]


def _enum(**schema: Any) -> Any:
    return Field(json_schema_extra=schema)


class Enums(BaseModel):
    """Choices in every way that is allowed (SEP-1330)."""

    untitledSingle: Annotated[str, _enum(enum=["one", "two"])]  # noqa: N815 - the suite's names
    titledSingle: Annotated[str, _enum(oneOf=_titled({"low": "Low", "high": "High"}))]  # noqa: N815
    untitledMulti: Annotated[list[str], _enum(items={"type": "string", "enum": ["read", "write"]})]  # noqa: N815
    titledMulti: Annotated[list[str], _enum(items={"anyOf": _titled({"bug": "Bug", "docs": "Docs"})})]  # noqa: N815
    legacyEnum: Annotated[str, _enum(enum=["s", "l"], enumNames=["Small", "Large"])]  # noqa: N815


def _add_elicitation(server: MCPServer[Any]) -> None:
    async def asked(context: Context, message: str, schema: type[BaseModel]) -> str:
        result = await context.elicit(message, schema)
        content = result.data.model_dump_json() if result.action == "accept" else "{}"
        return f"action={result.action}, content={content}"

    @server.tool(description="A fixture of the suite.")
    async def test_elicitation(message: str, context: Context) -> str:
        return f"User response: {await asked(context, message, Person)}"

    @server.tool(description="A fixture of the suite.")
    async def test_elicitation_sep1034_defaults(context: Context) -> str:
        return f"Elicitation completed: {await asked(context, 'Please tell', Defaults)}"

    @server.tool(description="A fixture of the suite.")
    async def test_elicitation_sep1330_enums(context: Context) -> str:
        return f"Elicitation completed: {await asked(context, 'Please choose', Enums)}"

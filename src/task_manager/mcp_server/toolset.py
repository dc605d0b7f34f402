"""Tools: declared on methods, registered on a server, answered with structured content or with an error to act on.

A method becomes a tool by `@tool(…)`: its name is the tool's, the first part of its docstring the description, its
annotations the input schema, what it returns the output schema.
"""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeVar

from mcp.server.mcpserver import Context, MCPServer
from mcp_types import CallToolResult, TextContent, ToolAnnotations
from pydantic import BaseModel, ValidationError, create_model

from task_manager.errors import InvalidInput, TaskManagerError, near_misses
from task_manager.mcp_server.callers import current_caller
from task_manager.mcp_server.wording import in_tools
from task_manager.models import TokenScope
from task_manager.structured_log import get_logger

log = get_logger(__name__)

F = TypeVar("F", bound=Callable[..., Awaitable[BaseModel]])

_refused: ContextVar[TaskManagerError | None] = ContextVar("refused", default=None)

_MARK: Final = "__mcp_tool__"
_LONGEST_DETAILS: Final = 2000  # characters of JSON
_NO_VALUE: Final[tuple[object, ...]] = (None, "", [], {}, ())


@dataclass(frozen=True)
class Declaration:
    """What a tool is, beside its function.

    Attributes:
        title: For people.
        example: Arguments of a call; the description ends with them.
        access: What its caller must be allowed.
        listed: Whether it is among those that every client is shown.
        destructive: Whether it may end or remove something.
        idempotent: Whether the same call twice does no more than once.
        starts_run: Whether it answers with a run that it started.
    """

    title: str
    example: Mapping[str, Any]
    access: TokenScope
    listed: bool
    destructive: bool
    idempotent: bool
    starts_run: bool = False

    @property
    def annotations(self) -> ToolAnnotations:
        """The four hints of the protocol."""
        reads = self.access is TokenScope.READ
        return ToolAnnotations(
            read_only_hint=reads,
            destructive_hint=self.destructive,
            idempotent_hint=self.idempotent or reads,
            open_world_hint=False,
        )


@dataclass(frozen=True)
class RegisteredTool:
    """A tool of a server.

    Attributes:
        description: What clients are told of it.
        function: What the server calls.
        parameters: Its arguments by name.
    """

    name: str
    declaration: Declaration
    description: str
    function: Callable[..., Awaitable[CallToolResult]]
    parameters: Mapping[str, inspect.Parameter]

    @functools.cached_property
    def arguments(self) -> type[BaseModel]:
        """The model that calls' arguments must fit."""
        fields: dict[str, Any] = {
            name: (parameter.annotation, ... if parameter.default is parameter.empty else parameter.default)
            for name, parameter in self.parameters.items()
        }
        return create_model(f"{self.name}_arguments", **fields)

    def refusal(self, arguments: Mapping[str, object]) -> InvalidInput | None:
        """Why these arguments cannot be used; None when they can."""
        unknown = self._unknown(arguments)
        if unknown is not None:
            return unknown
        try:
            self.arguments.model_validate(_parsed(arguments))
        except ValidationError as error:
            return _unfit(self, error, arguments)
        return None

    def _unknown(self, arguments: Mapping[str, object]) -> InvalidInput | None:
        names = [name for name in arguments if name not in self.parameters]
        if not names:
            return None
        near = [close for name in names for close in near_misses(name, self.parameters)]
        known = ", ".join(self.parameters)
        return InvalidInput(
            f"{self.name} has no argument {', '.join(repr(name[: _LONGEST_DETAILS // 20]) for name in names[:5])}.",
            remedy=f"Did you mean {', '.join(near)}?" if near else f"Its arguments: {known}.",
            details={"near": near},
        )


class Toolset:
    """The tools of one server, in the order in which they were added.

    To register a tool takes milliseconds, most of them for the schema of its answers; so a server that asks for its
    tools by `register` starts without those that nobody asks for.

    Args:
        server: Where they are registered.
        on_demand: Whether they are registered by `register`, not when they are added.
    """

    def __init__(self, server: MCPServer[Any], *, on_demand: bool = False) -> None:
        self._server = server
        self._on_demand = on_demand
        self._registered: set[str] = set()
        self.tools: dict[str, RegisteredTool] = {}

    def add(self, subject: object) -> None:
        """Take the methods of an object that are declared as tools."""
        for name, method, declaration in _declared(subject):
            signature = inspect.signature(method, eval_str=True)
            parameters = {key: one for key, one in signature.parameters.items() if one.annotation is not Context}
            description = _description(method, declaration.example)
            answering = _answering(name, method, signature, declaration)
            self.tools[name] = RegisteredTool(name, declaration, description, answering, parameters)
            if not self._on_demand:
                self.register(name)

    def register(self, *names: str) -> None:
        """See to it that the server has these tools."""
        for name in names:
            if name not in self._registered:
                self._registered.add(name)
                self._register(self.tools[name])

    def _register(self, one: RegisteredTool) -> None:
        self._server.add_tool(
            one.function,
            name=one.name,
            title=one.declaration.title,
            description=one.description,
            annotations=one.declaration.annotations,
            structured_output=True,
        )


def tool(
    title: str,
    *,
    example: Mapping[str, Any],
    access: TokenScope = TokenScope.READ,
    listed: bool = False,
    destructive: bool = False,
    idempotent: bool = False,
    starts_run: bool = False,
) -> Callable[[F], F]:
    """Declare a method as a tool; see `Declaration`."""

    def declare(function: F) -> F:
        setattr(function, _MARK, Declaration(title, example, access, listed, destructive, idempotent, starts_run))
        return function

    return declare


def refuse(error: TaskManagerError | None) -> None:
    """The tool that is called next in this task answers with this error; None: it does its work."""
    _refused.set(error)


def error_result(error: TaskManagerError) -> CallToolResult:
    """An error that the caller can act on: code, what was wrong, what to do next, near misses."""
    said = {**error.as_dict(), "remedy": in_tools(error.remedy)}
    told = {name: value for name, value in said.items() if value not in _NO_VALUE}
    if len(json.dumps(told.get("details", ""), default=str)) > _LONGEST_DETAILS:
        del told["details"]
    return CallToolResult(content=[TextContent(type="text", text=_json({"error": told}))], is_error=True)


def answer(view: BaseModel) -> CallToolResult:
    """A view as structured content, mirrored as text; fields that have their default are left out."""
    data = view.model_dump(mode="json", exclude_defaults=True)
    return CallToolResult(content=[TextContent(type="text", text=_json(data))], structured_content=data)


def _declared(subject: object) -> Iterator[tuple[str, Callable[..., Awaitable[BaseModel]], Declaration]]:
    for name, function in vars(type(subject)).items():
        declaration = getattr(function, _MARK, None)
        if declaration is not None:
            yield name, getattr(subject, name), declaration


def _answering(
    name: str, method: Callable[..., Awaitable[BaseModel]], signature: inspect.Signature, declaration: Declaration
) -> Callable[..., Awaitable[CallToolResult]]:
    """The function that a server calls: it checks the caller, and turns errors into results."""

    async def call(**arguments: Any) -> CallToolResult:
        try:
            _check_access(name, declaration)
            _check_refusal()
            return answer(await method(**arguments))
        except TaskManagerError as error:
            return error_result(error)
        except Exception as error:
            log.exception("tool_failed", tool=name)
            return error_result(_unexpected(name, error))

    view = signature.return_annotation
    call.__name__ = name
    call.__signature__ = signature.replace(return_annotation=Annotated[CallToolResult, view])  # type: ignore[attr-defined]
    call.__annotations__ = {key: one.annotation for key, one in signature.parameters.items()}
    call.__annotations__["return"] = Annotated[CallToolResult, view]
    return call


def _check_access(name: str, declaration: Declaration) -> None:
    if not current_caller().allows(declaration.access):
        raise InvalidInput(
            f"This token may not call {name}: that needs the scope {declaration.access}.",
            remedy="Ask for a token of that scope: task-manager token create.",
        )


def _check_refusal() -> None:
    refusal = _refused.get()
    if refusal is not None:
        raise refusal


def _unexpected(name: str, error: Exception) -> TaskManagerError:
    return TaskManagerError(
        f"{name} failed unexpectedly: {type(error).__name__}.",
        remedy="Try once more; the server's log on standard error says more.",
    )


def _unfit(registered: RegisteredTool, error: ValidationError, arguments: Mapping[str, object]) -> InvalidInput:
    from task_manager.model_findings import model_findings

    findings = model_findings(error, registered.arguments, dict(arguments))
    return InvalidInput(
        " ".join(finding.located("The arguments") for finding in findings[:5]),
        remedy=f"The input schema of {registered.name} says what fits.",
    )


def _parsed(arguments: Mapping[str, object]) -> dict[str, object]:
    """Lists and objects that a client sent as JSON text, as the SDK takes them."""
    parsed = dict(arguments)
    for name, value in arguments.items():
        if isinstance(value, str) and value[:1] in ("[", "{"):
            try:
                parsed[name] = json.loads(value)
            except (ValueError, RecursionError):
                continue
    return parsed


def _description(method: Callable[..., object], example: Mapping[str, Any]) -> str:
    text = inspect.getdoc(method) or ""
    said = " ".join(text.partition("\n\nArgs:")[0].partition("\n\nRaises:")[0].split())
    return f"{said} Example: {_json(dict(example))}"


def _json(data: object) -> str:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"), default=str)

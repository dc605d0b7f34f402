"""How commands are declared: an async function of a session becomes a command with the options all commands share."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_type_hints

import typer

from task_manager.cli.session import Session

_SHARED = "Options of all commands"

DataDir = Annotated[
    Path | None, typer.Option(help="The folder of the store, artifacts and logs.", rich_help_panel=_SHARED)
]
Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON document on standard output.", rich_help_panel=_SHARED)
]
Config = Annotated[
    Path | None,
    typer.Option("--config", help="A file of engine settings: YAML, TOML or JSON.", rich_help_panel=_SHARED),
]
Engine = Annotated[
    Literal["auto", "dagger", "embedded"] | None,
    typer.Option(help="The engine that executes.", rich_help_panel=_SHARED),
]
Images = Annotated[
    Literal["auto", "pull", "host"] | None,
    typer.Option(help="What steps run on: their images, or the host's programs.", rich_help_panel=_SHARED),
]

_ALWAYS: dict[str, tuple[Any, Any]] = {"data_dir": (DataDir, None), "json": (Json, False)}
_WITH_ENGINE: dict[str, tuple[Any, Any]] = {
    "dagger_config_path": (Config, None),
    "engine": (Engine, None),
    "images": (Images, None),
}

_Function = TypeVar("_Function", bound=Callable[..., Coroutine[Any, Any, None]])


def command(
    group: typer.Typer, name: str, *, example: str, uses_engine: bool = False
) -> Callable[[_Function], _Function]:
    """Declare a command.

    The function's parameters after the session are the command's own, declared for typer; its docstring is the help.

    Args:
        group: What the command belongs to.
        name: What it is called.
        example: Calls that show its use, one a line.
        uses_engine: Whether it has the options about engines.
    """

    def register(function: _Function) -> _Function:
        call = _declared(function, uses_engine=uses_engine)
        group.command(name, epilog=_examples(example), help=inspect.getdoc(function))(call)
        return function

    return register


def command_of_group(group: typer.Typer, *, example: str) -> Callable[[_Function], _Function]:
    """Declare what a group does when none of its commands is named; see `command`."""

    def register(function: _Function) -> _Function:
        call = _declared(function, uses_engine=True)
        group.callback(invoke_without_command=True, epilog=_examples(example), help=inspect.getdoc(function))(call)
        return function

    return register


def group(app: typer.Typer, name: str, summary: str, *, is_command: bool = False) -> typer.Typer:
    """Add a group of commands.

    Args:
        app: What it is added to.
        name: What it is called.
        summary: Its help, one sentence.
        is_command: Whether it does something by itself; see `command_of_group`.
    """
    added = typer.Typer(name=name, help=summary, no_args_is_help=not is_command, rich_markup_mode="rich")
    app.add_typer(added)
    return added


def _declared(function: Callable[..., Coroutine[Any, Any, None]], *, uses_engine: bool) -> Callable[..., None]:
    shared = {**_ALWAYS, **(_WITH_ENGINE if uses_engine else {})}
    call = _entry(function, frozenset(shared))
    parameters = [
        inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context),
        *_own_parameters(function),
        *(
            inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)
            for key, (annotation, default) in shared.items()
        ),
    ]
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return call


def _own_parameters(function: Callable[..., Awaitable[None]]) -> list[inspect.Parameter]:
    hints = get_type_hints(function, include_extras=True)
    return [
        parameter.replace(annotation=hints[parameter.name], kind=inspect.Parameter.KEYWORD_ONLY)
        for parameter in inspect.signature(function).parameters.values()
        if parameter.name != "session"
    ]


def _entry(function: Callable[..., Coroutine[Any, Any, None]], shared: frozenset[str]) -> Callable[..., None]:
    def call(context: typer.Context, **values: Any) -> None:
        options = {name: values.pop(name) for name in shared}
        earlier = context.find_object(Session) or Session()
        session = earlier.with_options(**options)
        if context.invoked_subcommand is None:
            session.execute(function(session, **values), _path(context))
        else:
            context.obj = session

    call.__name__ = function.__name__
    return call


def _path(context: typer.Context) -> str:
    """What a command is called after the program's name, such as `run start`."""
    return context.command_path.removeprefix(context.find_root().command_path).strip()


def _examples(example: str) -> str:
    lines = [line.strip() for line in example.strip().splitlines()]
    title = "Example:" if len(lines) == 1 else "Examples:"
    return "\n\n".join([f"[dim]{title}[/dim]", *(line.replace("[", r"\[") for line in lines)])

"""The reference of the command line, from its commands."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

from typer.main import get_command

from task_manager.cli.app import PROGRAM, app
from task_manager.cli.exit_codes import ExitCode
from tests.documentation.generated.markdown import WRITTEN, members, table
from tests.documentation.generated.markdown import page as page_of

_SHARED = "Options of all commands"
_MARKUP = re.compile(r"\[/?[a-z ]+\]")


def page() -> str:
    """The page, in Markdown."""
    return page_of(
        "Commands",
        WRITTEN + f" `{PROGRAM} --help`, and `--help` after any command, say the same.",
        "Tasks, projects and phases are named by id or by name; a run is named by its id, or by its task for the "
        "latest one.",
        lines=[*_codes(), *_shared(), *_overview(), *_sections(get_command(app), PROGRAM)],
    )


def _codes() -> Iterator[str]:
    yield "## Exit codes"
    yield ""
    yield from table(("Code", "Meaning"), members(ExitCode))


def _shared() -> Iterator[str]:
    yield "## Options of all commands"
    yield ""
    yield "Commands that use an engine have all of these, the others `--data-dir` and `--json`."
    yield ""
    yield from table(("Option", "Meaning"), _options(get_command(app), shared=True))


def _overview() -> Iterator[str]:
    yield "## All commands"
    yield ""
    rows = [(f"[`{path}`](#{path.replace(' ', '-')})", _summary(one)) for path, one in _commands(get_command(app), "")]
    yield from table(("Command", "What it does"), rows)


def _commands(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    inner = getattr(command, "commands", {})
    if path and (not inner or command.invoke_without_command):
        yield path, command
    for name, one in inner.items():
        yield from _commands(one, f"{path} {name}".strip())


def _sections(root: Any, program: str) -> Iterator[str]:
    for path, command in _commands(root, ""):
        yield f"## {path}"
        yield ""
        yield _MARKUP.sub("", inspect.cleandoc(command.help or "")).replace("\b\n", "")
        yield ""
        yield "As in (*not run here*):"
        yield ""
        yield "```console"
        yield from (f"$ {line}" for line in _examples(command))
        yield "```"
        yield ""
        yield from table(("Argument or option", "Meaning"), _options(command, shared=False))


def _examples(command: Any) -> Iterator[str]:
    for line in _MARKUP.sub("", command.epilog or "").replace("\\[", "[").splitlines():
        text = line.strip()
        if text.startswith(PROGRAM):
            yield text


def _options(command: Any, *, shared: bool) -> Iterator[tuple[str, str]]:
    for one in command.params:
        if getattr(one, "hidden", False) or "--help" in one.opts:
            continue
        if (getattr(one, "rich_help_panel", None) == _SHARED) == shared:
            yield _name(one), _MARKUP.sub("", getattr(one, "help", None) or "")


def _name(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        name = (parameter.metavar or parameter.name.upper()).strip("[]")
        return f"`{name}`" if parameter.required else f"`[{name}]`"
    names = ", ".join(f"`{name}`" for name in [*parameter.opts, *parameter.secondary_opts])
    return names if parameter.is_flag else f"{names} {_kind(parameter.type_descriptor.annotation)}"


def _kind(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return " or ".join(f"`{one}`" for one in get_args(annotation))
    (inner,) = get_args(annotation) or (annotation,)
    return inner.__name__.lower() if inner is not str else "text"


def _summary(command: Any) -> str:
    return _MARKUP.sub("", inspect.cleandoc(command.help or "").split("\n\n")[0])

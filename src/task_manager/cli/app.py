"""The command line's root: its global options, its groups, and how its calls end."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated, Final

import typer

from task_manager.cli.command import Config, DataDir, Engine, Images, Json
from task_manager.cli.exit_codes import ExitCode
from task_manager.cli.on_demand import group_on_demand
from task_manager.cli.output import Output
from task_manager.cli.session import Session

PROGRAM = "task-manager"
_MODULES: Final = (
    "server",
    "demo",
    "project",
    "phase",
    "task",
    "template",
    "workflow",
    "run",
    "queue",
    "worker",
    "result",
    "artifact",
    "cache",
    "ci",
    "trigger",
    "schedule",
    "hook",
    "schema",
    "engine",
    "container",
    "mcp",
    "token",
    "config",
)
"""The commands in the order of the help; the module of the same name beside this one declares each."""

app = typer.Typer(
    name=PROGRAM,
    cls=group_on_demand(_MODULES),
    help="Write down projects and tasks, and run them as containerised workflows.",
    epilog="Start with: task-manager demo",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"{PROGRAM} {version('task-manager-dagger')}")
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    *,
    data_dir: DataDir = None,
    config: Config = None,
    engine: Engine = None,
    images: Images = None,
    json: Json = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show where unexpected errors come from.")] = False,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version.")
    ] = False,
) -> None:
    """Write down projects and tasks, and run them as containerised workflows."""
    context.obj = Session().with_options(
        json=json, debug=debug, data_dir=data_dir, dagger_config_path=config, engine=engine, images=images
    )


def run(arguments: Sequence[str]) -> int:
    """Run one call of the command line.

    Args:
        arguments: What follows the program's name.

    Returns:
        Its exit code.
    """
    _tolerate_narrow_encodings()
    try:
        code = app(args=list(arguments), prog_name=PROGRAM, standalone_mode=False)
        sys.stdout.flush()
    except typer.TyperException as error:
        _explain_misuse(error, as_json="--json" in arguments)
        return ExitCode.BAD_INPUT
    except (typer.Abort, KeyboardInterrupt):
        return ExitCode.CANCELLED
    except BrokenPipeError:  # whoever read standard output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.FAILED
    return code if isinstance(code, int) else ExitCode.SUCCEEDED


def _explain_misuse(error: typer.TyperException, *, as_json: bool) -> None:
    context: typer.Context | None = getattr(error, "ctx", None)
    path = context.command_path if context else PROGRAM
    message = error.format_message().replace("Value error, ", "")  # pydantic's words before those of a choice
    if not message:  # a group alone was named: its help is shown already
        return
    Output(as_json=as_json).problem(
        message, f"`{path} --help` shows how it is used.", {"code": "usage", "message": message, "command": path}
    )


def _tolerate_narrow_encodings() -> None:
    """A character that the terminal cannot show becomes `?` instead of an error."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")

"""`task-manager mcp`: the server for agents, on standard input and output."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from task_manager.cli.command import command, command_of_group, group
from task_manager.cli.session import Session


def add_commands(app: typer.Typer) -> None:
    """Add the group `mcp`, which serves when none of its commands is named."""
    mcp = group(app, "mcp", "Serve agents over the Model Context Protocol.", is_command=True)
    command_of_group(mcp, example="task-manager mcp\ntask-manager mcp install claude-code")(serve)
    command(mcp, "install", example="task-manager mcp install claude-code\ntask-manager mcp install cursor --print")(
        install
    )


async def serve(session: Session) -> None:
    """Serve an agent on standard input and output, until the input ends.

    Agents start this command themselves. Runs that they start go on when it ends. Log lines go to standard error.
    """
    from task_manager.mcp_server.stdio import serve_stdio

    if sys.stdin.isatty():
        session.output.note("Waiting for an agent's messages on standard input. To let an agent's program start this:")
        session.output.note("task-manager mcp install --help. Ctrl-C ends it.")
    await serve_stdio(session.settings())


async def install(
    session: Session,
    client: Annotated[
        Literal["claude-code", "claude-desktop", "cursor", "vscode"], typer.Argument(help="The program to configure.")
    ],
    *,
    only_print: Annotated[
        bool, typer.Option("--print", help="Print what would be written, and write nothing.")
    ] = False,
) -> None:
    """Tell an agent's program of this server; what its configuration says already stays.

    Claude Code and VS Code are configured in the working folder, the others for this user.
    """
    from task_manager.mcp_server.client_configuration import AgentClient, configuration_of, write

    configuration = configuration_of(AgentClient(client), Path.cwd(), _arguments(session))
    if not only_print and configuration.changed:
        write(configuration)
    told = {"path": configuration.path, "written": configuration.changed and not only_print}
    text = f"{configuration.path} has the server task_manager now. Start {client} again."
    session.output.show(
        {**told, "configuration": configuration.document}, configuration.text.rstrip() if only_print else text
    )


def _arguments(session: Session) -> list[str]:
    """The options that the server is to be started with: it is started in other folders."""
    data_dir = session.arguments.get("data_dir")
    return ["--data-dir", str(Path(str(data_dir)).absolute())] if data_dir else []

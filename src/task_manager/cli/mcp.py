"""`task-manager mcp`: the server for agents, on standard input and output."""

from __future__ import annotations

import typer

from task_manager.cli.command import command_of_group, group
from task_manager.cli.session import Session


def add_mcp_commands(app: typer.Typer) -> None:
    """Add the group `mcp`, which serves when none of its commands is named."""
    mcp = group(app, "mcp", "Serve agents over the Model Context Protocol.", is_command=True)
    command_of_group(mcp, example="task-manager mcp")(serve)


async def serve(session: Session) -> None:
    """Serve an agent on standard input and output, until the input ends.

    Agents start this command themselves. Runs that they start go on when it ends. Log lines go to standard error.
    """
    from task_manager.mcp_server.stdio import serve_stdio

    await serve_stdio(session.settings())

"""`task-manager server`: agents, other systems and people over HTTP."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Annotated

import typer

from task_manager.cli.command import command
from task_manager.cli.session import Session


def add_commands(app: typer.Typer) -> None:
    """Add the command `server`."""
    command(app, "server", example="task-manager server\ntask-manager server --port 9000", uses_engine=True)(server)


async def server(
    session: Session,
    *,
    host: Annotated[str, typer.Option(help="The address to listen on; another than this machine's needs tokens.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 for any.")] = 8765,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="A name under which it is reached, such as that of a proxy; repeatable.")
    ] = None,
    require_token: Annotated[
        bool, typer.Option("--require-token", help="Also ask programs of this machine for a token.")
    ] = False,
) -> None:
    """Serve the dashboard at /, agents at /mcp and other systems at /api/v1, until Ctrl-C or SIGTERM.

    Programs of this machine may come in without a token; all others need one: task-manager token create.
    """
    from task_manager.server import serve

    def ready(address: str) -> None:
        session.output.show(
            {"address": address, "mcp": f"{address}/mcp"},
            f"The dashboard is at {address}, agents are served at {address}/mcp.",
        )

    # Ctrl-C and SIGTERM are how a server is meant to end: that is no work given up.
    with suppress(asyncio.CancelledError):
        await serve(
            session.settings(),
            host=host,
            port=port,
            hosts=frozenset(name.lower() for name in allow_host or ()),
            require_token=require_token,
            dashboard=True,
            ready=ready,
        )

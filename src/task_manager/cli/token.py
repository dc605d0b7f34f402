"""`task-manager token`: who may come in over HTTP."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from task_manager.cli.command import command, group
from task_manager.cli.output import table
from task_manager.cli.session import Session
from task_manager.cli.statuses import moment_text

if TYPE_CHECKING:
    from task_manager.models import AccessToken


def add_commands(app: typer.Typer) -> None:
    """Add the group `token`."""
    token = group(app, "token", "Make, list and revoke tokens for clients over HTTP.")
    command(
        token,
        "create",
        example="task-manager token create claude --scope run\ntask-manager token create ci --scope read --days 30",
    )(create)
    command(token, "list", example="task-manager token list")(list_)
    command(token, "revoke", example="task-manager token revoke claude")(revoke)


async def create(
    session: Session,
    name: Annotated[str, typer.Argument(help="Unique; what its holder does bears this name in the event log.")],
    *,
    scope: Annotated[
        Literal["read", "run", "admin"], typer.Option(help="What it allows; each includes what comes before it.")
    ] = "run",
    days: Annotated[float | None, typer.Option(help="For how many days; else until it is revoked.")] = None,
) -> None:
    """Make a token. It is shown now and never again: only a digest of it is kept."""
    from task_manager.models import TokenScope

    lifetime = timedelta(days=days) if days is not None else None
    async with session.application() as application:
        token, secret = await application.access.create(name, TokenScope(scope), lifetime=lifetime)
    session.output.show({"token": secret, **_data(token)}, secret)


async def list_(session: Session) -> None:
    """List the tokens, without their secrets."""
    async with session.application() as application:
        found = await application.access.list()
    from task_manager.models import utc_now

    now = utc_now()
    rows = [
        (
            one.name,
            one.scope.value,
            moment_text(one.created_at, now),
            moment_text(one.expires_at, now) if one.expires_at else "never",
            moment_text(one.used_at, now) if one.used_at else "never",
        )
        for one in found
    ]
    empty = "There are no tokens; programs of this machine need none."
    headings = ["!Name", "!Scope", "Created", "Expires", "Used"]
    session.output.show({"items": [_data(one) for one in found]}, table(headings, rows, empty=empty))


async def revoke(session: Session, name: Annotated[str, typer.Argument(help="Its name or id.")]) -> None:
    """Refuse a token from now on."""
    async with session.application() as application:
        token = await application.access.revoke(name)
    session.output.show({"revoked": _data(token)}, f"Token {token.name} is refused from now on.")


def _data(token: AccessToken) -> dict[str, Any]:
    return token.model_dump(mode="json", exclude={"digest"})

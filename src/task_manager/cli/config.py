"""`task-manager config`: the settings."""

from __future__ import annotations

from typing import Any

import typer
from rich.text import Text

from task_manager.cli.command import command, group
from task_manager.cli.output import table
from task_manager.cli.session import Session


def add_commands(app: typer.Typer) -> None:
    """Add the group `config`."""
    config = group(app, "config", "Show the settings and where they come from.")
    command(config, "show", example="task-manager config show --json", uses_engine=True)(show)
    command(config, "path", example="ls $(task-manager config path)", uses_engine=True)(path)


async def show(session: Session) -> None:
    """List every setting with its value and where the value came from.

    Passwords and tokens are masked.
    """
    from task_manager.config import describe_settings

    rows = describe_settings(*session.load_settings())
    session.output.show(
        {"settings": rows},
        table(
            ["!Setting", "Value", "Came from"],
            [
                (row["setting"], _value(row["value"]), Text(row["origin"], style="dim" if _is_default(row) else ""))
                for row in rows
            ],
            empty="",
        ),
    )


async def path(session: Session) -> None:
    """Print the data folder, where the store, artifacts and logs lie."""
    settings, origins = session.load_settings()
    session.output.show({"data_dir": settings.data_dir, "origin": origins["data_dir"]}, str(settings.data_dir))


def _is_default(row: dict[str, Any]) -> bool:
    return bool(row["origin"] == "default")


def _value(value: Any) -> Text:
    if value is None or value in ({}, []):
        return Text("-", style="dim")
    if isinstance(value, dict):
        return Text("\n".join(f"{name} = {item}" for name, item in value.items()))
    if isinstance(value, list):
        return Text("\n".join(str(item) for item in value))
    return Text(f"{value:g}" if isinstance(value, float) else str(value))

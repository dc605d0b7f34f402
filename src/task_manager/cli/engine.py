"""`task-manager engine`: what executes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from task_manager.cli.command import command, group
from task_manager.cli.engine_cache import add_cache_commands
from task_manager.cli.exit_codes import ExitCode
from task_manager.cli.output import fields
from task_manager.cli.session import Session

if TYPE_CHECKING:
    from task_manager.engine_report import Check, EngineReport


def add_commands(app: typer.Typer) -> None:
    """Add the group `engine`."""
    engine = group(app, "engine", "Show which engine executes, and examine whether it works here.")
    command(engine, "info", example="task-manager engine info", uses_engine=True)(info)
    command(engine, "doctor", example="task-manager engine doctor --engine embedded", uses_engine=True)(doctor)
    add_cache_commands(engine)


async def info(session: Session) -> None:
    """Show which engine executes, why this one, and what it answers."""
    await _report(session, thorough=False)


async def doctor(session: Session) -> None:
    """Examine whether the engine works here; every obstacle is told with what to do.

    The exit code is 3 when it does not work.
    """
    await _report(session, thorough=True)


async def _report(session: Session, *, thorough: bool) -> None:
    from task_manager.engine_report import report_engine

    report = await report_engine(session.settings(), thorough=thorough)
    session.output.show({**report.model_dump(mode="json"), "usable": report.usable}, _view(report))
    if not report.usable:
        raise typer.Exit(ExitCode.NO_ENGINE)


def _view(report: EngineReport) -> RenderableType:
    facts = fields(
        [
            ("Engine", Text(f"{report.kind or 'none'} {report.version}".strip(), style="bold")),
            ("Chosen because", report.reason),
            ("Images", report.images.value),
            ("State folder", str(report.state_folder)),
        ]
    )
    verdict = Text("It works here.", style="green") if report.usable else Text("It does not work here.", style="red")
    return Group(facts, Text(), *(_check_line(check) for check in report.checks), Text(), verdict)


def _check_line(check: Check) -> RenderableType:
    sign, style = ("✓", "green") if check.ok else ("✗", "red") if check.required else ("○", "yellow")
    line = Text.assemble((sign, style), f" {check.name}: {check.detail}")
    return Group(line, Text(f"  {check.remedy}", style="bold")) if check.remedy and not check.ok else line

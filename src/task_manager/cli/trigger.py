"""`task-manager trigger`: what webhooks start."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from task_manager.cli.arguments import Cursor, IdempotencyKey, Limit, Yes, confirm_removal, given, parse_inputs
from task_manager.cli.choices import WebhookSourceName
from task_manager.cli.command import command, group
from task_manager.cli.output import table
from task_manager.cli.session import Session
from task_manager.cli.statuses import moment_text

if TYPE_CHECKING:
    from task_manager.trigger_records import Trigger

Name = Annotated[str, typer.Argument(help="Its name or id.")]


def add_commands(app: typer.Typer) -> None:
    """Add the group `trigger`."""
    trigger = group(app, "trigger", "Say which webhooks start which tasks.")
    command(
        trigger,
        "add",
        example="task-manager trigger add tests --source github --secret env:WEBHOOK_SECRET --event push "
        "--branch main --task 'Run the tests'\n"
        "task-manager trigger add deploy --source generic --secret file:/run/secrets/hook --project site "
        '--template shell-command --input \'command=["echo", "deployed"]\'',
    )(add)
    command(trigger, "list", example="task-manager trigger list")(list_)
    command(trigger, "remove", example="task-manager trigger remove tests")(remove)
    command(
        trigger,
        "test",
        example="task-manager trigger test payload.json --source github --event push",
    )(try_)
    command(trigger, "firings", example="task-manager trigger firings\ntask-manager trigger firings tests")(firings)


async def add(
    session: Session,
    name: Annotated[str, typer.Argument(help="Unique.")],
    *,
    source: Annotated[WebhookSourceName, typer.Option(help="Who sends the webhooks.")],
    secret: Annotated[
        str, typer.Option(metavar="env:NAME|file:PATH", help="Where the server finds the secret; it is never stored.")
    ],
    event: Annotated[list[str] | None, typer.Option(help="A pattern of events, such as push; repeatable.")] = None,
    repository: Annotated[str | None, typer.Option(help="A pattern of the repository, such as owner/*.")] = None,
    branch: Annotated[str | None, typer.Option(help="A pattern of the branch, such as release/*.")] = None,
    condition: Annotated[
        list[str] | None,
        typer.Option(
            "--if", metavar="POINTER=PATTERN", help="What the payload must have there, as /action=opened; repeatable."
        ),
    ] = None,
    task: Annotated[str | None, typer.Option(help="The task to execute, by id or title.")] = None,
    project: Annotated[str | None, typer.Option(help="The project to execute, or to make tasks in.")] = None,
    template: Annotated[str | None, typer.Option(help="With a project: make a task of it each time.")] = None,
    parameter: Annotated[
        list[str] | None, typer.Option("--input", metavar="NAME=VALUE", help="For the template; repeatable.")
    ] = None,
    payload_parameter: Annotated[
        list[str] | None,
        typer.Option(
            "--input-from",
            metavar="NAME=POINTER",
            help="For the template, from the payload, as commit=/after; repeatable.",
        ),
    ] = None,
    idempotency_key: IdempotencyKey = None,
) -> None:
    """Let webhooks start a task, a project, or a task made of a template, when all that is given fits.

    They are sent to /api/v1/webhooks/SOURCE of `task-manager server`.
    """
    fields = given(
        name=name,
        source=source,
        secret=secret,
        events=tuple(event or ()),
        repository=repository,
        branch=branch,
        conditions=_pairs(condition, "--if /action=opened"),
        task_id=task,
        project_id=project,
        template_id=template,
        parameters=parse_inputs(parameter or ()),
        payload_parameters=_pairs(payload_parameter, "--input-from commit=/after"),
    )
    async with session.application() as application:
        trigger = await application.triggers.add(fields, idempotency_key=idempotency_key)
    text = f"Trigger {trigger.name}: send webhooks to /api/v1/webhooks/{trigger.source} of the server."
    session.output.show({"trigger": trigger}, text)


async def list_(session: Session) -> None:
    """List the triggers."""
    from task_manager.cli.targets import target_texts

    async with session.application() as application:
        found = await application.triggers.list()
        starts = await target_texts(application.store, found)
    rows = [
        (one.name, one.source.value, _when(one), started, one.secret)
        for one, started in zip(found, starts, strict=True)
    ]
    empty = "There are no triggers: task-manager trigger add."
    session.output.show({"items": found}, table(["!Name", "!Source", "When", "Starts", "Secret"], rows, empty=empty))


async def remove(session: Session, name: Name, *, yes: Yes = False) -> None:
    """Remove a trigger; what it started stays."""
    async with session.application() as application:
        found = await application.triggers.get(name)
        confirm_removal(session, f"trigger {found.name}", yes=yes)
        removed = await application.triggers.remove(found.id)
    session.output.show({"removed": removed}, f"Trigger {removed.name} is removed.")


async def try_(
    session: Session,
    payload: Annotated[str, typer.Argument(metavar="FILE", help="A payload as JSON; - for standard input.")],
    *,
    source: Annotated[WebhookSourceName, typer.Option(help="Who would send it.")],
    event: Annotated[str, typer.Option(help="The event; GitLab's and generic ones are in the payload.")] = "",
) -> None:
    """Show which triggers a payload would match, and what the others lack; nothing is started."""
    from task_manager.cli.targets import target_texts
    from task_manager.trigger_records import WebhookSource

    document = _read(payload)
    async with session.application() as application:
        matches = await application.triggers.test(WebhookSource(source), event, document)
        starts = await target_texts(application.store, [match.trigger for match in matches])
    rows = [
        (
            match.trigger.name,
            Text("no", style="dim") if match.mismatches else Text("yes", style="green"),
            " ".join(match.mismatches) or started + _shown(match.parameters),
        )
        for match, started in zip(matches, starts, strict=True)
    ]
    data = [{"trigger": match.trigger, "matches": not match.mismatches, **_told(match)} for match in matches]
    empty = f"There are no triggers for {source}."
    session.output.show({"items": data}, table(["!Trigger", "!Matches", "Starts, or why not"], rows, empty=empty))


async def firings(
    session: Session,
    name: Annotated[str | None, typer.Argument(help="Of this trigger alone, by name or id.")] = None,
    *,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> None:
    """List the webhooks that matched triggers, newest first, and what they started."""
    from task_manager.models import utc_now

    async with session.application() as application:
        page = await application.triggers.firings(name, limit=limit, cursor=cursor)
        names = {one.id: one.name for one in await application.triggers.list()}
    now = utc_now()
    rows = [
        (
            moment_text(one.received_at, now),
            names.get(one.trigger_id, one.trigger_id),
            one.event,
            one.branch or "",
            one.error or ", ".join(one.run_ids),
        )
        for one in page.items
    ]
    empty = "No webhook has matched a trigger yet."
    session.output.show_page(page, table(["!Received", "!Trigger", "!Event", "Branch", "Started"], rows, empty=empty))


def _pairs(texts: list[str] | None, example: str) -> dict[str, str]:
    from task_manager.errors import InvalidInput

    for text in texts or ():
        if not text.partition("=")[2]:
            raise InvalidInput(f"{text!r} is not of the form NAME=VALUE.", remedy=f"For example: {example}")
    return {name: value for name, _, value in (text.partition("=") for text in texts or ())}


def _read(name: str) -> Any:
    from task_manager.errors import InvalidInput

    try:
        return json.loads(sys.stdin.read() if name == "-" else Path(name).read_text())
    except (OSError, ValueError) as error:
        raise InvalidInput(f"The payload {name} cannot be read: {error}.", remedy="Give a file of JSON.") from error


def _when(trigger: Trigger) -> str:
    parts = [
        "|".join(trigger.events) or "any event",
        *([f"in {trigger.repository}"] if trigger.repository else []),
        *([f"on {trigger.branch}"] if trigger.branch else []),
        *(f"{pointer}={pattern}" for pointer, pattern in trigger.conditions.items()),
    ]
    return ", ".join(parts)


def _shown(parameters: dict[str, Any]) -> str:
    pairs = ", ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in parameters.items())
    return f" with {pairs}" if pairs else ""


def _told(match: Any) -> dict[str, Any]:
    return {"mismatches": match.mismatches, "parameters": match.parameters}

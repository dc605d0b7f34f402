"""`task-manager hook`: who is told of changes of runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from task_manager.cli.arguments import Cursor, IdempotencyKey, Limit, Yes, confirm_removal, given
from task_manager.cli.choices import DeliveryStateName, HookFormName
from task_manager.cli.command import command, group
from task_manager.cli.output import table
from task_manager.cli.session import Session
from task_manager.cli.statuses import moment_text

if TYPE_CHECKING:
    from task_manager.hook_records import Hook


def add_commands(app: typer.Typer) -> None:
    """Add the group `hook`."""
    hook = group(app, "hook", "Tell other systems of changes of runs.")
    command(
        hook,
        "add",
        example="task-manager hook add chat --form webhook --url https://example.org/hook --secret env:CHAT_SECRET "
        "--status failed\n"
        "task-manager hook add checks --form github-status --secret env:GITHUB_TOKEN",
    )(add)
    command(hook, "list", example="task-manager hook list")(list_)
    command(hook, "remove", example="task-manager hook remove chat")(remove)
    command(hook, "deliveries", example="task-manager hook deliveries chat --state dead")(deliveries)
    command(hook, "redeliver", example="task-manager hook redeliver delivery-1m7zq3k5w-0f9c2hs81mv")(redeliver)


async def add(
    session: Session,
    name: Annotated[str, typer.Argument(help="Unique.")],
    *,
    form: Annotated[HookFormName, typer.Option(help="What is sent.")] = "webhook",
    url: Annotated[str | None, typer.Option(help="Where to; GitHub's API needs none.")] = None,
    secret: Annotated[
        str | None,
        typer.Option(metavar="env:NAME|file:PATH", help="Where the key or token is found when messages are sent."),
    ] = None,
    project: Annotated[str | None, typer.Option(help="Of runs of this project alone.")] = None,
    status: Annotated[list[str] | None, typer.Option(help="Of this state alone, such as failed; repeatable.")] = None,
    repository: Annotated[
        str | None, typer.Option(metavar="OWNER/NAME", help="For statuses of commits, where no webhook names it.")
    ] = None,
    idempotency_key: IdempotencyKey = None,
) -> None:
    """Send a message with each change of a run, from now on, by `task-manager server` and by workers."""
    fields = given(
        name=name,
        form=form,
        url=url,
        secret=secret,
        project_id=project,
        statuses=tuple(status or ()),
        repository=repository,
    )
    async with session.application() as application:
        hook = await application.hooks.add(fields, idempotency_key=idempotency_key)
    session.output.show({"hook": hook}, f"Hook {hook.name} sends to {hook.url} from now on.")


async def list_(session: Session) -> None:
    """List the hooks."""
    async with session.application() as application:
        found = await application.hooks.list()
    rows = [(one.name, one.form.value, one.url, _what(one), one.secret or "") for one in found]
    empty = "There are no hooks: task-manager hook add."
    session.output.show({"items": found}, table(["!Name", "!Form", "Address", "Of", "Secret"], rows, empty=empty))


async def remove(
    session: Session, name: Annotated[str, typer.Argument(help="Its name or id.")], *, yes: Yes = False
) -> None:
    """Remove a hook with its messages."""
    async with session.application() as application:
        found = await application.hooks.get(name)
        confirm_removal(session, f"hook {found.name} with its messages", yes=yes)
        removed = await application.hooks.remove(found.id)
    session.output.show({"removed": removed}, f"Hook {removed.name} is removed.")


async def deliveries(
    session: Session,
    name: Annotated[str | None, typer.Argument(help="Of this hook alone, by name or id.")] = None,
    *,
    state: Annotated[DeliveryStateName | None, typer.Option(help="In this state alone.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> None:
    """List messages, newest first: what they tell, how often they were sent, and why not with success."""
    from task_manager.hook_records import DeliveryState
    from task_manager.models import utc_now

    async with session.application() as application:
        wanted = DeliveryState(state) if state else None
        page = await application.hooks.deliveries(name, wanted, limit=limit, cursor=cursor)
        names = {one.id: one.name for one in await application.hooks.list()}
    now = utc_now()
    rows = [
        (
            one.id,
            names.get(one.hook_id, one.hook_id),
            one.run_id,
            one.status.value,
            one.state.value,
            str(one.attempts),
            moment_text(one.due_at, now) if one.due_at else "",
            one.error,
        )
        for one in page.items
    ]
    headings = ["!Delivery", "!Hook", "!Run", "!Status", "!State", "!>Attempts", "!Next", "Error"]
    session.output.show_page(page, table(headings, rows, empty="No message has been written yet."))


async def redeliver(session: Session, delivery: Annotated[str, typer.Argument(help="Its id.")]) -> None:
    """Have a message sent again, with the same id, whatever became of it."""
    async with session.application() as application:
        again = await application.hooks.send_again(delivery)
    session.output.show({"delivery": again}, f"{again.id} is sent again.")


def _what(hook: Hook) -> str:
    states = ", ".join(status.value for status in hook.statuses) or "all states"
    return f"{states} in {hook.project_id}" if hook.project_id else states

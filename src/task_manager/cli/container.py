"""`task-manager container`: helper containers that somebody holds, and all that runs have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import RenderableType
from rich.text import Text

from task_manager.cli.command import command, group
from task_manager.cli.exit_codes import ExitCode
from task_manager.cli.output import fields, table
from task_manager.cli.session import Session
from task_manager.cli.statuses import label, moment_text, status_text

if TYPE_CHECKING:
    from task_manager.communication import ContainerRecord, ContainerSpec

Container = Annotated[str, typer.Argument(metavar="CONTAINER", help="Its id, as `container list` shows it.")]
Image = Annotated[str, typer.Argument(metavar="IMAGE", help="An image reference.")]
Command = Annotated[
    list[str] | None,
    typer.Argument(metavar="COMMAND", help="After --; by default the image's own.", show_default=False),
]
Name = Annotated[str, typer.Option(help="What people call it.")]
Environment = Annotated[
    list[str] | None, typer.Option("--env", "-e", metavar="NAME=VALUE", help="An environment variable. Repeatable.")
]
Ports = Annotated[
    list[int] | None,
    typer.Option("--port", metavar="PORT", help="A port that must accept connections at the start. Repeatable."),
]
Mounts = Annotated[
    list[str] | None,
    typer.Option("--mount", metavar="SOURCE:TARGET", help="A file or folder that is copied into it. Repeatable."),
]
Capabilities = Annotated[
    list[str] | None, typer.Option("--capability", metavar="WORD", help="What it is found by. Repeatable.")
]


def add_commands(app: typer.Typer) -> None:
    """Add the group `container`."""
    container = group(app, "container", "Hold helper containers, and list those of runs.")
    command(
        container,
        "run",
        example="task-manager container run busybox -- sh -c 'date; sleep 60'\n"
        "task-manager container run redis --port 6379",
        uses_engine=True,
    )(run)
    command(
        container,
        "create",
        example="task-manager container create python:3.12-slim --name docs --mount site:/site --port 8000 -- "
        "python -m http.server -d /site 8000",
    )(create)
    command(container, "start", example="task-manager container start CONTAINER", uses_engine=True)(start)
    command(container, "stop", example="task-manager container stop CONTAINER")(stop)
    command(container, "delete", example="task-manager container delete CONTAINER")(delete)
    command(container, "status", example="task-manager container status CONTAINER --json")(status)
    command(container, "logs", example="task-manager container logs CONTAINER")(logs)
    command(container, "list", example="task-manager container list --capability service:db")(list_)


async def run(
    session: Session,
    *,
    image: Image,
    arguments: Command = None,
    name: Name = "",
    env: Environment = None,
    port: Ports = None,
    mount: Mounts = None,
    capability: Capabilities = None,
) -> None:
    """Run a container here until its command ends or Ctrl-C, show what it writes, and leave nothing behind.

    The exit code is 0 when its command ended with 0, else 1.
    """
    from task_manager.cli.container_holding import hold

    spec = _spec(image, arguments, name=name, environment=env, ports=port, mounts=mount, capabilities=capability)
    async with session.application() as application:
        workflows = await application.workflows()
        created = await workflows.create_container(spec)
        try:
            record = await hold(session, workflows, created.id)
            log = workflows.communication.container_log(created.id).read_text(errors="replace")
        finally:
            await workflows.communication.shutdown()
            await workflows.delete_container(created.id)
    session.output.show({"container": record, "log": log})
    _finish(session, record)


async def create(
    session: Session,
    *,
    image: Image,
    arguments: Command = None,
    name: Name = "",
    env: Environment = None,
    port: Ports = None,
    mount: Mounts = None,
    capability: Capabilities = None,
) -> None:
    """Write a container down; `container start` starts it."""
    spec = _spec(image, arguments, name=name, environment=env, ports=port, mounts=mount, capabilities=capability)
    async with session.application() as application:
        record = await (await application.workflows()).create_container(spec)
    session.output.show({"container": record}, f"Created container {record.id}.")


async def start(
    session: Session,
    *,
    container: Container,
    attach: Annotated[bool, typer.Option("--attach", help="Hold it here, and show what it writes.")] = False,
) -> None:
    """Start a container, and return when its ports accept connections.

    A process in the background holds it until it is stopped or its command ends; with --attach this one does, until
    Ctrl-C.
    """
    from task_manager.cli.container_holding import hold, start_in_background

    async with session.application() as application:
        workflows = await application.workflows()
        if attach:
            record = await hold(session, workflows, container)
        else:
            record = await start_in_background(session, workflows, container)
    session.output.show({"container": record}, f"Container {record.id} is {label(record.state)}.")
    if attach:
        _finish(session, record)


async def stop(session: Session, container: Container) -> None:
    """Stop a container, whichever process holds it, and wait for its end."""
    async with session.application() as application:
        record = await (await application.workflows()).stop_container(container)
    session.output.show({"container": record}, f"Container {record.id} is {label(record.state)}.")


async def delete(session: Session, container: Container) -> None:
    """Delete a container that does not run, with its log."""
    async with session.application() as application:
        await (await application.workflows()).delete_container(container)
    session.output.show({"deleted": container}, f"Deleted container {container}.")


async def status(session: Session, container: Container) -> None:
    """Show a container."""
    async with session.application() as application:
        record = await (await application.workflows()).get_container_status(container)
    session.output.show({"container": record}, _view(record))


async def logs(session: Session, container: Container) -> None:
    """Print what a container wrote since it was started last."""
    async with session.application() as application:
        path = (await application.workflows()).communication.container_log(container)
        text = path.read_text(errors="replace") if path.exists() else ""
    session.output.show({"log": text}, Text(text.rstrip("\n")))


async def list_(
    session: Session,
    *,
    run_id: Annotated[str | None, typer.Option("--run", metavar="RUN", help="Of this run.")] = None,
    capability: Annotated[str | None, typer.Option(metavar="WORD", help="That have it, such as port:80.")] = None,
) -> None:
    """List held containers, and those of the steps and services of runs that are not over."""
    from task_manager.models import utc_now

    async with session.application() as application:
        found = await (await application.workflows()).list_containers(run_id=run_id, capability=capability)
    rows = [
        (
            record.id,
            record.name,
            status_text(record.state),
            record.image,
            ", ".join(sorted(record.capabilities)),
            moment_text(record.started_at, utc_now()) if record.started_at else "",
        )
        for record in found
    ]
    columns = ["!Container", "Name", "!Status", "Image", "Capabilities", "!Started"]
    session.output.show({"items": found}, table(columns, rows, empty="There are no containers."))


def _spec(
    image: str,
    arguments: list[str] | None,
    *,
    name: str,
    environment: list[str] | None,
    ports: list[int] | None,
    mounts: list[str] | None,
    capabilities: list[str] | None,
) -> ContainerSpec:
    from pydantic import ValidationError

    from task_manager.communication import ContainerSpec
    from task_manager.errors import InvalidInput
    from task_manager.model_findings import model_findings

    data: dict[str, Any] = {
        "image": image,
        "name": name,
        "command": arguments or (),
        "environment": dict(_pair(text, "=", "--env NAME=VALUE") for text in environment or ()),
        "ports": ports or (),
        "mounts": [_mount(text) for text in mounts or ()],
        "capabilities": capabilities or (),
    }
    try:
        return ContainerSpec.model_validate(data)
    except ValidationError as error:
        findings = model_findings(error, ContainerSpec, data)
        raise InvalidInput(" ".join(finding.located("the container") for finding in findings)) from error


def _mount(text: str) -> dict[str, str]:
    from pathlib import Path

    source, target = _pair(text, ":", "--mount SOURCE:TARGET")
    return {"source": str(Path(source).absolute()), "target": target}


def _pair(text: str, separator: str, form: str) -> tuple[str, str]:
    from task_manager.errors import InvalidInput

    first, found, second = text.partition(separator)
    if not found or not first or (separator == ":" and not second):
        raise InvalidInput(f"{text!r} is not of the form {form}.")
    return first, second


def _view(record: ContainerRecord) -> RenderableType:
    from task_manager.models import utc_now

    return fields(
        [
            ("Container", Text(record.id, style="bold")),
            ("Name", record.name),
            ("Status", status_text(record.state)),
            ("Exit code", None if record.exit_code is None else str(record.exit_code)),
            ("Because", record.reason),
            ("Image", record.image),
            ("Run", record.run_id),
            ("Step", record.step_id),
            ("Capabilities", ", ".join(sorted(record.capabilities))),
            ("Reached at", record.endpoint),
            ("Started", moment_text(record.started_at, utc_now()) if record.started_at else None),
            ("Ended", moment_text(record.finished_at, utc_now()) if record.finished_at else None),
        ]
    )


def _finish(session: Session, record: ContainerRecord) -> None:
    if record.exit_code:
        session.output.note(f"Its command ended with exit code {record.exit_code}.")
        raise typer.Exit(ExitCode.FAILED)

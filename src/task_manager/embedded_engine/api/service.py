"""Service: a command that runs while others need it."""

from typing import Self

from task_manager.embedded_engine import model
from task_manager.embedded_engine.api.objects import ApiObject, field
from task_manager.embedded_engine.api.values import Port
from task_manager.embedded_engine.errors import ApiError
from task_manager.embedded_engine.services import hostname_of
from task_manager.embedded_engine.session import Session


class Service(ApiObject):
    """A service."""

    type_name = "Service"

    def __init__(self, session: Session, command: model.ServiceCommand) -> None:
        super().__init__(session)
        self.command = command

    def identity(self) -> str:
        """Return the command's digest."""
        return self.command.digest

    @field
    async def start(self) -> str:
        """Start the service and keep it until it is stopped; return its id."""
        await self.session.services.start(self.command)
        return self.id()

    @field
    async def stop(self, kill: bool = False) -> str:
        """Stop the service, with `kill` at once; return its id."""
        await self.session.services.stop(self.command, kill=bool(kill))
        return self.id()

    @field
    async def sync(self) -> str:
        """Make what the service runs in and return its id."""
        await self.session.evaluator.inputs(self.command.execution)
        return self.id()

    @field
    def hostname(self) -> str:
        """The name that the service is reached by where it is bound."""
        return hostname_of(self.command)

    @field
    def with_hostname(self, hostname: str) -> Self:
        """The service by another name."""
        command = self.command
        return type(self)(self.session, model.ServiceCommand(command.execution, command.ports, hostname))

    @field
    def ports(self) -> list[Port]:
        """The ports that the service listens on."""
        return [Port(self.session, port) for port in self.command.ports]

    @field
    def endpoint(self, port: int | None = None, scheme: str = "") -> str:
        """Where the service is reached by those that it is bound to: HOST:PORT, or with a scheme, a URL."""
        if port is None and not self.command.ports:
            raise ApiError("no ports exposed")
        place = f"{self.hostname()}:{port or self.command.ports[0].number}"
        return f"{scheme}://{place}" if scheme else place

"""Container: what commands find around them."""

from collections.abc import Sequence
from typing import Self

from task_manager.embedded_engine import model
from task_manager.embedded_engine.api import objects
from task_manager.embedded_engine.api.container_base import ContainerBase
from task_manager.embedded_engine.api.objects import field
from task_manager.embedded_engine.api.state import assigned, removed
from task_manager.embedded_engine.api.values import EnvVariable, Label, Port, Secret


class ContainerConfiguration(ContainerBase):
    """Environment, user, folder, entrypoint, labels, ports."""

    @field
    def with_env_variable(self, name: str, value: str, expand: bool = False) -> Self:
        """The container with an environment variable set."""
        return self._with(environment=assigned(self.state.environment, name, self._expanded(value, expand)))

    @field
    def without_env_variable(self, name: str) -> Self:
        """The container without an environment variable."""
        return self._with(environment=removed(self.state.environment, name))

    @field
    def env_variable(self, name: str) -> str | None:
        """An environment variable's value; null where it is not set."""
        return dict(self.state.environment).get(name)

    @field
    def env_variables(self) -> list[EnvVariable]:
        """The environment variables."""
        return [EnvVariable(self.session, name, value) for name, value in self.state.environment]

    @field
    def with_volatile_variable(self, name: str, value: str) -> Self:
        """The container with a variable that commands see and results do not depend on."""
        return self._with(volatile=assigned(self.state.volatile, name, value))

    @field
    def without_volatile_variable(self, name: str) -> Self:
        """The container without a volatile variable."""
        return self._with(volatile=removed(self.state.volatile, name))

    @field
    def with_secret_variable(self, name: str, secret: str) -> Self:
        """The container with a secret in an environment variable."""
        value = objects.expect(self.session, secret, Secret).value
        kept = tuple(item for item in self.state.secrets if item[0] != name)
        return self._with(secrets=(*kept, (name, value)))

    @field
    def without_secret_variable(self, name: str) -> Self:
        """The container without a secret variable."""
        return self._with(secrets=tuple(item for item in self.state.secrets if item[0] != name))

    @field
    def with_workdir(self, path: str, expand: bool = False) -> Self:
        """The container with a working folder."""
        return self._with(working_folder=self._path(path, expand))

    @field
    def without_workdir(self) -> Self:
        """The container with the root as its working folder."""
        return self._with(working_folder="")

    @field
    def workdir(self) -> str:
        """The working folder."""
        return self.state.working_folder

    @field
    def with_user(self, name: str) -> Self:
        """The container with a user: a name or id, or user:group."""
        return self._with(user=name)

    @field
    def without_user(self) -> Self:
        """The container with root as its user."""
        return self._with(user="")

    @field
    def user(self) -> str:
        """The user."""
        return self.state.user

    @field
    def with_entrypoint(self, args: Sequence[str], keep_default_args: bool = False) -> Self:
        """The container with an entrypoint; default arguments go unless kept."""
        default_args = self.state.default_args if keep_default_args else ()
        return self._with(entrypoint=tuple(args), default_args=default_args)

    @field
    def without_entrypoint(self, keep_default_args: bool = False) -> Self:
        """The container without an entrypoint; default arguments go unless kept."""
        return self.with_entrypoint((), keep_default_args)

    @field
    def entrypoint(self) -> list[str]:
        """The entrypoint."""
        return list(self.state.entrypoint)

    @field
    def with_default_args(self, args: Sequence[str]) -> Self:
        """The container with default arguments."""
        return self._with(default_args=tuple(args), own_default_args=True)

    @field
    def without_default_args(self) -> Self:
        """The container without default arguments."""
        return self._with(default_args=())

    @field
    def default_args(self) -> list[str]:
        """The default arguments."""
        return list(self.state.default_args)

    @field
    def with_label(self, name: str, value: str) -> Self:
        """The container with a label set."""
        return self._with(labels=assigned(self.state.labels, name, value))

    @field
    def without_label(self, name: str) -> Self:
        """The container without a label."""
        return self._with(labels=removed(self.state.labels, name))

    @field
    def label(self, name: str) -> str | None:
        """A label's value; null where it is not set."""
        return dict(self.state.labels).get(name)

    @field
    def labels(self) -> list[Label]:
        """The labels, by name."""
        return [Label(self.session, name, value) for name, value in sorted(self.state.labels)]

    @field
    def with_annotation(self, name: str, value: str) -> Self:
        """The container with an annotation set."""
        return self._with(annotations=assigned(self.state.annotations, name, value))

    @field
    def without_annotation(self, name: str) -> Self:
        """The container without an annotation."""
        return self._with(annotations=removed(self.state.annotations, name))

    @field
    def with_exposed_port(
        self,
        port: int,
        protocol: str = "TCP",
        description: str | None = None,
        experimental_skip_healthcheck: bool = False,
    ) -> Self:
        """The container with a port that it says it listens on."""
        exposed = model.ServicePort(port, protocol or "TCP", description, checked=not experimental_skip_healthcheck)
        ports = {(known.number, known.protocol): known for known in self.state.ports}
        return self._with(ports=tuple({**ports, (port, exposed.protocol): exposed}.values()))

    @field
    def without_exposed_port(self, port: int, protocol: str = "TCP") -> Self:
        """The container without an exposed port."""
        return self._with(ports=self._other_ports(port, protocol or "TCP"))

    @field
    def exposed_ports(self) -> list[Port]:
        """The exposed ports."""
        return [Port(self.session, port) for port in self.state.ports]

"""What every part of Container builds on."""

from dataclasses import replace
from typing import Any, Self

from task_manager.embedded_engine import model
from task_manager.embedded_engine.api.objects import ApiObject
from task_manager.embedded_engine.api.paths import expand as expand_text
from task_manager.embedded_engine.api.state import ContainerState
from task_manager.embedded_engine.errors import ApiError
from task_manager.embedded_engine.session import Session


class ContainerBase(ApiObject):
    """A container's state, and how fields make new containers of it."""

    def __init__(self, session: Session, state: ContainerState) -> None:
        super().__init__(session)
        self.state = state

    def identity(self) -> str:
        """Return the state's digest."""
        return self.state.digest

    def _with(self, **changes: Any) -> Self:
        return type(self)(self.session, replace(self.state, **changes))

    def _edited(self, mount: model.Mount | None, action: model.Action) -> Self:
        return type(self)(self.session, self.state.edited(mount, action))

    def _mounted(self, mount: model.Mount) -> Self:
        return type(self)(self.session, self.state.mounted(mount))

    def _other_ports(self, number: int, protocol: str) -> tuple[model.ServicePort, ...]:
        return tuple(port for port in self.state.ports if (port.number, port.protocol) != (number, protocol))

    def _expanded(self, text: str, expand: bool | None) -> str:
        return expand_text(text, self._variable) if expand else text

    def _variable(self, name: str) -> str:
        if any(name == secret for secret, _ in self.state.secrets):
            raise ApiError(f'expand cannot be used with secret env variable "{name}"')
        if any(name == volatile for volatile, _ in self.state.volatile):
            raise ApiError(f'expand cannot be used with volatile env variable "{name}"')
        return dict(self.state.environment).get(name, "")

    def _path(self, path: str, expand: bool | None) -> str:
        return self.state.resolve(self._expanded(path, expand))

    def _redirect(self, path: str | None, expand: bool | None) -> str:
        return self._path(path, expand) if path else ""

"""The small objects: Secret, CacheVolume, EnvVariable, Label, Port."""

from task_manager.embedded_engine import model
from task_manager.embedded_engine.api.objects import ApiObject, field
from task_manager.embedded_engine.session import Session


class Secret(ApiObject):
    """A value that is never stored or shown."""

    type_name = "Secret"

    def __init__(self, session: Session, value: model.SecretValue, uri: str = "") -> None:
        super().__init__(session)
        self.value = value
        self._uri = uri

    def identity(self) -> str:
        """Return the digest that stands for the value, and the address."""
        return f"{self.value.digest}:{self._uri}"

    @field
    def name(self) -> str:
        """The name that it was set by, or its address."""
        return self.value.name

    @field
    def plaintext(self) -> str:
        """The value."""
        return self.value.value.decode("utf-8", "replace")

    @field
    def uri(self) -> str:
        """The address that it was taken from."""
        return self._uri


class CacheVolume(ApiObject):
    """A folder that outlives the commands that write in it."""

    type_name = "CacheVolume"

    def __init__(self, session: Session, key: model.CacheVolumeKey, sharing: str = "SHARED") -> None:
        super().__init__(session)
        self.key = key
        self.sharing = sharing

    def identity(self) -> str:
        """Return the volume's digest and sharing."""
        return f"{self.key.digest}:{self.sharing}"


class _Pair(ApiObject):
    def __init__(self, session: Session, name: str, value: str) -> None:
        super().__init__(session)
        self._name = name
        self._value = value

    def identity(self) -> str:
        """Return both parts."""
        return f"{self._name}={self._value}"


class EnvVariable(_Pair):
    """An environment variable."""

    type_name = "EnvVariable"

    @field
    def name(self) -> str:
        """The variable's name."""
        return self._name

    @field
    def value(self) -> str:
        """The variable's value."""
        return self._value


class Label(_Pair):
    """A label of a container."""

    type_name = "Label"

    @field
    def name(self) -> str:
        """The label's name."""
        return self._name

    @field
    def value(self) -> str:
        """The label's value."""
        return self._value


class Port(ApiObject):
    """A port that a container exposes."""

    type_name = "Port"

    def __init__(self, session: Session, exposed: model.ServicePort) -> None:
        super().__init__(session)
        self._exposed = exposed

    def identity(self) -> str:
        """Return the port's digest."""
        return self._exposed.digest

    @field
    def port(self) -> int:
        """The number."""
        return self._exposed.number

    @field
    def protocol(self) -> str:
        """TCP or UDP."""
        return self._exposed.protocol

    @field
    def description(self) -> str | None:
        """What was said about it."""
        return self._exposed.description

    @field
    def experimental_skip_healthcheck(self) -> bool:
        """Whether services do not wait for it."""
        return not self._exposed.checked

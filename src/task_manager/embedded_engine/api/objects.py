"""What every object of the API is: fields that are methods, and an identity."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from task_manager.embedded_engine.errors import ApiError, UnsupportedError

if TYPE_CHECKING:
    from task_manager.embedded_engine.session import Session

Method = TypeVar("Method", bound=Callable[..., Any])
_WORD = re.compile(r"(?<=[a-z0-9])([A-Z])|([A-Z])(?=[a-z])")
_KEYWORDS = frozenset({"from", "import", "with"})


def field(method: Method) -> Method:
    """Mark a method as a field of the API; its name is the field's in snake case."""
    method.is_api_field = True  # type: ignore[attr-defined]
    return method


def python_name(name: str) -> str:
    """Return the method or argument that stands for a GraphQL name: `withExec` is `with_exec`, `from` is `from_`."""
    snake = _WORD.sub(r"_\g<0>", name).lower().lstrip("_")
    return f"{snake}_" if snake in _KEYWORDS else snake


class ApiObject:
    """One value of a GraphQL object type."""

    type_name: ClassVar[str]
    fields: ClassVar[dict[str, Callable[..., Any]]] = {}

    def __init_subclass__(cls) -> None:
        members = {name: getattr(cls, name) for name in dir(cls)}
        cls.fields = {name: value for name, value in members.items() if getattr(value, "is_api_field", False)}

    def __init__(self, session: "Session") -> None:
        self.session = session
        self.field_path: tuple[str | int, ...] = ()

    def identity(self) -> str:
        """Return what tells this object from others of its type."""
        raise NotImplementedError

    def id(self) -> str:
        """Return the object's id, which it can be loaded by as long as the session lives."""
        return self.session.objects.register(self)


class ObjectRegistry:
    """The objects that ids were given for."""

    def __init__(self) -> None:
        self._objects: dict[str, ApiObject] = {}

    def register(self, found: ApiObject) -> str:
        """Return an object's id."""
        identifier = f"{found.type_name}@{found.identity()}"
        self._objects.setdefault(identifier, found)
        return identifier

    def load(self, identifier: str) -> ApiObject:
        """Return the object of an id.

        Raises:
            ApiError: No such id was given in this session.
        """
        found = self._objects.get(identifier)
        if found is None:
            raise ApiError(
                f"no object has the id {identifier[:80]!r} in this session: "
                "ids do not outlive the session that gave them"
            )
        return found


Wanted = TypeVar("Wanted", bound=ApiObject)


def expect(session: "Session", identifier: str, kind: type[Wanted]) -> Wanted:
    """Return the object of an id, which must be of one type.

    Raises:
        ApiError: It is of another, or there is none.
    """
    found = session.objects.load(identifier)
    if not isinstance(found, kind):
        raise ApiError(f"the id belongs to a {found.type_name}, a {kind.type_name} is needed here")
    return found


def unsupported(type_name: str, name: str, detail: str = "") -> UnsupportedError:
    """Return the error for a field or argument that is named but not offered."""
    what = f"{type_name}.{name}" + (f" with {detail}" if detail else "")
    return UnsupportedError(
        f"{what} is not supported by the embedded engine: use a Dagger engine for it "
        "(install Docker and the dagger CLI, or set _EXPERIMENTAL_DAGGER_RUNNER_HOST)"
    )

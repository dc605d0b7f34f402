"""The reference of the Python API, from the docstrings of the public names."""

from __future__ import annotations

import enum
import inspect
from collections.abc import Iterator
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import task_manager
from tests.documentation.generated.markdown import WRITTEN, members, summary, table
from tests.documentation.generated.markdown import page as page_of


def page() -> str:
    """The page, in Markdown."""
    return page_of(
        "Python API",
        WRITTEN,
        "All of these names are imported from `task_manager`, which loads them when they are first used. "
        "Durations are in seconds, sizes in bytes, times are aware of their zone. Errors are those of "
        "[the error tree](errors.md). `task_manager.testing` has fakes and factories for tests.",
        lines=[line for name in task_manager.__all__ for line in _section(name, getattr(task_manager, name))],
    )


def signatures() -> dict[str, Any]:
    """The public names with what they take, for comparisons."""
    return {name: _signatures(getattr(task_manager, name)) for name in task_manager.__all__}


def _section(name: str, thing: Any) -> Iterator[str]:
    yield f"## {name}"
    yield ""
    yield summary(thing)
    yield ""
    if inspect.isclass(thing) and issubclass(thing, enum.Enum):
        yield from table(("Value", "Meaning"), [(f"`{value}`", text) for value, text in members(thing)])
    elif fields := getattr(thing, "model_fields", None):
        yield from table(("Field", "Type"), [(f"`{key}`", f"`{_type(one.annotation)}`") for key, one in fields.items()])
    else:
        yield f"`{name}{_signature(thing)}`"
        yield ""
    rows = [(f"`{key}{_signature(value)}`", summary(value)) for key, value in _methods(thing)]
    yield from table(("Method", "What it does"), rows)


def _methods(thing: Any) -> Iterator[tuple[str, Any]]:
    if not inspect.isclass(thing):
        return
    own = [one for one in thing.__mro__ if one.__module__.startswith("task_manager.")]
    for key, value in {key: value for one in reversed(own) for key, value in vars(one).items()}.items():
        plain = value.__func__ if isinstance(value, classmethod | staticmethod) else value
        if not key.startswith("_") and inspect.isfunction(plain) and inspect.getdoc(plain) and key != "model_config":
            yield key, plain


def _signature(thing: Any) -> str:
    try:
        signature = inspect.signature(thing)
    except (TypeError, ValueError):
        return "()"
    own = [one for one in signature.parameters.values() if one.name not in {"self", "cls"}]
    plain = [one.replace(annotation=inspect.Parameter.empty, default=_default(one.default)) for one in own]
    return str(signature.replace(parameters=plain, return_annotation=inspect.Signature.empty))


class _Shown:
    """A default as it is shown: the same in every process."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def _default(value: object) -> object:
    if value is inspect.Parameter.empty:
        return value
    simple = value is None or (isinstance(value, str | int | float | tuple) and not isinstance(value, enum.Enum))
    return _Shown(repr(value)) if simple else _Shown(str(value) if isinstance(value, enum.Enum) else "…")


def _type(annotation: Any) -> str:
    """A type as people write it, without what pydantic checks."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type(inner[0])
    if origin is Literal:
        return " | ".join(map(repr, inner))
    if origin in {Union, UnionType}:
        return " | ".join(map(_type, inner))
    if annotation is ...:
        return "..."
    name = "None" if annotation is NoneType else getattr(origin or annotation, "__name__", str(annotation))
    return f"{name}[{', '.join(map(_type, inner))}]" if inner else name


def _signatures(thing: Any) -> Any:
    if inspect.isclass(thing) and issubclass(thing, enum.Enum):
        return [str(member.value) for member in thing]
    fields = sorted(getattr(thing, "model_fields", ()))
    return {"call": "" if fields else _signature(thing), "fields": fields} | {
        key: _signature(value) for key, value in _methods(thing)
    }

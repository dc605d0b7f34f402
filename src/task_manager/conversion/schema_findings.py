"""What pydantic finds in definitions, with places and in our own words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from typing import Any, get_args

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from task_manager.conversion.findings import Finding
from task_manager.documents import place_text
from task_manager.errors import near_misses
from task_manager.pipeline import ContainerPath, EnvironmentName, Identifier, Script, SecretReference, Service

Location = tuple[int | str, ...]
"""Where something stands in a definition: keys and positions from the top."""

FUNCTION_PATTERN = r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*:[A-Za-z_][A-Za-z0-9_]*$"
"""The form of `module:function`."""

_MAXIMUM_SHOWN = 40


def _place(location: Location) -> str:
    """A location as people read it: `steps[2].outputs[0].path`."""
    return place_text(tuple(part for part in location if part != "[key]")) or "definition"


def schema_findings(error: ValidationError, root: type[BaseModel]) -> Iterator[Finding]:
    """What pydantic refused, in this project's words.

    Args:
        error: Pydantic's error.
        root: The model that was to be read.

    Yields:
        Errors with their places; values that could be secrets are not repeated.
    """
    for detail in relevant_details(error):
        location = _without_tags(detail["loc"], root)
        message, remedy = _words(detail, root)
        yield Finding(place=_place(location), code=_code(detail["type"]), message=message, remedy=remedy)


def relevant_details(error: ValidationError) -> Iterator[ErrorDetails]:
    """All but "too short" of a list that is only short because its elements were refused."""
    for detail in error.errors(include_url=False):
        if detail["type"] == "too_short" and detail["input"]:
            continue
        yield detail


def _code(error_type: str) -> str:
    return {"missing": "missing_field", "extra_forbidden": "unknown_field"}.get(error_type, "invalid_value")


# --- which model a location lies in ---


def _without_tags(location: Location, root: type[BaseModel]) -> Location:
    """A location without the names that pydantic adds for the members of a union."""
    return tuple(
        part for part, models in zip(location, _models_along(location, root), strict=False) if not _is_tag(part, models)
    )


def _model_at(location: Location, root: type[BaseModel]) -> type[BaseModel] | None:
    models = _models_along(location, root)[-1]
    return models[0] if len(models) == 1 else None


def _models_along(location: Location, root: type[BaseModel]) -> list[tuple[type[BaseModel], ...]]:
    """The models that may lie before each part of a location, and after its last."""
    models: list[tuple[type[BaseModel], ...]] = [(root,)]
    for part in location:
        into = _tagged if _is_tag(part, models[-1]) else _beneath
        models.append(into(models[-1], part))
    return models


def _is_tag(part: int | str, models: tuple[type[BaseModel], ...]) -> bool:
    return len(models) > 1 and isinstance(part, str)


def _tagged(models: tuple[type[BaseModel], ...], tag: int | str) -> tuple[type[BaseModel], ...]:
    return tuple(model for model in models if model.model_fields["type"].default == tag)


def _beneath(models: tuple[type[BaseModel], ...], part: int | str) -> tuple[type[BaseModel], ...]:
    if isinstance(part, int):
        return models
    field = models[0].model_fields.get(part) if models else None
    return tuple(_models_in(field.annotation)) if field else ()


def _models_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)


# --- what pydantic says, in our own words ---


def _words(detail: ErrorDetails, root: type[BaseModel]) -> tuple[str, str]:
    """The message and the remedy for one thing that pydantic refused."""
    if detail["type"] == "extra_forbidden":
        return _unknown_field(detail, root)
    describe = _DESCRIPTIONS.get(detail["type"])
    if describe is None:
        reason = detail["msg"]
        return f"The value cannot be used: {reason[:1].lower()}{reason[1:]}.", ""
    return describe(detail)


def _unknown_field(detail: ErrorDetails, root: type[BaseModel]) -> tuple[str, str]:
    name = str(detail["loc"][-1])
    model = _model_at(detail["loc"][:-1], root)
    known = sorted(model.model_fields) if model else []
    near = near_misses(name, known)
    remedy = f"Did you mean {_either(near)}?" if near else f"Known here: {', '.join(known)}."
    return f"There is no field {name!r} here.", remedy


def _missing(detail: ErrorDetails) -> tuple[str, str]:
    name = detail["loc"][-1]
    return f"The field {name!r} is missing.", "Add it."


def _text_expected(detail: ErrorDetails) -> tuple[str, str]:
    message = f"Text was expected, {_shown(detail)} was found."
    if isinstance(detail["input"], int | float | date):
        return message, f'Put it in quotes: "{_plain(detail["input"])}".'
    return message, ""


def _list_expected(detail: ErrorDetails) -> tuple[str, str]:
    message = f"A list was expected, {_shown(detail)} was found."
    if detail["loc"][-1] == "command":
        return message, 'No shell reads a command: give program and arguments, ["pytest", "-q"], or use a script.'
    return message, "Put the values in a list, even a single one."


def _mapping_expected(detail: ErrorDetails) -> tuple[str, str]:
    return f"A mapping of fields was expected, {_shown(detail)} was found.", ""


def _too_short(detail: ErrorDetails) -> tuple[str, str]:
    minimum = detail["ctx"]["min_length"]
    if minimum == 1:
        return "This must not be empty.", ""
    return f"At least {minimum} are needed here.", ""


def _too_long(detail: ErrorDetails) -> tuple[str, str]:
    return f"At most {detail['ctx']['max_length']} are allowed here.", "Shorten it."


def _choice(detail: ErrorDetails) -> tuple[str, str]:
    known = re.findall(r"'([^']*)'", detail["ctx"].get("expected") or detail["ctx"]["expected_tags"])
    value = detail["input"].get("type") if isinstance(detail["input"], Mapping) else detail["input"]
    near = near_misses(str(value), known)
    message = f"{_plain(value)!r} is not known here; known: {', '.join(known)}."
    return message, f"Did you mean {_either(near)}?" if near else ""


def _type_missing(_detail: ErrorDetails) -> tuple[str, str]:
    return "The field 'type' is missing.", "Say which kind of source it is: host, inline, step or task."


def _number_range(detail: ErrorDetails) -> tuple[str, str]:
    bounds = {"gt": "more than", "ge": "at least", "lt": "less than", "le": "at most"}
    limits = " and ".join(f"{bounds[key]} {limit:g}" for key, limit in detail["ctx"].items() if key in bounds)
    return f"The number must be {limits}, {_shown(detail)} was found.", ""


def _number_expected(detail: ErrorDetails) -> tuple[str, str]:
    return f"A number was expected, {_shown(detail)} was found.", ""


def _truth_expected(detail: ErrorDetails) -> tuple[str, str]:
    return f"true or false was expected, {_shown(detail)} was found.", ""


def _form(detail: ErrorDetails) -> tuple[str, str]:
    form, remedy = _FORMS.get(detail["ctx"]["pattern"], ("the form that is required here", ""))
    shown = _shown(detail)
    return f"{shown[:1].upper()}{shown[1:]} does not have {form}.", remedy


_DESCRIPTIONS: Mapping[str, Callable[[ErrorDetails], tuple[str, str]]] = {
    "missing": _missing,
    "string_type": _text_expected,
    "tuple_type": _list_expected,
    "dict_type": _mapping_expected,
    "model_type": _mapping_expected,
    "model_attributes_type": _mapping_expected,
    "string_too_short": _too_short,
    "too_short": _too_short,
    "string_too_long": _too_long,
    "too_long": _too_long,
    "enum": _choice,
    "union_tag_invalid": _choice,
    "union_tag_not_found": _type_missing,
    "greater_than": _number_range,
    "greater_than_equal": _number_range,
    "less_than": _number_range,
    "less_than_equal": _number_range,
    "int_type": _number_expected,
    "int_parsing": _number_expected,
    "int_from_float": _number_expected,
    "float_type": _number_expected,
    "float_parsing": _number_expected,
    "bool_type": _truth_expected,
    "bool_parsing": _truth_expected,
    "string_pattern_mismatch": _form,
}


def _pattern(annotation: Any) -> str:
    pattern: str = TypeAdapter(annotation).json_schema()["pattern"]
    return pattern


def _pattern_of(model: type[BaseModel], field: str) -> str:
    pattern: str = model.model_json_schema()["properties"][field]["pattern"]
    return pattern


_FORMS: Mapping[str, tuple[str, str]] = {
    _pattern(Identifier): (
        "the form of a name",
        "Use a letter, then letters, digits, '_' or '-', at most 63 characters.",
    ),
    _pattern(ContainerPath): ("the form of a path", "Leave out the null character."),
    _pattern(EnvironmentName): (
        "the form of an environment variable's name",
        "Use a letter or '_', then letters, digits or '_'.",
    ),
    _pattern(SecretReference): (
        "the form of a secret's reference",
        "Name where the secret is kept, never its value: env:NAME or file:PATH.",
    ),
    _pattern_of(Service, "name"): (
        "the form of a host name",
        "Use lower-case letters, digits and '-', starting with a letter, at most 63 characters.",
    ),
    _pattern_of(Script, "name"): (
        "the form of a file name",
        "Use letters, digits, '_', '-' and '.', no folders, at most 100 characters.",
    ),
    FUNCTION_PATTERN: (
        "the form module:function",
        "Name a module of the pipelines folder and a function in it, such as release:build.",
    ),
}


# --- values in messages ---


def _shown(detail: ErrorDetails) -> str:
    """A value as a message names it; never one that could be a secret."""
    if "secrets" in detail["loc"]:
        return "the value"
    value = detail["input"]
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple | set | frozenset):
        return "a list"
    if value is None:
        return "nothing"
    return f"text {_plain(value)!r}" if isinstance(value, str) else f"{_plain(value)}"


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    return text if len(text) <= _MAXIMUM_SHOWN else text[: _MAXIMUM_SHOWN - 1] + "…"


def _either(words: list[str]) -> str:
    return " or ".join(repr(word) for word in words)

"""A template's parameters as the fields of a form, and what was typed there as values for its parameters.

What fits and what does not is for the template to say (`WorkflowTemplate.resolve_parameters`): a form only brings texts
into the shape that the schema asks for, and leaves what it cannot bring there as it is.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeAlias

from pydantic import JsonValue

from task_manager.errors import InvalidParameters
from task_manager.templating.descriptions import describe
from task_manager.templating.parameters import is_secret

Schema: TypeAlias = Mapping[str, Any]
Typed: TypeAlias = str | bool | list[str]
"""What stands in a field: a text, whether a switch is on, or the chosen ones of several."""

WHOLE_FORM: Final = ""
"""The name under which problems stand that belong to no field."""

_NUMBER: Final = re.compile(r"[+-]?([0-9]{1,300}(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
_FIRST_NAME: Final = re.compile(r"\w+")


class InputKind(StrEnum):
    """How a value is given."""

    TEXT = "text"
    """One line of text."""
    PARAGRAPH = "paragraph"
    """Text of one line or more."""
    SECRET = "secret"  # noqa: S105 - a kind of field
    """One line that nobody else shall read."""
    NUMBER = "number"
    """A number, as text."""
    SWITCH = "switch"
    """On or off."""
    CHOICE = "choice"
    """One of several."""
    CHOICES = "choices"
    """Any of several."""
    LINES = "lines"
    """Texts, one a line."""
    JSON = "json"
    """Anything else, as JSON."""


@dataclass(frozen=True)
class ParameterField:
    """A field of the form.

    Attributes:
        name: The parameter.
        required: Whether a value must be given.
        meaning: What it is for.
        expected: What values there are, in words.
        initial: What stands there at first: the default.
        choices: For one or any of several.
        example: A text that shows what may be typed; empty where the schema has none.
    """

    name: str
    kind: InputKind
    required: bool
    meaning: str
    expected: str
    initial: Typed
    choices: tuple[str, ...] = ()
    example: str = ""


@dataclass(frozen=True)
class FormReading:
    """What was typed.

    Attributes:
        values: By parameter; those of empty fields are left out.
        problems: What cannot be read at all, by field.
    """

    values: dict[str, JsonValue]
    problems: dict[str, str]


def parameter_fields(schema: Schema, given: Mapping[str, JsonValue] | None = None) -> tuple[ParameterField, ...]:
    """The fields of a form, in the order of the schema.

    Args:
        schema: A JSON Schema of type object.
        given: Values that stand there at first in place of the defaults.
    """
    required = schema.get("required", ())
    values = given or {}
    return tuple(
        _field(name, below, name in required, schema, values)
        for name, below in schema.get("properties", {}).items()
        if isinstance(below, Mapping)
    )


def read_form(fields: Sequence[ParameterField], typed: Mapping[str, Typed]) -> FormReading:
    """What was typed, as values for the parameters.

    Args:
        fields: The fields of the form.
        typed: What stands in them, by name.
    """
    values: dict[str, JsonValue] = {}
    problems: dict[str, str] = {}
    for field in fields:
        text = typed.get(field.name, field.initial)
        if text == "":
            continue
        try:
            values[field.name] = _value(field.kind, text)
        except ValueError as error:
            problems[field.name] = f"This is not JSON: {error}."
    return FormReading(values, problems)


def without_defaults(values: Mapping[str, JsonValue], schema: Schema) -> dict[str, JsonValue]:
    """The values that say more than the schema does by itself."""
    properties = schema.get("properties", {})
    return {
        name: value
        for name, value in values.items()
        if value != properties[name].get("default", [] if isinstance(value, list) else None)
    }


def changed_values(
    fields: Sequence[ParameterField], typed: Mapping[str, Typed], values: Mapping[str, JsonValue], schema: Schema
) -> dict[str, JsonValue]:
    """The values of the fields in which something else stands than at first; emptied ones have their default."""
    changed: dict[str, JsonValue] = {}
    for field in fields:
        if typed.get(field.name, field.initial) == field.initial:
            continue
        default = schema.get("properties", {}).get(field.name, {}).get("default")
        value = values.get(field.name, default)
        if field.name in values or value is not None:
            changed[field.name] = value
    return changed


def typed_in(fields: Sequence[ParameterField], data: Mapping[str, object], prefix: str) -> dict[str, Typed]:
    """What stands in the fields of a form that the browser sent.

    Args:
        fields: The fields.
        data: By the names of the form's elements: `input_name`; what is off is not in it.
        prefix: Of these names.
    """
    typed: dict[str, Typed] = {}
    for field in fields:
        name = input_name(prefix, field.name)
        if field.kind is InputKind.SWITCH:
            typed[field.name] = name in data
        elif field.kind is InputKind.CHOICES:
            typed[field.name] = [one for one in field.choices if input_name(name, one) in data]
        else:
            typed[field.name] = str(data.get(name, "")).replace("\r\n", "\n")
    return typed


def input_name(prefix: str, name: str) -> str:
    """The name of a form's element: of a field, or of one choice of several in it."""
    return f"{prefix}.{name}"


def problems_by_field(error: InvalidParameters, fields: Sequence[ParameterField]) -> dict[str, str]:
    """What a template says about values, by the field it is about; else under `WHOLE_FORM`."""
    known = {field.name for field in fields}
    problems: dict[str, str] = {}
    for finding in _findings(error):
        name = _FIRST_NAME.match(finding["name"])
        at_field = name is not None and name[0] in known
        place = name[0] if name and at_field else WHOLE_FORM
        inside = at_field and finding["name"] != place
        sentence = f"Expected {finding['expected']}." if at_field and not inside else finding["message"]
        problems[place] = " ".join(filter(None, (problems.get(place, ""), sentence)))
    return problems or {WHOLE_FORM: error.message}


def shown_in(kind: InputKind, value: JsonValue) -> Typed:
    """A value as it stands in a field of that kind."""
    if kind is InputKind.SWITCH:
        return bool(value)
    if kind is InputKind.CHOICES:
        return [str(one) for one in value] if isinstance(value, list) else []
    if kind is InputKind.LINES and isinstance(value, list):
        return "\n".join(str(one) for one in value)
    if value is None or (isinstance(value, str) and kind is not InputKind.JSON):
        return value or ""
    return json.dumps(value, ensure_ascii=False)


def _field(name: str, schema: Schema, required: bool, root: Schema, given: Mapping[str, JsonValue]) -> ParameterField:
    value = given.get(name, schema.get("default"))
    kind = _kind(schema, root)
    if kind is InputKind.TEXT and (_may_have_lines(schema) or (isinstance(value, str) and "\n" in value)):
        kind = InputKind.PARAGRAPH
    examples = schema.get("examples") or [None]
    return ParameterField(
        name=name,
        kind=kind,
        required=required,
        meaning=str(schema.get("description") or schema.get("title") or ""),
        expected=describe({key: value for key, value in schema.items() if key != "default"}, root),
        # What is secret is not sent to a browser; left empty, it stays as it is.
        initial="" if kind is InputKind.SECRET else shown_in(kind, value),
        choices=_choices(schema),
        example=str(shown_in(kind, examples[0])) if kind not in (InputKind.SWITCH, InputKind.CHOICES) else "",
    )


def _kind(schema: Schema, root: Schema) -> InputKind:
    if is_secret(schema, root):
        return InputKind.SECRET if schema.get("type") == "string" else InputKind.JSON
    if _texts(schema):
        return InputKind.CHOICE
    kinds = schema.get("type")
    wanted = {kinds} if isinstance(kinds, str) else set(kinds or ())
    if wanted == {"array"}:
        items = schema.get("items", {})
        if _texts(items):
            return InputKind.CHOICES
        return InputKind.LINES if items.get("type") == "string" else InputKind.JSON
    simple = {"string": InputKind.TEXT, "boolean": InputKind.SWITCH}
    simple |= {"integer": InputKind.NUMBER, "number": InputKind.NUMBER}
    found = {simple.get(one, InputKind.JSON) for one in wanted - {"null"}}
    return found.pop() if len(found) == 1 else InputKind.JSON


def _may_have_lines(schema: Schema) -> bool:
    """Whether nothing in the schema of a text speaks for a single line."""
    return schema.keys().isdisjoint({"format", "pattern", "maxLength", "default", "examples"})


def _texts(schema: Schema) -> tuple[str, ...]:
    """The values of an enumeration of texts."""
    values = schema.get("enum", ())
    return tuple(values) if all(isinstance(value, str) for value in values) else ()


def _choices(schema: Schema) -> tuple[str, ...]:
    items = schema.get("items")
    return _texts(schema) or (_texts(items) if isinstance(items, Mapping) else ())


def _value(kind: InputKind, typed: Typed) -> JsonValue:
    if not isinstance(typed, str):
        return list[JsonValue](typed) if isinstance(typed, list) else typed
    if kind is InputKind.LINES:
        return [line.strip() for line in typed.splitlines() if line.strip()]
    if kind is InputKind.NUMBER:
        return _number(typed.strip())
    return _json(typed) if kind is InputKind.JSON else typed


def _number(text: str) -> JsonValue:
    if not _NUMBER.fullmatch(text):
        return text
    number = float(text)
    if not math.isfinite(number):
        return text
    return int(text) if text.lstrip("+-").isdigit() else number


def _json(text: str) -> JsonValue:
    try:
        value: JsonValue = json.loads(text, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        what = error.msg[0].lower() + error.msg[1:]
        raise ValueError(f"{what} at line {error.lineno}, column {error.colno}") from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    return value


def _no_constant(name: str) -> JsonValue:
    raise ValueError(f"{name} is not a number of JSON")


def _findings(error: InvalidParameters) -> list[dict[str, str]]:
    found = error.details.get("findings")
    return found if isinstance(found, list) else []

"""What a JSON Schema asks for, in words: `a whole number of at least 1`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

_SHOWN: Final = 80
_TYPES: Final = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
    "null": "null",
}
_FORMATS: Final = {
    "source-path": "a path inside the source folder (such as `data/rows.csv`, without `..` or a leading `./`)",
    "regex": "a regular expression",
    "date": "a date (YYYY-MM-DD)",
    "email": "an e-mail address",
    "uuid": "a UUID",
}
_LIMITS: Final = {
    "minimum": "of at least {}",
    "exclusiveMinimum": "above {}",
    "maximum": "of at most {}",
    "exclusiveMaximum": "below {}",
    "multipleOf": "that is a multiple of {}",
    "minLength": "of at least {} characters",
    "maxLength": "of at most {} characters",
    "pattern": "that matches {}",
    "minItems": "of at least {} items",
    "maxItems": "of at most {} items",
    "uniqueItems": "without repetitions",
    "minProperties": "of at least {} entries",
    "maxProperties": "of at most {} entries",
    "required": "with {}",
}


@dataclass(frozen=True)
class ParameterLine:
    """A parameter as tables show it; `default` is JSON, empty where there is none."""

    name: str
    kind: str
    required: bool
    default: str
    meaning: str


def parameter_lines(schema: Mapping[str, Any]) -> tuple[ParameterLine, ...]:
    """The properties of a JSON Schema of type object, in its order."""
    properties, required = schema.get("properties"), schema.get("required")
    return tuple(
        ParameterLine(
            name=name,
            kind=_type_name(one),
            required=isinstance(required, list) and name in required,
            default=json.dumps(one["default"], ensure_ascii=False) if "default" in one else "",
            meaning=str(one.get("description") or one.get("title") or ""),
        )
        for name, one in (properties.items() if isinstance(properties, Mapping) else ())
        if isinstance(one, Mapping)
    )


def _type_name(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return " | ".join(str(value) for value in schema["enum"])
    kind = schema.get("type", "any")
    return " | ".join(kind) if isinstance(kind, list) else str(kind)


def shown(value: object) -> str:
    """A value as messages repeat it: JSON, at most 80 characters."""
    text = json.dumps(value, ensure_ascii=False, default=repr)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def describe(schema: Any, root: Mapping[str, Any]) -> str:
    """What values of this schema are.

    Args:
        schema: A JSON Schema.
        root: The schema that its local references lead into.
    """
    if not isinstance(schema, Mapping):
        return "something" if schema is not False else "nothing"
    if "$ref" in schema:
        return describe(root.get("$defs", {}).get(str(schema["$ref"]).rpartition("/")[2], True), root)
    if "const" in schema:
        return shown(schema["const"])
    if "enum" in schema:
        return f"one of {', '.join(shown(value) for value in schema['enum'])}"
    return _described_choice(schema, root) or _described_value(schema, root)


def _described_choice(schema: Mapping[str, Any], root: Mapping[str, Any]) -> str:
    if "not" in schema and "type" not in schema:
        return f"anything but {describe(schema['not'], root)}"
    for keyword, word in (("anyOf", " or "), ("oneOf", " or else ")):
        if keyword in schema:
            return word.join(describe(choice, root) for choice in schema[keyword])
    return ""


def _described_value(schema: Mapping[str, Any], root: Mapping[str, Any]) -> str:
    limits = [_bound(key, schema[key]) for key in _LIMITS if schema.get(key, False) is not False]
    if "not" in schema:
        limits.append(f"but not {describe(schema['not'], root)}")
    kind = _kind(schema)
    each = f", each item {describe(schema['items'], root)}" if kind == _TYPES["array"] and "items" in schema else ""
    return " ".join([kind, *_joined(limits)]) + each


def _bound(key: str, value: object) -> str:
    text = _LIMITS[key].format(_limit(value))
    return text.replace("entries", "entry").removesuffix("s") if value == 1 and text.endswith("s") else text


def _joined(limits: list[str]) -> list[str]:
    return [" and ".join(limits)] if limits else []


def _limit(value: object) -> str:
    if isinstance(value, list):
        return " and ".join(f"`{name}`" for name in value)
    return f"`{value}`" if isinstance(value, str) else str(value)


def _kind(schema: Mapping[str, Any]) -> str:
    if schema.get("format") in _FORMATS:
        return _FORMATS[str(schema["format"])]
    kinds = schema.get("type", [])
    words = [_TYPES[kind] for kind in ([kinds] if isinstance(kinds, str) else kinds)]
    return " or ".join(words) or "values"

"""Findings of pydantic in this project's words: where, what was expected, which key was probably meant."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from task_manager.documents import Place, place_text
from task_manager.errors import near_misses

_SHOWN = 80


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with data.

    Attributes:
        path: Where, in the data that was checked.
        message: What, one sentence that begins with the place.
    """

    path: Place
    message: str


def shown(value: object) -> str:
    """A value as messages repeat it: JSON, at most 80 characters."""
    text = json.dumps(value, ensure_ascii=False, default=repr)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def model_findings(error: ValidationError, model: type[BaseModel], data: object) -> list[Finding]:
    """What pydantic found.

    Args:
        error: Pydantic's error.
        model: The model that the data was checked against; near misses of unknown keys come from it.
        data: What was checked; pydantic's places name members of unions, which are left out here.
    """
    schema = model.model_json_schema()
    findings = []
    for detail in error.errors(include_url=False, include_context=False):
        if detail["type"] == "too_short" and detail["input"]:
            continue  # a list that is only short because its elements were refused, each with a finding of its own
        path = _data_path(detail["loc"], data)
        message = _message(detail["type"], detail, path, schema)
        findings.append(Finding(path, f"{place_text(path) or 'the file'}: {message}"))
    return findings


def _data_path(loc: Sequence[str | int], data: object) -> Place:
    path: list[str | int] = []
    for index, part in enumerate(loc):
        found, below = _child(data, part)
        if found:
            data = below
        elif index < len(loc) - 1 or part == "[key]":
            continue
        path.append(part)
    return tuple(path)


def _child(data: object, part: str | int) -> tuple[bool, object]:
    if isinstance(data, Mapping) and part in data:
        return True, data[part]
    if isinstance(data, list | tuple) and isinstance(part, int) and 0 <= part < len(data):
        return True, data[part]
    return False, data


def _message(kind: str, detail: Mapping[str, Any], path: Place, schema: Mapping[str, Any]) -> str:
    if kind == "missing":
        return "this is missing."
    if kind == "extra_forbidden":
        near = near_misses(str(path[-1]), known_keys(schema, path[:-1]))
        return "there is no such key." + (f" Did you mean {', '.join(near)}?" if near else "")
    text = str(detail["msg"]).removeprefix("Value error, ").rstrip(".")
    return f"{text[:1].lower()}{text[1:]}; given: {shown(detail['input'])}."


def known_keys(schema: Mapping[str, Any], path: Place) -> set[str]:
    """The keys that a JSON Schema knows for the mapping at `path`; those of all members where it is a union."""
    current = [schema]
    for part in path:
        current = [
            below for member in current for variant in _variants(member, schema) for below in _below(variant, part)
        ]
    return {key for member in current for variant in _variants(member, schema) for key in variant.get("properties", {})}


def _variants(member: Mapping[str, Any], root: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    if "$ref" in member:
        member = root["$defs"][member["$ref"].rpartition("/")[2]]
    yield member
    for keyword in ("anyOf", "oneOf"):
        for choice in member.get(keyword, ()):
            yield from _variants(choice, root)


def _below(member: Mapping[str, Any], part: str | int) -> Iterator[Mapping[str, Any]]:
    items = member.get("items") if isinstance(part, int) else member.get("properties", {}).get(part)
    if isinstance(items, Mapping):
        yield items

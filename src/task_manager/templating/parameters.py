"""Values for a template's parameters: defaults filled in, everything that does not fit reported at once."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import jsonschema
from jsonschema import Draft202012Validator, FormatChecker
from pydantic import JsonValue
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012, EMPTY_REGISTRY

from task_manager.documents import Place, place_text
from task_manager.errors import near_misses
from task_manager.templating.descriptions import describe, shown

Schema: TypeAlias = Mapping[str, Any]

_FORMATS: Final = FormatChecker(formats=("date", "email", "ipv4", "ipv6", "regex", "uuid"))


@_FORMATS.checks("source-path")
def _is_source_path(value: object) -> bool:
    """Whether a text is a relative path that stays inside the task's source folder."""
    if not isinstance(value, str):
        return True
    if value == ".":
        return True
    return "\x00" not in value and not {"", ".", ".."}.intersection(value.removesuffix("/").split("/"))


@dataclass(frozen=True)
class ParameterFinding:
    """One parameter that does not fit.

    Attributes:
        name: The parameter, or the place inside of it, such as `columns[1].name`.
        expected: What would have fitted.
        given: What was given, as JSON; of secrets only that there was something.
        near: Where there is no parameter of that name: those whose names are like it.
    """

    name: str
    expected: str
    given: str
    near: tuple[str, ...] | None = None

    @property
    def message(self) -> str:
        """One sentence."""
        if self.near:
            return f"{self.name}: there is no such parameter; did you mean {', '.join(self.near)}?"
        if self.near is not None:
            return f"{self.name}: there is no such parameter; expected {self.expected}."
        return f"{self.name}: expected {self.expected}; given: {self.given}."


def complete(schema: Schema, values: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """The values with the defaults that the schema states, nested ones included; doing it twice changes nothing.

    A default inside an object is applied where the object is given, or is itself a default. A whole number that was
    written as `10.0` becomes `10` where the schema asks for an integer.
    """
    completed = _completed(copy.deepcopy(dict(values)), schema, _resolver(schema))
    assert isinstance(completed, dict)  # noqa: S101  # an object stays an object
    return completed


def _completed(value: Any, schema: Any, resolve: Callable[[str], Any]) -> Any:
    schema = _dereferenced(schema, resolve)
    if isinstance(value, dict):
        for name, below in schema.get("properties", {}).items():
            target = _dereferenced(below, resolve)
            if name not in value and "default" in target:
                value[name] = copy.deepcopy(target["default"])
            if name in value:
                value[name] = _completed(value[name], target, resolve)
    elif isinstance(value, list) and "items" in schema:
        return [_completed(item, schema["items"], resolve) for item in value]
    elif isinstance(value, float) and schema.get("type") == "integer" and value.is_integer():
        return int(value)
    return value


def _dereferenced(schema: Any, resolve: Callable[[str], Any]) -> Schema:
    if not isinstance(schema, Mapping):
        return {}
    if "$ref" not in schema:
        return schema
    return {**_dereferenced(resolve(schema["$ref"]), resolve), **{k: v for k, v in schema.items() if k != "$ref"}}


def _resolver(schema: Schema) -> Callable[[str], Any]:
    resolver = Registry().with_resource("", DRAFT202012.create_resource(schema)).resolver()
    return lambda reference: resolver.lookup(reference).contents


def check(schema: Schema, values: Mapping[str, JsonValue]) -> tuple[ParameterFinding, ...]:
    """Everything about the values that does not fit the schema, in the order of the places."""
    strict = schema if _says_what_else_is_allowed(schema) else {**schema, "additionalProperties": False}
    validator = Draft202012Validator(strict, format_checker=_FORMATS, registry=EMPTY_REGISTRY)
    findings = [finding for error in validator.iter_errors(values) for finding in _findings(error, strict, values)]
    unique = {finding.name: finding for finding in reversed(findings)}
    return tuple(unique[name] for name in sorted(unique))


def _says_what_else_is_allowed(schema: Schema) -> bool:
    return not schema.keys().isdisjoint({"additionalProperties", "patternProperties", "unevaluatedProperties"})


def _findings(error: jsonschema.ValidationError, root: Schema, values: object) -> Iterator[ParameterFinding]:
    path = tuple(error.absolute_path)
    if error.validator == "required" and isinstance(error.instance, Mapping):
        for name in _names(error.validator_value):
            if name not in error.instance:
                yield ParameterFinding(
                    place_text((*path, name)), describe(_property(error.schema, name), root), "nothing"
                )
    elif error.validator in ("additionalProperties", "unevaluatedProperties") and isinstance(error.instance, Mapping):
        yield from _unknown_names(error, path)
    else:
        yield ParameterFinding(
            place_text(path) if path else "the parameters",
            describe(error.schema, root),
            _given(error.instance, path, root),
        )


def _property(schema: Any, name: str) -> Any:
    return schema.get("properties", {}).get(name, True) if isinstance(schema, Mapping) else True


def _unknown_names(error: jsonschema.ValidationError, path: Place) -> Iterator[ParameterFinding]:
    assert isinstance(error.schema, Mapping)  # noqa: S101  # a schema with this keyword is a mapping
    known = set(error.schema.get("properties", {}))
    for name in _names(error.instance):
        if name not in known:
            near = near_misses(name, known)
            place = place_text((*path, name)) or repr(name)
            yield ParameterFinding(place, _known_names(near or known), "something", tuple(near))


def _names(value: object) -> list[str]:
    return [str(name) for name in value] if isinstance(value, Iterable) else []


def _known_names(known: Collection[str]) -> str:
    if len(known) == 1:
        return f"the name {next(iter(known))}"
    return f"one of the names {', '.join(sorted(known))}" if known else "no parameters"


def _given(value: object, path: Place, root: Schema) -> str:
    if not path:
        return f"values for {', '.join(sorted(value))}" if isinstance(value, Mapping) and value else "nothing"
    if is_secret(_property(root, str(path[0])), root):
        return "a value that is not shown"
    return shown(value)


def is_secret(schema: Any, root: Schema) -> bool:
    """Whether a value of that schema, or a part of it, is marked `writeOnly`; such values are never repeated."""
    if isinstance(schema, Mapping):
        if schema.get("writeOnly") is True:
            return True
        if "$ref" in schema and is_secret(root.get("$defs", {}), root):
            return True
        return any(is_secret(below, root) for key, below in schema.items() if key != "$ref")
    return isinstance(schema, list) and any(is_secret(below, root) for below in schema)


def schema_findings(schema: Schema) -> list[tuple[Place, str]]:
    """What is wrong with a template's `parameters` themselves: places inside of them, and sentences."""
    meta = Draft202012Validator(Draft202012Validator.META_SCHEMA, format_checker=_FORMATS)
    broken = [(tuple(error.absolute_path), f"{error.message}.") for error in meta.iter_errors(schema)]
    return broken or [*_form_findings(schema), *_reference_findings(schema, schema, ())] or _default_findings(schema)


def _form_findings(schema: Schema) -> Iterator[tuple[Place, str]]:
    if schema.get("type") != "object":
        yield ("type",), "The parameters' type must be object."
    for name in schema.get("properties", {}):
        if not name.isidentifier() or name.startswith("_"):
            yield ("properties", name), f"{name!r} cannot be used in expressions; use letters, digits and `_`."


def _reference_findings(part: Any, root: Schema, path: Place) -> Iterator[tuple[Place, str]]:
    if isinstance(part, list):
        for index, below in enumerate(part):
            yield from _reference_findings(below, root, (*path, index))
    if not isinstance(part, Mapping):
        return
    reference = part.get("$ref")
    if isinstance(reference, str) and not _resolves(reference, root):
        yield (*path, "$ref"), f"{reference!r} leads nowhere; only references within the parameters are followed."
    for key, below in part.items():
        yield from _reference_findings(below, root, (*path, key))


def _resolves(reference: str, root: Schema) -> bool:
    try:
        _resolver(root)(reference)
    except (Unresolvable, ValueError):
        return False
    return reference.startswith("#")


def _default_findings(schema: Schema) -> list[tuple[Place, str]]:
    findings: list[tuple[Place, str]] = []
    try:
        defaults = complete(schema, {})
    except RecursionError:
        return [((), "The defaults contain themselves.")]
    for name, value in defaults.items():
        alone = {key: part for key, part in schema.items() if key in ("$defs", "properties", "type")}
        wrong = check(alone, {name: value})
        findings += [(("properties", name, "default"), f"The default does not fit: {one.message}") for one in wrong]
    return findings

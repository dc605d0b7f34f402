"""What pydantic finds in data, with places and in this project's words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from types import MappingProxyType
from typing import NamedTuple, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from task_manager.documents import Place, place_text
from task_manager.errors import near_misses

_MAXIMUM_SHOWN = 40
_SECRET_FIELDS = frozenset({"secrets", "secret"})  # a secret's value may stand where its place is asked for
_CODES = {"missing": "missing_field", "extra_forbidden": "unknown_field"}
_BOUNDS = {"gt": "more than", "ge": "at least", "lt": "less than", "le": "at most"}


class Form(NamedTuple):
    """The form that a pattern asks for.

    Attributes:
        name: Such as `the form of a path`.
        remedy: How to write it, one sentence.
    """

    name: str
    remedy: str


Forms = Mapping[str, Form]
"""Forms by their patterns."""


@dataclass(frozen=True)
class ModelFinding:
    """One thing in data that does not fit a model.

    Attributes:
        place: Where in the data.
        code: `missing_field`, `unknown_field` or `invalid_value`.
        expected: What would fit, as the end of "expected …".
        message: What is wrong, one sentence; it repeats no value given for a secret.
        remedy: What to do next, one sentence; empty when the message says it.
        value: What was found there, whatever it is.
    """

    place: Place
    code: str
    expected: str
    message: str
    remedy: str
    value: object = field(repr=False)

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}" if self.remedy else self.message

    def located(self, whole: str) -> str:
        """The finding with its place before it; `whole` is what the place of the whole is called."""
        return f"{place_text(self.place) or whole}: {self}"


def model_findings(
    error: ValidationError,
    model: type[BaseModel],
    data: object,
    forms: Forms = MappingProxyType({}),
) -> tuple[ModelFinding, ...]:
    """What pydantic refused.

    Args:
        error: Pydantic's error.
        model: What the data was checked against; near misses of unknown fields come from it.
        data: What was checked.
        forms: The forms of patterns that people may not read.
    """
    return tuple(_finding(detail, model, data, forms) for detail in _relevant(error))


def _relevant(error: ValidationError) -> Iterator[ErrorDetails]:
    """All but "too short" of a list that is only short because its elements were refused."""
    for detail in error.errors(include_url=False):
        if detail["type"] != "too_short" or not detail["input"]:
            yield detail


def _finding(detail: ErrorDetails, model: type[BaseModel], data: object, forms: Forms) -> ModelFinding:
    place, around, models = _located(detail, model, data)
    words = _words(detail, around, models, forms)
    return ModelFinding(
        place=place,
        code=_CODES.get(detail["type"], "invalid_value"),
        expected=words.expected,
        message=words.message or f"{_capitalised(words.expected)} was expected, {_shown(detail)} was found.",
        remedy=words.remedy,
        value=detail["input"],
    )


# --- where a location of pydantic lies in the data, and in which models ---

_Models = tuple[type[BaseModel], ...]


def _located(detail: ErrorDetails, model: type[BaseModel], data: object) -> tuple[Place, _Models, _Models]:
    """The place without the names that pydantic adds for keys and members of unions.

    Returns:
        The place; the models that the last part may be a field of; the models that may lie at the place.
    """
    place: list[int | str] = []
    around: _Models = ()
    models: _Models = (model,)
    for part in detail["loc"]:
        if len(models) > 1 and isinstance(part, str):
            models = tuple(one for one in models if _tag(one) == part)
            continue
        found, below = _child(data, part)
        if found or (part != "[key]" and (models or detail["type"] == "missing")):
            place.append(part)
            data, around, models = below, models, _beneath(models, part)
    return tuple(place), around, models


def _tag(model: type[BaseModel]) -> object:
    return model.model_fields["type"].default if "type" in model.model_fields else None


def _child(data: object, part: int | str) -> tuple[bool, object]:
    if isinstance(data, Mapping) and part in data:
        return True, data[part]
    if isinstance(data, list | tuple) and isinstance(part, int) and 0 <= part < len(data):
        return True, data[part]
    return False, None


def _beneath(models: _Models, part: int | str) -> _Models:
    if isinstance(part, int):
        return models
    found = models[0].model_fields.get(part) if models else None
    return tuple(_models_in(found.annotation)) if found else ()


def _models_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)


# --- what pydantic says, in our own words ---


class _Words(NamedTuple):
    """What to say; without a message, that this was expected and something else was found."""

    expected: str
    message: str = ""
    remedy: str = ""


def _words(detail: ErrorDetails, around: _Models, models: _Models, forms: Forms) -> _Words:
    match detail["type"]:
        case "extra_forbidden":
            return _unknown_field(str(detail["loc"][-1]), around)
        case "union_tag_not_found":
            return _type_missing(models)
        case "string_pattern_mismatch":
            return _form(detail, forms)
        case kind if kind in _EXPECTED:
            return _Words(_EXPECTED[kind])
        case kind:
            return _DESCRIPTIONS.get(kind, _otherwise)(detail)


def _unknown_field(name: str, around: _Models) -> _Words:
    known = sorted({field for model in around for field in model.model_fields})
    near = near_misses(name, known)
    remedy = f"Did you mean {_either(map(repr, near))}?" if near else f"Known here: {', '.join(known)}."
    return _Words(f"one of the fields {', '.join(known)}", f"There is no field {name!r} here.", remedy)


def _type_missing(models: _Models) -> _Words:
    kinds = _either(str(_tag(model)) for model in models)
    return _Words(f"the type {kinds}", "The field 'type' is missing.", f"Say which kind it is: {kinds}.")


def _form(detail: ErrorDetails, forms: Forms) -> _Words:
    pattern = detail["ctx"]["pattern"]
    form = forms.get(pattern, Form(f"the form {pattern}", ""))
    return _Words(f"a text of {form.name}", f"{_capitalised(_shown(detail))} does not have {form.name}.", form.remedy)


def _missing(detail: ErrorDetails) -> _Words:
    name = detail["loc"][-1]
    return _Words("a value", f"The field {name!r} is missing.", "Add it.")


def _text_expected(detail: ErrorDetails) -> _Words:
    quotable = isinstance(detail["input"], int | float | date) and _SECRET_FIELDS.isdisjoint(detail["loc"])
    return _Words("text", remedy=f'Put it in quotes: "{_plain(detail["input"])}".' if quotable else "")


def _list_expected(_detail: ErrorDetails) -> _Words:
    return _Words("a list", remedy="Put the values in a list, even a single one.")


def _truth_expected(detail: ErrorDetails) -> _Words:
    return _Words("true or false", f"true or false was expected, {_shown(detail)} was found.")


def _too_short(detail: ErrorDetails) -> _Words:
    minimum = detail["ctx"]["min_length"]
    count = _counted(minimum, detail)
    message = "This must not be empty." if minimum == 1 else f"At least {count} are needed here."
    return _Words(f"at least {count}", message)


def _too_long(detail: ErrorDetails) -> _Words:
    count = _counted(detail["ctx"]["max_length"], detail)
    return _Words(f"at most {count}", f"At most {count} are allowed here.", "Shorten it.")


def _counted(number: int, detail: ErrorDetails) -> str:
    noun = "character" if detail["type"].startswith("string") else "item"
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _choice(detail: ErrorDetails) -> _Words:
    known = re.findall(r"'([^']*)'", detail["ctx"].get("expected") or detail["ctx"]["expected_tags"])
    value = detail["input"].get("type") if isinstance(detail["input"], Mapping) else detail["input"]
    near = near_misses(str(value), known)
    return _Words(
        f"one of {', '.join(known)}",
        f"{_plain(value)!r} is not known here; known: {', '.join(known)}.",
        f"Did you mean {_either(map(repr, near))}?" if near else "",
    )


def _number_range(detail: ErrorDetails) -> _Words:
    limits = " and ".join(f"{_BOUNDS[key]} {limit:g}" for key, limit in detail["ctx"].items() if key in _BOUNDS)
    return _Words(f"a number of {limits}", f"The number must be {limits}, {_shown(detail)} was found.")


def _otherwise(detail: ErrorDetails) -> _Words:
    """What our own validators say, and the rest of what pydantic says."""
    text = detail["msg"].removeprefix("Value error, ").rstrip(".")
    plain = text.removeprefix("Input should be ")
    expected = f"{plain[:1].lower()}{plain[1:]}"
    if detail["type"] == "value_error":
        return _Words(expected, f"{_capitalised(text)}.")
    return _Words(expected, "" if plain != text else f"The value cannot be used: {expected}.")


_EXPECTED: Mapping[str, str] = {
    "path_type": "a path",
    "dict_type": "a mapping",
    "model_type": "a mapping of fields",
    "model_attributes_type": "a mapping of fields",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "byte_size": "a number of bytes, or a size such as 10MiB",
    "byte_size_unit": "a number of bytes, or a size such as 10MiB",
    "invalid-json-value": "a value that JSON has",
}

_DESCRIPTIONS: Mapping[str, Callable[[ErrorDetails], _Words]] = {
    "missing": _missing,
    "string_type": _text_expected,
    "tuple_type": _list_expected,
    "string_too_short": _too_short,
    "too_short": _too_short,
    "string_too_long": _too_long,
    "too_long": _too_long,
    "bool_type": _truth_expected,
    "bool_parsing": _truth_expected,
    "enum": _choice,
    "union_tag_invalid": _choice,
    "greater_than": _number_range,
    "greater_than_equal": _number_range,
    "less_than": _number_range,
    "less_than_equal": _number_range,
}


# --- values and words in messages ---


def _shown(detail: ErrorDetails) -> str:
    """A value as a message names it; never one that could be a secret."""
    value = detail["input"]
    if not _SECRET_FIELDS.isdisjoint(detail["loc"]):
        return "the value"
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, set | frozenset):
        return "a set"
    if value is None:
        return "nothing"
    return f"text {_plain(value)!r}" if isinstance(value, str) else _plain(value)


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    return text if len(text) <= _MAXIMUM_SHOWN else text[: _MAXIMUM_SHOWN - 1] + "…"


def _capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]


def _either(words: Sequence[str] | Iterator[str]) -> str:
    *others, last = words
    return f"{', '.join(others)} or {last}" if others else last

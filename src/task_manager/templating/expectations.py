"""Whether data is as a test expects, stated by parts.

An expectation is a mapping of places to values: `steps.train.image: python:3.12-slim`. A place is keys joined by dots;
in a list a part is an index, or what the item's `id`, `name` or `artifact` says. A value that is a mapping again is an
expectation of its own; a mapping with one key that begins with `$` is a comparison; anything else must be equal.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from task_manager.templating.descriptions import shown

_COMPARISONS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "$at_least": lambda actual, limit: actual >= limit,
    "$at_most": lambda actual, limit: actual <= limit,
    "$contains": lambda actual, part: part in actual,
    "$matches": lambda actual, pattern: re.search(pattern, actual) is not None,
    "$length": lambda actual, length: len(actual) == length,
    "$not": lambda actual, other: actual != other,
}
_MISSING: Final = object()
_NAMES: Final = ("id", "name", "artifact")


def differences(expected: object, actual: object, place: str = "") -> Iterator[str]:
    """What is not as expected, one sentence each.

    Args:
        expected: An expectation.
        actual: JSON-like data.
        place: Where in the data `actual` is; empty at the root.
    """
    if not isinstance(expected, Mapping):
        if expected != actual or isinstance(expected, bool) is not isinstance(actual, bool):
            yield f"{place}: expected {shown(expected)}; found {shown(actual)}."
    elif len(expected) == 1 and next(iter(expected)).startswith("$"):
        yield from _compared(*next(iter(expected.items())), actual, place)
    else:
        for path, value in expected.items():
            yield from _at(path, value, actual, place)


def _at(path: str, expected: object, actual: object, place: str) -> Iterator[str]:
    for part in path.split("."):
        below = _child(actual, part)
        place = f"{place}.{part}" if place else part
        if below is _MISSING:
            if expected != {"$present": False}:
                yield f"{place}: expected {shown(expected)}; there is nothing{_known(actual)}."
            return
        actual = below
    yield from differences(expected, actual, place)


def _child(actual: object, part: str) -> object:
    if isinstance(actual, Mapping):
        return actual.get(part, _MISSING)
    if not isinstance(actual, list | tuple):
        return _MISSING
    if part.isdecimal():
        return actual[int(part)] if int(part) < len(actual) else _MISSING
    named = (item for item in actual if isinstance(item, Mapping) and part in map(item.get, _NAMES))
    return next(named, _MISSING)


def _known(actual: object) -> str:
    if isinstance(actual, Mapping) and actual:
        return f", only {', '.join(map(str, actual))}"
    if isinstance(actual, list) and actual:
        return f", only {len(actual)} items"
    return ""


def _compared(name: str, operand: object, actual: object, place: str) -> Iterator[str]:
    if name == "$present":
        if not operand:
            yield f"{place}: expected nothing; found {shown(actual)}."
        return
    if name not in _COMPARISONS:
        yield f"{place}: there is no comparison {name!r}; known are $present, {', '.join(_COMPARISONS)}."
        return
    try:
        holds = _COMPARISONS[name](actual, operand)
    except (TypeError, re.error):
        holds = False
    if not holds:
        yield f"{place}: expected {name.removeprefix('$').replace('_', ' ')} {shown(operand)}; found {shown(actual)}."

"""What the schema says about its types, fields and arguments, in our own words.

A field's description is the first paragraph of the docstring of the method that answers it; `descriptions.json` has
the others.
"""

import hashlib
import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from task_manager.embedded_engine.api.objects import python_name
from task_manager.embedded_engine.api.offered import OFFERED

UNSUPPORTED = "Not supported by the embedded engine; use a Dagger engine."
TEXT_FILE = Path(__file__).with_name("descriptions.json")
_ID = "What the object can be loaded by as long as the session lives."
_LOAD_PREFIX, _LOAD_SUFFIX, _ID_SUFFIX = "load", "FromID", "ID"


class Descriptions:
    """The descriptions, and what of the API is supported."""

    def __init__(self) -> None:
        content: Mapping[str, Any] = json.loads(TEXT_FILE.read_text(encoding="utf-8"))
        self._types: Mapping[str, str] = content["types"]
        self._values: Mapping[str, str] = content["values"]
        self._fields: Mapping[str, str] = content["fields"]
        self._arguments: Mapping[str, str] = content["arguments"]
        self._unsupported_arguments: Mapping[str, list[str]] = content["unsupportedArguments"]

    def type(self, name: str) -> str:
        """Return the description of a type, of whichever kind."""
        if name.endswith(_ID_SUFFIX) and name.removesuffix(_ID_SUFFIX) in self._types:
            return f"The id of a {name.removesuffix(_ID_SUFFIX)}."
        return self._types.get(name, UNSUPPORTED)

    def value(self, enumeration: str, name: str) -> str:
        """Return the description of an enumeration's value."""
        return self._values.get(f"{enumeration}.{name}", UNSUPPORTED)

    def field(self, owner: str, name: str) -> str:
        """Return the description of a type's field."""
        if name == "id" and owner in self._types:
            return _ID
        if (text := self._fields.get(f"{owner}.{name}")) is not None:
            return text
        if (loaded := _loaded(owner, name)) in OFFERED:
            return f"The {loaded} of an id."
        method = OFFERED[owner].fields.get(python_name(name)) if owner in OFFERED else None
        if method is None:
            return UNSUPPORTED
        return " ".join((inspect.getdoc(method) or "").partition("\n\n")[0].split())

    def argument(self, owner: str, name: str, argument: str) -> str | None:
        """Return the description of a field's argument; None where the field itself is not supported."""
        if not self.is_supported(owner, name):
            return None
        text = self._arguments.get(f"{owner}.{name}.{argument}") or self._arguments.get(argument)
        if argument in self.unsupported_arguments(owner, name):
            return f"{text} {UNSUPPORTED}"
        return text

    def digest(self) -> str:
        """Return what changes when a description does."""
        data = hashlib.sha256(TEXT_FILE.read_bytes())
        for kind in OFFERED.values():
            data.update("\n".join(method.__doc__ or "" for method in kind.fields.values()).encode())
        return data.hexdigest()

    def is_supported(self, owner: str, name: str) -> bool:
        """Return whether a field is answered with more than an error."""
        return self.field(owner, name) != UNSUPPORTED

    def unsupported_arguments(self, owner: str, name: str) -> list[str]:
        """Return the arguments that a supported field refuses."""
        return self._unsupported_arguments.get(f"{owner}.{name}", [])


def _loaded(owner: str, name: str) -> str:
    """Return the type that a field loads by its id; empty for any other field."""
    if owner == "Query" and name.startswith(_LOAD_PREFIX) and name.endswith(_LOAD_SUFFIX):
        return name[len(_LOAD_PREFIX) : -len(_LOAD_SUFFIX)]
    return ""

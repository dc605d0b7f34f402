"""Writes the reference of the embedded engine's API from its schema.

    python -m task_manager.embedded_engine.schema.reference > docs/reference/embedded-engine.md

`reference.md` beside this module has what no schema tells: how to use the engine, and where it differs.
"""

import string
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from graphql import GraphQLEnumType, GraphQLField, GraphQLNamedType, GraphQLObjectType, GraphQLSchema

from task_manager.embedded_engine.api.offered import OFFERED
from task_manager.embedded_engine.schema.build import build_schema
from task_manager.embedded_engine.schema.descriptions import UNSUPPORTED, Descriptions

_PAGE = Path(__file__).with_name("reference.md")
_LINE_LENGTH = 120


def reference() -> str:
    """Return the page, in Markdown."""
    writer = _Writer(build_schema(), Descriptions())
    return string.Template(_PAGE.read_text(encoding="utf-8")).substitute(
        supported=writer.supported(), values=writer.values(), unsupported=writer.unsupported()
    )


class _Writer:
    def __init__(self, schema: GraphQLSchema, descriptions: Descriptions) -> None:
        self._schema = schema
        self._descriptions = descriptions

    def supported(self) -> str:
        """Return a section for each offered type."""
        return "\n".join(self._section(self._schema.type_map[name]) for name in OFFERED)

    def values(self) -> str:
        """Return a section for each enumeration that offered fields use."""
        enumerations = (kind for _, kind in sorted(self._schema.type_map.items()) if isinstance(kind, GraphQLEnumType))
        return "\n".join(_enumeration(kind) for kind in enumerations if self._is_known(kind))

    def unsupported(self) -> str:
        """Return what is named and not offered: fields of offered types, then whole types."""
        fields = ((name, self._refused(self._schema.type_map[name])) for name in OFFERED)
        lines = [_wrapped(f"- {name}: ", (f"`{field}`" for field in refused)) for name, refused in fields if refused]
        objects = sorted(
            name
            for name, kind in self._schema.type_map.items()
            if isinstance(kind, GraphQLObjectType) and name not in OFFERED and not name.startswith("__")
        )
        return "\n".join([*lines, "", _wrapped("Whole types: ", (f"`{name}`" for name in objects))])

    def _section(self, kind: GraphQLNamedType) -> str:
        lines = [f"### {kind.name}", "", str(kind.description), "", "| Field | Result | Description |", "|---|---|---|"]
        return "\n".join([*lines, *self._rows(kind), ""])

    def _rows(self, kind: GraphQLNamedType) -> Iterator[str]:
        for name, field in sorted(_fields(kind).items()):
            if self._descriptions.is_supported(kind.name, name):
                call, text = self._call(kind.name, name, field), self._text(kind.name, name, field)
                yield f"| {call} | `{field.type}` | {text} |"

    def _call(self, owner: str, name: str, field: GraphQLField) -> str:
        refused = self._descriptions.unsupported_arguments(owner, name)
        arguments = ", ".join(argument for argument in field.args if argument not in refused)
        return f"`{name}({arguments})`" if arguments else f"`{name}`"

    def _text(self, owner: str, name: str, field: GraphQLField) -> str:
        refused = self._descriptions.unsupported_arguments(owner, name)
        note = f" Not supported: {', '.join(f'`{argument}`' for argument in refused)}." if refused else ""
        return (str(field.description) + note).replace("|", "\\|")

    def _refused(self, kind: GraphQLNamedType) -> list[str]:
        return sorted(
            name
            for name in _fields(kind)
            if not self._descriptions.is_supported(kind.name, name) and not name.startswith("load")
        )

    def _is_known(self, kind: GraphQLNamedType) -> bool:
        return kind.description != UNSUPPORTED and not kind.name.startswith("__")


def _fields(kind: GraphQLNamedType) -> dict[str, GraphQLField]:
    return kind.fields if isinstance(kind, GraphQLObjectType) else {}


def _enumeration(kind: GraphQLEnumType) -> str:
    lines = [f"- `{name}`: {value.description}" for name, value in kind.values.items()]
    return "\n".join([f"### {kind.name}", "", str(kind.description), "", *lines, ""])


def _wrapped(begin: str, words: Iterable[str]) -> str:
    """Return words behind a beginning, separated by commas, in lines of the documentation's length."""
    lines = [begin]
    for word in words:
        separator = "" if lines == [begin] else ", "
        if len(lines[-1]) + len(separator) + len(word) > _LINE_LENGTH - 1:
            lines[-1] += separator.rstrip()
            lines.append(f"  {word}" if begin.startswith("-") else word)
        else:
            lines[-1] += separator + word
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(reference())

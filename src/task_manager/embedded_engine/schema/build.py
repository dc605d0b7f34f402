"""The GraphQL schema, from the committed description of the API."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from graphql import (
    GraphQLArgument,
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLEnumValue,
    GraphQLError,
    GraphQLField,
    GraphQLFloat,
    GraphQLID,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLString,
    GraphQLType,
    Undefined,
)

from task_manager.embedded_engine.api.objects import python_name
from task_manager.embedded_engine.schema.descriptions import Descriptions
from task_manager.embedded_engine.schema.generate import DESCRIPTION_FILE


def _whole_number(value: object) -> int:
    """Return a whole number as it is: sizes of files go beyond the 32 bits of the specification's Int.

    Raises:
        GraphQLError: It is none.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise GraphQLError(f"Int cannot represent a value that is no whole number: {value!r}")
    return value


class _WideInt(GraphQLScalarType):
    """Int without the specification's limit."""

    reserved_types: dict[str, GraphQLNamedType] = {}  # noqa: RUF012


_LIST = re.compile(r"\[(.*)\](!?)\Z")
_BUILT_IN: dict[str, GraphQLNamedType] = {
    "ID": GraphQLID,
    "String": GraphQLString,
    "Int": _WideInt(
        "Int",
        description="A whole number; sizes of files may be larger than 32 bits.",
        serialize=_whole_number,
        parse_value=_whole_number,
    ),
    "Float": GraphQLFloat,
    "Boolean": GraphQLBoolean,
}


def build_schema() -> GraphQLSchema:
    """Return the schema: every field of the API is named, whether it can be resolved or not."""
    description = json.loads(DESCRIPTION_FILE.read_text(encoding="utf-8"))
    return _Builder(description).schema()


def schema_digest() -> str:
    """Return what changes when anything that the schema says does."""
    return hashlib.sha256(DESCRIPTION_FILE.read_bytes() + Descriptions().digest().encode()).hexdigest()


class _Builder:
    def __init__(self, description: Mapping[str, Any]) -> None:
        self._description = description
        self._text = Descriptions()
        self._types: dict[str, GraphQLNamedType] = dict(_BUILT_IN)

    def schema(self) -> GraphQLSchema:
        for name in self._description["scalars"]:
            self._types[name] = GraphQLScalarType(name, description=self._text.type(name))
        for name, members in self._description["enums"].items():
            self._types[name] = self._enum(name, members)
        for name, members in self._description["inputs"].items():
            self._types[name] = self._input(name, members)
        for name, members in self._description["interfaces"].items():
            self._types[name] = self._interface(name, members)
        for name, members in self._description["objects"].items():
            self._types[name] = self._object(name, members)
        query = self._types["Query"]
        if not isinstance(query, GraphQLObjectType):
            raise TypeError("the API's description has no Query")
        return GraphQLSchema(query=query, types=list(self._types.values()))

    def _object(self, name: str, members: Mapping[str, Any]) -> GraphQLObjectType:
        return GraphQLObjectType(
            name,
            lambda: self._fields(name, members),
            interfaces=lambda: self._interfaces(members),
            description=self._text.type(name),
        )

    def _interface(self, name: str, members: Mapping[str, Any]) -> GraphQLInterfaceType:
        return GraphQLInterfaceType(
            name,
            lambda: self._fields(name, members),
            resolve_type=lambda value, *_: value.type_name,
            description=self._text.type(name),
        )

    def _enum(self, name: str, members: Iterable[str]) -> GraphQLEnumType:
        values = {member: GraphQLEnumValue(member, description=self._text.value(name, member)) for member in members}
        return GraphQLEnumType(name, values, description=self._text.type(name))

    def _input(self, name: str, members: list[Mapping[str, Any]]) -> GraphQLInputObjectType:
        return GraphQLInputObjectType(name, lambda: self._input_fields(members), description=self._text.type(name))

    def _interfaces(self, members: Mapping[str, Any]) -> list[GraphQLInterfaceType]:
        """Return the interfaces whose fields an object has; Node is every object with an id."""
        chosen = []
        for name, wanted in self._description["interfaces"].items():
            found = self._types[name]
            if isinstance(found, GraphQLInterfaceType) and _implements(members, wanted):
                chosen.append(found)
        return chosen

    def _fields(self, owner: str, members: Mapping[str, Any]) -> dict[str, GraphQLField]:
        return {name: self._field(owner, name, member) for name, member in members.items()}

    def _field(self, owner: str, name: str, member: Mapping[str, Any]) -> GraphQLField:
        arguments = {item["name"]: self._argument(item, (owner, name)) for item in member["args"]}
        kind: Any = self._type(member["type"])
        return GraphQLField(kind, arguments, description=self._text.field(owner, name))

    def _argument(self, argument: Mapping[str, Any], place: tuple[str, str]) -> GraphQLArgument:
        kind: Any = self._type(argument["type"])
        name = argument["name"]
        default = _default(argument) if "default" in argument else Undefined
        return GraphQLArgument(kind, default, description=self._text.argument(*place, name), out_name=python_name(name))

    def _input_fields(self, members: list[Mapping[str, Any]]) -> dict[str, GraphQLInputField]:
        return {member["name"]: self._input_field(member) for member in members}

    def _input_field(self, member: Mapping[str, Any]) -> GraphQLInputField:
        kind: Any = self._type(member["type"])
        if "default" in member:
            return GraphQLInputField(kind, default_value=_default(member))
        return GraphQLInputField(kind)

    def _type(self, text: str) -> GraphQLType:
        if text.endswith("!"):
            inner: Any = self._type(text[:-1])
            return GraphQLNonNull(inner)
        if match := _LIST.match(text):
            return GraphQLList(self._type(match[1]))
        return self._types[text]


def _default(member: Mapping[str, Any]) -> object:
    value = member["default"]
    return value["enum"] if isinstance(value, dict) else value


def _implements(members: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    for name, field in wanted.items():
        if name not in members or members[name]["type"] != field["type"]:
            return False
        required = {argument["name"]: argument["type"] for argument in field["args"]}
        offered = {argument["name"]: argument["type"] for argument in members[name]["args"]}
        extra = [kind for argument, kind in offered.items() if argument not in required]
        if any(offered.get(argument) != kind for argument, kind in required.items()) or any(
            kind.endswith("!") for kind in extra
        ):
            return False
    return True

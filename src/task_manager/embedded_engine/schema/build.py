"""The GraphQL schema, from the committed description of the API."""

import json
import re
from collections.abc import Mapping
from typing import Any

from graphql import (
    GraphQLArgument,
    GraphQLBoolean,
    GraphQLEnumType,
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
)

from task_manager.embedded_engine.api.objects import python_name
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

    reserved_types: Mapping[str, GraphQLNamedType] = {}


_LIST = re.compile(r"\[(.*)\](!?)\Z")
_BUILT_IN: dict[str, GraphQLNamedType] = {
    "ID": GraphQLID,
    "String": GraphQLString,
    "Int": _WideInt("Int", serialize=_whole_number, parse_value=_whole_number),
    "Float": GraphQLFloat,
    "Boolean": GraphQLBoolean,
}


def build_schema() -> GraphQLSchema:
    """Return the schema: every field of the API is named, whether it can be resolved or not."""
    description = json.loads(DESCRIPTION_FILE.read_text(encoding="utf-8"))
    return _Builder(description).schema()


class _Builder:
    def __init__(self, description: Mapping[str, Any]) -> None:
        self._description = description
        self._types: dict[str, GraphQLNamedType] = dict(_BUILT_IN)

    def schema(self) -> GraphQLSchema:
        for name in self._description["scalars"]:
            self._types[name] = GraphQLScalarType(name)
        for name, members in self._description["enums"].items():
            self._types[name] = GraphQLEnumType(name, {member: member for member in members})
        for name, members in self._description["inputs"].items():
            self._types[name] = GraphQLInputObjectType(name, lambda members=members: self._input_fields(members))  # type: ignore[misc]
        for name, members in self._description["interfaces"].items():
            self._types[name] = GraphQLInterfaceType(
                name,
                lambda members=members: self._fields(members),  # type: ignore[misc]
                resolve_type=lambda value, *_: value.type_name,
            )
        for name, members in self._description["objects"].items():
            self._types[name] = self._object(name, members)
        query = self._types["Query"]
        if not isinstance(query, GraphQLObjectType):
            raise TypeError("the API's description has no Query")
        return GraphQLSchema(query=query, types=list(self._types.values()))

    def _object(self, name: str, members: Mapping[str, Any]) -> GraphQLObjectType:
        return GraphQLObjectType(name, lambda: self._fields(members), interfaces=lambda: self._interfaces(members))

    def _interfaces(self, members: Mapping[str, Any]) -> list[GraphQLInterfaceType]:
        """Return the interfaces whose fields an object has; Node is every object with an id."""
        chosen = []
        for name, wanted in self._description["interfaces"].items():
            found = self._types[name]
            if isinstance(found, GraphQLInterfaceType) and _implements(members, wanted):
                chosen.append(found)
        return chosen

    def _fields(self, members: Mapping[str, Any]) -> dict[str, GraphQLField]:
        return {
            name: GraphQLField(self._type(member["type"]), {arg["name"]: self._argument(arg) for arg in member["args"]})  # type: ignore[arg-type]
            for name, member in members.items()
        }

    def _argument(self, argument: Mapping[str, Any]) -> GraphQLArgument:
        kind: Any = self._type(argument["type"])
        name = python_name(argument["name"])
        if "default" in argument:
            return GraphQLArgument(kind, default_value=_default(argument), out_name=name)
        return GraphQLArgument(kind, out_name=name)

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

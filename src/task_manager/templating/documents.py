"""YAML and JSON files as JSON-like data that knows the line of each of its parts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import yaml
from pydantic import JsonValue

DataPath: TypeAlias = tuple[str | int, ...]
"""Keys and indices that lead from the root of the data to one of its parts."""

_LARGEST_FILE: Final = 2 * 1024 * 1024
_MOST_VALUES: Final = 100_000
_DEEPEST: Final = 100


class DocumentError(Exception):
    """A file that cannot be read as data.

    Attributes:
        reason: One sentence.
        line: Counted from 1; none when the whole file is meant.
    """

    def __init__(self, reason: str, line: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.line = line


@dataclass(frozen=True)
class Document:
    """What a file holds."""

    data: JsonValue
    lines: Mapping[DataPath, int]

    def line(self, path: DataPath) -> int | None:
        """The line of the part at `path`, or of the nearest part around it."""
        for length in range(len(path), -1, -1):
            if (line := self.lines.get(path[:length])) is not None:
                return line
        return None


def read_document(file: Path) -> Document:
    """The data of a `.json`, `.yaml` or `.yml` file.

    Raises:
        DocumentError: It cannot be read, or is not one document of JSON-like data.
    """
    text = read_text(file)
    try:
        if file.suffix == ".json":
            return _read_json(text)
        return _read_yaml(text)
    except RecursionError as error:
        raise DocumentError("The data is nested too deeply.") from error


def read_text(file: Path) -> str:
    """A file's text, which must be UTF-8 and not larger than 2 MiB.

    Raises:
        DocumentError: It is neither, or cannot be read.
    """
    try:
        with file.open("rb") as stream:
            content = stream.read(_LARGEST_FILE + 1)
    except OSError as error:
        raise DocumentError(f"The file cannot be read: {error.strerror}.") from error
    if len(content) > _LARGEST_FILE:
        raise DocumentError(f"The file is larger than {_LARGEST_FILE} bytes.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DocumentError("The file is not UTF-8 text.", content.count(b"\n", 0, error.start) + 1) from error


def _read_json(text: str) -> Document:
    try:
        json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise DocumentError(f"The JSON is broken: {error.msg}.", error.lineno) from error
    # JSON whose white space holds no tabs is YAML, and only YAML's reader tells lines.
    return _read_yaml(text.replace("\t", " "))


def _refuse_constant(name: str) -> None:
    raise DocumentError(f"The JSON is broken: {name} is not a JSON value.")


def _read_yaml(text: str) -> Document:
    loader = _Loader(_printable(text))
    try:
        node = loader.get_single_node()
        if node is None:
            raise DocumentError("The file is empty.")
        reader = _NodeReader(loader)
        return Document(reader.value(node, ()), reader.lines)
    except yaml.MarkedYAMLError as error:
        raise _broken_yaml(error) from error
    finally:
        loader.dispose()


def _printable(text: str) -> str:
    found = yaml.reader.Reader.NON_PRINTABLE.search(text)
    if found:
        line = text.count("\n", 0, found.start()) + 1
        raise DocumentError(f"The file holds a character that YAML does not allow: {found.group()!r}.", line)
    return text


def _broken_yaml(error: yaml.MarkedYAMLError) -> DocumentError:
    mark = error.problem_mark or error.context_mark
    reason = ", ".join(part for part in (error.context, error.problem) if part)
    return DocumentError(f"The YAML is broken: {reason}.", mark.line + 1 if mark else None)


class _Loader(yaml.SafeLoader):
    """YAML's JSON-like part: dates stay text."""

    yaml_implicit_resolvers = {  # noqa: RUF012  # PyYAML's own class attribute
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


class _NodeReader:
    """Turns nodes into data and notes their lines."""

    def __init__(self, loader: _Loader) -> None:
        self.lines: dict[DataPath, int] = {}
        self._loader = loader
        self._merged: set[int] = set()

    def value(self, node: yaml.Node, path: DataPath) -> JsonValue:
        """The node's data; its lines are in `lines` afterwards.

        Raises:
            DocumentError: It is not JSON-like, too deep or too large.
        """
        self.lines.setdefault(path, node.start_mark.line + 1)
        if len(path) > _DEEPEST or len(self.lines) > _MOST_VALUES:
            raise DocumentError("The data is nested too deeply or too large, aliases counted.", _line(node))
        if isinstance(node, yaml.MappingNode):
            return {key: self.value(child, (*path, key)) for key, child in self._items(node, path)}
        if isinstance(node, yaml.SequenceNode):
            return [self.value(child, (*path, index)) for index, child in enumerate(node.value)]
        return self._scalar(node)

    def _items(self, node: yaml.MappingNode, path: DataPath) -> Iterator[tuple[str, yaml.Node]]:
        self._merge(node)
        for key_node, child in node.value:
            key = _key(key_node)
            self.lines[*path, key] = key_node.start_mark.line + 1
            yield key, child

    def _merge(self, node: yaml.MappingNode) -> None:
        """Resolve `<<` once per node; before that, no key may stand there twice."""
        if id(node) in self._merged:
            return
        self._merged.add(id(node))
        seen: dict[str, int] = {}
        for key_node, _ in node.value:
            key = _key(key_node)
            if key in seen:
                raise DocumentError(f"The key {key!r} stands here twice, first in line {seen[key]}.", _line(key_node))
            seen[key] = _line(key_node)
        self._loader.flatten_mapping(node)

    def _scalar(self, node: yaml.Node) -> JsonValue:
        value: Any = self._loader.construct_object(node)
        if value is None or isinstance(value, str | int | float):
            return value
        raise DocumentError(f"A {type(value).__name__} is not JSON-like data.", _line(node))


def _key(node: yaml.Node) -> str:
    if isinstance(node, yaml.ScalarNode) and node.tag in ("tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"):
        return str(node.value)
    shown = node.value if isinstance(node, yaml.ScalarNode) else "a list or mapping"
    raise DocumentError(f"A key must be text; {shown} is not. Write it in quotes.", _line(node))


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1

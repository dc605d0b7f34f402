"""Reading a YAML, TOML or JSON file that a person wrote, so that every complaint can name its line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

# Every process reads settings, few of them from a file.
if TYPE_CHECKING:
    import yaml

from task_manager.errors import InvalidInput

MAXIMUM_BYTES = 16 * 1024 * 1024
"""A larger file is refused before it is parsed."""

MAXIMUM_VALUES = 500_000
"""A YAML file that holds more is refused; aliases make a small file stand for endless data."""

# YAML 1.1 takes `on`, `yes` and the like for booleans; as keys they are names, such as that of `retry.on`.
_BOOLEAN = "tag:yaml.org,2002:bool"
_TEXT = "tag:yaml.org,2002:str"

Place = tuple[str | int, ...]
"""Where a value stands: keys and list positions from the top."""


@dataclass(frozen=True)
class Document:
    """A file's contents.

    Attributes:
        path: The file.
        data: Its top level, a mapping of JSON-like data.
        lines: The line, counted from 1, of each place that is known.
    """

    path: Path
    data: Mapping[str, object]
    lines: Mapping[Place, int] = field(default_factory=lambda: MappingProxyType({}))

    def line(self, place: Place) -> int | None:
        """The line of that place, or of the nearest place around it; none when nothing is known."""
        for length in range(len(place), 0, -1):
            if place[:length] in self.lines:
                return self.lines[place[:length]]
        return None

    def locate(self, place: Place) -> str:
        """`PATH:LINE`, or `PATH` where no line is known."""
        line = self.line(place)
        return f"{self.path}:{line}" if line else str(self.path)


def read_document(path: Path, error: type[InvalidInput] = InvalidInput) -> Document:
    """Read a file by its suffix: .yaml, .yml, .toml, .json.

    Args:
        path: The file.
        error: What is raised when it cannot be used.

    Raises:
        InvalidInput: Or `error`: the file is missing, unreadable, too large, broken (with its line), or its top
            level is not a mapping.
    """
    text = _read(path, error)
    try:
        data, lines = _parse(path, text, error)
    except RecursionError as cause:
        raise error(f"{path} is nested too deeply.", details={"path": str(path)}) from cause
    if not isinstance(data, dict):
        raise error(f"{path} must hold a mapping of names to values at its top.", details={"path": str(path)})
    return Document(path, data, MappingProxyType(lines))


def place_text(place: Place) -> str:
    """A place as people read it, such as `tasks[2].inputs.epochs`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    return text.removeprefix(".")


def _read(path: Path, error: type[InvalidInput]) -> str:
    try:
        if path.stat().st_size > MAXIMUM_BYTES:
            raise error(f"{path} is larger than {MAXIMUM_BYTES:,} bytes.", details={"path": str(path)})
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as cause:
        raise error(f"There is no file {path}.", details={"path": str(path)}) from cause
    except IsADirectoryError as cause:
        raise error(f"{path} is a folder, not a file.", details={"path": str(path)}) from cause
    except UnicodeDecodeError as cause:
        raise error(f"{path} is not UTF-8 text (byte {cause.start}).", details={"path": str(path)}) from cause
    except OSError as cause:
        raise error(f"{path} cannot be read: {cause.strerror}.", details={"path": str(path)}) from cause


def _parse(path: Path, text: str, error: type[InvalidInput]) -> tuple[object, dict[Place, int]]:
    match path.suffix.lower():
        case ".yaml" | ".yml":
            return _parse_yaml(path, text, error)
        case ".toml":
            return _parse_toml(path, text, error), dict(_toml_lines(text))
        case ".json":
            return _parse_json(path, text, error)
        case suffix:
            raise error(
                f"{path} has the suffix {suffix!r}; it must be .yaml, .yml, .toml or .json.",
                details={"path": str(path)},
            )


@cache
def _plain_loader() -> type[yaml.SafeLoader]:
    """YAML without dates: what looks like a date stays a text, as in JSON."""
    import yaml

    # The parser of libyaml is several times faster; not every build of the library has it.
    base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    class PlainLoader(base):  # type: ignore[misc]
        yaml_implicit_resolvers = {  # noqa: RUF012 - as in its base
            first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
            for first, resolvers in base.yaml_implicit_resolvers.items()
        }

    return PlainLoader


def _parse_yaml(path: Path, text: str, error: type[InvalidInput]) -> tuple[object, dict[Place, int]]:
    import yaml

    try:
        loader = _plain_loader()(text)
        node = loader.get_single_node()
        if node is None:
            return {}, {}
        lines: dict[Place, int] = {}
        for place, line in _yaml_lines(node, (), path, error):
            if len(lines) > MAXIMUM_VALUES:
                raise _broken(path, line, "it holds too many values, repeated aliases counted", error)
            lines[place] = line
        return loader.construct_document(node), lines
    except yaml.MarkedYAMLError as cause:
        mark = cause.problem_mark or cause.context_mark
        # What is missing at the end is missing in the last line, not after it.
        last = text.rstrip().count("\n")
        raise _broken(path, min(mark.line, last) + 1 if mark else None, cause.problem or str(cause), error) from cause
    except (yaml.YAMLError, ValueError) as cause:
        raise _broken(path, None, str(cause), error) from cause


def _yaml_lines(node: yaml.Node, place: Place, path: Path, error: type[InvalidInput]) -> Iterator[tuple[Place, int]]:
    import yaml

    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            name, line = str(key.value), key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode) or name in seen:
                raise _broken(path, line, f"the key {name!r} stands here a second time", error)
            seen.add(name)
            if key.tag == _BOOLEAN:
                key.tag = _TEXT
            yield (*place, name), line
            yield from _yaml_lines(value, (*place, name), path, error)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield (*place, index), item.start_mark.line + 1
            yield from _yaml_lines(item, (*place, index), path, error)


def _parse_json(path: Path, text: str, error: type[InvalidInput]) -> tuple[object, dict[Place, int]]:
    try:
        data = json.loads(text)
    except json.JSONDecodeError as cause:
        raise _broken(path, cause.lineno, cause.msg, error) from cause
    try:  # JSON is YAML but for tabs; where that fails, only the lines are missing
        _, lines = _parse_yaml(path, text, error)
    except InvalidInput:
        lines = {}
    return data, lines


def _parse_toml(path: Path, text: str, error: type[InvalidInput]) -> object:
    import tomllib

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as cause:
        found = re.search(r"\(at line (\d+)", str(cause))
        problem = re.sub(r" \(at .*\)$", "", str(cause))
        raise _broken(path, int(found[1]) if found else None, problem, error) from cause


def _toml_lines(text: str) -> Iterator[tuple[Place, int]]:
    section: Place = ()
    for number, line in enumerate(text.splitlines(), start=1):
        if header := re.match(r"\s*\[([A-Za-z0-9_.\-\"' ]+)\]", line):
            section = _toml_place(header[1])
            yield section, number
        elif assignment := re.match(r"\s*([A-Za-z0-9_.\-\"']+)\s*=", line):
            yield (*section, *_toml_place(assignment[1])), number


def _toml_place(dotted: str) -> Place:
    parts = re.findall(r"\"[^\"]*\"|'[^']*'|[^.\s\"']+", dotted)
    return tuple(part.strip("\"'") for part in parts)


def _broken(path: Path, line: int | None, problem: str, error: type[InvalidInput]) -> InvalidInput:
    where = f"{path}:{line}" if line else str(path)
    return error(f"{where} cannot be parsed: {problem}.", details={"path": str(path), "line": line})

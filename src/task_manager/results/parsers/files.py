"""Opening the files that reports are read from."""

from __future__ import annotations

import json
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Generic, NoReturn, TypeVar

from pydantic import JsonValue

from task_manager.errors import OutputInvalid
from task_manager.results.wording import size_text

T_co = TypeVar("T_co", covariant=True)

_OPEN_FLAGS = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_MAXIMUM_DEPTH = 100
_UNSTORABLE_ESCAPE = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


@dataclass(frozen=True)
class Parsed(Generic[T_co]):
    """What a file says, and what in it could not be used."""

    report: T_co
    problems: tuple[OutputInvalid, ...] = ()


def invalid(name: str, *, expected: str, found: str) -> OutputInvalid:
    """The error for a report that is not what it should be.

    Args:
        name: The file, as messages call it.
        expected: What it should be, as the end of "expected …".
        found: What it is, as the end of "found …".
    """
    return OutputInvalid(
        f"{name}: expected {expected}, found {found}.",
        remedy="Let the step write it whole and in its format.",
        details={"file": name, "expected": expected, "found": found},
    )


def open_report(path: Path, name: str, *, expected: str, limit: int) -> BinaryIO:
    """Open a regular file of bounded size.

    Args:
        path: The file.
        name: As messages call it.
        expected: What it should be, for messages.
        limit: In bytes.

    Raises:
        OutputInvalid: It is missing, unreadable, no regular file, or too large.
    """
    try:
        descriptor = os.open(path, _OPEN_FLAGS)
    except OSError as error:
        found = "a link" if path.is_symlink() else (error.strerror or "nothing").lower()
        raise invalid(name, expected=expected, found=found) from error
    found = _unusable(os.fstat(descriptor), limit)
    if found:
        os.close(descriptor)
        raise invalid(name, expected=expected, found=found)
    return os.fdopen(descriptor, "rb")


def _unusable(status: os.stat_result, limit: int) -> str:
    if stat.S_ISDIR(status.st_mode):
        return "a folder"
    if not stat.S_ISREG(status.st_mode):
        return "something that is no file"
    if status.st_size > limit:
        return f"{size_text(status.st_size)}, more than the {size_text(limit)} that are read"
    return ""


def read_report(path: Path, name: str, *, expected: str, limit: int) -> bytes:
    """The content of a regular file that is not empty; arguments and errors as for `open_report`."""
    with open_report(path, name, expected=expected, limit=limit) as file:
        content = file.read(limit + 1)
    if not content.strip():
        raise invalid(name, expected=expected, found="an empty file")
    return content


def decoded(content: bytes, name: str, *, expected: str) -> str:
    """UTF-8 as text, without a byte order mark.

    Raises:
        OutputInvalid: It is not UTF-8.
    """
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        found = f"bytes that are not UTF-8 (at byte {error.start})"
        raise invalid(name, expected=expected, found=found) from error


def load_json(text: str, name: str, *, expected: str) -> JsonValue:
    """JSON as RFC 8259 has it: no NaN, no infinities; characters that no database takes are replaced.

    Raises:
        OutputInvalid: It is not JSON, or nested more than 100 deep.
    """
    try:
        value: JsonValue = json.loads(text, parse_constant=_refuse_constant)
        _check_depth(value, _MAXIMUM_DEPTH)
        # A copy takes as much memory again; only escapes can bring in what no database takes.
        return _storable(value) if _UNSTORABLE_ESCAPE.search(text) else value
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise invalid(name, expected=expected, found=f"a syntax error at {where} ({error.msg.lower()})") from error
    except RecursionError as error:
        raise invalid(name, expected=expected, found=f"data nested more than {_MAXIMUM_DEPTH} deep") from error
    except ValueError as error:
        raise invalid(name, expected=expected, found=f"a value that JSON does not have ({error})") from error


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _check_depth(value: JsonValue, depth: int) -> None:
    if depth < 0:
        raise RecursionError
    below = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for item in below:
        if isinstance(item, dict | list):
            _check_depth(item, depth - 1)


def _storable(value: JsonValue) -> JsonValue:
    if isinstance(value, dict):
        return {storable_text(key): _storable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_storable(item) for item in value]
    return storable_text(value) if isinstance(value, str) else value


def storable_text(text: str) -> str:
    """A text with replacement characters for null characters and halves of surrogate pairs."""
    return _UNSTORABLE.sub("\ufffd", text)

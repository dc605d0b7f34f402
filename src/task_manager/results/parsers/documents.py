"""JSON and text, kept as they are."""

from __future__ import annotations

from pathlib import Path

from pydantic import JsonValue

from task_manager.results.parsers.files import Parsed, decoded, load_json, open_report, read_report, storable_text

_EXPECTED_JSON = "JSON"
_MAXIMUM_JSON = 4 * 1024 * 1024
_MAXIMUM_TEXT_FILE = 1024 * 1024 * 1024
_KEPT_TEXT = 64 * 1024


def parse_json(path: Path, name: str) -> Parsed[JsonValue]:
    """Read JSON of at most 4 MiB.

    Raises:
        OutputInvalid: It is no JSON (RFC 8259).
    """
    content = read_report(path, name, expected=_EXPECTED_JSON, limit=_MAXIMUM_JSON)
    return Parsed(load_json(decoded(content, name, expected=_EXPECTED_JSON), name, expected=_EXPECTED_JSON))


def parse_text(path: Path, name: str) -> Parsed[str]:
    """Read a text; of a long one, the last 64 KiB. What is not UTF-8 is replaced.

    Raises:
        OutputInvalid: It is no file that can be read.
    """
    with open_report(path, name, expected="a text", limit=_MAXIMUM_TEXT_FILE) as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - _KEPT_TEXT))
        return Parsed(storable_text(file.read(_KEPT_TEXT).decode("utf-8", errors="replace")))

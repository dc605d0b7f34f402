"""Whether a program printed what a page shows: ids, times and digests may differ, and `…` stands for anything."""

from __future__ import annotations

import re
from typing import Final

ANYTHING: Final = "…"

ID: Final = re.compile(r"\b(?:project|phase|task|workflow|run|container|event)-[0-9a-z]{9}-[0-9a-z]{11}\b")
_VARYING: Final = (
    (re.compile(r"\x1b\[[0-9;]*m"), ""),
    (re.compile(r"[ \t]+"), " "),
    (ID, "ID"),
    (re.compile(r"\b[0-9a-f]{64}\b|\bsha256:[0-9a-f]{12,}"), "DIGEST"),
    (re.compile(r"\bless than a minute\b|\b\d+:\d\d (min|h)\b"), "DURATION"),
    (re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?"), "MOMENT"),
    (re.compile(r"\b\d\d:\d\d:\d\d(\.\d+)?\b"), "TIME"),
    (re.compile(r"\b\d+(\.\d+)? ?(?:s|ms|µs|min|h|seconds?|minutes?)\b"), "DURATION"),
    (re.compile(r"\b\d+(\.\d+)? ?[kMG]?i?B\b"), "SIZE"),
    (re.compile(r"(\"\w*(?:seconds|bytes)\": )[\d.e-]+"), r"\1NUMBER"),
    (re.compile(r"(\d\.\d\d)\d+"), r"\1"),
    (re.compile(r"─+"), "─"),
)
_PROGRESS: Final = "DURATION "
"""How a line of progress begins: after how many seconds something happened. Which there are depends on the machine."""


def comparable(text: str) -> str:
    """The text without what differs from run to run."""
    for pattern, replacement in _VARYING:
        text = pattern.sub(replacement, text)
    lines = (line.strip() for line in text.strip("\n").splitlines())
    return "\n".join(line for line in lines if not line.startswith(_PROGRESS)).strip("\n")


def shows(shown: str, printed: str) -> bool:
    """Whether `printed` is what the page shows."""
    pattern = "".join(map(_pattern_of_line, comparable(shown).split("\n")))
    return re.fullmatch(pattern, comparable(printed) + "\n") is not None


def _pattern_of_line(line: str) -> str:
    if line == ANYTHING:
        return r"(?:.*\n)*"
    return ".*".join(map(re.escape, line.split(ANYTHING))) + r"\n"


def same_ids(shown: str, printed: str) -> dict[str, str]:
    """Which id of this run stands where the page has one of an earlier run.

    Lines that the page leaves out have no ids of its own; ids are matched in the order of their first appearance.
    """
    ours, theirs = (list(dict.fromkeys(ID.findall(text))) for text in (shown, printed))
    return dict(zip(ours, theirs, strict=False))

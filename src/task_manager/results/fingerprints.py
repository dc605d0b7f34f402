"""What stays the same of a failure when it happens again: its fingerprint."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from typing import Final

_LENGTH: Final = 16

# In this order: what is more exact comes before what would fit a part of it.
_VARYING: Final[Sequence[tuple[re.Pattern[str], str]]] = tuple(
    (re.compile(pattern), name)
    for pattern, name in (
        (r"(?:/private)?(?:/tmp|/var/tmp|/var/folders|/dev/shm|/run/user)/[^\s:'\"`,;()\[\]<>]*", "<temporary>"),
        (r"\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d)?(?:[.,]\d+)?(?: ?(?:Z|UTC|[+-]\d\d:?\d\d)\b)?)?", "<time>"),
        (r"\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? +(?:\d{1,2} )?[A-Z][a-z]{2} +\d{1,4}\b", "<time>"),
        (r"\b\d{1,2}:\d\d:\d\d(?:[.,]\d+)?\b", "<time>"),
        (r"\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b", "<id>"),
        (r"\b[a-z]{2,12}-[0-9a-z]{9}-[0-9a-z]{11}\b", "<id>"),
        (r"\b0x[0-9a-fA-F]+\b", "<address>"),
        (r"\b(?:\d{1,3}\.){3}\d{1,3}(?::\d+)?\b", "<address>"),
        (r"\blocalhost:\d+\b", "<address>"),
        (r"\b(?:[a-z]{1,12}[_-])?(?=[0-9A-Za-z]*\d)(?=[0-9A-Za-z]*[A-Za-z])[0-9A-Za-z]{20,}\b", "<id>"),
        (r"\b(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{7,}\b", "<id>"),
        (r"(?<![\w.])\d+(?:\.\d+)? ?(?:ns|us|µs|ms|s|secs?|seconds?|mins?|minutes?|h|hours?)\b", "<duration>"),
        (r"(?i)\b(pid|process|thread|port|worker|attempt)([ =:#]+)\d+\b", r"\1\2<number>"),
        (r"\b\d{9,}\b", "<number>"),
    )
)


def fingerprint(*facts: object, lines: Iterable[str]) -> str:
    """Sixteen hexadecimal digits that two failures share when they differ in nothing but what always differs.

    Args:
        facts: What must be the same as it is, such as the step and its exit code; JSON-like.
        lines: What was said; times, durations, addresses, ids, temporary paths and process numbers do not count.
    """
    text = json.dumps([*facts, [without_varying_parts(line) for line in lines]], ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_LENGTH]


def without_varying_parts(line: str) -> str:
    """A line with names in place of what differs each time: `<time>`, `<duration>`, `<address>`, `<id>`, …."""
    for pattern, name in _VARYING:
        line = pattern.sub(name, line)
    return " ".join(line.split())

"""Texts as words and sentences."""

from __future__ import annotations

import re
from collections.abc import Sequence

_WORD = re.compile(r"[^\W\d_]+(?:['\u2019\-][^\W\d_]+)*")
_SENTENCE_END = re.compile(r"(?<=[.!?…])[\"'\u201d\u2019)]*\s+")


def words(text: str, *, lower: bool = True) -> list[str]:
    """The words of a text, in order; `don't` and `well-known` are one word each, numbers are none."""
    found = _WORD.findall(text)
    return [word.lower() for word in found] if lower else found


def sentences(text: str) -> list[str]:
    """The sentences of a text: parts that end in `.`, `!`, `?` or `…` and hold at least one word."""
    parts = (part.strip() for part in _SENTENCE_END.split(text))
    return [part for part in parts if _WORD.search(part)]


def ngrams(tokens: Sequence[str], size: int) -> list[tuple[str, ...]]:
    """Every run of `size` neighbouring tokens.

    Raises:
        ValueError: `size` is less than 1.
    """
    if size < 1:
        raise ValueError(f"An n-gram has at least 1 token, not {size}.")
    return [tuple(tokens[start : start + size]) for start in range(len(tokens) - size + 1)]

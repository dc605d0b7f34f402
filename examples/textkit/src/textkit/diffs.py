"""What changed between two versions of a text."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import SequenceMatcher

from textkit.tokens import words


@dataclass(frozen=True)
class DiffSummary:
    """How two versions differ.

    Attributes:
        added: Words that only the new version has at their place, in order.
        removed: Words that only the old version has at their place, in order.
        similarity: From 0, nothing in common, to 1, the same words in the same order.
    """

    added: tuple[str, ...]
    removed: tuple[str, ...]
    similarity: float

    def __str__(self) -> str:
        return f"+{len(self.added)} -{len(self.removed)} words, {self.similarity:.0%} alike"


def summarise_diff(old: str, new: str) -> DiffSummary:
    """How two versions of a text differ, word by word."""
    before, after = words(old), words(new)
    matcher = SequenceMatcher(a=before, b=after, autojunk=False)
    added: list[str] = []
    removed: list[str] = []
    for kind, first, last, start, end in matcher.get_opcodes():
        if kind != "equal":
            removed += before[first:last]
            added += after[start:end]
    return DiffSummary(tuple(added), tuple(removed), matcher.ratio())

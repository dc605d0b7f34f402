"""How often words occur, and which of them tell what a text is about."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Sequence

from textkit.tokens import words

STOP_WORDS = frozenset(
    {
        *("a", "an", "and", "are", "as", "at", "be", "but", "by", "for", "from", "has", "have", "he", "her", "his"),
        *("i", "in", "is", "it", "its", "me", "my", "not", "of", "on", "or", "our", "she", "so", "that", "the"),
        *("their", "them", "they", "this", "to", "was", "we", "were", "will", "with", "you", "your"),
    }
)


def frequencies(text: str, *, stop_words: Collection[str] = STOP_WORDS) -> Counter[str]:
    """How often each word occurs, stop words left out."""
    return Counter(word for word in words(text) if word not in stop_words)


def keywords(documents: Sequence[str], index: int, *, count: int = 5) -> list[tuple[str, float]]:
    """The words that set one document apart from the others, by tf-idf.

    Args:
        documents: All texts.
        index: Which of them is meant.
        count: At most so many words.

    Returns:
        Words with their weights, the highest first; equal weights in the order of the alphabet.
    """
    counted = [frequencies(document) for document in documents]
    own = counted[index]
    total = sum(own.values())
    weights = {
        word: occurrences / total * math.log(len(documents) / sum(word in other for other in counted))
        for word, occurrences in own.items()
    }
    return sorted(weights.items(), key=lambda item: (-item[1], item[0]))[:count]

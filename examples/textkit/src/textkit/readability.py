"""How hard a text is to read.

The formulas are those of Flesch (1948) and Kincaid et al. (1975), made for English.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from textkit.tokens import sentences, words

LONG_WORD = 7
_VOWELS = re.compile(r"[aeiouy]+")


@dataclass(frozen=True)
class Readability:
    """What the formulas say of a text.

    Attributes:
        words_per_sentence: A mean.
        letters_per_word: A mean.
        syllables_per_word: A mean.
        long_words: The share of words with at least seven letters.
        reading_ease: Flesch's score; the higher, the easier, mostly between 0 and 100.
        grade: Kincaid's grade: the year of school that is needed.
    """

    words_per_sentence: float
    letters_per_word: float
    syllables_per_word: float
    long_words: float
    reading_ease: float
    grade: float


def count_syllables(word: str) -> int:
    """The syllables of an English word, by its groups of vowels; at least 1."""
    letters = re.sub(r"[^a-z]", "", word.lower())
    count = len(_VOWELS.findall(letters))
    silent_e = letters.endswith("e") and not letters.endswith(("le", "ee", "ye"))
    silent_ed = letters.endswith("ed") and not letters.endswith(("ted", "ded"))
    if (silent_e or silent_ed) and count > 1:
        count -= 1
    return max(count, 1)


def readability(text: str) -> Readability:
    """How hard a text is to read.

    Raises:
        ValueError: It holds no words.
    """
    found = words(text)
    if not found:
        raise ValueError("A text without words has no readability.")
    per_sentence = len(found) / max(len(sentences(text)), 1)
    syllables = sum(count_syllables(word) for word in found) / len(found)
    return Readability(
        words_per_sentence=per_sentence,
        letters_per_word=sum(len(word) for word in found) / len(found),
        syllables_per_word=syllables,
        long_words=sum(len(word) >= LONG_WORD for word in found) / len(found),
        reading_ease=206.835 - 1.015 * per_sentence - 84.6 * syllables,
        grade=0.39 * per_sentence + 11.8 * syllables - 15.59,
    )

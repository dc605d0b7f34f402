"""Small tools for texts: words, frequencies, readability, slugs, differences."""

from textkit.diffs import DiffSummary, summarise_diff
from textkit.frequencies import frequencies, keywords
from textkit.readability import Readability, count_syllables, readability
from textkit.slugs import slugify
from textkit.tokens import ngrams, sentences, words

__all__ = [
    "DiffSummary",
    "Readability",
    "count_syllables",
    "frequencies",
    "keywords",
    "ngrams",
    "readability",
    "sentences",
    "slugify",
    "summarise_diff",
    "words",
]

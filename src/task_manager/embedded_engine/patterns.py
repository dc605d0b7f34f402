"""Which paths a copy takes: include and exclude patterns as Dockerfiles and .dockerignore have them.

A pattern is matched against the whole path below the copied folder and against every folder above it; `**` stands for
any number of folders; a pattern that starts with `!` takes back what earlier ones matched.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from posixpath import normpath

# The longest that fits counts.
_WILDCARDS = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}


class PatternError(ValueError):
    """A pattern cannot be read."""


@lru_cache(maxsize=1024)
def compiled(pattern: str) -> re.Pattern[str]:
    """Return the regular expression of one pattern, without a leading `!`.

    Raises:
        PatternError: The pattern is not closed properly.
    """
    text = normpath(pattern.strip()).lstrip("/")
    try:
        return re.compile(_expression(text) + r"\Z", re.DOTALL)
    except re.error as error:
        raise PatternError(f"the pattern {pattern!r} cannot be read: {error}") from error


def _expression(text: str) -> str:
    parts: list[str] = []
    position = 0
    while position < len(text):
        taken, part = _next_part(text, position)
        parts.append(part)
        position += taken
    return "".join(parts)


def _next_part(text: str, position: int) -> tuple[int, str]:
    rest = text[position:]
    for wildcard, expression in _WILDCARDS.items():
        if rest.startswith(wildcard):
            return len(wildcard), expression
    if rest[0] == "[" and (end := rest.find("]", 2)) > 0:
        return end + 1, rest[: end + 1].replace("[!", "[^", 1)
    if rest[0] == "\\" and len(rest) > 1:
        return 2, re.escape(rest[1])
    return 1, re.escape(rest[0])


@dataclass(frozen=True)
class Patterns:
    """Several patterns, the last that matches deciding."""

    texts: tuple[str, ...]

    def match(self, path: str) -> bool:
        """Return whether a path, or a folder above it, is matched."""
        prefixes = _with_parents(path)
        matched = False
        for negative, expression in self._compiled:
            if negative == matched and any(expression.match(prefix) for prefix in prefixes):
                matched = not negative
        return matched

    def may_match_below(self, folder: str) -> bool:
        """Return whether something inside a folder that is not matched itself could be."""
        return any(_reaches_below(text.lstrip("/"), folder) for text in self.texts if not text.startswith("!"))

    @property
    def has_exceptions(self) -> bool:
        """Whether a pattern takes back what another matched."""
        return any(text.startswith("!") for text in self.texts)

    @cached_property
    def _compiled(self) -> list[tuple[bool, re.Pattern[str]]]:
        return [(text.startswith("!"), compiled(text.removeprefix("!"))) for text in self.texts if text.strip()]


def _with_parents(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[: length + 1]) for length in range(len(parts))]


def _reaches_below(pattern: str, folder: str) -> bool:
    """Compare part by part: a `**`, or a longer pattern whose beginning matches the folder, reaches inside."""
    parts = normpath(pattern).split("/")
    for index, name in enumerate(folder.split("/")):
        if index >= len(parts):
            return False
        if parts[index].startswith("**"):
            return True
        if not compiled(parts[index]).match(name):
            return False
    return True


@dataclass(frozen=True)
class Filter:
    """What a copy takes.

    All, or only what `include` matches; never what `exclude` matches or, if told, what .gitignore files do.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    gitignore: bool = False

    @classmethod
    def of(cls, include: Sequence[str] | None, exclude: Sequence[str] | None, *, gitignore: bool = False) -> "Filter":
        """Return a filter from an API call's arguments."""
        return cls(tuple(include or ()), tuple(exclude or ()), gitignore)

    @property
    def takes_all(self) -> bool:
        """Whether nothing is filtered."""
        return not (self.include or self.exclude or self.gitignore)

    def takes(self, path: str) -> bool:
        """Return whether the patterns take a path; .gitignore files are not asked here."""
        if self.include and not self._include.match(path):
            return False
        return not (self.exclude and self._exclude.match(path))

    def looks_into(self, folder: str) -> bool:
        """Return whether a folder that is not taken itself may hold something that is."""
        if self.exclude and self._exclude.match(folder) and not self._exclude.has_exceptions:
            return False
        return not self.include or self._include.match(folder) or self._include.may_match_below(folder)

    @cached_property
    def _include(self) -> Patterns:
        return Patterns(self.include)

    @cached_property
    def _exclude(self) -> Patterns:
        return Patterns(self.exclude)

"""Regular expressions over logs, in time that grows with the log alone, whatever the expression."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from task_manager.errors import InvalidInput

_SPECIAL: Final = set("()[]{}|?*+.^$\\")
_QUANTIFIERS: Final = set("?*{")
_LONGEST_PATTERN: Final = 1000  # characters
_BY_LINES: Final = "(?m)"
"""`^` and `$` are a line's."""


class LinePattern:
    """A regular expression in the syntax of RE2, without references back and looking around.

    Args:
        pattern: The expression; `(?i)` in front of it lets it ignore case.

    Raises:
        InvalidInput: It is none.
    """

    def __init__(self, pattern: str) -> None:
        # Only here: it is not needed to start.
        import re2

        options = re2.Options()
        options.log_errors = False
        options.never_nl = True
        if len(pattern) > _LONGEST_PATTERN:
            raise InvalidInput(f"A pattern has {_LONGEST_PATTERN} characters at most, not {len(pattern)}.")
        try:
            self._pattern = re2.compile(f"{_BY_LINES}{pattern}".encode(), options)
        except re2.error as error:
            reason = error.args[0].decode() if error.args and isinstance(error.args[0], bytes) else str(error)
            raise InvalidInput(
                f"The pattern {pattern!r} cannot be used: {reason.replace(_BY_LINES, '', 1)}.",
                remedy="Write it in the syntax of RE2; put a backslash before characters that are meant as they are.",
            ) from error
        self._literal = required_literal(pattern).encode()

    def lines(self, text: bytes) -> Iterator[tuple[int, int]]:
        """Where the lines begin and end that it fits, each once.

        Args:
            text: Whole lines.
        """
        position = 0
        while position < len(text):
            found = self._next(text, position)
            if found < 0:
                return
            begin = text.rfind(b"\n", 0, found) + 1
            end = text.find(b"\n", found)
            end = len(text) if end < 0 else end
            position = end + 1
            if not self._literal or self._pattern.search(text[begin:end]):
                yield begin, end

    def _next(self, text: bytes, position: int) -> int:
        """Where the next line may be that it fits: at its literal, which is found faster, else at a match."""
        if self._literal:
            return text.find(self._literal, position)
        match = self._pattern.search(text, position)
        return match.start() if match else -1


def required_literal(pattern: str) -> str:
    """The longest text that everything has which an expression fits; empty where that cannot be told simply."""
    if re.search(r"[(\[|]|\\[pPQEx0-9C]", pattern):
        return ""
    runs, run, at = [], "", 0
    while at < len(pattern):
        escaped = pattern[at] == "\\" and at + 1 < len(pattern)
        character = pattern[at + 1] if escaped else pattern[at]
        at += 1 + escaped
        plain = not character.isalnum() if escaped else character not in _SPECIAL
        if plain and not (at < len(pattern) and pattern[at] in _QUANTIFIERS):
            run += character
            continue
        if character == "{" and not escaped:
            at = pattern.find("}", at) + 1 or len(pattern)
        runs.append(run)
        run = ""
    return max([*runs, run], key=len)

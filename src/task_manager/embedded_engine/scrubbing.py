"""Keeping secret values out of captured output."""

import re
from collections.abc import Iterable

_MASK = b"***"


class Scrubber:
    """Replaces secret values in a stream of bytes, also where a value is split between pieces."""

    def __init__(self, values: Iterable[bytes]) -> None:
        words = {word for value in values for word in (value, *value.splitlines()) if word.strip()}
        ordered = sorted(words, key=len, reverse=True)
        self._longest = len(ordered[0]) if ordered else 0
        self._expression = re.compile(b"|".join(re.escape(word) for word in ordered)) if ordered else None
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """Return what can be shown after `data`; the last bytes are held back while they may begin a secret."""
        if self._expression is None:
            return data
        text = self._held + data
        shown: list[bytes] = []
        position = 0
        # A match that touches the end might be part of a longer one; everything before the last possible start is
        # settled.
        settled = len(text) - self._longest + 1
        while (match := self._expression.search(text, position)) and match.start() < settled:
            shown += (text[position : match.start()], _MASK)
            position = match.end()
        cut = max(position, settled, 0)
        shown.append(text[position:cut])
        self._held = text[cut:]
        return b"".join(shown)

    def finish(self) -> bytes:
        """Return what was held back, at the end of the stream."""
        rest, self._held = self._held, b""
        return self._expression.sub(_MASK, rest) if self._expression else rest

"""Keeping secret values out of captured output."""

import base64
import re
from collections.abc import Iterable, Iterator

_MASK = b"***"


# Shorter lines of a secret stand in harmless text, too.
_SHORTEST_LINE = 8
_SHORTEST_ENCODED = 6
_WRAPPED_AT = 76  # characters in a line of base64 (RFC 2045)


class Scrubber:
    """Replaces secret values in a stream of bytes, also where a value is split between pieces."""

    def __init__(self, values: Iterable[bytes]) -> None:
        words = {word for value in values for word in _masked(value)}
        self._words = sorted(words, key=len, reverse=True)
        self._longest = max(map(len, words), default=0)
        self._expression = re.compile(b"|".join(re.escape(word) for word in self._words)) if words else None
        firsts = b"".join(re.escape(bytes([first])) for first in sorted({word[0] for word in words}))
        self._first = re.compile(b"[" + firsts + b"]") if words else None
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """Return what can be shown after `data`; the end is held back while it may begin a secret."""
        if self._expression is None:
            return data
        text = self._held + data
        shown: list[bytes] = []
        position, cut = 0, self._undecided(text, 0)
        while (match := self._expression.search(text, position)) and match.start() < cut:
            shown += (text[position : match.start()], _MASK)
            position = match.end()
            cut = self._undecided(text, position)
        shown.append(text[position:cut])
        self._held = text[cut:]
        return b"".join(shown)

    def finish(self) -> bytes:
        """Return what was held back, at the end of the stream."""
        rest, self._held = self._held, b""
        return self._expression.sub(_MASK, rest) if self._expression else rest

    def _undecided(self, text: bytes, position: int) -> int:
        """Return where, from a position on, the first secret may begin that the text does not have all of."""
        if self._first is None:
            return len(text)
        for found in self._first.finditer(text, max(position, len(text) - self._longest + 1)):
            rest = text[found.start() :]
            if any(len(word) > len(rest) and word.startswith(rest) for word in self._words):
                return found.start()
        return len(text)


def _masked(value: bytes) -> set[bytes]:
    """Return what of a secret is masked: all of it, also without white space around it, in base64, and longer lines."""
    lines = {line.strip() for line in value.splitlines()}
    return (
        {word for word in (value, value.strip()) if word.strip()}
        | {line for line in lines if len(line) >= _SHORTEST_LINE}
        | set(_encoded(value.strip()))
    )


def _encoded(value: bytes) -> Iterator[bytes]:
    """Return the characters of base64 that depend on the secret alone, wherever it stands in what is encoded."""
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for before in range(3):
            first, after = -(-before * 8 // 6), (before + len(value)) * 8 // 6
            if after - first >= _SHORTEST_ENCODED:
                yield encode(bytes(before) + value)[first:after]
    wrapped = base64.b64encode(value)[: len(value) * 8 // 6]
    if len(wrapped) > _WRAPPED_AT:
        yield b"\n".join(wrapped[at : at + _WRAPPED_AT] for at in range(0, len(wrapped), _WRAPPED_AT))

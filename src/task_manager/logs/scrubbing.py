"""Taking secrets out of what is written, however it comes in pieces."""

from __future__ import annotations

import base64
import json
import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final
from urllib.parse import quote

from pydantic import JsonValue

MASK: Final = "***"

_SHORTEST: Final = 4
_SHORTEST_LINE: Final = 8
_SHORTEST_ENCODED: Final = 6
_PIECE: Final = 1024 * 1024
_WRAPPED_AT: Final = 76  # characters, as base64(1) and RFC 2045 do


class Scrubber:
    """Replaces secrets by `***`: as they are, in base64 at any place of a longer text, in URLs and in JSON.

    Secrets of fewer than four characters are left alone: they are in every text.

    Args:
        secrets: The values.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms = {form for secret in secrets if len(secret) >= _SHORTEST for form in _forms(secret)}
        # The longest first: of two that begin alike, it is the one to replace.
        self._forms = sorted(forms, key=lambda form: (-len(form), form))
        self._pattern = re.compile(b"|".join(map(re.escape, self._forms))) if forms else None
        self._longest = len(self._forms[0]) if forms else 0

    def __bool__(self) -> bool:
        return self._pattern is not None

    def text(self, text: str) -> str:
        """A whole text without secrets."""
        if self._pattern is None:
            return text
        return self.whole(text.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass")

    def data(self, data: JsonValue) -> JsonValue:
        """JSON-like data without secrets in its texts and names."""
        if isinstance(data, str):
            return self.text(data)
        if isinstance(data, list):
            return [self.data(item) for item in data]
        if isinstance(data, dict):
            return {self.text(name): self.data(value) for name, value in data.items()}
        return data

    def whole(self, content: bytes) -> bytes:
        """Whole content without secrets."""
        return self._pattern.sub(MASK.encode(), content) if self._pattern else content

    def found_in(self, content: bytes) -> bool:
        """Whether content has a secret."""
        return self._pattern is not None and self._pattern.search(content) is not None

    @property
    def longest(self) -> int:
        """Bytes of the longest text that is replaced."""
        return self._longest

    def stream(self) -> ScrubbedStream:
        """For content that comes in pieces."""
        return ScrubbedStream(self)

    def split(self, content: bytes) -> tuple[bytes, bytes]:
        """The beginning of content without secrets, and what has to wait for more, as a secret may begin in it."""
        if self._pattern is None:
            return content, b""
        done, position, held = [], 0, self._begin_of_rest(content, 0)
        for match in self._pattern.finditer(content):
            if match.start() >= held:
                break
            done += [content[position : match.start()], MASK.encode()]
            position = match.end()
            if position > held:
                held = self._begin_of_rest(content, position)
        return b"".join([*done, content[position:held]]), content[held:]

    def _begin_of_rest(self, content: bytes, start: int) -> int:
        """Where the first thing begins that may become a secret, and is none yet or may become a longer one."""
        for position in range(max(start, len(content) - self._longest + 1), len(content)):
            rest = content[position:]
            if any(len(form) > len(rest) and form.startswith(rest) for form in self._forms):
                return position
        return len(content)


class ScrubbedStream:
    """Content that comes in pieces: what is handed on is the same however it was cut.

    Args:
        scrubber: What to replace.
    """

    def __init__(self, scrubber: Scrubber) -> None:
        self._scrubber = scrubber
        self._held = b""

    def feed(self, piece: bytes) -> bytes:
        """What may be written now that a piece has come."""
        done, self._held = self._scrubber.split(self._held + piece)
        return done

    def end(self) -> bytes:
        """What may be written now that nothing more comes."""
        done, self._held = self._scrubber.whole(self._held), b""
        return done


def scrub_file(path: Path, scrubber: Scrubber) -> bool:
    """Take secrets out of a file that is text.

    Args:
        path: A file that nobody else writes.
        scrubber: What to replace.

    Returns:
        Whether there is none in it any more; a file that is no text stays as it is.
    """
    if not _has_secret(path, scrubber):
        return True
    clean = path.with_name(f".{path.name}.clean")
    stream = scrubber.stream()
    with path.open("rb") as source, clean.open("wb") as target:
        while piece := source.read(_PIECE):
            if b"\0" in piece:
                clean.unlink()
                return False
            target.write(stream.feed(piece))
        target.write(stream.end())
    shutil.copymode(path, clean)
    clean.replace(path)
    return True


def _has_secret(path: Path, scrubber: Scrubber) -> bool:
    before = b""
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            content = before + piece
            if scrubber.found_in(content):
                return True
            before = content[-scrubber.longest :]
    return False


def _forms(secret: str) -> Iterator[bytes]:
    value = secret.encode("utf-8", "surrogatepass")
    yield value
    yield quote(secret, safe="", errors="surrogatepass").encode()
    yield json.dumps(secret, ensure_ascii=False)[1:-1].encode("utf-8", "surrogatepass")
    yield json.dumps(secret)[1:-1].encode()
    lines = secret.splitlines()
    if len(lines) > 1:
        yield from (line.encode("utf-8", "surrogatepass") for line in lines if len(line) >= _SHORTEST_LINE)
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for before in range(3):
            yield from _encoded(encode(bytes(before) + value), before, len(value))
    wrapped = base64.b64encode(value).rstrip(b"=")[:-1]
    if len(wrapped) > _WRAPPED_AT:
        yield b"\n".join(wrapped[at : at + _WRAPPED_AT] for at in range(0, len(wrapped), _WRAPPED_AT))


def _encoded(text: bytes, before: int, size: int) -> Iterator[bytes]:
    """The characters of base64 that depend on the secret alone, with so many bytes before it."""
    first = -(-before * 8 // 6)
    after = (before + size) * 8 // 6
    if after - first >= _SHORTEST_ENCODED:
        yield text[first:after]

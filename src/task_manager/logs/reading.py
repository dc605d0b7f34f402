"""Parts of logs: the end, a range of lines, the lines that a pattern fits, each within a number of bytes."""

from __future__ import annotations

import bisect
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Final

from task_manager.logs.files import ENTRY, index_of
from task_manager.logs.searching import LinePattern

Numbered = tuple[int, str]

_CHUNK: Final = 1024 * 1024


@dataclass(frozen=True)
class FilePart:
    """A part of a log.

    Attributes:
        lines: Each with its number, from 1, without its end.
        next_line: The line to go on with; None where there are no more.
        total_lines: How many the log has by now.
    """

    lines: tuple[Numbered, ...]
    next_line: int | None
    total_lines: int

    @property
    def text(self) -> str:
        """The lines as they were written."""
        return "".join(f"{line}\n" for _, line in self.lines)


def read_part(
    path: Path,
    *,
    tail: int | None = None,
    start: int = 1,
    end: int | None = None,
    pattern: LinePattern | None = None,
    max_bytes: int | None = None,
) -> FilePart:
    """Read a part of a log, also while it is written.

    Args:
        path: The log; one that is not there is empty.
        tail: Only the last so many lines, of those that fit.
        start: The first line that counts, from 1.
        end: The last line that counts; none: the log's.
        pattern: Only lines that it fits.
        max_bytes: How long the lines may be together; with `tail` the last ones are kept, else the first ones. One
            line is given in any case, cut where it is longer.

    Raises:
        OSError: The log cannot be read.
    """
    try:
        with path.open("rb", buffering=0) as file:
            return _Reader(file, _index(path)).part(tail, start, end, pattern, max_bytes)
    except FileNotFoundError:
        return FilePart((), None, 0)


def _index(path: Path) -> list[tuple[int, int]]:
    """Bytes where lines begin, each with how many lines are before it; whatever the index has, else the beginning."""
    try:
        content = index_of(path).read_bytes()
    except OSError:
        content = b""
    size = path.stat().st_size
    whole = len(content) - len(content) % ENTRY.size
    return [(0, 0), *(entry for entry in ENTRY.iter_unpack(content[:whole]) if entry[0] <= size)]


class _Reader:
    def __init__(self, file: FileIO, index: list[tuple[int, int]]) -> None:
        self._file = file
        self._index = index
        self._size = file.seek(0, 2)
        self._total = self._count_lines()

    def part(
        self, tail: int | None, start: int, end: int | None, pattern: LinePattern | None, max_bytes: int | None
    ) -> FilePart:
        last = self._total if end is None else min(end, self._total)
        if tail is not None and pattern is None:
            start = max(start, last - tail + 1)
        found = self._lines(start, last, pattern)
        if tail is not None:
            return FilePart(_last(found, tail, max_bytes), None, self._total)
        fitting, following = _first(found, max_bytes)
        return FilePart(fitting, following, self._total)

    def _count_lines(self) -> int:
        offset, lines = self._index[-1]
        ended = True
        for chunk in self._chunks(offset, self._size):
            lines += chunk.count(b"\n")
            ended = chunk.endswith(b"\n")
        return lines + (not ended)

    def _lines(self, start: int, last: int, pattern: LinePattern | None) -> Iterator[Numbered]:
        offset, before = self._indexed(start - 1, by=_lines_before)
        found = self._all(offset, before) if pattern is None else self._fitting(offset, pattern)
        for number, line in found:
            if number > last:
                return
            if number >= start:
                yield number, line.decode("utf-8", "replace")

    def _all(self, offset: int, before: int) -> Iterator[tuple[int, bytes]]:
        for chunk in self._whole_lines(offset):
            lines = chunk.removesuffix(b"\n").split(b"\n")
            yield from enumerate(lines, before + 1)
            before += len(lines)

    def _fitting(self, offset: int, pattern: LinePattern) -> Iterator[tuple[int, bytes]]:
        for chunk in self._whole_lines(offset):
            counted, number = -1, 0
            for begin, end in pattern.lines(chunk):
                # Lines are counted only where one is found: from the nearest place whose number is known.
                at, before = self._indexed(offset + begin, by=_byte)
                if at - offset >= max(counted, 0):
                    counted, number = at - offset, before
                elif counted < 0:
                    counted, number = 0, before + self._newlines(at, offset)
                number += chunk.count(b"\n", counted, begin)
                counted = begin
                yield number + 1, chunk[begin:end]
            offset += len(chunk)

    def _indexed(self, value: int, *, by: Callable[[tuple[int, int]], int]) -> tuple[int, int]:
        """The last entry of the index that is not after a byte, or not after a number of lines."""
        return self._index[max(bisect.bisect_right(self._index, value, key=by) - 1, 0)]

    def _newlines(self, start: int, end: int) -> int:
        return sum(chunk.count(b"\n") for chunk in self._chunks(start, end))

    def _whole_lines(self, offset: int) -> Iterator[bytes]:
        """The log from a line's beginning on, cut at ends of lines."""
        size = _CHUNK
        while offset < self._size:
            self._file.seek(offset)
            # What comes after the size was seen belongs to the next reading.
            chunk = self._file.read(min(size, self._size - offset))
            end = chunk.rfind(b"\n") + 1
            if not end and offset + len(chunk) < self._size and chunk:
                size *= 2  # a line that is longer
                continue
            if not chunk:
                return
            yield chunk[:end] if end else chunk
            offset += end or len(chunk)
            size = _CHUNK

    def _chunks(self, start: int, end: int) -> Iterator[bytes]:
        self._file.seek(start)
        while start < end and (chunk := self._file.read(min(_CHUNK, end - start))):
            start += len(chunk)
            yield chunk


def _byte(entry: tuple[int, int]) -> int:
    return entry[0]


def _lines_before(entry: tuple[int, int]) -> int:
    return entry[1]


def _first(lines: Iterator[Numbered], budget: int | None) -> tuple[tuple[Numbered, ...], int | None]:
    """The first lines that fit, and the number of the first that does not."""
    found: list[Numbered] = []
    left = budget
    for number, line in lines:
        if left is not None:
            left -= len(line.encode("utf-8", "replace")) + 1
            if left < 0 and found:
                return tuple(found), number
            if left < 0:
                return ((number, _cut(line, budget or 0)),), number + 1
        found.append((number, line))
    return tuple(found), None


def _last(lines: Iterator[Numbered], tail: int, budget: int | None) -> tuple[Numbered, ...]:
    """The last lines that fit."""
    kept: deque[Numbered] = deque(maxlen=tail)
    size = 0
    for one in lines:
        if len(kept) == tail:
            size -= _size(kept[0])
        kept.append(one)
        size += _size(one)
        while budget is not None and size > budget and len(kept) > 1:
            size -= _size(kept.popleft())
    if budget is not None and size > budget and kept:
        return ((kept[0][0], _cut(kept[0][1], budget)),)
    return tuple(kept)


def _size(line: Numbered) -> int:
    return len(line[1].encode("utf-8", "replace")) + 1


def _cut(line: str, budget: int) -> str:
    return line.encode("utf-8", "replace")[: max(budget - 1, 0)].decode("utf-8", "ignore")

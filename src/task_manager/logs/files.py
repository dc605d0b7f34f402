"""Log files: written as a step writes, each with an index that tells at which byte which line begins."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO, Final

from task_manager.logs.scrubbing import Scrubber

STDOUT, STDERR = "stdout.log", "stderr.log"
STREAMS: Final = {"stdout": STDOUT, "stderr": STDERR}

ENTRY: Final = struct.Struct("<QQ")
"""An entry of an index: a byte where a line begins, and how many lines are before it."""

_BLOCK: Final = 256 * 1024
_PIECE: Final = 1024 * 1024


def index_of(path: Path) -> Path:
    """Where a log's index lies."""
    return path.with_suffix(".index")


class LogFile:
    """A log that is written, from its beginning on.

    Args:
        path: The file; what is there is written over.
        scrubber: What must not be in it.
        limit: How long it may get, in bytes; what comes then is left out.
    """

    def __init__(self, path: Path, scrubber: Scrubber | None = None, *, limit: int | None = None) -> None:
        self._path = path
        self._limit = limit
        self._stream = (scrubber or Scrubber()).stream()
        self._size = self._lines = self._indexed = 0
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
        index_of(path).write_bytes(b"")

    def write(self, content: bytes) -> None:
        """Write what has come; the end of it may wait for more.

        Raises:
            OSError: The file cannot be written.
        """
        self._append(self._stream.feed(content))

    def end(self) -> None:
        """Write what waits.

        Raises:
            OSError: The file cannot be written.
        """
        self._append(self._stream.end())

    def _append(self, content: bytes) -> None:
        if self._limit is not None:
            content = content[: max(self._limit - self._size, 0)]
        if not content:
            return
        with self._path.open("ab") as file, index_of(self._path).open("ab") as index:
            for start in range(0, len(content), _BLOCK):
                self._append_block(content[start : start + _BLOCK], file, index)

    def _append_block(self, block: bytes, file: BinaryIO, index: BinaryIO) -> None:
        file.write(block)
        end = block.rfind(b"\n") + 1
        if end and self._size + end - self._indexed >= _BLOCK:
            self._indexed = self._size + end
            index.write(ENTRY.pack(self._indexed, self._lines + block.count(b"\n")))
        self._lines += block.count(b"\n")
        self._size += len(block)


def write_logs(folder: Path, stdout: str, stderr: str) -> None:
    """Write a step's standard output and error to `stdout.log` and `stderr.log` in a folder.

    Args:
        folder: The step's.
        stdout: Without secrets.
        stderr: Without secrets.

    Raises:
        OSError: The folder cannot be written.
    """
    for name, text in ((STDOUT, stdout), (STDERR, stderr)):
        log = LogFile(folder / name)
        for start in range(0, len(text), _PIECE):
            log.write(text[start : start + _PIECE].encode("utf-8", "replace"))
        log.end()


def read_log(folder: Path, stream: str) -> str:
    """What a step wrote; empty when it left nothing.

    Args:
        folder: The step's log folder.
        stream: `stdout.log` or `stderr.log`.
    """
    path = folder / stream
    return path.read_text(errors="replace") if path.is_file() else ""


def tail(text: str, *, lines: int = 40, characters: int = 8000) -> str:
    """The end of a text: at most so many lines and characters."""
    return "\n".join(text[-characters:].splitlines()[-lines:])

"""What commands write: kept in files, of bounded length, and told to those who read along."""

import sys
from contextlib import ExitStack, closing
from pathlib import Path

from task_manager.embedded_engine import model
from task_manager.embedded_engine.events import Events, OutputLines, secret_values
from task_manager.embedded_engine.quantities import format_size
from task_manager.embedded_engine.scrubbing import Scrubber
from task_manager.embedded_engine.store.layers import Workspace

# How much of a stream an error shows; the last bytes count.
SHOWN_BYTES = 100 * 1024


class Capture:
    """Takes a command's output to files and to readers of events, secrets masked.

    Args:
        workspace: Has the folder for the files.
        execution: The command.
        events: Who reads along; what they are told is not limited.
        limit: How many bytes of each stream are kept; None for all.
    """

    def __init__(self, workspace: Workspace, execution: model.Execution, events: Events, limit: int | None) -> None:
        self._limit = limit
        self.exit_code: int | None = None
        self._folder = workspace.entry
        values = secret_values(execution)
        self._scrubbers = {name: Scrubber(values) for name in ("stdout", "stderr")}
        self._lines = {name: OutputLines(events, execution, name) for name in self._scrubbers}
        self._files: dict[str, _BoundedFile] = {}
        self._opened = ExitStack()

    def __enter__(self) -> "Capture":
        return self

    def __exit__(self, *_: object) -> None:
        try:
            for name, scrubber in self._scrubbers.items():
                self._write(name, scrubber.finish())
                self._lines[name].feed(b"", final=True)
        finally:
            self._opened.close()

    def stdout(self, data: bytes) -> None:
        """Take a piece of standard output."""
        self._write("stdout", self._scrubbers["stdout"].feed(data))

    def stderr(self, data: bytes) -> None:
        """Take a piece of standard error."""
        self._write("stderr", self._scrubbers["stderr"].feed(data))

    def shown(self, name: str) -> str:
        """Return the end of a stream as an error shows it."""
        data = captured(self._folder, name)
        if len(data) >= SHOWN_BYTES:
            note = f"[omitting {len(data) - SHOWN_BYTES} bytes]...".encode()
            data = note + data[-SHOWN_BYTES:][len(note) :]
        return data.decode("utf-8", "replace").strip()

    def _write(self, name: str, data: bytes) -> None:
        if data:
            self._file(name).write(data)
            self._file("combined").write(data)
            self._lines[name].feed(data)

    def _file(self, name: str) -> "_BoundedFile":
        if name not in self._files:
            self._files[name] = self._opened.enter_context(closing(_BoundedFile(self._folder / name, self._limit)))
        return self._files[name]


class _BoundedFile:
    """A file that takes any amount, and keeps so many bytes from its beginning, and the last ones."""

    def __init__(self, path: Path, limit: int | None) -> None:
        self._file = path.open("wb")
        self._limit = limit
        self._room = sys.maxsize if limit is None else limit
        self._end = bytearray()
        self._beyond = 0

    def write(self, data: bytes) -> None:
        """Take a piece.

        Raises:
            OSError: The disk is full or failed.
        """
        kept, beyond = data[: self._room], data[self._room :]
        self._file.write(kept)
        self._room -= len(kept)
        self._beyond += len(beyond)
        self._end += beyond
        del self._end[:-SHOWN_BYTES]

    def close(self) -> None:
        """Write what is kept of the end, behind a line that says what is missing."""
        with self._file:
            omitted = self._beyond - len(self._end)
            if omitted and self._limit is not None:
                self._file.write(f"\n[omitting {omitted} bytes, more than {_named(self._limit)}]\n".encode())
            self._file.write(self._end)


def _named(limit: int) -> str:
    return f"the setting max_output allows: {format_size(limit)}"


def captured(folder: Path, name: str) -> bytes:
    """Return what was kept of a stream; one that took nothing has no file.

    Args:
        folder: The command's folder in the store.
        name: `stdout`, `stderr` or `combined`.
    """
    try:
        return (folder / name).read_bytes()
    except FileNotFoundError:
        return b""

"""What steps wrote, as files below the data folder."""

from __future__ import annotations

from pathlib import Path

STDOUT, STDERR = "stdout.log", "stderr.log"


def write_logs(folder: Path, stdout: str, stderr: str) -> None:
    """Write a step's standard output and error to `stdout.log` and `stderr.log` in a folder.

    Raises:
        OSError: The folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / STDOUT).write_text(stdout)
    (folder / STDERR).write_text(stderr)


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

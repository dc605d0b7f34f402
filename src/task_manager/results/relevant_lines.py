"""Why a command failed: the few lines of its output that tell."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

_MAXIMUM_LENGTH = 300
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(\x07|\x1b\\)|[\x00-\x08\x0b-\x1f\x7f]")
_SUMMARY = re.compile(r"^(FAILED|ERROR) \S")
_PYTEST_REASON = re.compile(r"^E {2,}\S")
_TRACEBACK = "Traceback (most recent call last):"
_FRAME = re.compile(r'^\s+File ".+", line \d+')
_RAISED = re.compile(r"^[A-Za-z_][\w.]*(: .*)?$")
_ERROR = re.compile(
    r"(?i)(^|[\s:\]])(fatal|fatal error|error|panic|exception)(\[[\w-]+\])?:\s*\S"
    r"|^(npm (ERR!|error) |make(\[\d+\])?: \*\*\*)"
    r"|command not found|no such file or directory|permission denied|executable file not found|out of memory"
)
_LAST_LINES = 3


MOST_LINES = 5
"""How many lines tell why, at most."""


def first_relevant_lines(stdout: str, stderr: str, limit: int = MOST_LINES) -> tuple[str, ...]:
    """The lines that tell why a command failed.

    Args:
        stdout: What it wrote to its standard output.
        stderr: What it wrote to its standard error.
        limit: How many lines at most.

    Returns:
        What test runners say of failed tests; else how tracebacks end; else lines that speak of errors; else the last
        lines. Without control characters; long lines are cut.
    """
    errors, output = readable_lines(stderr), readable_lines(stdout)
    for pick in _PICKS:
        found = _unique([*pick(errors), *pick(output)])
        if found:
            return tuple(line.strip()[:_MAXIMUM_LENGTH] for line in found[:limit])
    return ()


def readable_lines(text: str) -> list[str]:
    """The lines with anything in them, without control characters."""
    lines = (_CONTROL.sub("", line).rstrip() for line in text.replace("\r\n", "\n").split("\n"))
    return [line for line in lines if line.strip()]


def _unique(lines: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(lines))


def _failed_tests(lines: Sequence[str]) -> list[str]:
    """Summaries in pytest's form, which name test and reason, then pytest's reasons in full."""
    summary = [line for line in lines if _SUMMARY.match(line)]
    return summary + [line for line in lines if _PYTEST_REASON.match(line)]


def _tracebacks(lines: Sequence[str]) -> list[str]:
    """Python: what was raised, then where; of several tracebacks the last one first, since the others led to it."""
    raised: list[str] = []
    frame: str | None = None
    inside = False
    for line in lines:
        if line.strip() == _TRACEBACK:
            inside, frame = True, None
        elif inside and _FRAME.match(line):
            frame = line
        elif inside and _RAISED.match(line):
            raised = [line, *([frame] if frame else []), *raised]
            inside = False
    return raised


def _errors(lines: Sequence[str]) -> list[str]:
    return [line for line in lines if _ERROR.search(line)]


def _last(lines: Sequence[str]) -> list[str]:
    return list(lines[-_LAST_LINES:])


_PICKS: Sequence[Callable[[Sequence[str]], list[str]]] = (_failed_tests, _tracebacks, _errors, _last)

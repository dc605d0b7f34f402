"""What the steps of a run wrote, a part at a time: `RunLogs`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from task_manager.artifacts import run_folder
from task_manager.errors import InvalidInput, NotFound
from task_manager.logs import STDERR, STDOUT
from task_manager.store import Store, runs, steps

STREAMS: Final = {"stdout": STDOUT, "stderr": STDERR}
MAX_BYTES: Final = 64 * 1024
_LONGEST_LINE: Final = 2000  # characters


@dataclass(frozen=True)
class LogPart:
    """A part of a log.

    Attributes:
        lines: Each with its number, from 1.
        next_line: Where to go on; None at the end.
        total_lines: How many the log has by now.
    """

    run_id: str
    step_id: str
    stream: str
    lines: tuple[tuple[int, str], ...]
    next_line: int | None
    total_lines: int


class RunLogs:
    """Reads logs from the data folder, also while steps write them.

    Args:
        store: Where the runs are; its data folder has the logs.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def read(
        self,
        run_id: str,
        step: str | None = None,
        stream: str = "stdout",
        *,
        tail: int | None = None,
        start: int = 1,
        search: str | None = None,
        max_bytes: int = 4000,
    ) -> LogPart:
        """Read a part of a log.

        Args:
            run_id: The run.
            step: The step's id; none: the one that failed, else the last one that has begun.
            stream: One of `STREAMS`.
            tail: Only so many lines at the end.
            start: From this line on, counted from 1; it is not looked at with `tail`.
            search: Only lines with this text, in capitals or not.
            max_bytes: How long the lines may be together, in UTF-8; with `tail` the last are kept, else the first.

        Raises:
            InvalidInput: A number or the stream cannot be used.
            NotFound: There is no such run or step.
        """
        _check(stream, tail, start, max_bytes)
        run = await self._store.run(runs.get, run_id)
        records = await self._store.run(steps.of_run, run.id)
        step_id = step or _telling([record.step_id for record in records if record.error or record.exit_code], records)
        known = [record.step_id for record in records]
        if step_id not in known:
            raise NotFound("step", step_id or "", known=known)
        path = run_folder(self._store.data_dir, run.id) / step_id / STREAMS[stream]
        found, following, total = await asyncio.to_thread(_part, path, tail, start, search, max_bytes)
        return LogPart(run.id, step_id, stream, tuple(found), following, total)


def _telling(failed: Sequence[str], records: Sequence[object]) -> str:
    if failed:
        return failed[0]
    begun = [getattr(record, "step_id", "") for record in records if getattr(record, "started_at", None)]
    return begun[-1] if begun else ""


def _check(stream: str, tail: int | None, start: int, max_bytes: int) -> None:
    if stream not in STREAMS:
        raise InvalidInput(f"stream cannot be {stream!r}.", remedy=f"Choose one of {', '.join(STREAMS)}.")
    if tail is not None and tail < 1:
        raise InvalidInput(f"tail is 1 or more, not {tail}.")
    if start < 1:
        raise InvalidInput(f"Lines are counted from 1; start cannot be {start}.")
    if not 1 <= max_bytes <= MAX_BYTES:
        raise InvalidInput(f"max_bytes is 1 to {MAX_BYTES}, not {max_bytes}.")


Numbered = tuple[int, str]


def _part(
    path: Path, tail: int | None, start: int, search: str | None, max_bytes: int
) -> tuple[list[Numbered], int | None, int]:
    if not path.is_file():
        return [], None, 0
    lines = path.read_text(errors="replace").splitlines()
    wanted: Iterator[Numbered] = (
        (number, line[:_LONGEST_LINE])
        for number, line in enumerate(lines, 1)
        if search is None or search.casefold() in line.casefold()
    )
    if tail is not None:
        last = _fitting(reversed(list(wanted)[-tail:]), max_bytes)
        return last[::-1], None, len(lines)
    found = _fitting((one for one in wanted if one[0] >= start), max_bytes)
    end = found[-1][0] if found else len(lines)
    return found, end + 1 if end < len(lines) and found else None, len(lines)


def _fitting(lines: Iterable[Numbered], budget: int) -> list[Numbered]:
    """The first lines that fit together into so many bytes; at least one."""
    found: list[Numbered] = []
    for number, line in islice(lines, budget):
        budget -= len(line.encode()) + 1
        if budget < 0 and found:
            break
        found.append((number, line))
    return found

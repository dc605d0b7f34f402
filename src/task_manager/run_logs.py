"""What the steps of a run wrote, a part at a time: `RunLogs`, which all faces share."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from task_manager.artifacts import run_folder
from task_manager.errors import InvalidInput, NotFound
from task_manager.logs import STREAMS, LinePattern, Numbered, read_part
from task_manager.models import StepRecord
from task_manager.store import Store, runs, steps
from task_manager.workflow_status import StepStatus


@dataclass(frozen=True)
class LogPart:
    """A part of what a step wrote.

    Attributes:
        lines: Each with its number, from 1.
        next_line: The line to go on with; None where there are no more.
        total_lines: How many the log has by now.
    """

    run_id: str
    step_id: str
    stream: str
    lines: tuple[Numbered, ...]
    next_line: int | None
    total_lines: int

    @property
    def text(self) -> str:
        """The lines as they were written."""
        return "".join(f"{line}\n" for _, line in self.lines)


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
        end: int | None = None,
        pattern: str | None = None,
        max_bytes: int | None = None,
    ) -> LogPart:
        """Read a part of a log.

        Args:
            run_id: The run.
            step: The step's id; none: the one that failed, else the last one that has begun.
            stream: `stdout` or `stderr`.
            tail: Only the last so many lines, of those that fit.
            start: The first line that counts, from 1: the `next_line` of the part before.
            end: The last line that counts; none: the log's.
            pattern: Only lines that this regular expression fits, in the syntax of RE2.
            max_bytes: How long the lines may be together; with `tail` the last ones are kept, else the first ones.

        Raises:
            InvalidInput: A number, the stream or the pattern cannot be used.
            NotFound: There is no such run or step.
        """
        _check(stream, tail=tail, start=start, end=end, max_bytes=max_bytes)
        compiled = LinePattern(pattern) if pattern is not None else None
        run = await self._store.run(runs.get, run_id)
        step_id = _chosen(step, await self._store.run(steps.of_run, run.id))
        part = await asyncio.to_thread(
            read_part,
            self._path(run.id, step_id, stream),
            tail=tail,
            start=start,
            end=end,
            pattern=compiled,
            max_bytes=max_bytes,
        )
        return LogPart(run.id, step_id, stream, part.lines, part.next_line, part.total_lines)

    def _path(self, run_id: str, step_id: str, stream: str) -> Path:
        return run_folder(self._store.data_dir, run_id) / step_id / STREAMS[stream]


def _chosen(step: str | None, records: Sequence[StepRecord]) -> str:
    known = [record.step_id for record in records]
    failed = [record.step_id for record in records if record.status in (StepStatus.FAILED, StepStatus.TIMED_OUT)]
    begun = [record.step_id for record in records if record.started_at is not None]
    wanted = step or next(iter([*failed, *begun[-1:], *known]), "")
    if wanted not in known:
        raise NotFound("step", wanted, known=known, remedy="" if known else "The run has not begun any step.")
    return wanted


def _check(stream: str, *, tail: int | None, start: int, end: int | None, max_bytes: int | None) -> None:
    if stream not in STREAMS:
        raise InvalidInput(f"stream cannot be {stream!r}.", remedy=f"Choose one of {', '.join(STREAMS)}.")
    for name, number in (("tail", tail), ("start", start), ("end", end), ("max_bytes", max_bytes)):
        if number is not None and number < 1:
            raise InvalidInput(f"{name} is 1 or more, not {number}.")

"""Reads what a step writes, as it writes it, for one page."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from task_manager.dashboard.log_element import Log
from task_manager.dashboard.views.run_log import LogChoice, plain
from task_manager.errors import TaskManagerError
from task_manager.run_logs import LogPart, RunLogs

FIRST_LINES: Final = 5000
"""How many lines are shown at first; those before them are in the download."""

_MOST_BYTES: Final = 1_000_000
_PAUSE_SECONDS: Final = 0.25


class LogReader:
    """Shows one log at a time; as no event tells that a line was written, the growing file is looked at.

    Args:
        logs: Reads logs.
        run_id: The run.
        shown: Where lines are shown.
        is_over: Whether a step writes no more.
        fail: Is told what went wrong.
    """

    def __init__(
        self, logs: RunLogs, run_id: str, shown: Log, is_over: Callable[[str], bool], fail: Callable[[str], None]
    ) -> None:
        self._logs = logs
        self._run_id = run_id
        self._shown = shown
        self._is_over = is_over
        self._fail = fail
        self._reading: asyncio.Task[None] | None = None

    def show(self, choice: LogChoice) -> None:
        """Show another log, from its last lines on."""
        self.stop()
        self._shown.clear_lines()
        if choice.step:
            self._reading = asyncio.create_task(self._read_safely(choice), name=f"log of {choice.step}")

    def stop(self) -> None:
        """Read no more."""
        if self._reading is not None:
            self._reading.cancel()

    async def _read_safely(self, choice: LogChoice) -> None:
        try:
            await self._read(choice)
        except TaskManagerError as error:
            self._fail(f"{error.message} {error.remedy}".strip())

    async def _read(self, choice: LogChoice) -> None:
        begin, last, tail = 1, "", FIRST_LINES
        while not self._shown.is_deleted:
            over = self._is_over(choice.step)
            part = await self._part(choice, begin, tail if begin == 1 else None)
            if part.total_lines < begin - 1:
                self._shown.clear_lines()  # The step is tried again.
                begin, last = 1, ""
                continue
            # The last line is read again: its end may not have been written.
            fresh = [(number, plain(line)) for number, line in part.lines if (number, line) != (begin, last)]
            if fresh:
                self._shown.append(fresh)
            if part.lines:
                begin, last = part.lines[-1]
            if part.next_line is None:
                if over:
                    return
                await asyncio.sleep(_PAUSE_SECONDS)

    def _part(self, choice: LogChoice, begin: int, tail: int | None) -> Awaitable[LogPart]:
        return self._logs.read(
            self._run_id,
            choice.step,
            choice.stream,
            start=begin,
            tail=tail,
            pattern=choice.pattern or None,
            max_bytes=None if tail else _MOST_BYTES,
        )

"""Following the logs of a run: the lines that its steps write, as they write them, whichever process executes it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Final

from task_manager.artifacts import run_folder
from task_manager.errors import NotFound
from task_manager.logs import STREAMS, Numbered
from task_manager.models import StepRecord
from task_manager.store import Store, runs, steps

POLL_SECONDS: Final = 0.2
"""How often logs are looked at."""

_OVERLAP: Final = 64 * 1024


@dataclass(frozen=True)
class LogLine:
    """One line that a step wrote.

    Attributes:
        stream: `stdout` or `stderr`.
        number: From 1; a step that is tried again counts from where what it writes differs.
        line: Without its end.
    """

    step: str
    stream: str
    number: int
    line: str


@dataclass(frozen=True)
class NewLines:
    """Lines that have come since the last time.

    Attributes:
        steps: The ids of the run's steps.
    """

    lines: tuple[LogLine, ...]
    steps: tuple[str, ...]


class GrowingLog:
    """A log file that is read while somebody writes it.

    A step that is tried again begins its log anew, and what a step wrote is written once more as a whole when it has
    ended: nothing that was read is read twice then, and nothing that was missing is lost.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = b""
        self._lines = 0
        self._seen: tuple[int, int] | None = None
        self._shorter = False

    def new_lines(self, *, over: bool) -> list[Numbered]:
        """Read the lines that have come, each with its number, from 1.

        Args:
            over: Whether nobody writes any more; a last line without an end is a line then.
        """
        seen = self._state()
        if seen is None or (seen == self._seen and not over and not self._shorter):
            return []
        self._seen = seen
        fresh = self._appended()
        if fresh is None:
            content = self._path.read_bytes()
            if not over and self._is_being_rewritten(content):
                return []
            if not content.startswith(self._read):
                self._read = _common_lines(self._read, content)
                self._lines = self._read.count(b"\n")
            fresh = content[len(self._read) :]
        return self._take(fresh if over else fresh[: fresh.rfind(b"\n") + 1])

    def _appended(self) -> bytes | None:
        """What follows what was read, as far as its end tells; None when something else may be there now."""
        overlap = self._read[-_OVERLAP:]
        with self._path.open("rb") as file:
            file.seek(len(self._read) - len(overlap))
            content = file.read()
        if not overlap or self._shorter or not content.startswith(overlap):
            return None
        return content[len(overlap) :]

    def _take(self, fresh: bytes) -> list[Numbered]:
        if not fresh:
            return []
        lines = fresh.decode("utf-8", "replace").removesuffix("\n").split("\n")
        first, self._lines = self._lines + 1, self._lines + len(lines)
        self._read += fresh
        return list(enumerate(lines, first))

    def _state(self) -> tuple[int, int] | None:
        try:
            status = self._path.stat()
        except FileNotFoundError:
            return None
        return status.st_size, status.st_mtime_ns

    def _is_being_rewritten(self, content: bytes) -> bool:
        """Whether to wait for the rest of what was read already; a file that stays shorter was begun anew."""
        shorter = len(content) < len(self._read)
        if shorter and self._shorter:
            self._read, self._lines, shorter = b"", 0, False
        self._shorter = shorter
        return shorter


class RunLog:
    """What the steps of a run write, as it grows.

    Args:
        folder: The run's.
        step: Only this step.
        streams: Some of `STREAMS`.
    """

    def __init__(self, folder: Path, *, step: str | None = None, streams: Collection[str] = tuple(STREAMS)) -> None:
        self._folder = folder
        self._step = step
        self._streams = streams
        self._logs: dict[tuple[str, str], GrowingLog] = {}

    def new_lines(self, records: Sequence[StepRecord], *, over: bool) -> tuple[LogLine, ...]:
        """Read the lines that have come.

        Args:
            records: The run's steps, as far as they are planned.
            over: Whether the run is over.

        Raises:
            NotFound: The run has no such step.
        """
        _require_step(self._step, records, over=over)
        for record in records:
            if self._step in (None, record.step_id):
                for stream in self._streams:
                    path = self._folder / record.step_id / STREAMS[stream]
                    self._logs.setdefault((record.step_id, stream), GrowingLog(path))
        return tuple(
            LogLine(step, stream, number, line)
            for (step, stream), log in self._logs.items()
            for number, line in log.new_lines(over=over)
        )


async def follow_logs(
    store: Store, run_id: str, *, step: str | None = None, streams: Collection[str] = tuple(STREAMS)
) -> AsyncIterator[NewLines]:
    """Read what a run's steps write, from its beginning until the run is over.

    Args:
        store: Where the run is; its data folder has the logs.
        run_id: The run.
        step: Only this step.
        streams: Some of `STREAMS`.

    Raises:
        NotFound: The run has no such step, or is not there any more.
    """
    log = RunLog(run_folder(store.data_dir, run_id), step=step, streams=streams)
    while True:
        # The status first: what was written before the run was over is in the files then.
        over = (await store.run(runs.get, run_id)).status.is_terminal
        records = await store.run(steps.of_run, run_id)
        found = await asyncio.to_thread(log.new_lines, records, over=over)
        if found:
            yield NewLines(found, tuple(record.step_id for record in records))
        if over:
            return
        await asyncio.sleep(POLL_SECONDS)


def _require_step(step: str | None, records: Sequence[StepRecord], *, over: bool) -> None:
    """Steps are planned when a run begins; before, any may come."""
    known = [record.step_id for record in records]
    if step is not None and step not in known and (known or over):
        raise NotFound("step", step, known=known)


def _common_lines(one: bytes, other: bytes) -> bytes:
    """The whole lines that both begin with."""
    pairs = zip(one.split(b"\n")[:-1], other.split(b"\n")[:-1], strict=False)
    return b"".join(line + b"\n" for line, _ in takewhile(lambda pair: pair[0] == pair[1], pairs))

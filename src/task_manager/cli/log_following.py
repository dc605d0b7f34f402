"""Following the logs of a run: the lines that its steps write, as they write them, whichever process executes it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from task_manager.artifacts import run_folder
from task_manager.errors import NotFound
from task_manager.logs import STREAMS
from task_manager.models import StepRecord
from task_manager.store import Store, runs, steps

_POLL_SECONDS = 0.2


@dataclass(frozen=True)
class LogLine:
    """One line that a step wrote.

    Attributes:
        stream: `stdout` or `stderr`.
        line: Without its end.
    """

    step: str
    stream: str
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
        self._seen: tuple[int, int] | None = None
        self._shorter = False

    def new_lines(self, *, over: bool) -> list[str]:
        """Read the lines that have come.

        Args:
            over: Whether nobody writes any more; a last line without an end is a line then.
        """
        seen = self._state()
        if seen is None or (seen == self._seen and not over and not self._shorter):
            return []
        self._seen = seen
        content = self._path.read_bytes()
        if not over and self._is_being_rewritten(content):
            return []
        if not content.startswith(self._read):
            self._read = _common_lines(self._read, content)
        end = len(content) if over else content.rfind(b"\n") + 1
        fresh, self._read = content[len(self._read) : end], content[:end]
        return fresh.decode("utf-8", "replace").removesuffix("\n").split("\n") if fresh else []

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
            self._read, shorter = b"", False
        self._shorter = shorter
        return shorter


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
    folder = run_folder(store.data_dir, run_id)
    logs: dict[tuple[str, str], GrowingLog] = {}
    while True:
        # The status first: what was written before the run was over is in the files then.
        over = (await store.run(runs.get, run_id)).status.is_terminal
        records = await store.run(steps.of_run, run_id)
        _require_step(step, records, over=over)
        for record in records:
            if step in (None, record.step_id):
                for stream in streams:
                    path = folder / record.step_id / STREAMS[stream]
                    logs.setdefault((record.step_id, stream), GrowingLog(path))
        found = await asyncio.to_thread(_read_all, logs, over=over)
        if found:
            yield NewLines(found, tuple(record.step_id for record in records))
        if over:
            return
        await asyncio.sleep(_POLL_SECONDS)


def _require_step(step: str | None, records: Sequence[StepRecord], *, over: bool) -> None:
    """Steps are planned when a run begins; before, any may come."""
    known = [record.step_id for record in records]
    if step is not None and step not in known and (known or over):
        raise NotFound("step", step, known=known)


def _read_all(logs: dict[tuple[str, str], GrowingLog], *, over: bool) -> tuple[LogLine, ...]:
    return tuple(
        LogLine(step, stream, line) for (step, stream), log in logs.items() for line in log.new_lines(over=over)
    )


def _common_lines(one: bytes, other: bytes) -> bytes:
    """The whole lines that both begin with."""
    pairs = zip(one.split(b"\n")[:-1], other.split(b"\n")[:-1], strict=False)
    return b"".join(line + b"\n" for line, _ in takewhile(lambda pair: pair[0] == pair[1], pairs))

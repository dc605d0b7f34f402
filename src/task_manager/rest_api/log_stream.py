"""What the steps of a run write, as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from itertools import groupby
from typing import Final
from urllib.parse import parse_qsl, urlencode

from task_manager.application import Application
from task_manager.artifacts import run_folder
from task_manager.errors import InvalidInput, TaskManagerError
from task_manager.log_following import POLL_SECONDS, LogLine, RunLog
from task_manager.rest_api.problems import status_of
from task_manager.rest_api.schemas import LogLine as ShownLine
from task_manager.rest_api.schemas import LogLines
from task_manager.rest_api.server_sent import QUIET, QUIET_SECONDS, RETRY, documented_stream, frame
from task_manager.store import events, runs, steps
from task_manager.structured_log import get_logger

log = get_logger(__name__)

Had = dict[tuple[str, str], int]
"""By step and stream: the number of the last line that a client has."""

_KIND: Final = "lines"
_MOST_LINES: Final = 1000

DOCUMENTED: Final = documented_stream(
    "Lines as they are written: each event has some of one step and stream, as `LogLines` in `data`; its `id` says "
    "which lines of all logs came so far.",
    [_KIND],
    "LogLines",
    'id: test%2Fstdout=1\nevent: lines\ndata: {"step_id": "test", "stream": "stdout", "lines": [{"number": 1, '
    '"text": "collected 42 items"}]}\n\n',
)
"""What an operation's document says about it."""


async def log_stream(
    app: Application, run_id: str, *, step: str | None, streams: Collection[str], had: Had, seconds: float
) -> AsyncIterator[bytes]:
    """What a run's steps write, until it is over or the server ends.

    Args:
        app: The application.
        run_id: The run.
        step: Only this step.
        streams: Only these.
        had: What the client has already.
        seconds: After this time the stream ends in any case.
    """
    clock = asyncio.get_running_loop().time
    end, quiet_since = clock() + seconds, clock()
    skipped = dict(had)
    growing = RunLog(run_folder(app.store.data_dir, run_id), step=step, streams=streams)
    try:
        yield RETRY
        last = await app.store.run(events.last_sequence)
        async with app.broadcast.listening(after=last, run_id=run_id) as listener:
            changed = True
            while True:
                if changed:
                    # The status first: what was written before the run was over is in the files then.
                    over = (await app.store.run(runs.get, run_id)).status.is_terminal
                    records = await app.store.run(steps.of_run, run_id)
                lines = await asyncio.to_thread(growing.new_lines, records, over=over)
                for content in _frames(lines, skipped, had):
                    yield content
                    quiet_since = clock()
                if clock() - quiet_since > QUIET_SECONDS:
                    yield QUIET
                    quiet_since = clock()
                page = None if over or clock() >= end else await listener.next(POLL_SECONDS)
                if page is None:
                    return
                changed = bool(page)
    except TaskManagerError as error:
        # The answer has begun; the client comes back, and is told then.
        log.warning("log_stream_ended", code=error.code, status=status_of(type(error)).value, error=str(error))


async def anything_left(app: Application, run_id: str, *, step: str | None, streams: Collection[str], had: Had) -> bool:
    """Whether a client has not all that the steps of a run wrote which is over; arguments as for `log_stream`."""
    growing = RunLog(run_folder(app.store.data_dir, run_id), step=step, streams=streams)
    records = await app.store.run(steps.of_run, run_id)
    lines = await asyncio.to_thread(growing.new_lines, records, over=True)
    return any(line.number > had.get((line.step, line.stream), 0) for line in lines)


def lines_had(given: str | None) -> Had:
    """What a client has, by the `id` of its last event.

    Raises:
        InvalidInput: It is none of this stream's.
    """
    try:
        pairs = parse_qsl(given or "", strict_parsing=bool(given))
        found = {tuple(name.rsplit("/", 1)): int(number) for name, number in pairs}
    except ValueError:
        found = {("", "", ""): 0}
    if any(len(name) != len(("step", "stream")) or number < 0 for name, number in found.items()):
        raise InvalidInput("Last-Event-ID is no id of an event of this stream.", remedy="Leave it out to begin anew.")
    return {(step, stream): number for (step, stream), number in found.items()}


def _frames(lines: Iterable[LogLine], skipped: Had, had: Had) -> Iterable[bytes]:
    """Events with the lines; of each log, those that the client had when it came are skipped once."""
    for (step, stream), group in groupby(lines, lambda line: (line.step, line.stream)):
        first = skipped.pop((step, stream), 0)
        fresh = [line for line in group if line.number > first]
        for start in range(0, len(fresh), _MOST_LINES):
            part = fresh[start : start + _MOST_LINES]
            had[step, stream] = part[-1].number
            shown = tuple(ShownLine(number=line.number, text=line.line) for line in part)
            yield frame(_id(had), _KIND, LogLines(step_id=step, stream=stream, lines=shown).model_dump_json())


def _id(had: Mapping[tuple[str, str], int]) -> str:
    return urlencode({f"{step}/{stream}": number for (step, stream), number in had.items()})

"""What the steps of runs write: read in parts, and followed as a stream."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Header, Query, Response
from fastapi.responses import StreamingResponse

from task_manager.errors import NotFound
from task_manager.logs import STREAMS
from task_manager.rest_api import schemas
from task_manager.rest_api.log_stream import DOCUMENTED, anything_left, lines_had, log_stream
from task_manager.rest_api.problems import documented
from task_manager.rest_api.requests import App, Identifier, Longest, Word
from task_manager.rest_api.routing import router
from task_manager.rest_api.server_sent import ENDED, streamed
from task_manager.store import steps

routes = router("logs", "What the steps of runs write.")

Count = Annotated[int | None, Query(ge=1, le=2**31 - 1)]
Stream = Literal["stdout", "stderr"]
LastLines = Annotated[
    str | None,
    Header(max_length=8000, description="The `id` of the last event that the client has; it goes on after it."),
]


@routes.get("/runs/{run_id}/logs", response_model=schemas.LogView, responses=documented(NotFound))
async def read_log(
    app: App,
    *,
    run_id: Identifier,
    step: Word = None,
    stream: Annotated[Stream, Query()] = "stdout",
    tail: Count = None,
    start: Annotated[int, Query(ge=1, le=2**31 - 1, description="The `next_line` of the part before.")] = 1,
    end: Count = None,
    pattern: Annotated[str | None, Query(max_length=1000, description="A regular expression (RE2).")] = None,
) -> schemas.LogView:
    """Read a part of what a step wrote, also while it writes: the last lines, a range, or those that fit a pattern."""
    part = await app.logs.read(run_id, step, stream, tail=tail, start=start, end=end, pattern=pattern)
    return schemas.LogView(
        run_id=part.run_id,
        step_id=part.step_id,
        stream=part.stream,
        lines=tuple(schemas.LogLine(number=number, text=text) for number, text in part.lines),
        next_line=part.next_line,
        total_lines=part.total_lines,
    )


@routes.get(
    "/runs/{run_id}/logs/stream",
    response_class=StreamingResponse,
    response_model=None,
    responses=DOCUMENTED | ENDED | documented(NotFound),
)
async def stream_log(
    app: App,
    seconds: Longest,
    *,
    run_id: Identifier,
    step: Word = None,
    stream: Annotated[Stream | None, Query(description="By default both.")] = None,
    last_event_id: LastLines = None,
) -> Response:
    """Follow what the steps of a run write, from the beginning; the stream ends with the run.

    Of a step that is tried again, the lines that differ follow with their numbers.
    """
    had = lines_had(last_event_id)
    run = await app.runs.get(run_id)
    known = {record.step_id for record in await app.store.run(steps.of_run, run.id)}
    if step is not None and step not in known and (known or run.status.is_terminal):
        raise NotFound("step", step, known=known)
    streams = (stream,) if stream else tuple(STREAMS)
    if run.status.is_terminal and had and not await anything_left(app, run.id, step=step, streams=streams, had=had):
        return Response(status_code=204)
    return streamed(log_stream(app, run.id, step=step, streams=streams, had=had, seconds=seconds))

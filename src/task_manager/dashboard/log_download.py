"""Whole logs as files."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from task_manager.errors import InvalidInput
from task_manager.problem_documents import problem_document
from task_manager.run_logs import LogPart, RunLogs

_PART_BYTES: Final = 1_000_000


def log_download(logs: RunLogs) -> Callable[[Request], Awaitable[Response]]:
    """Answers `RUN/STEP/STREAM` with a log, from its beginning to what is written by now.

    Args:
        logs: Reads logs.
    """

    async def answer(request: Request) -> Response:
        run_id, step, stream = (request.path_params[name] for name in ("run_id", "step", "stream"))
        try:
            first = await logs.read(run_id, step, stream, max_bytes=_PART_BYTES)
        except InvalidInput as error:
            return problem_document(404, error.code, error.message, remedy=error.remedy)
        name = f"{first.run_id}-{first.step_id}-{first.stream}.log"
        headers = {"Content-Disposition": f'attachment; filename="{name}"', "X-Content-Type-Options": "nosniff"}
        return StreamingResponse(_parts(logs, first), headers=headers, media_type="text/plain; charset=utf-8")

    return answer


async def _parts(logs: RunLogs, part: LogPart) -> AsyncIterator[str]:
    yield part.text
    while part.next_line is not None:
        part = await logs.read(part.run_id, part.step_id, part.stream, start=part.next_line, max_bytes=_PART_BYTES)
        yield part.text

"""Events as server-sent events (the format of the HTML standard), resumable by the last one's number."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from task_manager.errors import TaskManagerError
from task_manager.event_broadcast import EventBroadcast
from task_manager.models import Event, EventKind
from task_manager.rest_api.problems import status_of
from task_manager.rest_api.server_sent import QUIET, QUIET_SECONDS, RETRY, documented_stream, frame
from task_manager.structured_log import get_logger

log = get_logger(__name__)

DOCUMENTED: Final = documented_stream(
    "Events as they happen. Each has its sequence number as `id`, its kind as `event`, and an `Event` as JSON in "
    "`data`.",
    [kind.value for kind in EventKind],
    "Event",
    'id: 7\nevent: run_status\ndata: {"sequence": 7, "status": "running"}\n\n',
)
"""What an operation's document says about such a stream."""


async def event_stream(
    broadcast: EventBroadcast,
    *,
    seconds: float,
    after: int,
    run_id: str | None = None,
    project_id: str | None = None,
) -> AsyncIterator[bytes]:
    """The events of a run until it is over, or of a project or of all until somebody goes.

    Args:
        broadcast: Where they come from.
        seconds: After this time the stream ends in any case.
        after: The last sequence number that the client has.
        run_id: Of this run alone.
        project_id: Of this project alone.
    """
    time = asyncio.get_running_loop().time
    end = time() + seconds
    try:
        async with broadcast.listening(after=after, run_id=run_id, project_id=project_id) as listener:
            yield RETRY
            while (left := end - time()) > 0 and (page := await listener.next(min(QUIET_SECONDS, left))) is not None:
                yield b"".join(map(_frame, page)) or QUIET
                if run_id is not None and any(map(ends_run, page)):
                    return
    except TaskManagerError as error:
        # The answer has begun; the client comes back, and is told then.
        log.warning("event_stream_ended", code=error.code, status=status_of(type(error)).value, error=str(error))


def ends_run(event: Event) -> bool:
    """Whether nothing follows in its run."""
    return event.status is not None and event.status.is_terminal


def _frame(event: Event) -> bytes:
    return frame(str(event.sequence), event.kind.value, event.model_dump_json())

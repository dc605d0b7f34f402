"""Events as server-sent events (the format of the HTML standard), resumable by the last one's number."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

from task_manager.errors import TaskManagerError
from task_manager.event_broadcast import EventBroadcast
from task_manager.models import Event, EventKind
from task_manager.rest_api.problems import status_of
from task_manager.structured_log import get_logger

log = get_logger(__name__)

EVENT_STREAM: Final = "text/event-stream"
HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
QUIET_SECONDS: Final = 15.0
"""After this long without an event a comment is sent, so that nobody on the way takes the connection for dead."""

_RETRY_MILLISECONDS: Final = 1000

DOCUMENTED: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "Events as they happen. Each has its sequence number as `id`, its kind as `event`, and an "
        "`Event` as JSON in `data`.",
        "content": {
            EVENT_STREAM: {
                "itemSchema": {
                    "type": "object",
                    "properties": {
                        "id": {"type": "string"},
                        "event": {"type": "string", "enum": [kind.value for kind in EventKind]},
                        "data": {
                            "type": "string",
                            "contentMediaType": "application/json",
                            "contentSchema": {"$ref": "#/components/schemas/Event"},
                        },
                    },
                    "required": ["id", "event", "data"],
                },
                "example": 'id: 7\nevent: run_status\ndata: {"sequence": 7, "status": "running"}\n\n',
            }
        },
    }
}
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
            yield b"retry: %d\n\n" % _RETRY_MILLISECONDS
            while (left := end - time()) > 0 and (page := await listener.next(min(QUIET_SECONDS, left))) is not None:
                yield b"".join(map(_frame, page)) or b":\n\n"
                if run_id is not None and any(map(ends_run, page)):
                    return
    except TaskManagerError as error:
        # The answer has begun; the client comes back, and is told then.
        log.warning("event_stream_ended", code=error.code, status=status_of(type(error)).value, error=str(error))


def ends_run(event: Event) -> bool:
    """Whether nothing follows in its run."""
    return event.status is not None and event.status.is_terminal


def _frame(event: Event) -> bytes:
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (
        event.sequence,
        event.kind.value.encode(),
        event.model_dump_json().encode(),
    )

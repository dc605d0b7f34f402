"""Streams of server-sent events, in the format of the HTML standard."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

from fastapi.responses import StreamingResponse

EVENT_STREAM: Final = "text/event-stream"
QUIET_SECONDS: Final = 15.0
"""After this long without an event a comment is sent, so that nobody on the way takes the connection for dead."""

QUIET: Final = b":\n\n"
RETRY: Final = b"retry: 1000\n\n"
"""Clients come back after a second."""

ENDED: Final[dict[int | str, dict[str, Any]]] = {204: {"description": "The run is over, and the client has it all."}}
"""What an operation's document says about a client that would come back for ever."""

_HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


def streamed(content: AsyncIterator[bytes]) -> StreamingResponse:
    """The answer that is such a stream."""
    return StreamingResponse(content, media_type=EVENT_STREAM, headers=_HEADERS)


def frame(identifier: str, kind: str, data: str) -> bytes:
    """One event; its data is JSON, which has no line ends."""
    return f"id: {identifier}\nevent: {kind}\ndata: {data}\n\n".encode()


def documented_stream(description: str, kinds: list[str], schema: str, example: str) -> dict[int | str, dict[str, Any]]:
    """What an operation's document says about such a stream.

    Args:
        description: What comes.
        kinds: The kinds of events.
        schema: The name of the schema of their data.
        example: An event as it is sent.
    """
    item = {
        "type": "object",
        "properties": {
            "id": {"type": "string"},
            "event": {"type": "string", "enum": kinds},
            "data": {
                "type": "string",
                "contentMediaType": "application/json",
                "contentSchema": {"$ref": f"#/components/schemas/{schema}"},
            },
        },
        "required": ["id", "event", "data"],
    }
    return {200: {"description": description, "content": {EVENT_STREAM: {"itemSchema": item, "example": example}}}}

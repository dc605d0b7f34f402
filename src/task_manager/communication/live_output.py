"""What steps write, while they run: read off the embedded engine's stream of events."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from task_manager.structured_log import get_logger

log = get_logger(__name__)

RUN_LABEL, STEP_LABEL = "task-manager.run", "task-manager.step"
"""Labels that tell whose step a container is; the embedded engine's cache does not depend on labels."""

_CONNECT_SECONDS = 5.0


@dataclass(frozen=True)
class LiveOutput:
    """Something that a step of a run wrote.

    Attributes:
        stream: `stdout` or `stderr`.
        text: Lines with their ends.
        begins: Whether the step starts anew: what it wrote before was an earlier attempt's.
    """

    step_id: str
    stream: str = ""
    text: str = ""
    begins: bool = False


class LiveOutputSource(Protocol):
    """Where an engine tells what steps write while they run; a session that has none tells it at their ends."""

    def output(self, run_id: str) -> AsyncIterator[LiveOutput]:
        """What a run's steps write from now on, until the session ends; a broken stream only ends it earlier."""


class EventStream:
    """The embedded engine's stream of events.

    Args:
        port: Where the session listens on loopback.
        token: The session's token.
    """

    def __init__(self, port: int, token: str) -> None:
        self._url = f"http://127.0.0.1:{port}/events"
        self._token = token

    async def output(self, run_id: str) -> AsyncIterator[LiveOutput]:
        """What a run's steps write from now on, until the session ends; a broken stream only ends it earlier."""
        import httpx  # only needed where a run is executed

        steps: dict[str, str] = {}
        try:
            async for line in self._lines():
                event = json.loads(line)
                if event["event"] == "started" and event["labels"].get(RUN_LABEL) == run_id:
                    steps[event["step"]] = event["labels"].get(STEP_LABEL, "")
                    yield LiveOutput(steps[event["step"]], begins=True)
                elif event["event"] == "output" and event["step"] in steps:
                    yield LiveOutput(steps[event["step"]], event["stream"], event["text"])
        except (httpx.HTTPError, ValueError, KeyError) as error:
            log.warning("live_output_ended", run_id=run_id, error=str(error))

    async def _lines(self) -> AsyncIterator[str]:
        import httpx

        timeout = httpx.Timeout(_CONNECT_SECONDS, read=None)
        # Plain http on loopback: certificates need not be loaded.
        nothing_trusted = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        async with (
            httpx.AsyncClient(
                auth=(self._token, ""), timeout=timeout, trust_env=False, verify=nothing_trusted
            ) as client,
            client.stream("GET", self._url) as answer,
        ):
            answer.raise_for_status()
            async for line in answer.aiter_lines():
                yield line

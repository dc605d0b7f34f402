"""What steps write, while they run."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from task_manager.structured_log import get_logger

log = get_logger(__name__)

RUN_LABEL, STEP_LABEL = "task-manager.run", "task-manager.step"
"""Labels that tell whose step a container is; the embedded engine's cache does not depend on labels."""

_CONNECT_SECONDS = 5.0


@dataclass(frozen=True)
class LiveOutput:
    """Something that a step of a run wrote, or that it began or ended, or was answered from the engine's cache.

    Attributes:
        stream: `stdout` or `stderr`.
        text: Lines with their ends.
        begins: Whether the step starts anew: what it wrote before was an earlier attempt's.
        ended: Whether its command is over.
        exit_code: How it ended, where that is known.
        cached: Whether the engine had the step's result already; none where this tells nothing about it.
    """

    step_id: str
    stream: str = ""
    text: str = ""
    begins: bool = False
    ended: bool = False
    exit_code: int | None = None
    cached: bool | None = None


class LiveOutputSource(Protocol):
    """Where an engine tells what steps write while they run; where there is none, it is known at their ends.

    The embedded engine tells it in its stream of events (`EventStream`), a real one that the dagger command line starts
    or reaches by OpenTelemetry (`otlp.OtlpReceiver`). A session that was there already, and one whose telemetry goes
    elsewhere, have no source.
    """

    @property
    def uses_labels(self) -> bool:
        """Whether containers are known by `RUN_LABEL` and `STEP_LABEL`; where they are not, labels might only hurt."""

    @property
    def tells_cached(self) -> bool:
        """Whether it tells of each step whether the engine had its result already."""

    def telling(self, owner: str, step_id: str) -> AbstractContextManager[None]:
        """Say that what is run by the calls of the block is a step's.

        Args:
            owner: Whose step it is: a run's id.
            step_id: The step.
        """

    def output(self, owner: str, connected: asyncio.Event) -> AsyncGenerator[LiveOutput]:
        """What the steps of an owner write from now on, until the session ends; a broken stream only ends it earlier.

        Args:
            owner: The `RUN_LABEL` of the containers: a run's id.
            connected: Set when nothing that comes later can be missed.
        """


class EventStream:
    """The embedded engine's stream of events.

    Args:
        port: Where the session listens on loopback.
        token: The session's token.
    """

    uses_labels = True
    tells_cached = True

    def __init__(self, port: int, token: str) -> None:
        self._url = f"http://127.0.0.1:{port}/events"
        self._token = token

    def telling(self, owner: str, step_id: str) -> AbstractContextManager[None]:
        """Nothing is to be done."""
        return contextlib.nullcontext()

    async def output(self, owner: str, connected: asyncio.Event) -> AsyncGenerator[LiveOutput]:
        """See `LiveOutputSource`."""
        import httpx  # only needed where a run is executed

        steps: dict[str, str] = {}
        try:
            async for line in self._lines(connected):
                event = json.loads(line)
                output = _output_of(event, owner, steps)
                if output is not None:
                    yield output
        except (httpx.HTTPError, ValueError, KeyError) as error:
            log.warning("live_output_ended", owner=owner, error=str(error))
        finally:
            connected.set()

    async def _lines(self, connected: asyncio.Event) -> AsyncIterator[str]:
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
            connected.set()
            async for line in answer.aiter_lines():
                yield line


def _output_of(event: dict[str, Any], owner: str, steps: dict[str, str]) -> LiveOutput | None:
    """What an event says about an owner's steps; those that were started are remembered in `steps`."""
    if event["event"] == "started" and event["labels"].get(RUN_LABEL) == owner:
        steps[event["step"]] = event["labels"].get(STEP_LABEL, "")
        return LiveOutput(steps[event["step"]], begins=True, cached=False)
    if event["event"] == "cached" and event["labels"].get(RUN_LABEL) == owner:
        return LiveOutput(event["labels"].get(STEP_LABEL, ""), cached=True)
    step = steps.get(event.get("step", ""))
    if step is None:
        return None
    if event["event"] == "output":
        return LiveOutput(step, event["stream"], event["text"])
    return LiveOutput(step, ended=True, exit_code=event["exitCode"]) if event["event"] == "ended" else None

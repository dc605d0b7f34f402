"""Steps' logs while they run, and whether they ran at all, where the engine tells it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Final

from task_manager.communication.live_output import LiveOutput, LiveOutputSource
from task_manager.logs import STREAMS, LogFile, Scrubber, read_log
from task_manager.structured_log import get_logger

log = get_logger(__name__)

_TOLD_SECONDS: Final = 1.0  # The engine tells before it answers; only reading may lag behind.


class LiveLogs:
    """Writes what a run's steps write to their logs, until each step's whole output takes its place.

    Args:
        run_folder: The run's folder; each step's logs are in `STEP/` below it.
        limit: How long a log may get, in bytes; what comes then is left out.
        scrubber: What must not be in them.
    """

    def __init__(self, run_folder: Path, limit: int, scrubber: Scrubber) -> None:
        self._folder = run_folder
        self._limit = limit
        self._scrubber = scrubber
        self._files: dict[tuple[str, str], LogFile] = {}
        self._finished: set[str] = set()
        self._cached: dict[str, bool] = {}
        self._told = asyncio.Event()
        self._tells = False
        self._task: asyncio.Task[None] | None = None

    def finish(self, step_id: str) -> None:
        """Write no more for a step: its logs are final from now on."""
        self._finished.add(step_id)

    def written(self, step_id: str) -> tuple[str, str]:
        """What a step has written to standard output and error so far; empty where nobody follows."""
        stdout, stderr = (read_log(self._folder / step_id, name) for name in STREAMS.values())
        return stdout, stderr

    async def cached(self, step_id: str) -> bool | None:
        """Whether the engine had the result of a step that is over; none where it does not tell."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_TOLD_SECONDS if self._tells else 0):
                while step_id not in self._cached:
                    self._told.clear()
                    await self._told.wait()
        return self._cached.get(step_id)

    async def follow(self, source: LiveOutputSource | None, run_id: str) -> None:
        """Write what comes from a session from now on, instead of from the one before; nothing where none is given."""
        await self.close()
        self._tells = source is not None and source.tells_cached
        if source is not None:
            connected = asyncio.Event()
            self._task = asyncio.create_task(self._follow(source, run_id, connected), name=f"live logs of {run_id}")
            await connected.wait()

    async def close(self) -> None:
        """Write no more."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def _follow(self, source: LiveOutputSource, run_id: str, connected: asyncio.Event) -> None:
        async for output in source.output(run_id, connected):
            self._note(output)
            if output.ended or output.cached or output.step_id in self._finished:
                continue
            try:
                self._write(output)
            except OSError as error:
                log.warning("live_log_failed", run_id=run_id, step_id=output.step_id, error=str(error))
                return

    def _note(self, output: LiveOutput) -> None:
        if output.cached is not None:
            # One that ran before its engine died did not come from an earlier run, whatever the next engine says.
            self._cached[output.step_id] = output.cached and self._cached.get(output.step_id, True)
            self._told.set()

    def _write(self, output: LiveOutput) -> None:
        # In the event loop, so that nothing is written after the step was finished.
        for stream in STREAMS if output.begins else ():
            path = self._folder / output.step_id / STREAMS[stream]
            self._files[output.step_id, stream] = LogFile(path, self._scrubber, limit=self._limit)
        file = self._files.get((output.step_id, output.stream))
        if file is not None and output.text:
            file.write(output.text.encode("utf-8", "replace"))

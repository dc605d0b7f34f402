"""What a session's steps do, told to whoever reads along while they do it.

A reader that is too slow loses output and is told how much; no step ever waits for one. Without readers nothing is
kept.
"""

import asyncio
import codecs
import json
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

from task_manager.embedded_engine import model
from task_manager.embedded_engine.scrubbing import Scrubber

Kind = Literal["command", "service"]
# What waits for one reader, in bytes: lines of output up to here, the few other events up to twice as much.
_CAPACITY = 1 << 20
# A line that gets longer than that, in characters, comes in pieces.
_LONGEST_LINE = 1 << 14
_SHOWN_ARGUMENTS, _SHOWN_CHARACTERS = 64, 2048
# How many steps a reader is remembered to have heard of.
_REMEMBERED = 10_000


class EventReader:
    """One reader's events, until they are taken."""

    def __init__(self, capacity: int = _CAPACITY) -> None:
        self._capacity = capacity
        self._waiting: list[bytes] = []
        self._size = 0
        self._lost = 0
        self._ended = False
        self._ready = asyncio.Event()
        self._heard: OrderedDict[object, None] = OrderedDict()

    def offer(self, event: bytes, lines: int = 0) -> None:
        """Take an event, or count it as lost where too many wait already.

        Args:
            event: The event, with its line end.
            lines: How many lines of output it has; 0 for an event of another kind, which counts as one.
        """
        if self._size + len(event) > self._capacity * (1 if lines else 2):
            self._lost += lines or 1
        else:
            self._note_loss()
            self._append(event)
        self._ready.set()

    def hear(self, step: object) -> bool:
        """Note that the reader hears of a step; return whether that is news."""
        is_news = step not in self._heard
        self._heard[step] = None
        self._heard.move_to_end(step)
        if len(self._heard) > _REMEMBERED:
            self._heard.popitem(last=False)
        return is_news

    def end(self) -> None:
        """Let the reader go when it has read what waits."""
        self._ended = True
        self._ready.set()

    async def read(self) -> bytes:
        """Return the events that wait, one JSON object a line; wait for one where there is none. Empty at the end."""
        await self._ready.wait()
        self._note_loss()
        events = b"".join(self._waiting)
        self._waiting.clear()
        self._size = 0
        if not self._ended:
            self._ready.clear()
        return events

    def _note_loss(self) -> None:
        if self._lost:
            self._append(_encoded("lost", count=self._lost))
            self._lost = 0

    def _append(self, event: bytes) -> None:
        self._waiting.append(event)
        self._size += len(event)


class Events:
    """Passes a session's events on to its readers."""

    def __init__(self) -> None:
        self._readers: set[EventReader] = set()
        self._ended = False

    @property
    def has_readers(self) -> bool:
        """Whether anybody reads."""
        return bool(self._readers)

    @contextmanager
    def reading(self) -> Iterator[EventReader]:
        """Give a reader of what happens from now on to the end of the block."""
        reader = EventReader()
        self._readers.add(reader)
        if self._ended:
            reader.end()
        try:
            yield reader
        finally:
            self._readers.discard(reader)

    def close(self) -> None:
        """Let every reader go, also those that come later."""
        self._ended = True
        for reader in self._readers:
            reader.end()

    def cached(self, execution: model.Execution) -> None:
        """Tell those who have not heard of a step that its result was there already."""
        for reader in self._readers:
            if reader.hear(_identity(execution)):
                reader.offer(_encoded("cached", execution))

    def started(self, execution: model.Execution, kind: Kind) -> None:
        """Tell that a step starts."""
        for reader in self._readers:
            reader.hear(_identity(execution))
        self._tell(lambda: _encoded("started", execution, kind=kind))

    def output(self, execution: model.Execution, stream: str, text: str) -> None:
        """Tell lines that a step wrote, without secrets."""
        lines = text.count("\n") + (not text.endswith("\n"))
        self._tell(lambda: _encoded("output", step=execution.digest, stream=stream, text=text), lines)

    def ended(self, execution: model.Execution, exit_code: int | None, seconds: float) -> None:
        """Tell that a step ended; None for the exit code of one that was stopped or could not be started."""
        taken = round(seconds, 3)
        for reader in self._readers:
            reader.hear(_identity(execution))
        self._tell(lambda: _encoded("ended", step=execution.digest, exitCode=exit_code, seconds=taken))

    def _tell(self, event: Callable[[], bytes], lines: int = 0) -> None:
        if self._readers:
            encoded = event()
            for reader in self._readers:
                reader.offer(encoded, lines)


class OutputLines:
    """Makes lines of what a step writes to one stream, for the readers there are."""

    def __init__(self, events: Events, execution: model.Execution, stream: str) -> None:
        self._events = events
        self._execution = execution
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._begun = ""

    def feed(self, data: bytes, *, final: bool = False) -> None:
        """Take what was written, secrets masked; whole lines are told at once, an unfinished one at the end."""
        if not self._events.has_readers:
            self._begun = ""
            self._decoder.reset()
            return
        whole, end, begun = (self._begun + self._decoder.decode(data, final)).rpartition("\n")
        if final or len(begun) >= _LONGEST_LINE:
            end, begun = end + begun, ""
        self._begun = begun
        if whole or end:
            self._events.output(self._execution, self._stream, whole + end)


def secret_values(execution: model.Execution) -> Sequence[bytes]:
    """Return the values that must not be shown of a step."""
    mounted = [mount.secret for mount in execution.mounts if mount.secret is not None]
    return [secret.value for secret in (*(secret for _, secret in execution.secret_environment), *mounted)]


def _identity(execution: model.Execution) -> tuple[object, ...]:
    """Return what tells steps apart for readers: equal commands of different containers are different steps."""
    return (execution.digest, execution.labels)


def _encoded(name: str, execution: model.Execution | None = None, **content: object) -> bytes:
    described = {} if execution is None else _described(execution)
    # In ASCII: some clients take U+2028 and the like for the end of a line.
    return json.dumps({"event": name, **described, **content}).encode() + b"\n"


def _described(execution: model.Execution) -> dict[str, object]:
    values = secret_values(execution)

    def shown(text: str) -> str:
        scrubber = Scrubber(values)
        data = scrubber.feed(text.encode("utf-8", "surrogateescape")) + scrubber.finish()
        return data.decode("utf-8", "replace")[:_SHOWN_CHARACTERS]

    return {
        "step": execution.digest,
        "command": [shown(argument) for argument in execution.arguments[:_SHOWN_ARGUMENTS]],
        "labels": {shown(name): shown(value) for name, value in execution.labels},
    }

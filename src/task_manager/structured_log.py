"""Log lines as `event key=value …` through the standard library's logging, so that whoever embeds this package decides.

Nothing is printed on standard output, and tracebacks show no values of variables. What a line is about is bound once,
where that begins (`about`), and stands in every line that is written from there on; so do the ids of the
current trace. Secrets that are known there (`scrub`) are taken out of what is written.
"""

from __future__ import annotations

import functools
import json
import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    from structlog.processors import LogfmtRenderer
    from structlog.stdlib import BoundLogger
    from structlog.typing import EventDict

_scrub: ContextVar[Callable[[str], str] | None] = ContextVar("task_manager_scrub", default=None)
_FIELDS: Final = "task_manager_fields"
_API: Final = "opentelemetry.trace"


class _OnFirstUse:
    """Stands for a logger until it is used: structlog takes longer to import than most commands need in all."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, method: str) -> Any:
        return getattr(self._logger, method)

    @functools.cached_property
    def _logger(self) -> BoundLogger:
        import structlog

        logger: BoundLogger = structlog.wrap_logger(
            logging.getLogger(self._name),
            wrapper_class=structlog.stdlib.BoundLogger,
            processors=[structlog.stdlib.filter_by_level, _with_surroundings, _as_logging_call],
        )
        return logger


def get_logger(name: str) -> BoundLogger:
    """The logger of a module; its methods take an event's name and key-value pairs."""
    return cast("BoundLogger", _OnFirstUse(name))


@contextmanager
def about(**values: str | int | None) -> Iterator[None]:
    """Say what the lines of the block are about; what is begun in it says so, too."""
    from structlog.contextvars import bound_contextvars

    with bound_contextvars(**_given(values)):
        yield


def scrub(clean: Callable[[str], str]) -> None:
    """Take secrets out of the lines that the current asyncio task writes from here on.

    Args:
        clean: Returns a text without them.
    """
    _scrub.set(clean)


class JsonLines(logging.Formatter):
    """Each record as one JSON object: `time` (UTC), `level`, `logger`, `event`, then its values."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        fields: Mapping[str, Any] | None = getattr(record, _FIELDS, None)
        said = fields if fields is not None else _cleaned({"event": record.getMessage(), **_surroundings()})
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            **said,
        }
        if record.exc_info:
            line["exception"] = _clean(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False, default=str)


class TextLines(logging.Formatter):
    """Each record as `LEVEL logger: event key=value …`."""

    def __init__(self) -> None:
        super().__init__("%(levelname)s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end; a traceback stands in lines of its own."""
        return _clean(super().format(record))


def _given(values: Mapping[str, str | int | None]) -> dict[str, str | int]:
    return {name: value for name, value in values.items() if value is not None}


def _with_surroundings(_logger: logging.Logger, _method: str, event: EventDict) -> EventDict:
    return {**event, **{name: value for name, value in _surroundings().items() if name not in event}}


def _surroundings() -> dict[str, Any]:
    """What is bound here, and the current trace."""
    from structlog.contextvars import get_contextvars

    return {**get_contextvars(), **_trace()}


def _trace() -> dict[str, str]:
    """The ids of the current span; where nothing has loaded OpenTelemetry, there is none."""
    if _API not in sys.modules:
        return {}
    from opentelemetry import trace

    span = trace.get_current_span().get_span_context()
    if not span.is_valid:
        return {}
    return {"trace_id": trace.format_trace_id(span.trace_id), "span_id": trace.format_span_id(span.span_id)}


@functools.cache
def _renderer() -> LogfmtRenderer:
    from structlog.processors import LogfmtRenderer

    return LogfmtRenderer(key_order=["event"], drop_missing=True)


def _as_logging_call(logger: logging.Logger, method: str, event: EventDict) -> tuple[tuple[str], dict[str, Any]]:
    exc_info = event.pop("exc_info", None)
    fields = _cleaned(event)
    line = str(_renderer()(logger, method, dict(fields))).removeprefix("event=")
    return (line,), {"exc_info": exc_info, "extra": {_FIELDS: fields}}


def _cleaned(event: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _clean(value) if isinstance(value, str) else value for name, value in event.items()}


def _clean(text: str) -> str:
    clean = _scrub.get()
    return clean(text) if clean is not None else text

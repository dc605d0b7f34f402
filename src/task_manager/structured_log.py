"""Log lines as `event key=value …` through the standard library's logging, so that whoever embeds this package decides.

Nothing is printed on standard output, and tracebacks show no values of variables.
"""

from __future__ import annotations

import logging
from typing import Any

import structlog

_render = structlog.processors.LogfmtRenderer(key_order=["event"], drop_missing=True)


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """The logger of a module; its methods take an event's name and key-value pairs."""
    logger: structlog.stdlib.BoundLogger = structlog.wrap_logger(
        logging.getLogger(name),
        wrapper_class=structlog.stdlib.BoundLogger,
        processors=[structlog.stdlib.filter_by_level, _as_logging_call],
    )
    return logger


def _as_logging_call(
    logger: logging.Logger, method: str, event: structlog.typing.EventDict
) -> tuple[tuple[str], dict[str, Any]]:
    exc_info = event.pop("exc_info", None)
    line = str(_render(logger, method, event)).removeprefix("event=")
    return (line,), {"exc_info": exc_info}

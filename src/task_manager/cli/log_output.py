"""Log lines of the command line: on standard error, from the wanted level on."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from task_manager.config import LogFormat


def configure_logging(level: str, form: LogFormat) -> None:
    """Write log lines of this level and above to standard error.

    Args:
        level: `debug`, `info`, `warning` or `error`.
        form: What lines look like.
    """
    from task_manager.structured_log import JsonLines, TextLines

    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if form == "json" else TextLines())
    logging.basicConfig(level=logging.getLevelNamesMapping()[level.upper()], handlers=[handler], force=True)

"""Log lines of the command line: on standard error, from the wanted level on."""

from __future__ import annotations

import logging
import sys


def configure_logging(level: str) -> None:
    """Write log lines of this level and above to standard error.

    Args:
        level: `debug`, `info`, `warning` or `error`.
    """
    number = logging.getLevelNamesMapping()[level.upper()]
    logging.basicConfig(level=number, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s", force=True)

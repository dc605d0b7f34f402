"""Builds what tests build once and then keep, so that it is there when they begin; run as a program, before them.

What cannot be built is left to the tests that need it: they say why.
"""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from tests.environment import go
from tests.environment.busybox_image import busybox_layout
from tests.environment.github_api import create_status
from tests.environment.go_image import go_layout
from tests.environment.node import node_modules
from tests.environment.node_image import node_layout
from tests.environment.python_image import python_layout

_SDKS: Final = Path(__file__).parents[1] / "embedded_engine/sdks"


def _go_program() -> None:
    with tempfile.TemporaryDirectory() as folder:
        go.build_program(_SDKS / "go", Path(folder) / "program")


PARTS: Final[tuple[Callable[[], object], ...]] = (
    python_layout,
    busybox_layout,
    go_layout,
    node_layout,
    lambda: node_modules(_SDKS / "typescript"),
    create_status,
    _go_program,
)


def _main() -> None:
    for build in PARTS:
        try:
            build()
        except (RuntimeError, OSError, pytest.skip.Exception) as problem:
            sys.stderr.write(f"Not built before the tests: {problem}\n")


if __name__ == "__main__":
    _main()

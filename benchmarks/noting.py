"""Figures noted in a document whose tables have a row for each benchmark, the figure in the last column."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from benchmarks.figures import Figure

_MACHINE: Final = "The last figures were measured "


def note(figures: Mapping[str, Figure], file: Path, *, busy: float, quick: bool) -> None:
    """Replace the last cell of each figure's row, and the line that tells of the machine.

    Args:
        figures: By name.
        file: The document.
        busy: How many processes waited for a processor before.
        quick: Whether less was measured.

    Raises:
        ValueError: The document has no row for a figure.
        OSError: It cannot be read or written.
    """
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    left = set(figures)
    for number, line in enumerate(lines):
        name = line.removeprefix("| `").partition("`")[0] if line.startswith("| `") else ""
        if name in figures:
            lines[number] = f"{line.rpartition(' |')[0].rpartition('| ')[0]}| {_cell(figures[name])} |\n"
            left.discard(name)
        elif line.startswith(_MACHINE):
            lines[number] = f"{_MACHINE}{_machine(busy, quick=quick)}\n"
    if left:
        raise ValueError(f"{file} has no row for {', '.join(sorted(left))}")
    file.write_text("".join(lines), encoding="utf-8")


def _cell(figure: Figure) -> str:
    value = f"{figure.value:.3g}" if figure.value < 1000 else f"{figure.value:,.0f}"  # noqa: PLR2004
    return f"{value} {figure.unit}" + ("" if figure.goal.is_met(figure.value) else " (missed)")


def _machine(busy: float, *, quick: bool) -> str:
    kernel = ".".join(platform.release().split(".")[:2])
    python = ".".join(platform.python_version_tuple()[:2])
    how = ", with `--quick`" if quick else ""
    beside = f"the load average before was {busy:.1f}"
    return f"on {os.cpu_count()} processors, {platform.system()} {kernel}, Python {python}{how}; {beside}."

"""Figures as a picture: how far each is from its goal."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from benchmarks.figures import Bound, Figure

_MET, _MISSED = "#2a7f62", "#b3412e"
_LEAST: Final = 0.01


def draw(figures: Mapping[str, Figure], file: Path) -> None:
    """Write a bar for each figure: the part of what its goal allows that it takes, on a logarithmic axis.

    Left of the line at 1 a goal is met.

    Args:
        figures: By name.
        file: Where to, as PNG or SVG by its ending.
    """
    from matplotlib.figure import Figure as Sheet

    names = [*figures][::-1]
    shares = [max(_LEAST, _share(figures[name])) for name in names]
    sheet = Sheet(figsize=(9, 1.2 + 0.32 * len(names)), layout="constrained")
    axes = sheet.add_subplot()
    colours = [_MET if share <= 1 else _MISSED for share in shares]
    bars = axes.barh(names, [share - _LEAST for share in shares], left=_LEAST, color=colours)
    axes.set_xscale("log")
    axes.set_xlim(_LEAST, max(3.0, *[share * 6 for share in shares]))
    axes.axvline(1, color="#444444", linewidth=1)
    # On white, for labels of figures near their goals stand on its line.
    paper = {"facecolor": "white", "edgecolor": "none", "pad": 1}
    axes.bar_label(bars, [_label(figures[name]) for name in names], padding=4, fontsize=8, bbox=paper)
    axes.set_xlabel("figure ÷ goal (goal ÷ figure, where more is better); left of 1 the goal is met")
    axes.tick_params(axis="y", labelsize=9)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    file.parent.mkdir(parents=True, exist_ok=True)
    sheet.savefig(file, dpi=120)


def _share(figure: Figure) -> float:
    """The part of what the goal allows."""
    if figure.goal.bound is Bound.AT_MOST:
        return figure.value / figure.goal.value
    return figure.goal.value / figure.value


def _label(figure: Figure) -> str:
    sign = "≤" if figure.goal.bound is Bound.AT_MOST else "≥"
    return f"{figure.value:.3g} {figure.unit} ({sign} {figure.goal.value:g})"

"""Charts over time, and bars beside names, drawn by the browser's own means: they follow theme and width."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from task_manager.dashboard.views.tree import Node, h

_NICE = (1.0, 2.0, 4.0, 6.0, 8.0, 10.0)


@dataclass(frozen=True)
class Series:
    """Values of one kind, one for each place of the time axis; None where there is none.

    Attributes:
        name: What they are.
        tone: How they look; one of `looks`, or `accent`.
    """

    name: str
    tone: str
    values: Sequence[float | None]


def bars(
    label: str, places: Sequence[str], series: Sequence[Series], text: Callable[[float], str] = "{:,.0f}".format
) -> Node:
    """Bars, of several series one above the other.

    Args:
        label: What the chart shows.
        places: The names of the places of the time axis.
        series: The first at the bottom.
        text: A value as text.
    """
    sums = [sum(one.values[place] or 0.0 for one in series) for place in range(len(places))]
    # Counts of one or two have whole numbers at the scale, too.
    top = nice_top(max(sums, default=0.0)) if max(sums, default=0.0) > 1 else 2.0
    columns = [_column(place, name, series, top, text) for place, name in enumerate(places)]
    return _chart(label, places, series, _scale(top, text), h("div", *columns, class_="chart-bars"))


def lines(label: str, places: Sequence[str], series: Sequence[Series], text: Callable[[float], str]) -> Node:
    """Lines; arguments as for `bars`. Where there are no values, a line is interrupted."""
    top = nice_top(max((value for one in series for value in one.values if value is not None), default=0.0))
    drawn = [_path(one, top) for one in series]
    drawing = h("svg", *drawn, viewBox="0 0 100 100", preserveAspectRatio="none", aria_hidden="true")
    hints = [h("span", title=_hint(place, name, series, text)) for place, name in enumerate(places)]
    plot = h("div", drawing, h("div", *hints, class_="chart-hints"), class_="chart-lines")
    return _chart(label, places, series, _scale(top, text), plot)


def ranking(label: str, values: Mapping[str, float], text: Callable[[float], str], *, tone: str) -> Node:
    """Names with bars, in their order.

    Args:
        label: What they are.
        values: By name.
        text: A value as text.
        tone: How the bars look.
    """
    top = max(values.values(), default=0.0) or 1.0
    rows = [
        h(
            "li",
            h("span", name, class_="rank-name"),
            h("span", h("span", class_=f"tone-{tone}", style=f"width:{value / top * 100:.1f}%"), class_="rank-bar"),
            h("span", text(value), class_="num"),
            key=name,
        )
        for name, value in values.items()
    ]
    return h("ul", *rows, class_="ranking", aria_label=label)


def nice_top(highest: float) -> float:
    """Where a scale ends that has room for a value: a number that people like to read; 1 for nothing."""
    if highest <= 0:
        return 1.0
    step = 10.0 ** math.floor(math.log10(highest))
    return next(step * nice for nice in _NICE if step * nice >= highest * (1 - 1e-9))


def _chart(label: str, places: Sequence[str], series: Sequence[Series], scale: Sequence[str], plot: Node) -> Node:
    ends = [places[0], places[len(places) // 2], places[-1]] if len(places) > 2 else places  # noqa: PLR2004
    axis = h("div", *(h("span", one) for one in ends), class_="chart-axis")
    legend = h("div", *(_legend(one) for one in series), class_="chart-legend") if len(series) > 1 else None
    said = f"{label}: {', '.join(one.name for one in series)}, {places[0]} to {places[-1]}" if places else label
    grid = h("div", h("i"), h("i"), h("i"), class_="chart-grid")
    marks = h("div", *(h("span", one) for one in scale), class_="chart-scale")
    plotted = h("div", grid, plot, class_="chart-plot")
    return h("div", legend, h("div", marks, plotted, axis, class_="chart", role="img", aria_label=said))


def _scale(top: float, text: Callable[[float], str]) -> list[str]:
    return [text(top), text(top / 2), text(0)]


def _legend(one: Series) -> Node:
    return h("span", h("i", class_=f"tone-{one.tone}"), one.name)


def _column(place: int, name: str, series: Sequence[Series], top: float, text: Callable[[float], str]) -> Node:
    parts = [
        h("span", class_=f"tone-{one.tone}", style=f"height:{(one.values[place] or 0.0) / top * 100:.2f}%")
        for one in reversed(series)
        if one.values[place]
    ]
    return h("div", *parts, title=_hint(place, name, series, text))


def _hint(place: int, name: str, series: Sequence[Series], text: Callable[[float], str]) -> str:
    told = [f"{one.name}: {text(value)}" for one in series if (value := one.values[place]) is not None]
    return "\n".join([name, *told])


def _path(series: Series, top: float) -> Node:
    width = 100 / max(len(series.values), 1)
    points = [
        None if value is None else ((place + 0.5) * width, 100 - value / top * 100)
        for place, value in enumerate(series.values)
    ]
    parts = [_part(points, place, width) for place in range(len(points))]
    return h("path", d="".join(parts), class_=f"tone-{series.tone}", vector_effect="non-scaling-stroke")


def _part(points: Sequence[tuple[float, float] | None], place: int, width: float) -> str:
    """What leads to a point: a line from the one before; a point alone is a short line, so that it is seen."""
    here = points[place]
    if here is None:
        return ""
    x, y = here
    if place and points[place - 1] is not None:
        return f"L{x:.2f} {y:.2f}"
    if place + 1 < len(points) and points[place + 1] is not None:
        return f"M{x:.2f} {y:.2f}"
    return f"M{x - width / 4:.2f} {y:.2f}h{width / 2:.2f}"

"""The steps of a run as pictures: a graph of what needs what, and a time line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from task_manager import graph
from task_manager.dashboard.views import looks
from task_manager.dashboard.views.icons import icon
from task_manager.dashboard.views.moments import duration, elapsed
from task_manager.dashboard.views.tree import Node, action, h
from task_manager.models import StepRecord
from task_manager.pipeline import Pipeline
from task_manager.results.wording import seconds_text
from task_manager.workflow_status import StepStatus

_WIDTH: Final = 196
_HEIGHT: Final = 44
_GAP_X: Final = 52
_GAP_Y: Final = 14
_TICKS: Final = 4
_SHORTEST_PERCENT: Final = 0.6


def places(edges: Mapping[str, Sequence[str]]) -> dict[str, tuple[int, int]]:
    """Where each step's box is in the graph: left and top in pixels, layer by layer, each layer centred.

    Args:
        edges: Each step with those that it needs.
    """
    layers = graph.layers(edges)
    tallest = max(map(len, layers), default=0)
    found = {}
    for column, layer in enumerate(layers):
        offset = (tallest - len(layer)) * (_HEIGHT + _GAP_Y) / 2
        for row, name in enumerate(layer):
            found[name] = column * (_WIDTH + _GAP_X), round(offset + row * (_HEIGHT + _GAP_Y))
    return found


def step_graph(pipeline: Pipeline | None, records: Sequence[StepRecord], chosen: str) -> Node | None:
    """The steps as boxes with lines to those that need them; None where nothing needs anything.

    Args:
        pipeline: The steps' definition.
        records: How they are.
        chosen: The id of the step whose log is shown.
    """
    if pipeline is None:
        return None
    edges = {step.id: sorted(step.upstream) for step in pipeline.steps}
    if not any(edges.values()):
        return None
    at = places(edges)
    known = {record.step_id: record for record in records}
    width = max(left for left, _ in at.values()) + _WIDTH
    height = max(top for _, top in at.values()) + _HEIGHT
    lines = [_line(at[needed], at[name]) for name, needs in edges.items() for needed in needs]
    boxes = [_box(step.id, step.title, known.get(step.id), at[step.id], step.id == chosen) for step in pipeline.steps]
    drawn = h("svg", *lines, width=str(width), height=str(height), viewBox=f"0 0 {width} {height}", aria_hidden="true")
    canvas = h("div", drawn, *boxes, class_="graph", style=f"width:{width}px;height:{height}px")
    return h("div", canvas, class_="scroll graph-box", tabindex="0", role="group", aria_label="Graph of the steps")


def _line(start: tuple[int, int], end: tuple[int, int]) -> Node:
    x1, y1 = start[0] + _WIDTH, start[1] + _HEIGHT // 2
    x2, y2 = end[0], end[1] + _HEIGHT // 2
    bend = (x2 - x1) // 2
    return h("path", d=f"M{x1} {y1}C{x1 + bend} {y1} {x2 - bend} {y2} {x2} {y2}")


def _box(step_id: str, title: str, record: StepRecord | None, at: tuple[int, int], chosen: bool) -> Node:
    state = record.status.value if record else StepStatus.PENDING.value
    took = seconds_text(record.seconds) if record else ""
    told = "cached" if record and record.cached else took or looks.label(state)
    texts = h("span", h("strong", title), h("small", told), class_="line-text")
    return h(
        "button",
        icon(looks.tone(state), class_=f"tone-{looks.tone(state)}"),
        texts,
        type="button",
        key=step_id,
        class_=f"box tone-line-{looks.tone(state)}",
        style=f"left:{at[0]}px;top:{at[1]}px;width:{_WIDTH}px;height:{_HEIGHT}px",
        aria_pressed="true" if chosen else "false",
        aria_label=f"{title}: {looks.label(state)}",
        title=title,
        on={"click": action("step", step=step_id)},
    )


def time_line(records: Sequence[StepRecord], now: datetime, chosen: str) -> Node:
    """The steps one below the other, each with a bar from its start to its end.

    Args:
        records: The steps, in their order.
        now: Where bars of running steps end.
        chosen: The id of the step whose log is shown.
    """
    begun = [record.started_at for record in records if record.started_at]
    start = min(begun, default=now)
    end = max([record.finished_at or now for record in records if record.started_at], default=now)
    whole = max((end - start).total_seconds(), 0.001)
    rows = [_row(record, start, whole, now, chosen=record.step_id == chosen) for record in records]
    ticks = [
        h("span", _tick(whole * part / _TICKS, whole), style=f"left:{part * 100 / _TICKS:g}%")
        for part in range(_TICKS + 1)
    ]
    scale = h("li", h("span"), h("span", *ticks, class_="ticks"), h("span"), class_="scale", aria_hidden="true")
    return h("ol", *([scale] if begun else []), *rows, class_="gantt", aria_label="Time line of the steps")


def _tick(seconds: float, whole: float) -> str:
    """A moment on the scale, told from those beside it."""
    return f"{seconds:.2f} s" if whole < 1 else seconds_text(seconds)


def _row(record: StepRecord, start: datetime, whole: float, now: datetime, *, chosen: bool) -> Node:
    of = looks.tone(record.status.value)
    name = h(
        "button",
        icon(of, class_=f"tone-{of}"),
        h("span", record.name or record.step_id),
        type="button",
        class_="gantt-name",
        aria_pressed="true" if chosen else "false",
        aria_label=f"{record.name or record.step_id}: {looks.label(record.status.value)}",
        on={"click": action("step", step=record.step_id)},
    )
    return h("li", name, h("span", _bar(record, start, whole, now), class_="track"), _took(record, now))


def _bar(record: StepRecord, start: datetime, whole: float, now: datetime) -> Node | None:
    if record.started_at is None:
        return None
    left = (record.started_at - start).total_seconds() / whole * 100
    width = ((record.finished_at or now) - record.started_at).total_seconds() / whole * 100
    classes = f"bar tone-{looks.tone(record.status.value)}" + (" cached" if record.cached else "")
    return h("span", class_=classes, style=f"left:{left:.2f}%;width:{max(width, _SHORTEST_PERCENT):.2f}%")


def _took(record: StepRecord, now: datetime) -> Node:
    if record.cached:
        return h("span", looks.chip("cached", tone=looks.GOOD, icon_name="bolt"), class_="took")
    if record.started_at and not record.finished_at:
        return h("span", elapsed(record.started_at, now), class_="took")
    if record.started_at is None:
        return h("span", looks.label(record.status.value), class_="took muted")
    return h("span", duration(record.seconds), class_="took")


def curve(name: str, xs: Sequence[int], ys: Sequence[float | None]) -> Node:
    """A metric per epoch as a line, with its smallest and largest value beside it.

    Args:
        name: The metric's.
        xs: The epochs.
        ys: Its values; none where an epoch does not tell.
    """
    known = [(x, y) for x, y in zip(xs, ys, strict=False) if y is not None]
    low, high = min((y for _, y in known), default=0.0), max((y for _, y in known), default=1.0)
    first, last = (known[0][0], known[-1][0]) if known else (0, 1)
    wide, tall = 300, 110
    points = [
        (
            (x - first) / max(last - first, 1) * wide,
            tall - (y - low) / (high - low) * tall if high > low else tall / 2,
        )
        for x, y in known
    ]
    path = "".join(f"{'M' if not n else 'L'}{x:.1f} {y:.1f}" for n, (x, y) in enumerate(points))
    grid = [h("path", d=f"M0 {y}H{wide}", class_="grid") for y in (0, tall // 2, tall)]
    line = h("path", d=path, class_="line-path")
    picture = h(
        "svg",
        *grid,
        line,
        viewBox=f"-2 -4 {wide + 4} {tall + 8}",
        preserveAspectRatio="none",
        role="img",
        aria_label=f"{name}: from {known[0][1]:.4g} to {known[-1][1]:.4g}" if known else name,
    )
    final = f"{known[-1][1]:.4g}" if known else "\u2013"
    scale = h("span", h("span", f"{high:.3g}"), h("span", f"{low:.3g}"), class_="curve-scale")
    epochs = h("span", h("span", f"epoch {first}"), h("span", f"{last}"), class_="curve-epochs")
    head = h("figcaption", h("span", name), h("strong", final, class_="num"))
    return h("figure", head, h("div", picture, scale, class_="curve-plot"), epochs, class_="curve", key=name)

"""Results as a picture of their metrics, drawn by matplotlib where that is installed."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from task_manager.errors import TransformationFailed
from task_manager.results.measurements import LearningCurves
from task_manager.results.schemas import MlTrainingResult, WorkflowResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST = 30


def as_picture(result: WorkflowResult) -> bytes:
    """A PNG picture: learning curves where there are some, else a bar for each metric.

    Raises:
        TransformationFailed: The result has no metrics, or matplotlib is not installed.
    """
    curves = result.curves if isinstance(result, MlTrainingResult) else None
    if not result.metrics and curves is None:
        raise TransformationFailed("The result has no metrics to draw.", details={"form": "picture"})
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise TransformationFailed(
            "A picture needs matplotlib, which is not installed.",
            remedy="Install it: pip install 'task-manager-dagger[picture]'.",
            details={"form": "picture", "package": "matplotlib"},
        ) from error
    figure = Figure(figsize=(9, 5), layout="constrained")
    if curves is not None and curves.epochs:
        _draw_curves(figure, curves)
    else:
        _draw_bars(figure, result)
    figure.suptitle(result.headline.replace("$", r"\$"))
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=100)
    return content.getvalue()


def _draw_curves(figure: Figure, curves: LearningCurves) -> None:
    axes = figure.subplots()
    for name, values in curves.values.items():
        known = [(epoch, value) for epoch, value in zip(curves.epochs, values, strict=False) if value is not None]
        axes.plot([epoch for epoch, _ in known], [value for _, value in known], label=name.replace("$", r"\$"))
    axes.set_xlabel("epoch")
    axes.legend()


def _draw_bars(figure: Figure, result: WorkflowResult) -> None:
    shown = result.metrics[:_MOST]
    # Each on a scale of its own: their units differ.
    rows = figure.subplots(len(shown), 1, squeeze=False)[:, 0]
    figure.set_size_inches(9, 1 + 0.6 * len(shown))
    for axes, metric in zip(rows, shown, strict=True):
        axes.barh([0], [metric.value])
        axes.set_yticks([0], [f"{metric.name} {metric.unit}".replace("$", r"\$")])
        axes.set_xlim(min(0, metric.value * 1.1), max(metric.value * 1.1, 1e-9))

"""What was measured: at the end, and epoch by epoch."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field, JsonValue

from task_manager.results.parts import Metric, Part
from task_manager.results.wording import counted, number_text

_MAIN_METRICS = ("accuracy", "test_accuracy", "validation_accuracy", "val_accuracy", "f1", "r2", "rmse", "mae", "loss")


class LearningCurves(Part):
    """Metrics per epoch.

    Attributes:
        epochs: The number of each epoch, in order.
        values: For each metric one value per epoch, none where an epoch does not tell.
    """

    epochs: tuple[int, ...] = ()
    values: dict[str, tuple[float | None, ...]] = Field(default_factory=dict)

    @property
    def headline(self) -> str:
        """`20 epochs`."""
        return counted(len(self.epochs), "epoch")

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """How many epochs, and each metric's last known value."""
        known = {name: [value for value in values if value is not None] for name, values in self.values.items()}
        last = (Metric(name=name, value=values[-1]) for name, values in known.items() if values)
        return (*last, Metric(name="epochs", value=len(self.epochs)))


class Measurements(Part):
    """What was measured at the end.

    Attributes:
        numbers: In the order of the report.
        facts: What is no number: names, settings.
    """

    numbers: tuple[Metric, ...] = ()
    facts: dict[str, JsonValue] = Field(default_factory=dict)

    @property
    def headline(self) -> str:
        """The first metrics: `accuracy 0.93, loss 0.2`."""
        return ", ".join(metric_text(metric) for metric in self.numbers[:3])

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """All of them."""
        return self.numbers


def main_metric(metrics: Iterable[Metric]) -> Metric | None:
    """The metric that says most about a model: by its usual names, else the first."""
    known = {metric.name: metric for metric in metrics}
    for name in _MAIN_METRICS:
        if name in known:
            return known[name]
    return next(iter(known.values()), None)


def metric_text(metric: Metric) -> str:
    """`accuracy 0.93`, `latency 12 ms`."""
    return f"{metric.name.replace('_', ' ')} {number_text(metric.value)}" + (f" {metric.unit}" if metric.unit else "")

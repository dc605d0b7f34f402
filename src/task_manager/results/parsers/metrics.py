"""Metrics: one JSON file at the end, or one line of JSON per epoch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import JsonValue

from task_manager.errors import OutputInvalid
from task_manager.results.measurements import LearningCurves, Measurements
from task_manager.results.parsers.files import Parsed, decoded, invalid, load_json, read_report
from task_manager.results.parts import Metric

_MAXIMUM_METRICS = 4 * 1024 * 1024
_MAXIMUM_CURVES = 16 * 1024 * 1024
_MAXIMUM_EPOCHS = 100_000
_EXPECTED_METRICS = "JSON with named numbers"
_EXPECTED_CURVES = "lines of JSON with named numbers, one per epoch"
_EPOCH_NAMES = ("epoch", "step", "iteration")
_MAXIMUM_PROBLEMS = 5


def parse_metrics(path: Path, name: str) -> Parsed[Measurements]:
    """Read metrics.

    Args:
        path: JSON of at most 4 MiB: `{"accuracy": 0.93}`; nested mappings give dotted names, and
            `{"time": {"value": 3.5, "unit": "s"}}` has a unit. What is no number is kept as a fact.
        name: As messages call it.

    Returns:
        The numbers and facts, and those entries that are numbers, but not finite.

    Raises:
        OutputInvalid: It is no such file.
    """
    content = read_report(path, name, expected=_EXPECTED_METRICS, limit=_MAXIMUM_METRICS)
    data = load_json(decoded(content, name, expected=_EXPECTED_METRICS), name, expected=_EXPECTED_METRICS)
    if not isinstance(data, dict):
        raise invalid(name, expected=_EXPECTED_METRICS, found=f"JSON that is {_kind(data)}")
    numbers: list[Metric] = []
    facts: dict[str, JsonValue] = {}
    problems: list[OutputInvalid] = []
    for key, value, unit in _entries(data):
        number = finite_number(value)
        if number is not None:
            numbers.append(Metric(name=key, value=number, unit=unit))
        elif _is_number(value):
            problems.append(invalid(f"{name} {key}", expected="a finite number", found="one that is too large"))
        else:
            facts[key] = value
    return Parsed(Measurements(numbers=tuple(numbers), facts=facts), tuple(problems[:_MAXIMUM_PROBLEMS]))


def _entries(data: Mapping[str, JsonValue], prefix: str = "") -> Iterator[tuple[str, JsonValue, str]]:
    """Dotted names with values and units."""
    for key, value in data.items():
        unit = value.get("unit", "") if isinstance(value, dict) else ""
        if isinstance(value, dict) and value.keys() in ({"value"}, {"value", "unit"}) and isinstance(unit, str):
            yield f"{prefix}{key}", value["value"], unit
        elif isinstance(value, dict):
            yield from _entries(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value, ""


def parse_curves(path: Path, name: str) -> Parsed[LearningCurves]:
    """Read metrics per epoch.

    Args:
        path: A file of at most 16 MiB and 100,000 epochs, each line JSON such as `{"epoch": 1, "loss": 0.4}`. Without
            an `epoch`, `step` or `iteration`, lines count from 1.
        name: As messages call it.

    Returns:
        The curves, and the lines that could not be used.

    Raises:
        OutputInvalid: No line can be used.
    """
    content = read_report(path, name, expected=_EXPECTED_CURVES, limit=_MAXIMUM_CURVES)
    epochs: list[int] = []
    rows: list[dict[str, float]] = []
    problems: list[OutputInvalid] = []
    for number, line in enumerate(content.split(b"\n"), start=1):
        if not line.strip():
            continue
        if len(rows) == _MAXIMUM_EPOCHS:
            found = f"more than {_MAXIMUM_EPOCHS:,}, of which those are kept"
            problems.insert(0, invalid(name, expected=f"at most {_MAXIMUM_EPOCHS:,} epochs", found=found))
            break
        try:
            epoch, values = _epoch(line, f"{name} line {number}", len(rows) + 1)
        except OutputInvalid as error:
            problems.append(error)
            del problems[_MAXIMUM_PROBLEMS:]
            continue
        epochs.append(epoch)
        rows.append(values)
    if not rows:
        raise problems[0]
    names = dict.fromkeys(key for row in rows for key in row)
    curves = LearningCurves(epochs=tuple(epochs), values={key: tuple(row.get(key) for row in rows) for key in names})
    return Parsed(curves, tuple(problems[:_MAXIMUM_PROBLEMS]))


def _epoch(line: bytes, name: str, count: int) -> tuple[int, dict[str, float]]:
    data = load_json(decoded(line, name, expected="JSON with named numbers"), name, expected="JSON with named numbers")
    if not isinstance(data, dict):
        raise invalid(name, expected="a mapping of names to numbers", found=f"JSON that is {_kind(data)}")
    values = {key: number for key, value in data.items() if (number := finite_number(value)) is not None}
    key = next((key for key in _EPOCH_NAMES if key in values), None)
    return (int(values.pop(key)) if key else count), values


def finite_number(value: JsonValue) -> float | None:
    """A number that is finite as a float; none for everything else."""
    if not _is_number(value):
        return None
    try:
        number = float(value)  # type: ignore[arg-type]  # a number, as just checked
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _is_number(value: JsonValue) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _kind(value: JsonValue) -> str:
    kinds = {list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")

"""Trains a linear classifier on the rows of a CSV file, in mini-batches, and measures it after every epoch.

Writes history.jsonl (one line per epoch), metrics.json, model.joblib (a scikit-learn pipeline that takes rows of the
features, in the order of metrics.json) and learning-curve.png. Exit codes: 0 done, 1 the data cannot be used, and one
sentence says why. The last line is the headline.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

os.environ.setdefault("MPLCONFIGDIR", tempfile.gettempdir())  # matplotlib's own default needs a home folder

import joblib
import matplotlib as mpl
import numpy as np
import sklearn
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import f1_score, log_loss
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

FEWEST_ROWS = 10
MOST_CLASSES = 100
DIGITS = 6


class DataError(Exception):
    """Data that cannot be used; the text says why."""


@dataclass
class Data:
    """The rows to learn from and to be tested on.

    Attributes:
        left_out: How many rows had empty cells.
    """

    features: list[str]
    classes: list[str]
    train_x: Any
    train_y: Any
    test_x: Any
    test_y: Any
    left_out: int


def main() -> int:
    """Train; returns the exit code."""
    options = arguments()
    try:
        data = load(options)
        options.output.mkdir(parents=True, exist_ok=True)
        model, history = train(data, options)
    except DataError as error:
        print(error, file=sys.stderr)
        return 1
    joblib.dump(model, options.output / "model.joblib")
    draw(history, options.output / "learning-curve.png")
    metrics = final_metrics(model, data, history, options)
    (options.output / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    print(
        f"accuracy {metrics['accuracy']:.3f}, validation loss {metrics['validation_loss']:.3f} "
        f"after {options.epochs} epoch{'' if options.epochs == 1 else 's'}"
    )
    return 0


def arguments() -> argparse.Namespace:
    """The script's arguments; lists are JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the CSV file")
    parser.add_argument("--output", type=Path, required=True, help="the folder to write to")
    parser.add_argument("--target", required=True, help="the column to tell")
    parser.add_argument("--features", type=json.loads, default=[], help="the columns to learn from; none: all others")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--learning-rate", type=float, default=0.01)
    parser.add_argument("--test-share", type=float, default=0.2)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def load(options: argparse.Namespace) -> Data:
    """The file's rows, split into those to learn from and those to be tested on."""
    lines = read(options.data)
    header = lines[0][1] if lines else []
    features = chosen_features(header, options)
    columns = [header.index(name) for name in [*features, options.target]]
    complete = [(line, [row[index] for index in columns]) for line, row in lines[1:] if len(row) == len(header)]
    complete = [(line, row) for line, row in complete if "" not in row]
    check_rows(complete, options)
    names = dict(enumerate(features))
    values = [[number(cell, line, names[index]) for index, cell in enumerate(row[:-1])] for line, row in complete]
    labels = [row[-1] for _, row in complete]
    train_x, test_x, train_y, test_y = train_test_split(
        np.array(values), np.array(labels), test_size=options.test_share, random_state=options.seed, stratify=labels
    )
    return Data(
        features, sorted(set(labels)), train_x, train_y, test_x, test_y, left_out=len(lines) - 1 - len(complete)
    )


def read(path: Path) -> list[tuple[int, list[str]]]:
    """The file's lines that are not empty: their numbers and their cells."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream)
            return [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader if cells]
    except FileNotFoundError as error:
        raise DataError(f"There is no file {path} in the source folder.") from error
    except IsADirectoryError as error:
        raise DataError(f"{path} is a folder, not a CSV file.") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text (byte {error.start}).") from error
    except csv.Error as error:
        raise DataError(f"{path} is not CSV: {error}.") from error


def chosen_features(header: list[str], options: argparse.Namespace) -> list[str]:
    """The columns to learn from."""
    if not header:
        raise DataError(f"{options.data} is empty; it needs a header line.")
    for name in [options.target, *options.features]:
        if header.count(name) > 1:
            raise DataError(f"{options.data} has the column {name!r} more than once.")
        if name not in header:
            near = get_close_matches(name, header, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(header)}."
            raise DataError(f"{options.data} has no column {name!r}; {hint}")
    if options.target in options.features:
        raise DataError(f"The column {options.target!r} is the target; it cannot be a feature, too.")
    features = options.features or [name for name in header if name != options.target]
    if not features:
        raise DataError(f"{options.data} has no column besides {options.target!r} to learn from.")
    return features


def check_rows(rows: list[tuple[int, list[str]]], options: argparse.Namespace) -> None:
    """Refuse data that no classifier can be trained and tested on."""
    if len(rows) < FEWEST_ROWS:
        raise DataError(f"{options.data} has {len(rows)} complete rows; at least {FEWEST_ROWS} are needed.")
    counts = Counter(row[-1] for _, row in rows)
    if not 1 < len(counts) <= MOST_CLASSES:
        kinds = "one value" if len(counts) == 1 else f"{len(counts)} values in {len(rows)} rows"
        raise DataError(f"The column {options.target!r} has {kinds}; a classifier needs 2 to {MOST_CLASSES}.")
    rare = sorted(name for name, count in counts.items() if count == 1)
    if rare:
        raise DataError(f"Each value of {options.target!r} must occur twice; once occur: {', '.join(rare)}.")
    tested = math.ceil(len(rows) * options.test_share)
    if min(tested, len(rows) - tested) < len(counts):
        raise DataError(
            f"A test share of {options.test_share:g} splits {len(rows)} rows into {len(rows) - tested} and {tested}; "
            f"each part must have at least {len(counts)}, one for each value of {options.target!r}."
        )


def number(cell: str, line: int, name: str) -> float:
    """The finite number that a cell states."""
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DataError(
            f"Line {line} has {cell!r} in the column {name!r}, which is not a number. "
            "Name the columns to learn from in `features`, or clean the data."
        )
    return value


def train(data: Data, options: argparse.Namespace) -> tuple[Any, list[dict[str, float]]]:
    """The trained model, and its metrics after every epoch, which are written as they come."""
    scaler = StandardScaler().fit(data.train_x)
    scaled = scaler.transform(data.train_x)
    classifier = SGDClassifier(
        loss="log_loss", learning_rate="constant", eta0=options.learning_rate, random_state=options.seed
    )
    model = make_pipeline(scaler, classifier)
    random = np.random.default_rng(options.seed)
    history: list[dict[str, float]] = []
    with (options.output / "history.jsonl").open("w", encoding="utf-8") as stream:
        for epoch in range(1, options.epochs + 1):
            run_epoch(classifier, scaled, data, random.permutation(len(scaled)), options)
            history.append({"epoch": epoch, **measured(model, data)})
            stream.write(json.dumps(history[-1]) + "\n")
            stream.flush()
            show(history[-1], options.epochs)
    return model, history


def run_epoch(classifier: Any, scaled: Any, data: Data, order: Any, options: argparse.Namespace) -> None:
    """Let the classifier see all training rows once."""
    try:
        for start in range(0, len(order), options.batch_size):
            batch = order[start : start + options.batch_size]
            classifier.partial_fit(scaled[batch], data.train_y[batch], classes=data.classes)
    except ValueError as error:
        raise diverged(options) from error
    if not np.isfinite(classifier.coef_).all():
        raise diverged(options)


def diverged(options: argparse.Namespace) -> DataError:
    """What to say when the numbers overflow."""
    return DataError(f"The training diverged with a learning rate of {options.learning_rate:g}; use a smaller one.")


def measured(model: Any, data: Data) -> dict[str, float]:
    """Losses and accuracies on both parts of the rows."""
    metrics: dict[str, float] = {}
    parts = (("train", data.train_x, data.train_y), ("validation", data.test_x, data.test_y))
    for part, values, labels in parts:
        metrics[f"{part}_loss"] = round(log_loss(labels, model.predict_proba(values), labels=data.classes), DIGITS)
        metrics[f"{part}_accuracy"] = round(model.score(values, labels), DIGITS)
    return metrics


def show(metrics: dict[str, float], epochs: int) -> None:
    """Print an epoch's metrics."""
    print(
        f"epoch {metrics['epoch']}/{epochs}: loss {metrics['train_loss']:.4f}, "
        f"validation loss {metrics['validation_loss']:.4f}, accuracy {metrics['validation_accuracy']:.4f}",
        flush=True,
    )


def final_metrics(
    model: Any, data: Data, history: list[dict[str, float]], options: argparse.Namespace
) -> dict[str, Any]:
    """What metrics.json says."""
    last = history[-1]
    best = min(history, key=lambda metrics: metrics["validation_loss"])
    return {
        "accuracy": last["validation_accuracy"],
        "f1": round(f1_score(data.test_y, model.predict(data.test_x), average="macro", zero_division=0), DIGITS),
        **{name: last[name] for name in ("validation_loss", "train_loss", "train_accuracy")},
        "best_epoch": best["epoch"],
        "epochs": options.epochs,
        "batch_size": options.batch_size,
        "learning_rate": options.learning_rate,
        "seed": options.seed,
        "train_rows": len(data.train_y),
        "validation_rows": len(data.test_y),
        "rows_left_out": data.left_out,
        "algorithm": "logistic regression, stochastic gradient descent",
        "target": options.target,
        "features": data.features,
        "classes": data.classes,
        "scikit_learn": sklearn.__version__,
    }


def draw(history: list[dict[str, float]], path: Path) -> None:
    """Draw losses and accuracy over the epochs."""
    epochs = [metrics["epoch"] for metrics in history]
    figure = Figure(figsize=(9, 4), layout="constrained")
    FigureCanvasAgg(figure)
    losses, accuracies = figure.subplots(1, 2)
    for part, style in (("train", "--"), ("validation", "-")):
        losses.plot(epochs, [metrics[f"{part}_loss"] for metrics in history], style, marker=".", label=part)
        accuracies.plot(epochs, [metrics[f"{part}_accuracy"] for metrics in history], style, marker=".", label=part)
    for axes, title in ((losses, "loss"), (accuracies, "accuracy")):
        axes.set(xlabel="epoch", title=title)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(visible=True, alpha=0.3)
        axes.legend()
    figure.savefig(path, dpi=120, metadata={"Software": f"matplotlib {mpl.__version__}"})


if __name__ == "__main__":
    sys.exit(main())

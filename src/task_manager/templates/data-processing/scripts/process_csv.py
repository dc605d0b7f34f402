"""Cleans a CSV file and aggregates it.

Writes cleaned.csv, summary.csv, rejected.csv (line, reason, row) and stats.json. Exit codes: 0 done, 1 the data cannot
be used, and one sentence says why. The last line is the headline.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import statistics
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

MOST_COMMON = 5
DIGITS = 6


class DataError(Exception):
    """Data that cannot be used; the text says why."""


@dataclass
class Table:
    """The rows that are kept, and those that are not.

    Attributes:
        rejected: Line of the file, reason, cells.
    """

    header: list[str]
    rows: list[list[str]] = field(default_factory=list)
    rejected: list[tuple[int, str, list[str]]] = field(default_factory=list)

    @property
    def reasons(self) -> dict[str, int]:
        """How many rows were left out for each reason."""
        return dict(Counter(reason for _, reason, _ in self.rejected))

    def column(self, name: str) -> list[str]:
        """A column's cells that are not empty."""
        index = self.header.index(name)
        return [row[index] for row in self.rows if row[index]]


def main() -> int:
    """Process the file; returns the exit code."""
    options = arguments()
    try:
        table = read(options)
        check_share(table, options.largest_rejected_share)
        write(table, options)
    except DataError as error:
        print(error, file=sys.stderr)
        return 1
    first = {reason: line for line, reason, _ in reversed(table.rejected)}
    for reason, count in table.reasons.items():
        print(f"{reason}: {count} (first in line {first[reason]})")
    total = len(table.rows) + len(table.rejected)
    print(f"{len(table.rows)} of {total} rows kept, {len(table.rejected)} left out")
    return 0


def arguments() -> argparse.Namespace:
    """The script's arguments; lists and mappings are JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--input", type=Path, required=True, help="the CSV file")
    parser.add_argument("--output", type=Path, required=True, help="the folder to write to")
    parser.add_argument("--delimiter", default=",")
    parser.add_argument("--drop-incomplete", action="store_true", help="leave out rows with an empty cell")
    parser.add_argument("--deduplicate", action="store_true", help="leave out rows that equal an earlier one")
    parser.add_argument("--numeric", type=json.loads, default=[], help="columns that must hold numbers")
    parser.add_argument("--group-by", type=json.loads, default=[], help="columns that make the groups")
    parser.add_argument("--aggregations", type=json.loads, default={}, help="column: list of functions")
    parser.add_argument("--largest-rejected-share", type=float, default=1.0)
    return parser.parse_args()


def read(options: argparse.Namespace) -> Table:
    """Read the file and sort its rows into kept and rejected ones."""
    try:
        with options.input.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, delimiter=options.delimiter)
            lines = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader if cells]
            return sort_rows(lines, options)
    except FileNotFoundError as error:
        raise DataError(f"There is no file {options.input} in the source folder.") from error
    except IsADirectoryError as error:
        raise DataError(f"{options.input} is a folder, not a CSV file.") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{options.input} is not UTF-8 text (byte {error.start}).") from error
    except csv.Error as error:
        raise DataError(f"{options.input} is not CSV: {error}.") from error


def sort_rows(lines: list[tuple[int, list[str]]], options: argparse.Namespace) -> Table:
    """The table of a file's lines: their numbers and their cells."""
    table = Table(header_of(lines[0][1] if lines else [], options))
    numeric = [table.header.index(name) for name in dict.fromkeys([*options.numeric, *options.aggregations])]
    seen: set[tuple[str, ...]] = set()
    for line, row in lines[1:]:
        reason = reason_against(row, table, numeric, options)
        if not reason and options.deduplicate and tuple(row) in seen:
            reason = "duplicate"
        seen.add(tuple(row))
        if reason:
            table.rejected.append((line, reason, row))
        else:
            table.rows.append(row)
    if not table.rows:
        reasons = ", ".join(f"{count} {reason}" for reason, count in table.reasons.items())
        raise DataError(f"{options.input} has no row that can be used; left out: {reasons or 'none'}.")
    return table


def header_of(header: list[str], options: argparse.Namespace) -> list[str]:
    """The names in the first line, checked against the names in the options."""
    if not header:
        raise DataError(f"{options.input} is empty; it needs a header line.")
    repeated = [name for name, count in Counter(header).items() if count > 1 or not name]
    if repeated:
        raise DataError(f"The header of {options.input} has empty or repeated names: {', '.join(map(repr, repeated))}.")
    for name in [*options.numeric, *options.group_by, *options.aggregations]:
        if name not in header:
            near = get_close_matches(name, header, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(header)}."
            raise DataError(f"{options.input} has no column {name!r}; {hint}")
    return header


def reason_against(row: list[str], table: Table, numeric: list[int], options: argparse.Namespace) -> str:
    """Why a row cannot be kept; empty when it can."""
    if len(row) != len(table.header):
        return "wrong number of cells"
    if options.drop_incomplete and "" in row:
        return "incomplete"
    return "not a number" if any(row[index] and number(row[index]) is None for index in numeric) else ""


def number(text: str) -> float | None:
    """The finite number that the text states, if it states one."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def check_share(table: Table, largest: float) -> None:
    """Refuse data of which too much was left out."""
    broken = sum(count for reason, count in table.reasons.items() if reason != "duplicate")
    total = len(table.rows) + len(table.rejected)
    if broken > largest * total:
        reasons = ", ".join(f"{count} {reason}" for reason, count in table.reasons.items())
        raise DataError(f"{broken} of {total} rows cannot be used, more than the share of {largest:g}: {reasons}.")


def write(table: Table, options: argparse.Namespace) -> None:
    """Write the four files."""
    options.output.mkdir(parents=True, exist_ok=True)
    summary = summarised(table, options.group_by, options.aggregations)
    write_csv(options.output / "cleaned.csv", [table.header, *table.rows])
    write_csv(options.output / "summary.csv", summary)
    rejected = [[str(line), reason, options.delimiter.join(row)] for line, reason, row in table.rejected]
    write_csv(options.output / "rejected.csv", [["line", "reason", "row"], *rejected])
    stats = {
        "rows_read": len(table.rows) + len(table.rejected),
        "rows_kept": len(table.rows),
        "rows_rejected": len(table.rejected),
        "groups": len(summary) - 1,
        "rejected": table.reasons,
        "columns": [{"name": name, **described(table.column(name), len(table.rows))} for name in table.header],
    }
    text = json.dumps(stats, indent=2, ensure_ascii=False)
    (options.output / "stats.json").write_text(text + "\n", encoding="utf-8")


def write_csv(path: Path, rows: list[list[str]]) -> None:
    """Write rows as CSV."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows(rows)


def summarised(table: Table, group_by: list[str], aggregations: dict[str, list[str]]) -> list[list[str]]:
    """The summary's header and one row per group, in the order of the groups' names."""
    keys = [table.header.index(name) for name in group_by]
    groups: dict[tuple[str, ...], list[list[str]]] = {}
    for row in table.rows:
        groups.setdefault(tuple(row[index] for index in keys), []).append(row)
    chosen = [(name, function) for name, functions in aggregations.items() for function in functions]
    lines = [[*group_by, "rows", *(f"{name}_{function}" for name, function in chosen)]]
    for key, rows in sorted(groups.items()):
        part = Table(table.header, rows)
        values = [aggregated(function, [float(cell) for cell in part.column(name)]) for name, function in chosen]
        lines.append([*key, str(len(rows)), *values])
    return lines


def aggregated(function: str, values: list[float]) -> str:
    """One cell of the summary; empty where there is nothing to aggregate."""
    if function == "count":
        return str(len(values))
    if not values or (function == "stdev" and len(values) == 1):
        return ""
    functions: dict[str, Callable[[list[float]], float]] = {
        "sum": math.fsum,
        "mean": statistics.fmean,
        "median": statistics.median,
        "min": min,
        "max": max,
        "stdev": statistics.stdev,
    }
    value = round(functions[function](values), DIGITS)
    return str(int(value)) if value.is_integer() else str(value)


def described(cells: list[str], rows: int) -> dict[str, object]:
    """What stats.json says of a column."""
    numbers = [value for cell in cells if (value := number(cell)) is not None]
    common: dict[str, object] = {"cells": len(cells), "empty": rows - len(cells)}
    if not numbers or len(numbers) < len(cells):
        most = Counter(cells).most_common(MOST_COMMON)
        return {"type": "text", **common, "distinct": len(set(cells)), "most_common": dict(most)}
    return {
        "type": "number",
        **common,
        "minimum": min(numbers),
        "maximum": max(numbers),
        "mean": round(statistics.fmean(numbers), DIGITS),
        "median": round(statistics.median(numbers), DIGITS),
        "standard_deviation": round(statistics.stdev(numbers), DIGITS) if len(numbers) > 1 else 0.0,
    }


if __name__ == "__main__":
    sys.exit(main())

"""CSV files (RFC 4180): how many rows, and what is in their columns."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterator
from pathlib import Path

from task_manager.errors import OutputInvalid
from task_manager.results.parsers.files import Parsed, invalid, open_report, storable_text
from task_manager.results.table_statistics import ColumnStatistics, ColumnType, TableStatistics

_EXPECTED = "a CSV table with a header"
_MAXIMUM_BYTES = 1024 * 1024 * 1024
_MAXIMUM_COLUMNS = 1000
_MAXIMUM_PROBLEMS = 5
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")


class _Column:
    """Statistics that grow row by row."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._filled = 0
        self._numbers = 0
        self._minimum, self._maximum, self._mean = math.inf, -math.inf, 0.0

    def add(self, cell: str) -> None:
        cell = cell.strip()
        if not cell:
            return
        self._filled += 1
        number = float(cell) if _NUMBER.fullmatch(cell) else math.nan
        if math.isfinite(number):
            self._numbers += 1
            self._minimum, self._maximum = min(self._minimum, number), max(self._maximum, number)
            self._mean += number / self._numbers - self._mean / self._numbers

    def statistics(self) -> ColumnStatistics:
        if not self._filled:
            return ColumnStatistics(name=self._name, type=ColumnType.EMPTY, filled=0)
        if self._numbers < self._filled:
            return ColumnStatistics(name=self._name, type=ColumnType.TEXT, filled=self._filled)
        return ColumnStatistics(
            name=self._name,
            type=ColumnType.NUMBER,
            filled=self._filled,
            minimum=self._minimum,
            maximum=self._maximum,
            mean=self._mean,
        )


def parse_csv(path: Path, name: str) -> Parsed[TableStatistics]:
    """Read a table's statistics.

    Args:
        path: UTF-8 with a header line, commas between cells (tabs in a `.tsv` file); at most 1 GiB, which is read
            row by row.
        name: As messages call it.

    Returns:
        The statistics of all rows with as many cells as the header, and the first rows that have not.

    Raises:
        OutputInvalid: It is no such table.
    """
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    with open_report(path, name, expected=_EXPECTED, limit=_MAXIMUM_BYTES) as file:
        text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
        rows = _rows(csv.reader(text, delimiter=delimiter, strict=True), name)
        header = next(rows, None)
        if header is None:
            raise invalid(name, expected=_EXPECTED, found="an empty file")
        return _statistics(header[1], rows, name)


def _rows(reader: Iterator[list[str]], name: str) -> Iterator[tuple[int, list[str]]]:
    """Rows with their numbers, the header being 1; lines without any cell are passed over."""
    number = 0
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except (csv.Error, UnicodeDecodeError) as error:
            reason = "bytes that are not UTF-8" if isinstance(error, UnicodeDecodeError) else f"{error}"
            raise invalid(name, expected=_EXPECTED, found=f"after row {number}: {reason}") from error
        if row:
            number += 1
            yield number, row


def _statistics(header: list[str], rows: Iterator[tuple[int, list[str]]], name: str) -> Parsed[TableStatistics]:
    if len(header) > _MAXIMUM_COLUMNS:
        raise invalid(name, expected=_EXPECTED, found=f"{len(header)} columns, more than {_MAXIMUM_COLUMNS}")
    columns = [_Column(storable_text(title.strip())) for title in header]
    problems: list[OutputInvalid] = []
    count = 0
    for number, row in rows:
        if len(row) != len(columns):
            found = f"{len(row)} in row {number}"
            problems.append(invalid(name, expected=f"{len(columns)} cells", found=found))
            del problems[_MAXIMUM_PROBLEMS:]
            continue
        count += 1
        for column, cell in zip(columns, row, strict=True):
            column.add(cell)
    table = TableStatistics(artifact=name, rows=count, columns=tuple(column.statistics() for column in columns))
    return Parsed(table, tuple(problems))

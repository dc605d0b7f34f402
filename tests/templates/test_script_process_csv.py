"""data-processing: what is kept, what is left out and why, and what the summary says."""

import csv
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.templates.scripts import as_json, fixture, last_line, run_script

CLEANING = ("--drop-incomplete", "--deduplicate")


def process(folder: Path, *arguments: str, name: str = "orders.csv") -> subprocess.CompletedProcess[str]:
    options = (f"--input={name}", f"--output={folder.parent / 'output'}", *arguments)
    return run_script("data-processing/scripts/process_csv.py", *options, cwd=folder)


def table(folder: Path, name: str) -> list[list[str]]:
    with (folder.parent / "output" / name).open(newline="") as stream:
        return list(csv.reader(stream))


def stats(folder: Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((folder.parent / "output" / "stats.json").read_text())
    return data


@pytest.fixture
def orders(tmp_path: Path) -> Path:
    """A folder with orders.csv, which has flaws of every kind."""
    return fixture("data-processing/tests/orders", tmp_path)


def test_rows_are_cleaned_and_every_rejected_row_is_listed_with_its_reason(orders: Path) -> None:
    done = process(orders, *CLEANING, as_json("numeric", ["price"]))
    assert (done.returncode, last_line(done.stdout)) == (0, "4 of 8 rows kept, 4 left out")
    assert [row[0] for row in table(orders, "cleaned.csv")] == ["order", "1", "2", "3", "7"]
    assert table(orders, "rejected.csv")[1:] == [
        ["5", "duplicate", "3,Lyon,19.50,1"],
        ["6", "incomplete", "4,Oslo,,3"],
        ["7", "not a number", "5,Oslo,cheap,3"],
        ["8", "wrong number of cells", "6,Lyon"],
    ]
    assert stats(orders)["rejected"] == {
        "duplicate": 1,
        "incomplete": 1,
        "not a number": 1,
        "wrong number of cells": 1,
    }


def test_groups_are_aggregated(orders: Path) -> None:
    aggregations = {"price": ["count", "sum", "mean", "median", "min", "max", "stdev"], "quantity": ["sum"]}
    process(orders, *CLEANING, as_json("group-by", ["city"]), as_json("aggregations", aggregations))
    assert table(orders, "summary.csv") == [
        ["city", "rows", *(f"price_{name}" for name in aggregations["price"]), "quantity_sum"],
        ["Lyon", "2", "2", "30", "15", "15", "10.5", "19.5", "6.363961", "3"],
        ["Oslo", "2", "2", "10", "5", "5", "4", "6", "1.414214", "5"],
    ]


def test_without_groups_the_summary_has_one_row(orders: Path) -> None:
    process(orders, *CLEANING, as_json("aggregations", {"price": ["sum"]}))
    assert table(orders, "summary.csv") == [["rows", "price_sum"], ["4", "40"]]


def test_without_cleaning_only_rows_that_are_no_rows_are_left_out(orders: Path) -> None:
    done = process(orders, as_json("aggregations", {"quantity": ["sum"]}))
    assert last_line(done.stdout) == "7 of 8 rows kept, 1 left out"
    assert table(orders, "summary.csv")[1] == ["7", "15"]


def test_columns_are_described(orders: Path) -> None:
    process(orders, *CLEANING, as_json("numeric", ["price"]))
    columns = {column["name"]: column for column in stats(orders)["columns"]}
    assert columns["city"] == {
        "name": "city",
        "type": "text",
        "cells": 4,
        "empty": 0,
        "distinct": 2,
        "most_common": {"Lyon": 2, "Oslo": 2},
    }
    assert (columns["price"]["minimum"], columns["price"]["maximum"], columns["price"]["mean"]) == (4, 19.5, 10)


def test_large_numbers_keep_their_digits(orders: Path) -> None:
    (orders / "large.csv").write_text("n\n123456789.25\n987654321\n")
    process(orders, as_json("aggregations", {"n": ["sum", "max"]}), name="large.csv")
    assert table(orders, "summary.csv")[1] == ["2", "1111111110.25", "987654321"]


def test_another_delimiter_and_a_byte_order_mark_are_read(orders: Path) -> None:
    (orders / "other.csv").write_bytes(b'\xef\xbb\xbfname;n\n"a;b";1\n')
    process(orders, "--delimiter=;", as_json("numeric", ["n"]), name="other.csv")
    assert table(orders, "cleaned.csv") == [["name", "n"], ["a;b", "1"]]


@pytest.mark.parametrize(
    ("content", "arguments", "message"),
    [
        (None, (), "There is no file bad.csv in the source folder."),
        (b"", (), "bad.csv is empty; it needs a header line."),
        (b"a,b\n", (), "bad.csv has no row that can be used; left out: none."),
        (b"a,b\n1\n", (), "bad.csv has no row that can be used; left out: 1 wrong number of cells."),
        (b"a,,a\n1,2,3\n", (), "The header of bad.csv has empty or repeated names: 'a', ''."),
        (
            b"price,city\n1,x\n",
            (as_json("group-by", ["town"]),),
            "bad.csv has no column 'town'; there are price, city.",
        ),
        (
            b"price,city\n1,x\n",
            (as_json("numeric", ["prise"]),),
            "bad.csv has no column 'prise'; did you mean 'price'?",
        ),
        (b"a\n\xff\n", (), "bad.csv is not UTF-8 text (byte 2)."),
        (b"a\n" + b"x" * 200_000 + b"\n", (), "bad.csv is not CSV: field larger than field limit (131072)."),
        (
            b"a\nx\n1\n2\n",
            (as_json("numeric", ["a"]), "--largest-rejected-share=0.3"),
            "1 of 3 rows cannot be used, more than the share of 0.3: 1 not a number.",
        ),
    ],
)
def test_data_that_cannot_be_used_is_refused_in_one_sentence(
    tmp_path: Path, content: bytes | None, arguments: tuple[str, ...], message: str
) -> None:
    (tmp_path / "source").mkdir()
    if content is not None:
        (tmp_path / "source" / "bad.csv").write_bytes(content)
    done = process(tmp_path / "source", *arguments, name="bad.csv")
    assert (done.returncode, done.stderr) == (1, f"{message}\n")
    assert not (tmp_path / "output").exists()


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\x00\r"), max_size=4)


@settings(max_examples=10, deadline=None)
@given(st.lists(st.lists(CELLS, max_size=3), max_size=8))
def test_every_row_is_either_kept_or_listed(tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]]) -> None:
    folder = tmp_path_factory.mktemp("any") / "source"
    folder.mkdir()
    with (folder / "any.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([["a", "b"], ["1", "2"], *rows])
    done = process(folder, *CLEANING, name="any.csv")
    assert done.returncode == 0, done.stderr
    read = stats(folder)
    assert read["rows_kept"] + read["rows_rejected"] == read["rows_read"] == 1 + sum(bool(row) for row in rows)
    assert len(table(folder, "cleaned.csv")) - 1 == read["rows_kept"]

"""Diagrams that are drawn from the code: the layers that import-linter holds, and the tables of the store."""

from __future__ import annotations

import importlib
import tomllib
from collections.abc import Iterator
from typing import Final

from sqlalchemy import Table

from task_manager.store.tables import metadata
from tests.documentation.generated.markdown import WRITTEN, summary, table
from tests.documentation.generated.markdown import page as page_of
from tests.documentation.pages import ROOT

_CONTRACT: Final = "Imports point downwards"


def layers() -> str:
    """The page of the layers, in Markdown."""
    rows = _layers()
    return page_of(
        "Layers",
        WRITTEN,
        "Modules import from the rows below their own alone; modules of one row do not import each other. `make check` "
        "holds this with import-linter, from the table in `pyproject.toml` that this page is drawn from.",
        lines=[
            *_fence(_flow(rows)),
            *table(("Layer", "Module", "What it is"), _modules(rows)),
        ],
    )


def _layers() -> list[list[str]]:
    document = tomllib.loads((ROOT / "pyproject.toml").read_text())
    (contract,) = (one for one in document["tool"]["importlinter"]["contracts"] if one["name"] == _CONTRACT)
    return [[name.strip() for name in layer.split("|")] for layer in contract["layers"]]


def _flow(rows: list[list[str]]) -> Iterator[str]:
    yield "flowchart TD"
    for number, row in enumerate(rows):
        yield f'    l{number}["{"<br/>".join(row)}"]'
    yield "    " + " --> ".join(f"l{number}" for number in range(len(rows)))


def _modules(rows: list[list[str]]) -> Iterator[tuple[str, str, str]]:
    for number, row in enumerate(rows, start=1):
        for name in row:
            if name != "__main__":
                yield str(number), f"`{name}`", summary(importlib.import_module(f"task_manager.{name}"))


def tables() -> str:
    """The page of the tables, in Markdown."""
    return page_of(
        "Tables",
        WRITTEN,
        "What the store keeps, in SQLite or PostgreSQL. DBOS has tables of its own beside these, for the durable "
        "execution; files (logs, artifacts, snapshots, engine layers) lie in the data folder.",
        lines=[
            *_fence(_relations()),
            *(line for one in metadata.sorted_tables for line in _columns(one)),
        ],
    )


def _relations() -> Iterator[str]:
    yield "erDiagram"
    for one in metadata.sorted_tables:
        for column in one.columns:
            for key in column.foreign_keys:
                bar = "|o" if column.nullable else "||"
                yield f"    {key.column.table.name} {bar}--o{{ {one.name} : {column.name}"


def _columns(one: Table) -> Iterator[str]:
    yield f"## {one.name}"
    yield ""
    rows = [
        (f"`{column.name}`", str(column.type), "key" if column.primary_key else "" if column.nullable else "not null")
        for column in one.columns
    ]
    yield from table(("Column", "Type", ""), rows)


def _fence(lines: Iterator[str]) -> Iterator[str]:
    yield "```mermaid"
    yield from lines
    yield "```"
    yield ""

"""Pieces of Markdown, and what docstrings say."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterable, Sequence
from enum import Enum

WRITTEN = "This page is written from the code: `make reference`."


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A table, or nothing where it has no rows."""
    lines = [f"| {' | '.join(map(_cell, row))} |" for row in rows]
    return [f"| {' | '.join(titles)} |", "|" + "---|" * len(titles), *lines, ""] if lines else []


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def summary(thing: object) -> str:
    """The first paragraph of a docstring, on one line."""
    return " ".join((inspect.getdoc(thing) or "").split("\n\n")[0].split()).replace("``", "`")


def page(title: str, *paragraphs: str, lines: Iterable[str]) -> str:
    """A page with a title, something to begin with, and the rest."""
    return "\n".join([f"# {title}", "", *(part for one in paragraphs for part in (one, "")), *lines]).rstrip() + "\n"


def members(enumeration: type[Enum]) -> list[tuple[str, str]]:
    """The values of an enumeration, each with the text that stands below it."""
    (declared,) = ast.parse(textwrap.dedent(inspect.getsource(enumeration))).body
    assert isinstance(declared, ast.ClassDef)
    texts = {}
    for here, after in zip(declared.body, declared.body[1:], strict=False):
        if isinstance(here, ast.Assign) and isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            (name,) = here.targets
            assert isinstance(name, ast.Name)
            texts[name.id] = str(after.value.value)
    return [(str(member.value), texts.get(member.name, "")) for member in enumeration]

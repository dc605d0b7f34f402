"""The blocks of a page: what its fences hold, what they are, and whether the text says that they are not run."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT: Final = Path(__file__).parents[2]
MARK: Final = "*not run here*"
"""What the text before a block says when the suite cannot run it."""

TEXTKIT: Final = "examples/textkit/README.md"
"""The page of a library, whose code is run by that library's own test."""

_PLACES: Final = ("*.md", ":!src/", ":!tests/")
_HIDDEN: Final = re.compile(r"^<!--\n(.*)^-->", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fence of a page.

    Attributes:
        language: The first word after the fence.
        options: What follows it, such as `title=` or `exit=`.
        text: What is between the fences.
        line: The line of the page that the text begins at, counted from 0.
        is_marked: Whether the text before it says that it is not run.
        is_hidden: Whether it stands in a comment: a preparation that readers need not see.
    """

    language: str
    options: dict[str, str]
    text: str
    line: int
    is_marked: bool = False
    is_hidden: bool = False


def pages() -> list[str]:
    """All pages of the project, relative to the root."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *_PLACES],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [name for name in listed.stdout.split() if name != TEXTKIT and (ROOT / name).exists()]


def blocks_of(text: str) -> list[Block]:
    """The blocks of a page in their order, those in comments too."""
    return list(_blocks(text, first_line=0, hidden=False))


def _blocks(text: str, first_line: int, *, hidden: bool) -> Iterator[Block]:
    before = ""
    for token in MarkdownIt().enable("table").parse(text):
        line = first_line + (token.map[0] if token.map else 0)
        if token.type == "fence":
            yield _fence(token, line + 1, is_marked=MARK in before, hidden=hidden)
        elif token.type == "code_block":
            yield Block("indented", {}, token.content, line)
        elif token.type == "html_block" and (comment := _HIDDEN.match(token.content)):
            yield from _blocks(comment[1], line + 1, hidden=True)
        if token.type in {"inline", "fence"}:
            before = token.content if token.type == "inline" else ""


def _fence(token: Token, line: int, *, is_marked: bool, hidden: bool) -> Block:
    language, *words = token.info.split() or [""]
    options = dict(word.partition("=")[::2] for word in words)
    return Block(language, options, token.content, line, is_marked, hidden)

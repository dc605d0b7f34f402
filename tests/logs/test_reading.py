"""Parts of a log are what the whole log has, also while it is written."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from task_manager.errors import InvalidInput
from task_manager.logs import LinePattern, LogFile, Scrubber, read_part
from task_manager.logs.files import index_of
from task_manager.logs.searching import required_literal

LINES = [
    f"{number}: step {number % 7} {'failed' if number % 1000 == 0 else 'went well'}" for number in range(1, 40_001)
]


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of more than a megabyte, written in uneven pieces."""
    path = tmp_path_factory.mktemp("logs") / "stdout.log"
    file, text = LogFile(path), "\n".join(LINES).encode() + b"\n"
    for start in range(0, len(text), 70_001):
        file.write(text[start : start + 70_001])
    file.end()
    return path


def test_the_end_of_a_log(log: Path) -> None:
    part = read_part(log, tail=3)
    assert part.lines == tuple(enumerate(LINES, 1))[-3:]
    assert part.total_lines == len(LINES)


@pytest.mark.parametrize("start", [1, 2, 17_000, 39_999, 40_000])
def test_a_range_of_lines(log: Path, start: int) -> None:
    part = read_part(log, start=start, end=start + 5)
    assert part.lines == tuple(enumerate(LINES, 1))[start - 1 : start + 5]
    assert part.next_line is None


def test_parts_within_a_budget_are_together_the_whole(log: Path) -> None:
    found: list[str] = []
    following: int | None = 1
    while following is not None:
        part = read_part(log, start=following, max_bytes=300_000)
        assert sum(len(line) + 1 for _, line in part.lines) <= 300_000
        found += [line for _, line in part.lines]
        following = part.next_line
    assert found == LINES


@pytest.mark.parametrize(
    "pattern", ["failed", r"step \d+ failed", r"^1\d: ", "(?i)FAILED$", "well$|failed", r"0: step"]
)
def test_a_pattern_finds_what_the_standard_library_finds(log: Path, pattern: str) -> None:
    wanted = tuple((number, line) for number, line in enumerate(LINES, 1) if re.search(pattern, line))
    part = read_part(log, pattern=LinePattern(pattern))
    assert part.lines == wanted
    assert read_part(log, pattern=LinePattern(pattern), tail=2).lines == wanted[-2:]
    assert read_part(log, pattern=LinePattern(pattern), start=wanted[1][0]).lines == wanted[1:]


def test_the_index_is_an_index_and_not_needed(log: Path, tmp_path: Path) -> None:
    assert index_of(log).stat().st_size > 0
    bare = tmp_path / "bare.log"
    bare.write_bytes(log.read_bytes())
    assert read_part(bare, start=30_000, end=30_003) == read_part(log, start=30_000, end=30_003)
    index_of(bare).write_bytes(b"\xff" * 33)
    assert read_part(bare, tail=2) == read_part(log, tail=2)


def test_a_log_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert read_part(tmp_path / "none.log", tail=5).total_lines == 0


def test_a_line_longer_than_the_budget_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "stdout.log"
    path.write_bytes("ä".encode() * 100 + b"\nnext\n")
    part = read_part(path, max_bytes=11)
    assert (part.lines, part.next_line) == (((1, "äääää"),), 2)
    assert read_part(path, start=2, max_bytes=11).lines == ((2, "next"),)


def test_a_log_is_cut_at_its_limit_and_free_of_secrets(tmp_path: Path) -> None:
    path = tmp_path / "stdout.log"
    file = LogFile(path, Scrubber(["hunter2"]), limit=20)
    for piece in (b"it is hun", b"ter2!\n", b"x" * 100):
        file.write(piece)
    file.end()
    assert path.read_bytes() == b"it is ***!\nxxxxxxxxx"


@pytest.mark.parametrize("pattern", ["(", "a)(b", "a(?=b)", r"(a)\1", "x" * 2000])
def test_a_pattern_that_cannot_be_used_is_refused_with_nothing_but_what_was_given(pattern: str) -> None:
    with pytest.raises(InvalidInput, match="pattern") as caught:
        LinePattern(pattern)
    assert "(?m" not in str(caught.value)


@pytest.mark.parametrize(
    ("pattern", "literal"),
    [(r"\d+ failed", " failed"), ("ab?cd", "cd"), ("a|b", ""), ("x{3}yz", "yz"), (r"a\.b+", "a.b"), ("(ab)?", "")],
)
def test_what_every_match_has_is_found(pattern: str, literal: str) -> None:
    assert required_literal(pattern) == literal


@settings(max_examples=200, deadline=None)
@given(
    st.from_regex(r"\A([ab.]|\\\.|a\?|b\*|a\+|b\{2\}|\^|\$){1,6}\Z"), st.lists(st.text("ab.", max_size=6), max_size=20)
)
def test_any_pattern_finds_the_lines_that_it_fits(pattern: str, lines: list[str]) -> None:
    pattern = pattern.removesuffix("\n")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "stdout.log"
        path.write_text("".join(f"{line}\n" for line in lines))
        wanted = tuple((number, line) for number, line in enumerate(lines, 1) if re.search(pattern, line))
        assert read_part(path, pattern=LinePattern(pattern)).lines == wanted


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text("ab\n", max_size=10), max_size=20), st.integers(1, 10), st.integers(1, 40))
def test_the_end_within_a_budget_is_the_end(pieces: list[str], tail: int, budget: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "stdout.log"
        file = LogFile(path)
        for piece in pieces:
            file.write(piece.encode())
        file.end()
        text = "".join(pieces)
        lines = text.removesuffix("\n").split("\n") if text else []
        part = read_part(path, tail=tail, max_bytes=budget)
        assert part.total_lines == len(lines)
        if all(len(line) < budget for line in lines):
            kept = [line for _, line in part.lines]
            assert kept == lines[len(lines) - len(kept) :]
            assert len(kept) <= tail

"""Include and exclude patterns choose paths as Dockerfiles and .dockerignore do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from task_manager.embedded_engine.patterns import Filter, PatternError, Patterns, compiled

NAMES = st.text("abc.", min_size=1, max_size=3).filter(lambda name: name not in (".", ".."))
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("*.txt", "a.txt", True),
        ("*.txt", "sub/a.txt", False),
        ("**/*.txt", "a.txt", True),
        ("**/*.txt", "x/y/a.txt", True),
        ("sub", "sub/a.txt", True),
        ("sub/", "sub/a.txt", True),
        ("/sub", "sub", True),
        ("su?", "sub", True),
        ("su?", "su/", False),
        ("[a-c]x", "bx", True),
        ("[!a-c]x", "bx", False),
        ("a**b", "axxb", True),
        ("sub/**", "sub/x/y", True),
        ("a\\*b", "a*b", True),
        ("a\\*b", "axb", False),
        ("a.b", "axb", False),
    ],
)
def test_a_pattern_matches_as_in_a_dockerfile(pattern: str, path: str, expected: bool) -> None:
    assert Patterns((pattern,)).match(path) is expected


def test_an_exception_takes_back_what_was_matched() -> None:
    patterns = Patterns(("*.log", "!keep.log"))
    assert [patterns.match(name) for name in ("a.log", "keep.log", "a.txt")] == [True, False, False]


def test_a_folder_that_an_exclude_covers_is_not_looked_into_unless_exceptions_may_lie_inside() -> None:
    assert not Filter(exclude=("sub",)).looks_into("sub")
    assert Filter(exclude=("sub", "!sub/keep")).looks_into("sub")


def test_a_folder_is_looked_into_only_where_an_include_can_match_below() -> None:
    chosen = Filter(include=("src/*.py", "docs/**"))
    assert chosen.looks_into("src")
    assert chosen.looks_into("docs/deep")
    assert not chosen.looks_into("tests")
    assert not chosen.looks_into("src/deep")


@given(PATHS)
def test_a_path_without_wildcards_is_a_pattern_for_itself_and_all_below(path: str) -> None:
    assert Patterns((path,)).match(path)
    assert Patterns((path,)).match(f"{path}/below")


@given(PATHS, PATHS)
def test_whatever_an_include_takes_lies_in_folders_that_are_looked_into(pattern: str, path: str) -> None:
    chosen = Filter(include=(pattern, f"**/{pattern}", "*.c"))
    if chosen.takes(path):
        parts = path.split("/")
        assert all(chosen.looks_into("/".join(parts[:length])) for length in range(1, len(parts)))


def test_an_unreadable_pattern_is_an_error() -> None:
    with pytest.raises(PatternError):
        compiled("[z-a]")

"""Why a command failed: the lines that tell, of real outputs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from task_manager.results.relevant_lines import first_relevant_lines
from tests.results import GOLDEN

TRACEBACK = """\
loading
Traceback (most recent call last):
  File "/task/train.py", line 20, in read
    return table[name]
           ~~~~~^^^^^^
KeyError: 'price'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/task/train.py", line 40, in <module>
    main()
  File "/task/train.py", line 31, in main
    raise DataError("no column 'price'") from None
train.DataError: no column 'price'
"""


def test_of_pytests_output_the_failed_tests_and_their_reasons_are_picked() -> None:
    lines = first_relevant_lines((GOLDEN / "pytest-output.txt").read_text(), "", 5)
    assert lines == (
        "FAILED tests/test_words.py::test_counts_characters[a  b] - AssertionError: as...",
        "FAILED tests/test_words.py::test_raises - AttributeError: 'NoneType' object h...",
        "ERROR tests/test_words.py::test_with_broken_fixture - RuntimeError: no data",
        "E       RuntimeError: no data",
        "E       AssertionError: assert 2 == 4",
    )


def test_of_tracebacks_the_last_error_comes_first_with_its_place() -> None:
    assert first_relevant_lines("", TRACEBACK) == (
        "train.DataError: no column 'price'",
        'File "/task/train.py", line 31, in main',
        "KeyError: 'price'",
        'File "/task/train.py", line 20, in read',
    )


@pytest.mark.parametrize(
    ("output", "line"),
    [
        (
            "cc -c a.c\na.c: In function 'f':\na.c:3:5: error: expected ';'\n1 error generated.",
            "a.c:3:5: error: expected ';'",
        ),
        ("error[E0382]: borrow of moved value: `x`\n --> a.rs:2", "error[E0382]: borrow of moved value: `x`"),
        ("fatal: not a git repository", "fatal: not a git repository"),
        ("building\nmake: *** [Makefile:3: all] Error 1\nbye", "make: *** [Makefile:3: all] Error 1"),
        ("sh: 1: frobnicate: command not found\ndone", "sh: 1: frobnicate: command not found"),
        ('exec: "x": executable file not found in $PATH', 'exec: "x": executable file not found in $PATH'),
        ("npm ERR! missing script: test\nsee the log", "npm ERR! missing script: test"),
        ("cat: a.txt: No such file or directory\nlast", "cat: a.txt: No such file or directory"),
    ],
)
def test_lines_that_speak_of_errors_are_picked(output: str, line: str) -> None:
    assert first_relevant_lines("", output)[0] == line
    assert first_relevant_lines(output, "")[0] == line


def test_lines_that_only_count_errors_are_not_picked_as_such() -> None:
    assert first_relevant_lines("0 errors, 3 warnings\nall good\n", "") == ("0 errors, 3 warnings", "all good")


def test_where_nothing_speaks_of_errors_the_last_lines_are_taken_standard_error_first() -> None:
    assert first_relevant_lines("1\n2\n3\n4\n", "a\n\n") == ("a", "2", "3", "4")
    assert first_relevant_lines("", "") == ()


def test_colours_and_progress_bars_are_taken_out() -> None:
    assert first_relevant_lines("", "\x1b[1;31merror:\x1b[0m broken\x07") == ("error: broken",)


@given(st.text(), st.text(), st.integers(1, 6))
def test_whatever_was_written_the_lines_are_few_short_and_plain(stdout: str, stderr: str, limit: int) -> None:
    lines = first_relevant_lines(stdout, stderr, limit)
    assert len(lines) <= limit
    for line in lines:
        assert line == line.strip()
        assert 0 < len(line) <= 300
        assert "\x1b" not in line
        assert "\n" not in line
    assert bool(lines) or not any(character.isalnum() for character in stdout + stderr)

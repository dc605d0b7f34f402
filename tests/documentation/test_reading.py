"""A page that says something else than what happens is told of."""

import pytest

from tests.documentation.output import same_ids, shows
from tests.documentation.pages import blocks_of
from tests.documentation.reading import check_command, check_syntax
from tests.documentation.shell import Command, commands_of

RUN, OTHER = "run-1m81et906-9phmp87j77w", "run-2m81et906-9phmp87j77w"


def test_ids_times_and_widths_may_differ_and_words_may_not() -> None:
    assert shows(f"✓ done in 6.4 s  {RUN}\n────", f"✓ done in 12.1 s   {OTHER}\n──────\n")
    assert not shows(f"✓ done in 6.4 s  {RUN}", f"✗ done in 6.4 s  {RUN}")


def test_what_is_left_out_may_be_anything_within_a_line_or_whole_lines() -> None:
    assert shows("a … b", "a x y b")
    assert not shows("a … b", "a x\ny b")
    assert shows("first\n…\nlast", "first\nx\ny\nlast")
    assert not shows("first\n…\nlast", "first\nx")


def test_lines_of_progress_are_not_compared() -> None:
    assert shows("  0.1 s  Test: running\n  2.0 s  Test: done\n\ndone", "  0.1 s  Test: queued\n\ndone")
    assert shows("done", "  0.1 s  Test: queued\n\ndone")


def test_an_id_of_the_page_stands_for_the_one_of_this_run() -> None:
    assert same_ids(f"made {RUN}", f"made {OTHER}") == {RUN: OTHER}


def test_commands_go_on_over_lines_and_are_told_from_output() -> None:
    assert commands_of("$ one \\\n>   two\n$ three\nprinted\n> printed\n") == [
        Command("one \\\n  two", ""),
        Command("three", "printed\n> printed"),
    ]


def test_a_block_is_marked_by_the_text_before_it_alone() -> None:
    page = "As *not run here*:\n\n```console\n$ a\n```\n\n```console\n$ b\n```\n\n<!--\n```console\n$ c\n```\n-->\n"
    assert [(block.text, block.is_marked, block.is_hidden, block.line) for block in blocks_of(page)] == [
        ("$ a\n", True, False, 3),
        ("$ b\n", False, False, 7),
        ("$ c\n", False, True, 12),
    ]


@pytest.mark.parametrize("language", ["", "sh", "indented", "go"])
def test_a_block_that_nobody_runs_is_refused_unless_it_is_marked(language: str) -> None:
    (block,) = blocks_of(f"```{language}\nx\n```\n")
    with pytest.raises(AssertionError):
        check_syntax(block)


@pytest.mark.parametrize("line", ["task-manager rum list", "task-manager run list --colour", "task-manager nothing"])
def test_a_command_that_is_not_run_must_be_there_nevertheless(line: str) -> None:
    with pytest.raises(AssertionError, match="no"):
        check_command(line)


def test_a_command_with_names_and_options_that_are_there_is_no_problem() -> None:
    check_command('FOO=bar task-manager run list --project "hello" --limit=3  # see --colour')

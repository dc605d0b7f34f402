"""Reading what other tools really wrote: Jest, unittest, go test, ruff, ESLint, flake8."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from task_manager.errors import OutputInvalid
from task_manager.results.lint_reports import LintLevel
from task_manager.results.parsers.go_tests import parse_go_tests
from task_manager.results.parsers.junit import parse_junit
from task_manager.results.parsers.linters import parse_eslint, parse_lint_lines, parse_ruff
from tests.results import GOLDEN

SOURCE = "/task/source"


def test_jests_tests_are_read_with_the_place_where_each_failed() -> None:
    report = parse_junit(GOLDEN / "jest.xml", "a").report
    assert report.headline == "3 passed, 2 failed, 1 skipped in 1.6 s"
    assert [(one.name, one.message, one.place) for one in report.failures] == [
        (
            "sums adds wrongly",
            "Error: expect(received).toBe(expected) // Object.is equality",
            f"{SOURCE}/sums.test.js:4",
        ),
        ("sums division by zero", "RangeError: division by zero: 1/0", f"{SOURCE}/sums.js:4"),
    ]


def test_unittests_subtests_and_broken_fixtures_are_read() -> None:
    report = parse_junit(GOLDEN / "unittest.xml", "a").report
    assert (report.total, report.passed, report.failed, report.errors, report.skipped) == (7, 1, 2, 2, 2)
    assert [(one.name, one.kind, one.message, one.line) for one in report.failures] == [
        ("test_counts_characters", "failure", "1 != 3", 13),
        ("test_several (number=1)", "failure", "1 == 1", 29),
        ("test_raises", "error", "'NoneType' object has no attribute 'split'", 5),
        ("setUpClass (test_words.Broken)", "error", "no data", 35),
    ]


def test_gos_tests_are_read_with_packages_that_do_not_compile_or_panic() -> None:
    parsed = parse_go_tests(GOLDEN / "go-test.jsonl", "a")
    report = parsed.report
    assert parsed.problems == ()
    assert (report.total, report.passed, report.failed, report.errors, report.skipped) == (8, 2, 4, 1, 1)
    assert [(one.name, one.kind, one.message, one.place) for one in report.failures] == [
        ("TestWrong", "failure", "Add(2, 2) = 4, want 5", "sums_test.go:13"),
        ("TestTable", "failure", "", "example.org/sums"),
        ("TestTable/two", "failure", "two is wrong", "sums_test.go:21"),
        (
            "TestPanic",
            "failure",
            "panic: assignment to entry in nil map [recovered, repanicked]",
            f"{SOURCE}/crash/c_test.go:5",
        ),
        ("example.org/sums/broken", "error", "too many return values", "broken/b.go:3"),
    ]


def test_of_events_that_were_cut_those_before_are_kept_and_the_test_under_way_is_an_error(tmp_path: Path) -> None:
    lines = (GOLDEN / "go-test.jsonl").read_text().splitlines()
    end = next(index for index, line in enumerate(lines) if '"run"' in line and '"TestWrong"' in line)
    path = tmp_path / "cut.jsonl"
    path.write_text("\n".join([*lines[: end + 1], lines[end + 1][:30]]))
    parsed = parse_go_tests(path, "a")
    assert [(one.name, one.kind, one.message) for one in parsed.report.failures] == [
        ("TestWrong", "error", "It did not end.")
    ]
    assert parsed.report.passed == 1
    assert [(one.name, one.suite) for one in parsed.report.others] == [("TestAdd", "example.org/sums")]
    (problem,) = parsed.problems
    assert problem.details["file"] == f"a line {end + 2}"


def test_ruffs_own_form_is_read_with_errors_of_syntax() -> None:
    parsed = parse_ruff(GOLDEN / "ruff.json", "a", folder=SOURCE)
    assert parsed.problems == ()
    assert parsed.report.headline == "7 findings (7 errors)"
    assert parsed.report.by_rule == {"F401": 2, "invalid-syntax": 2, "E401": 1, "F821": 1, "F841": 1}
    first, *_ = parsed.report.findings
    assert (first.place, first.rule, first.message) == ("bad.py:1:1", "E401", "Multiple imports on one line")


def test_eslints_own_form_is_read_with_a_file_that_does_not_parse() -> None:
    parsed = parse_eslint(GOLDEN / "eslint.json", "a", folder=SOURCE)
    assert parsed.problems == ()
    assert parsed.report.headline == "9 findings (4 errors, 5 warnings)"
    first, second, *_ = parsed.report.findings
    assert (first.place, first.level, first.message) == (
        "broken.js:2:1",
        LintLevel.ERROR,
        "Parsing error: Unexpected token",
    )
    assert (second.place, second.rule) == ("sums.js:1:7", "no-unused-vars")


def test_flake8s_lines_are_read() -> None:
    parsed = parse_lint_lines(GOLDEN / "flake8.txt", "a")
    assert parsed.problems == ()
    assert parsed.report.headline == "10 findings (5 errors, 5 warnings)"
    assert parsed.report.findings[-1].place == "broken.py:1:13"
    assert parsed.report.findings[-1].message == "SyntaxError: invalid syntax"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("src/a.py:3: error: Name 'x' is not defined  [name-defined]", ("name-defined", "error", "src/a.py:3")),
        ("a.py:3:7: W0611: Unused import os (unused-import)", ("W0611", "warning", "a.py:3:7")),
        ("main.go:5:2: declared and not used: x", ("", "warning", "main.go:5:2")),
        ("./a.c:1:2: warning: unused variable 'x' [-Wunused-variable]", ("-Wunused-variable", "warning", "a.c:1:2")),
        ("C:\\src\\a.py:3:1: E501 line too long", ("E501", "warning", "C:\\src\\a.py:3:1")),
    ],
)
def test_lines_of_the_same_kind_by_other_tools_are_read(
    line: str, expected: tuple[str, str, str], tmp_path: Path
) -> None:
    path = tmp_path / "lines.txt"
    path.write_text(f"{line}\n    continued\nFound 1 error.\n")
    parsed = parse_lint_lines(path, "a")
    (found,) = parsed.report.findings
    assert ((found.rule, found.level.value, found.place), parsed.problems) == (expected, ())


def test_good_code_leaves_an_empty_file_and_no_findings(tmp_path: Path) -> None:
    path = tmp_path / "lines.txt"
    path.write_text("")
    assert parse_lint_lines(path, "a").report.headline == "0 findings"


def test_what_are_no_findings_is_told_and_those_between_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "lines.txt"
    path.write_text("Traceback (most recent call last):\na.py:1:1: F401 'os' imported but unused\n")
    parsed = parse_lint_lines(path, "a")
    assert (parsed.report.total, len(parsed.problems)) == (1, 1)
    path.write_text("flake8: command not found\n")
    with pytest.raises(OutputInvalid, match="a line 1: expected lines such as"):
        parse_lint_lines(path, "a")


def test_entries_that_do_not_fit_are_problems_and_the_others_are_kept(tmp_path: Path) -> None:
    entries = json.loads((GOLDEN / "ruff.json").read_text())
    path = tmp_path / "ruff.json"
    path.write_text(json.dumps([*entries, {"code": 3}]))
    parsed = parse_ruff(path, "a")
    assert (parsed.report.total, len(parsed.problems)) == (7, 1)
    assert parsed.problems[0].message.startswith("a[7]: expected a finding, found ")


MEASURED = """
import resource, sys
from pathlib import Path
from task_manager.errors import OutputInvalid
from task_manager.results.parsers import documents, go_tests, junit, linters, metrics, sarif
parse = {
    "junit": junit.parse_junit, "sarif": sarif.parse_sarif, "ruff": linters.parse_ruff,
    "eslint": linters.parse_eslint, "lines": linters.parse_lint_lines, "go": go_tests.parse_go_tests,
    "metrics": metrics.parse_metrics, "curves": metrics.parse_curves, "json": documents.parse_json,
}[sys.argv[1]]
path = Path(sys.argv[2])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    parse(path, "report")
except OutputInvalid as error:
    print(error.message)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def measured(kind: str, path: Path) -> list[str]:
    """What reading a file says, and how many MiB of memory it took, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, kind, path], capture_output=True, text=True, check=True, timeout=120
    )
    return done.stdout.splitlines()


@pytest.mark.parametrize("kind", ["junit", "sarif", "ruff", "eslint", "lines", "go", "metrics", "curves", "json"])
def test_a_report_of_100_megabytes_is_refused_without_being_read(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "report"
    with path.open("wb") as file:
        file.write(b"[")
        file.truncate(100_000_000)
    message, used = measured(kind, path)
    assert message.startswith("report: expected ")
    assert "found 100 MB, more than the " in message
    assert int(used) < 10


@pytest.mark.parametrize(
    ("kind", "parts", "size"),
    [
        ("junit", ("<testsuites>", "<testcase/>", "</testsuites>"), 31),
        ("ruff", ("[", "{},", "{}]"), 4),
        ("go", ("", '{"Action":"output","Package":"p","Test":"T","Output":"some text"}\n', ""), 2),
    ],
)
def test_a_report_of_very_many_parts_takes_a_bounded_memory(
    kind: str, parts: tuple[str, str, str], size: int, tmp_path: Path
) -> None:
    head, item, tail = parts
    path = tmp_path / "report"
    path.write_text(head + item * (size * 1024 * 1024 // len(item)) + tail)
    *_, used = measured(kind, path)
    assert int(used) < 200

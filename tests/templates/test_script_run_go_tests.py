"""go-tests: the report of `go test`, also when tests fail or do not compile."""

import subprocess
from pathlib import Path

import pytest

from task_manager.results.parsers.junit import parse_junit
from task_manager.results.test_reports import FailureKind, TestReport
from tests.environment import go
from tests.environment.go_image import RUNNER
from tests.templates.scripts import as_json, fixture, last_line, run_script


def run_tests(source: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    given = [f"--report={source.parent / 'output' / 'junit.xml'}", as_json("packages", ["./..."]), *arguments]
    surroundings = {"GOCACHE": str(go.standard_library_cache(RUNNER)), "GOTOOLCHAIN": "local", **environment}
    return run_script("go-tests/scripts/run_go_tests.go", *given, cwd=source, environment=surroundings)


def report(source: Path) -> TestReport:
    return parse_junit(source.parent / "output" / "junit.xml", "junit").report


def test_passing_tests_are_reported_and_end_with_0(tmp_path: Path) -> None:
    source = fixture("go-tests/tests/passing", tmp_path)
    done = run_tests(source, "--short", LEVEL="1")
    assert (done.returncode, last_line(done.stdout)) == (0, "4 passed, 0 failed, 1 skipped"), done.stderr
    assert "--- SKIP: TestSlow" in done.stdout
    assert (report(source).total, report(source).skipped) == (5, 1)


def test_selection_reaches_the_tests(tmp_path: Path) -> None:
    source = fixture("go-tests/tests/passing", tmp_path)
    assert last_line(run_tests(source, "--run=TestTake/few").stdout) == "1 passed, 0 failed"
    assert last_line(run_tests(source, "--skip=TestTake", as_json("extra", ["-count=1"])).stdout) == (
        "1 passed, 0 failed, 1 skipped"
    )


def test_failures_are_named_with_place_and_reason(tmp_path: Path) -> None:
    source = fixture("go-tests/tests/failing", tmp_path)
    done = run_tests(source)
    assert (done.returncode, last_line(done.stdout)) == (1, "1 passed, 3 failed")
    assert [(one.name, one.kind, one.file, one.line, one.message) for one in report(source).failures] == [
        ("package", FailureKind.ERROR, "broken/broken_test.go", 6, "undefined: missing"),
        ("TestAdd/something", FailureKind.FAILURE, "sums/sums_test.go", 14, "Add(1, 2) = -1; want 3"),
        ("TestPanics", FailureKind.FAILURE, "sums/sums_test.go", 21, report(source).failures[2].message),
    ]
    assert "FAILED sums/sums_test.go:14: TestAdd/something - Add(1, 2) = -1; want 3\n" in done.stdout
    assert "assignment to entry in nil map" in report(source).failures[2].message


ENDS = """package ends

import (
\t"os"
\t"testing"
)

func TestEnds(t *testing.T) { os.Exit(3) }
"""
AROUND = """package around

import (
\t"os"
\t"testing"
)

func TestMain(m *testing.M) { m.Run(); println("not so"); os.Exit(4) }
func TestFine(t *testing.T) {}
"""


@pytest.mark.parametrize(
    ("content", "name", "told"),
    [(ENDS, "TestEnds", "It did not end"), (AROUND, "package", "not so")],
    ids=["ends", "around"],
)
def test_a_program_that_ends_early_or_fails_around_its_tests_is_a_failure(
    tmp_path: Path, content: str, name: str, told: str
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "go.mod").write_text("module example.com/m\n")
    (source / "m_test.go").write_text(content)
    assert run_tests(source).returncode == 1
    (failure,) = report(source).failures
    assert failure.name == name
    assert told in failure.message


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"go.mod": "module example.com/m\n", "m.go": "package m\n"}, "No tests were found"),
        ({"m.go": "package m\n"}, "There is no go.mod here: name the module's folder with the parameter folder."),
        ({"go.mod": "modul x\n", "m.go": "package m\n"}, "go.mod:1"),
    ],
)
def test_a_folder_without_tests_or_module_is_a_failure_that_says_so(
    tmp_path: Path, files: dict[str, str], told: str
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for name, content in files.items():
        (source / name).write_text(content)
    done = run_tests(source)
    assert done.returncode == 1
    assert told in done.stderr + done.stdout

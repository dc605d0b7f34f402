"""python-tests: pytest's outcome is the step's, the report is there also when tests fail."""

import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

from tests.templates.scripts import OFFLINE, as_json, fixture, last_line, run_script

SCRIPT = "python-tests/scripts/run_pytest.py"


def run_tests(
    source: Path, *arguments: str, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    report = f"--report={source.parent / 'output' / 'junit.xml'}"
    return run_script(SCRIPT, report, *arguments, cwd=source, environment=environment)


def counts(source: Path) -> dict[str, int]:
    (suite,) = ET.parse(source.parent / "output" / "junit.xml").getroot().iter("testsuite")  # noqa: S314
    return {name: int(suite.attrib[name]) for name in ("tests", "failures", "errors", "skipped")}


def test_passing_tests_are_reported_and_end_with_0(tmp_path: Path) -> None:
    source = fixture("python-tests/tests/passing", tmp_path)
    done = run_tests(source)
    assert (done.returncode, last_line(done.stdout)) == (0, "2 passed, 0 failed, 1 skipped")
    assert counts(source) == {"tests": 3, "failures": 0, "errors": 0, "skipped": 1}


def test_failing_tests_are_reported_and_end_with_pytests_own_code(tmp_path: Path) -> None:
    source = fixture("python-tests/tests/failing", tmp_path)
    done = run_tests(source)
    assert (done.returncode, last_line(done.stdout)) == (1, "1 passed, 2 failed")
    assert counts(source) == {"tests": 3, "failures": 1, "errors": 1, "skipped": 0}


def test_environment_and_selection_reach_the_tests(tmp_path: Path) -> None:
    source = fixture("python-tests/tests/passing", tmp_path)
    done = run_tests(source, "--keywords=environment", environment={"LEVEL": "2"})
    assert (done.returncode, last_line(done.stdout)) == (1, "0 passed, 1 failed")
    done = run_tests(source, as_json("paths", ["test_calculator.py::test_sum"]), as_json("extra", ["-v"]))
    assert (done.returncode, last_line(done.stdout)) == (0, "1 passed, 0 failed")


def test_the_first_failure_can_end_it(tmp_path: Path) -> None:
    source = fixture("python-tests/tests/failing", tmp_path)
    assert last_line(run_tests(source, "--stop-after=1").stdout) == "1 passed, 1 failed"


def test_modules_are_imported_from_the_folders_of_the_source_that_exist(tmp_path: Path) -> None:
    (tmp_path / "source" / "src").mkdir(parents=True)
    (tmp_path / "source" / "tests").mkdir()
    (tmp_path / "source" / "src" / "widget.py").write_text("SIZE = 3\n")
    (tmp_path / "source" / "tests" / "test_widget.py").write_text(
        "import widget\n\ndef test_size():\n    assert widget.SIZE == 3\n"
    )
    source = tmp_path / "source"
    assert run_tests(source, as_json("python-path", ["missing", "src"])).returncode == 0
    assert run_tests(source, as_json("python-path", [])).returncode == 2


def test_a_path_that_is_missing_is_named(tmp_path: Path) -> None:
    source = fixture("python-tests/tests/passing", tmp_path)
    done = run_tests(source, as_json("paths", ["test_calculator.py", "missing.py::test_a"]))
    assert (done.returncode, done.stderr) == (2, "The source folder has no missing.py::test_a.\n")


def test_a_folder_without_tests_says_so(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    done = run_tests(tmp_path / "source")
    assert (done.returncode, last_line(done.stdout)) == (5, "No tests were found")


def test_an_argument_that_pytest_refuses_ends_with_its_message(tmp_path: Path) -> None:
    source = fixture("python-tests/tests/passing", tmp_path)
    done = run_tests(source, as_json("extra", ["--no-such-option"]))
    assert done.returncode == 4
    assert "--no-such-option" in done.stderr
    assert "wrote no report" in last_line(done.stderr)


# --- installing the project ---


def install_project(source: Path) -> subprocess.CompletedProcess[str]:
    arguments = (f"--source={source}", f"--target={source.parent / 'project'}")
    return run_script("python-tests/scripts/install_project.py", *arguments, cwd=source, environment=OFFLINE)


def test_an_installed_project_can_be_tested_without_being_on_the_path(tmp_path: Path) -> None:
    source = fixture("build-package/tests/greeter", tmp_path)
    (source / "test_greeter.py").write_text(
        "import greeter\n\ndef test_greet():\n    assert 'project' in greeter.__file__\n"
    )
    done = install_project(source)
    assert (done.returncode, done.stdout) == (0, "Installed the project\n"), done.stderr
    libraries = as_json("libraries", [str(tmp_path / "project"), str(tmp_path / "none")])
    assert run_tests(source, libraries, as_json("python-path", ["."])).returncode == 0


def test_a_folder_without_a_project_cannot_be_installed(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    done = install_project(tmp_path / "source")
    assert (done.returncode, done.stderr) == (
        1,
        "The source folder holds no pyproject.toml or setup.py, so it cannot be installed.\n",
    )


def test_a_project_that_cannot_be_built_says_what_pip_said_of_both_attempts(tmp_path: Path) -> None:
    source = fixture("build-package/tests/greeter", tmp_path)
    (source / "pyproject.toml").write_text('[build-system]\nrequires = ["nowhere"]\nbuild-backend = "nowhere"\n')
    done = install_project(source)
    assert done.returncode == 1
    assert "With the image's own build backend" in done.stderr
    assert "With a fetched build backend" in done.stderr

"""node-tests: what it runs, what it installs, and how it ends."""

import json
import subprocess
from pathlib import Path

import pytest

from task_manager.results.parsers.junit import parse_junit
from tests.templates.scripts import as_json, fixture, last_line, run_script

OFFLINE = {"npm_config_offline": "true"}


def run_tests(
    source: Path, *arguments: str, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    report = f"--report={source.parent / 'output' / 'junit.xml'}"
    surroundings = {"npm_config_cache": str(source.parent / "npm-cache"), **OFFLINE, **(environment or {})}
    return run_script("node-tests/scripts/run_node_tests.mjs", report, *arguments, cwd=source, environment=surroundings)


def made(folder: Path, files: dict[str, object]) -> Path:
    source = folder / "source"
    for name, content in files.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(content if isinstance(content, str) else json.dumps(content))
    return source


def test_locked_dependencies_are_installed_and_tests_reported(tmp_path: Path) -> None:
    source = fixture("node-tests/tests/passing", tmp_path)
    done = run_tests(source)
    assert (done.returncode, last_line(done.stdout)) == (0, "2 passed, 0 failed, 2 skipped"), done.stderr
    assert (source / "node_modules/prices").is_symlink()
    report = parse_junit(tmp_path / "output/junit.xml", "junit").report
    assert (report.total, report.skipped) == (4, 2)


def test_selection_and_environment_reach_the_tests(tmp_path: Path) -> None:
    source = fixture("node-tests/tests/passing", tmp_path)
    level = run_tests(source, "--runner=node", "--name-pattern=level", environment={"LEVEL": "1"})
    assert last_line(level.stdout) == "1 passed, 0 failed"
    (source / "other.test.js").write_text("throw new Error();")
    one = run_tests(source, "--runner=node", "--install=false", as_json("paths", ["shop.test.js"]))
    assert last_line(one.stdout) == "2 passed, 0 failed, 2 skipped"


def test_failures_are_named_with_place_and_reason_as_people_know_them(tmp_path: Path) -> None:
    done = run_tests(fixture("node-tests/tests/failing", tmp_path))
    assert (done.returncode, last_line(done.stdout)) == (1, "1 passed, 3 failed")
    assert "FAILED sums.test.mjs: throws - no such thing\n" in done.stdout
    assert "FAILED sums.test.mjs: are <exact> - Expected values to be strictly equal: 3 !== 4\n" in done.stdout
    assert str(tmp_path) not in (tmp_path / "output/junit.xml").read_text()


def test_a_script_with_reporters_of_its_own_keeps_them(tmp_path: Path) -> None:
    script = "node --test --test-reporter=tap && echo done"
    source = made(tmp_path, {"package.json": {"scripts": {"test": script}}, "a.test.js": "require('node:test')('a')"})
    done = run_tests(source)
    assert done.returncode == 0
    assert "TAP version" in done.stdout
    assert last_line(done.stdout) == "done"


def test_what_npm_init_writes_is_no_test(tmp_path: Path) -> None:
    placeholder = {"scripts": {"test": 'echo "Error: no test specified" && exit 1'}}
    source = made(tmp_path, {"package.json": placeholder, "a.test.js": "require('node:test')('a')"})
    assert last_line(run_tests(source).stdout) == "1 passed, 0 failed"


def test_without_a_lock_nothing_is_installed_and_that_is_said(tmp_path: Path) -> None:
    description = {"dependencies": {"left-pad": "1"}}
    done = run_tests(made(tmp_path, {"package.json": description, "a.test.js": "require('node:test')('a')"}))
    assert done.returncode == 0
    assert "There is no package-lock.json, so no dependencies are installed." in done.stdout


def test_dependencies_that_cannot_be_installed_end_it_with_npms_words(tmp_path: Path) -> None:
    lock = {
        "lockfileVersion": 3,
        "packages": {
            "": {"dependencies": {"left-pad": "1.3.0"}},
            "node_modules/left-pad": {"version": "1.3.0", "resolved": "https://registry.invalid/left-pad.tgz"},
        },
    }
    description = {"dependencies": {"left-pad": "1.3.0"}}
    done = run_tests(made(tmp_path, {"package.json": description, "package-lock.json": lock}))
    assert done.returncode == 1
    assert "npm error" in done.stderr
    assert "the dependencies could not be installed" in last_line(done.stderr)


@pytest.mark.parametrize(
    ("files", "arguments", "code", "message"),
    [
        ({"package.json": "{"}, [], 2, "package.json cannot be read: "),
        ({"package.json": {}}, ["--runner=npm"], 2, "package.json has no script test: name another with npm_script."),
        ({"a.js": ""}, [as_json("paths", ["a.js", "b.js", "*.js"])], 2, "The source folder has no b.js."),
        ({"a.js": ""}, [], 5, "No tests were found"),
        (
            {"package.json": {"scripts": {"test": "exit 3"}}},
            [],
            3,
            "npm run test ended with 3 and wrote no JUnit report.",
        ),
    ],
)
def test_what_went_wrong_is_the_last_line(
    tmp_path: Path, files: dict[str, object], arguments: list[str], code: int, message: str
) -> None:
    done = run_tests(made(tmp_path, files), *arguments)
    assert done.returncode == code
    assert last_line(done.stderr).startswith(message)

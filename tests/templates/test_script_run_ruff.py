"""code-quality: findings as SARIF with relative paths, and an end that follows the level that counts."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.templates.scripts import as_json, fixture, last_line, run_script


def check(source: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    report = f"--report={source.parent / 'output' / 'ruff.sarif'}"
    return run_script("code-quality/scripts/run_ruff.py", report, *arguments, cwd=source)


def results(source: Path) -> list[dict[str, Any]]:
    (run,) = json.loads((source.parent / "output" / "ruff.sarif").read_text())["runs"]
    found: list[dict[str, Any]] = run["results"]
    return found


@pytest.fixture
def findings(tmp_path: Path) -> Path:
    """A folder with code in which ruff finds something."""
    return fixture("code-quality/tests/findings", tmp_path)


def test_clean_code_ends_with_0_and_an_empty_report(tmp_path: Path) -> None:
    source = fixture("code-quality/tests/clean", tmp_path)
    done = check(source)
    assert (done.returncode, last_line(done.stdout), results(source)) == (0, "No findings", [])


def test_findings_are_listed_reported_and_end_with_1(findings: Path) -> None:
    done = check(findings, as_json("error-rules", ["F8"]))
    assert (done.returncode, last_line(done.stdout)) == (1, "6 findings in 2 files: 4 errors, 2 warnings")
    assert "sample/volume.py:3:8: warning: F401 `os` imported but unused" in done.stdout
    assert {result["level"] for result in results(findings)} == {"error", "warning"}


def test_paths_in_the_report_are_relative_to_the_source(findings: Path) -> None:
    check(findings)
    locations = [result["locations"][0]["physicalLocation"]["artifactLocation"] for result in results(findings)]
    assert {location["uri"] for location in locations} == {"sample/broken.pyi", "sample/volume.py"}
    assert {location["uriBaseId"] for location in locations} == {"SRCROOT"}


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--fail-on=never"], 0),
        (["--fail-on=error"], 1),
        (["--fail-on=error", as_json("paths", ["sample/volume.py"])], 0),
        (["--fail-on=error", as_json("paths", ["sample/volume.py"]), as_json("error-rules", ["F"])], 1),
        (["--fail-on=warning", as_json("paths", ["sample/volume.py"])], 1),
        (["--fail-on=warning", as_json("paths", ["sample/volume.py"]), as_json("ignore", ["F"])], 0),
    ],
)
def test_the_end_follows_the_level_that_counts(findings: Path, arguments: list[str], code: int) -> None:
    assert check(findings, *arguments).returncode == code


def test_rules_and_line_length_are_chosen(findings: Path) -> None:
    check(findings, as_json("select", ["E501"]), "--line-length=30", as_json("paths", ["sample/volume.py"]))
    assert {result["ruleId"] for result in results(findings)} == {"E501"}


def test_a_path_that_is_missing_is_named(findings: Path) -> None:
    done = check(findings, as_json("paths", ["missing"]))
    assert (done.returncode, done.stderr) == (2, "The source folder has no missing.\n")


def test_a_configuration_that_ruff_refuses_ends_with_its_message(findings: Path) -> None:
    (findings / "ruff.toml").write_text("no-such-setting = 1\n")
    done = check(findings)
    assert done.returncode == 2
    assert "no-such-setting" in done.stderr
    assert last_line(done.stderr) == "ruff could not check the code; it ended with 2."

"""Runs pytest and writes its JUnit report; ends with pytest's exit code, its last line is the headline."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

NO_TESTS = 5
NO_REPORT = 70


def main() -> int:
    """Run the tests; returns the exit code."""
    options = arguments()
    missing = [path for path in options.paths if not Path(path.partition("::")[0]).exists()]
    if missing:
        print(f"The source folder has no {', '.join(missing)}.", file=sys.stderr)
        return 2
    options.report.parent.mkdir(parents=True, exist_ok=True)
    code = subprocess.run(pytest_command(options), check=False, env=environment(options)).returncode
    sys.stderr.flush()
    if not options.report.is_file():
        print(f"pytest ended with {code} and wrote no report.", file=sys.stderr)
        return code or NO_REPORT
    print(headline(options.report, code))
    return code


def arguments() -> argparse.Namespace:
    """The script's arguments; lists are JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--report", type=Path, required=True, help="the JUnit file to write")
    parser.add_argument("--paths", type=json.loads, default=[], help="what to run, relative to the working folder")
    parser.add_argument("--python-path", type=json.loads, default=[], help="folders of the source to import from")
    parser.add_argument("--libraries", type=json.loads, default=[], help="folders with installed packages")
    parser.add_argument("--markers", default="", help="pytest -m")
    parser.add_argument("--keywords", default="", help="pytest -k")
    parser.add_argument("--stop-after", type=int, default=0, help="failures; 0 goes on to the end")
    parser.add_argument("--extra", type=json.loads, default=[], help="further arguments of pytest")
    return parser.parse_args()


def pytest_command(options: argparse.Namespace) -> list[str]:
    """What is run."""
    command = [sys.executable, "-m", "pytest", f"--junitxml={options.report}", "-p", "no:cacheprovider"]
    if options.markers:
        command += ["-m", options.markers]
    if options.keywords:
        command += ["-k", options.keywords]
    if options.stop_after:
        command.append(f"--maxfail={options.stop_after}")
    return [*command, *options.extra, *(["--", *options.paths] if options.paths else [])]


def environment(options: argparse.Namespace) -> dict[str, str]:
    """The tests' environment: the project's folders and the installed packages are on the paths."""
    folders = [Path.cwd() / name for name in options.python_path]
    programs = []
    for library in map(Path, options.libraries):
        folders += [library, *library.glob("lib*/python3*/*-packages"), *library.glob("local/lib*/python3*/*-packages")]
        programs += [library / "bin", library / "local" / "bin"]
    return {
        "COLUMNS": "120",  # without a terminal pytest cuts its lines at 80
        "PYTHONDONTWRITEBYTECODE": "1",
        **os.environ,
        "PYTHONPATH": joined(folders, os.environ.get("PYTHONPATH")),
        "PATH": joined(programs, os.environ.get("PATH")),
    }


def joined(folders: list[Path], present: str | None) -> str:
    """The folders that exist, before what is on the path already."""
    found = [str(folder) for folder in folders if folder.is_dir()]
    return os.pathsep.join([*found, *([present] if present else [])])


def headline(report: Path, code: int) -> str:
    """The report in one line."""
    try:
        suites = list(ET.parse(report).getroot().iter("testsuite"))  # noqa: S314  # pytest wrote it
    except ET.ParseError as error:
        return f"pytest ended with {code}; its report is broken: {error}"
    keys = ("tests", "failures", "errors", "skipped")
    counts = {key: sum(int(suite.get(key, 0)) for suite in suites) for key in keys}
    if not counts["tests"] and code == NO_TESTS:
        return "No tests were found"
    failed = counts["failures"] + counts["errors"]
    line = f"{counts['tests'] - failed - counts['skipped']} passed, {failed} failed"
    return line + (f", {counts['skipped']} skipped" if counts["skipped"] else "")


if __name__ == "__main__":
    sys.exit(main())

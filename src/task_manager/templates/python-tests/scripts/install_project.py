"""Installs the project, with those of its dependencies that the image does not have, into a folder of its own.

First with the build backend that is there already, which needs no network when the dependencies are there, too; then
with one that pip fetches.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

LAST_LINES = 12


def main() -> int:
    """Install the project; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", type=Path, required=True, help="the project's folder")
    parser.add_argument("--target", type=Path, required=True, help="where to install")
    options = parser.parse_args()
    if not any((options.source / name).is_file() for name in ("pyproject.toml", "setup.py")):
        print("The source folder holds no pyproject.toml or setup.py, so it cannot be installed.", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        # A build writes into its source, which may be read-only.
        copy = Path(shutil.copytree(options.source, Path(folder, "source"), symlinks=True))
        return install(copy, options.target)


def install(source: Path, target: Path) -> int:
    """Install from a writable copy of the source; returns the exit code."""
    first = run_pip(source, target, "--no-build-isolation")
    if first.returncode != 0:
        shutil.rmtree(target, ignore_errors=True)
        second = run_pip(source, target)
        if second.returncode != 0:
            report("With the image's own build backend", first.stdout)
            report("With a fetched build backend", second.stdout)
            print("The project could not be installed; what pip said is above.", file=sys.stderr)
            return 1
    print("Installed the project")
    return 0


def run_pip(source: Path, target: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run `pip install`; its output is captured."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]
    return subprocess.run(
        [*command, *options, "--prefix", str(target), "--no-warn-script-location", str(source)],
        check=False,
        env={**os.environ, "PIP_ROOT_USER_ACTION": "ignore"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )


def report(attempt: str, output: str) -> None:
    """Print the last lines of an attempt."""
    print(f"{attempt}:", *output.strip().splitlines()[-LAST_LINES:], sep="\n  ", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())

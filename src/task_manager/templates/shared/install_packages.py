"""Puts the Python packages that later steps need, and that the image does not have, into a folder.

What the image has already is used as it is; then nothing is installed and the folder stays empty. Later steps put the
folder on PYTHONPATH.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import json
import os
import re
import subprocess
import sys
from pathlib import Path

LAST_LINES = 12
LONGEST_LINE = 300


def main() -> int:
    """Install what is missing; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packages", type=json.loads, required=True, help="JSON list of requirements")
    parser.add_argument("--target", type=Path, required=True, help="the folder")
    options = parser.parse_args()
    options.target.mkdir(parents=True, exist_ok=True)
    missing = [package for package in options.packages if not is_installed(package)]
    if not missing:
        print("Nothing to install: the image has " + (", ".join(options.packages) or "what is needed"))
        return 0
    return install(missing, options.target)


def is_installed(requirement: str) -> bool:
    """Whether the image has a version of the package that the requirement accepts."""
    match = re.match(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(\[[^]]*\])?\s*(.*)", requirement)
    if match is None or match.group(2) or "@" in requirement or ";" in requirement:
        return False
    try:
        version = importlib.metadata.version(match.group(1))
    except importlib.metadata.PackageNotFoundError:
        return False
    return not match.group(3) or accepts(match.group(3), version)


def accepts(specifier: str, version: str) -> bool:
    """Whether a specifier such as `>=2,<3` accepts a version; no, when nothing here can tell."""
    for name in ("packaging.specifiers", "pip._vendor.packaging.specifiers"):
        try:
            specifiers = importlib.import_module(name)
        except ImportError:
            continue
        try:
            return bool(specifiers.SpecifierSet(specifier).contains(version, prereleases=True))
        except specifiers.InvalidSpecifier:
            return False
    return False


def install(packages: list[str], target: Path) -> int:
    """Install the packages with pip; returns the exit code."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]
    command += ["--retries=2", "--timeout=20", "--no-warn-script-location"]
    environment = {**os.environ, "PIP_ROOT_USER_ACTION": "ignore"}
    done = subprocess.run(
        [*command, "--target", str(target), "--", *packages],
        check=False,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    if done.returncode == 0:
        print("Installed " + ", ".join(packages))
        return 0
    for line in done.stdout.strip().splitlines()[-LAST_LINES:]:
        print(line[:LONGEST_LINE], file=sys.stderr)
    print(
        f"Missing Python packages: {', '.join(packages)}. The image does not have them, and pip could not install them"
        " (its last lines are above). Use an image that has them (parameter `image`), or let the step reach a package"
        " index.",
        file=sys.stderr,
    )
    return 1


if __name__ == "__main__":
    sys.exit(main())

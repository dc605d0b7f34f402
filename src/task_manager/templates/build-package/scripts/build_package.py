"""Builds a project's wheel, and other formats where asked for, from a copy of its source.

Writes dist/ and digests.json. Ends with the builder's exit code, or 2 where there is nothing to build. The last line is
the headline.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import build

UNUSABLE = 2
KILOBYTE = 1000


def main() -> int:
    """Build; returns the exit code."""
    options = arguments()
    if not any((options.source / name).is_file() for name in ("pyproject.toml", "setup.py")):
        print("There is no pyproject.toml or setup.py in the project's folder.", file=sys.stderr)
        return UNUSABLE
    dist = options.output / "dist"
    dist.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        # A build writes into its source, which may be read-only.
        source = Path(shutil.copytree(options.source, Path(folder, "source"), symlinks=True))
        code = run_build(source, dist, options)
    if code != 0:
        print(f"The build ended with {code}.", file=sys.stderr)
        return code
    return report(dist, options.output / "digests.json")


def arguments() -> argparse.Namespace:
    """The script's arguments; lists are JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", type=Path, required=True, help="the project's folder")
    parser.add_argument("--output", type=Path, required=True, help="the folder to write to")
    parser.add_argument("--formats", type=json.loads, default=["wheel"], help="wheel, sdist")
    parser.add_argument("--isolation", choices=("auto", "always", "never"), default="auto")
    return parser.parse_args()


def run_build(source: Path, dist: Path, options: argparse.Namespace) -> int:
    """Build from a writable copy of the source; returns the builder's exit code."""
    command = [sys.executable, "-m", "build", "--outdir", str(dist)]
    command += [f"--{name}" for name in options.formats]
    if not needs_isolation(source, options.isolation):
        command.append("--no-isolation")
    done = subprocess.run([*command, str(source)], check=False, stderr=subprocess.STDOUT)
    return done.returncode


def needs_isolation(source: Path, isolation: str) -> bool:
    """Whether what the build needs is to be fetched into an environment of its own."""
    if isolation != "auto":
        return isolation == "always"
    try:
        required = build.ProjectBuilder(source).build_system_requires
    except build.BuildException:
        return False  # a broken pyproject.toml; the build says what is wrong with it
    missing = sorted({chain[-1] for requirement in required for chain in build.check_dependency(requirement)})
    if missing:
        print(f"The image does not have {', '.join(missing)}; the build fetches what it needs.", flush=True)
    return bool(missing)


def report(dist: Path, digests: Path) -> int:
    """Write down what was built; returns the exit code."""
    files = sorted(dist.iterdir())
    broken = [file.name for file in files if file.suffix == ".whl" and not zipfile.is_zipfile(file)]
    if broken or not any(file.suffix == ".whl" for file in files):
        print(f"The build left no usable wheel; it left: {', '.join(file.name for file in files)}.", file=sys.stderr)
        return UNUSABLE
    entries = [
        {"file": file.name, "size": file.stat().st_size, "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
        for file in files
    ]
    digests.write_text(json.dumps({"files": entries}, indent=2) + "\n", encoding="utf-8")
    print(", ".join(f"{file.name} ({file.stat().st_size / KILOBYTE:.1f} kB)" for file in files))
    return 0


if __name__ == "__main__":
    sys.exit(main())

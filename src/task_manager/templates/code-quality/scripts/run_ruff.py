"""Checks Python code with ruff, writes the findings as SARIF, and ends as `--fail-on` says.

Exit codes: 0 nothing that counts, 1 findings that count, 2 ruff could not check. The last line is the headline.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

FINDINGS = 1
UNUSABLE = 2
MOST_SHOWN = 50
ROOT_ID = "SRCROOT"


def main() -> int:
    """Check the code; returns the exit code."""
    options = arguments()
    missing = [path for path in options.paths if not Path(path).exists()]
    if missing:
        print(f"The source folder has no {', '.join(missing)}.", file=sys.stderr)
        return UNUSABLE
    options.report.parent.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(ruff_command(options), check=False)
    if done.returncode != 0 or not options.report.is_file():
        print(f"ruff could not check the code; it ended with {done.returncode}.", file=sys.stderr)
        return UNUSABLE
    report = json.loads(options.report.read_text(encoding="utf-8"))
    results = [result for run in report["runs"] for result in run["results"]]
    for result in results:
        result["level"] = level(result, options.error_rules)
    with_relative_paths(report)
    options.report.write_text(json.dumps(report, indent=1), encoding="utf-8")
    show(results)
    return FINDINGS if counts(results, options.fail_on) else 0


def arguments() -> argparse.Namespace:
    """The script's arguments; lists are JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--report", type=Path, required=True, help="the SARIF file to write")
    parser.add_argument("--paths", type=json.loads, default=["."], help="what to check")
    parser.add_argument("--select", type=json.loads, default=[], help="rules instead of the configured ones")
    parser.add_argument("--ignore", type=json.loads, default=[], help="rules that are left out")
    parser.add_argument("--error-rules", type=json.loads, default=[], help="rules whose findings are errors")
    parser.add_argument("--fail-on", choices=("warning", "error", "never"), default="warning")
    parser.add_argument("--line-length", default="", help="instead of the configured one")
    parser.add_argument("--extra", type=json.loads, default=[], help="further arguments of ruff check")
    return parser.parse_args()


def ruff_command(options: argparse.Namespace) -> list[str]:
    """What is run."""
    command = [sys.executable, "-m", "ruff", "check", "--no-cache", "--exit-zero", "--quiet"]
    command += ["--output-format=sarif", f"--output-file={options.report}"]
    if options.select:
        command.append(f"--select={','.join(options.select)}")
    if options.ignore:
        command.append(f"--ignore={','.join(options.ignore)}")
    if options.line_length:
        command.append(f"--line-length={options.line_length}")
    return [*command, *options.extra, "--", *options.paths]


def level(result: dict[str, Any], error_rules: list[str]) -> str:
    """`error` for code that cannot be parsed and for these rules, else `warning`."""
    rule = str(result.get("ruleId") or "")
    unparsable = not rule[-1:].isdigit()
    return "error" if unparsable or rule.startswith(tuple(error_rules)) else "warning"


def with_relative_paths(report: dict[str, Any]) -> None:
    """Make the report's paths relative to the source folder, in place."""
    for run in report["runs"]:
        run["originalUriBaseIds"] = {ROOT_ID: {"uri": f"{Path.cwd().as_uri()}/"}}
        for location in artifact_locations(run["results"]):
            path = Path(unquote(urlparse(location["uri"]).path))
            if path.is_relative_to(Path.cwd()):
                location.update(uri=path.relative_to(Path.cwd()).as_posix(), uriBaseId=ROOT_ID)


def artifact_locations(part: object) -> list[dict[str, Any]]:
    """Every `artifactLocation` in a part of the report."""
    if isinstance(part, list):
        return [location for below in part for location in artifact_locations(below)]
    if not isinstance(part, dict):
        return []
    own = [part["artifactLocation"]] if "artifactLocation" in part else []
    return own + [location for below in part.values() for location in artifact_locations(below)]


def show(results: list[dict[str, Any]]) -> None:
    """Print the findings, and the headline last."""
    for result in results[:MOST_SHOWN]:
        print(f"{place(result)}: {result['level']}: {result['ruleId']} {result['message']['text']}")
    if len(results) > MOST_SHOWN:
        print(f"… and {len(results) - MOST_SHOWN} more; all of them are in the report")
    if not results:
        print("No findings")
        return
    errors = sum(result["level"] == "error" for result in results)
    files = len({place(result).partition(":")[0] for result in results})
    print(
        f"{amount(len(results), 'finding')} in {amount(files, 'file')}: "
        f"{amount(errors, 'error')}, {amount(len(results) - errors, 'warning')}"
    )


def place(result: dict[str, Any]) -> str:
    """`PATH:LINE:COLUMN`."""
    physical = result["locations"][0]["physicalLocation"]
    region = physical.get("region", {})
    return f"{physical['artifactLocation']['uri']}:{region.get('startLine', 1)}:{region.get('startColumn', 1)}"


def amount(number: int, noun: str) -> str:
    """`1 file`, `2 files`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def counts(results: list[dict[str, Any]], fail_on: str) -> bool:
    """Whether there is a finding that fails the run."""
    levels = {"warning": {"warning", "error"}, "error": {"error"}, "never": set()}[fail_on]
    return any(result["level"] in levels for result in results)


if __name__ == "__main__":
    sys.exit(main())

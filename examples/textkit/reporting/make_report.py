"""Makes one report of several tasks' results.

Each result is a JSON file; the name of the file is the name of the task, in the order of `--tasks`. Writes report.md
and report.json. Exit codes: 0 done, 1 a result is missing or broken. The last line is the headline.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

SHOWN_METRICS = 8


def main() -> int:
    """Make the report; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, required=True, help="the folder with the results")
    parser.add_argument("--output", type=Path, required=True, help="the folder to write to")
    parser.add_argument("--tasks", nargs="+", required=True, help="the names of the files, without .json")
    options = parser.parse_args()
    try:
        results = {name: read(options.results / f"{name}.json") for name in options.tasks}
    except (OSError, ValueError) as error:
        print(f"A result cannot be read: {error}", file=sys.stderr)
        return 1
    options.output.mkdir(parents=True, exist_ok=True)
    summary = summarised(results)
    write(options.output / "report.json", json.dumps(summary, indent=2))
    write(options.output / "report.md", markdown(summary))
    print(headline(summary))
    return 0


def read(path: Path) -> dict[str, Any]:
    """A result.

    Raises:
        OSError: There is no such file.
        ValueError: It is not a result.
    """
    data = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(data, dict) or "status" not in data:
        raise ValueError(f"{path.name} is not the result of a task")
    return data


def summarised(results: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """What report.json says."""
    tasks = {
        name: {
            "status": result["status"],
            "type": result.get("type", ""),
            "headline": result.get("headline", ""),
            "seconds": result.get("seconds"),
            "metrics": {metric["name"]: metric["value"] for metric in result.get("metrics", [])},
            "artifacts": [artifact["name"] for artifact in result.get("artifacts", [])],
            "warnings": list(result.get("warnings", [])),
        }
        for name, result in results.items()
    }
    return {
        "tasks_reported": len(tasks),
        "tasks_succeeded": sum(task["status"] == "succeeded" for task in tasks.values()),
        "seconds": round(sum(task["seconds"] or 0 for task in tasks.values()), 3),
        "tasks": tasks,
    }


def headline(summary: dict[str, Any]) -> str:
    """The report in one line."""
    return f"{summary['tasks_succeeded']} of {summary['tasks_reported']} tasks succeeded"


def markdown(summary: dict[str, Any]) -> str:
    """What report.md says."""
    lines = ["# textkit", "", f"{headline(summary)}, {summary['seconds']:.1f} s of work in all.", ""]
    lines += ["| Task | Status | Seconds | Result |", "|---|---|---:|---|"]
    for name, task in summary["tasks"].items():
        seconds = "" if task["seconds"] is None else f"{task['seconds']:.1f}"
        lines.append(f"| {name} | {task['status']} | {seconds} | {cell(task['headline'])} |")
    for name, task in summary["tasks"].items():
        lines += ["", f"## {name}", ""]
        lines += [f"- {metric}: {value:g}" for metric, value in list(task["metrics"].items())[:SHOWN_METRICS]]
        lines += [f"- artifact `{artifact}`" for artifact in task["artifacts"]]
        lines += [f"- warning: {warning}" for warning in task["warnings"]]
    return "\n".join(lines) + "\n"


def cell(text: str) -> str:
    """A text that keeps a table's row whole."""
    return " ".join(text.split()).replace("|", "\\|")


def write(path: Path, text: str) -> None:
    """Write a text file."""
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())

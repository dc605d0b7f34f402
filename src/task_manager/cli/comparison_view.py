"""How two results look beside each other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from task_manager.cli.output import table
from task_manager.cli.run_views import short_digest
from task_manager.cli.statuses import status_text
from task_manager.results.wording import number_text, seconds_text

if TYPE_CHECKING:
    from task_manager.results.comparison import ResultComparison


def comparison_view(found: ResultComparison) -> RenderableType:
    """Both runs, then what differs, in tables and lists."""
    heading = table(
        ["", "!Before", "!After"],
        [
            ("Run", found.before, found.after),
            ("Status", *map(status_text, found.status)),
            ("Time", *map(seconds_text, found.seconds)),
        ],
        empty="",
    )
    differences = list(_differences(found)) or [Text("Metrics, tests, findings and artifacts are the same.")]
    return Group(*(Padding(part, (0, 0, 1, 0)) for part in (heading, *differences)))


def _differences(found: ResultComparison) -> Iterator[RenderableType]:
    if found.metrics:
        metrics = [
            (one.name, _number(one.before), _number(one.after), _change(one.before, one.after), one.unit)
            for one in found.metrics
        ]
        yield table(["Metric", "!>Before", "!>After", "!>Change", "!Unit"], metrics, empty="")
    for heading, names in (
        ("Newly failing", found.newly_failing),
        ("Fixed", found.fixed),
        ("New findings", found.new_findings),
        ("Findings that are gone", found.gone_findings),
    ):
        if names:
            yield Group(Text(heading, style="bold"), *(Text(f"  {name}") for name in names))
    if found.artifacts:
        artifacts = [(one.name, _digest(one.before), _digest(one.after)) for one in found.artifacts]
        yield table(["Artifact", "!Before", "!After"], artifacts, empty="")


def _number(value: float | None) -> str:
    return "none" if value is None else number_text(value)


def _change(before: float | None, after: float | None) -> str:
    if before is None or after is None:
        return ""
    return f"{'+' if after > before else ''}{number_text(after - before)}"


def _digest(digest: str | None) -> str:
    return "none" if digest is None else short_digest(digest)

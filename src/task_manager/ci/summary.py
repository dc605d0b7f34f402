"""The outcomes of tasks in Markdown, for the page of a pipeline's run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from task_manager.ci.outcomes import Outcome, warnings_of
from task_manager.results.transformers.markdown import as_markdown, as_text, table
from task_manager.results.wording import counted, seconds_text
from task_manager.workflow_status import WorkflowStatus

MOST_BYTES: Final = 1 << 20
"""What GitHub takes of a step's summary: 1 MiB."""

_CUT: Final = "\n\n… the rest was left out.\n"
_MARKS: Final = {WorkflowStatus.SUCCEEDED: "✅", WorkflowStatus.SKIPPED: "⏭️", WorkflowStatus.CANCELLED: "🚫"}


def as_summary(project: str, outcomes: Sequence[Outcome]) -> str:
    """A table of all tasks, then everything that is known of those that failed."""
    text = "\n".join(_lines(project, outcomes)) + "\n"
    if len(text.encode()) <= MOST_BYTES:
        return text
    room = MOST_BYTES - len(_CUT.encode())
    return text.encode()[:room].decode("utf-8", "ignore") + _CUT


def _lines(project: str, outcomes: Sequence[Outcome]) -> Iterator[str]:
    well = sum(one.succeeded for one in outcomes)
    yield f"## {as_text(project)}: {well} of {counted(len(outcomes), 'task')} succeeded"
    yield ""
    yield from table(("Task", "Status", "Time", "Result"), [_row(one) for one in outcomes])
    for text in warnings_of(outcomes):
        yield from (f"> {as_text(text)}", "")
    for one in outcomes:
        if not one.succeeded and one.result is not None and one.run.status is not WorkflowStatus.SKIPPED:
            yield ""
            yield f"### {as_text(one.title)}"
            yield ""
            result = one.result.model_copy(update={"warnings": ()})  # which are told above
            yield as_markdown(result).decode().replace("## ", "#### ", 1).rstrip("\n")


def _row(one: Outcome) -> tuple[str, str, str, str]:
    mark = _MARKS.get(one.run.status, "❌")
    time = "cached" if one.run.original_run_id else seconds_text(one.result.seconds if one.result else None)
    return one.title, f"{mark} {one.run.status.value}", time, one.headline

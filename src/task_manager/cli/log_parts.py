"""`task-manager run logs`: what steps wrote, as a whole or a part of it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import ByteSize, TypeAdapter, ValidationError
from rich.text import Text

from task_manager.cli.session import Session
from task_manager.cli.statuses import label
from task_manager.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from task_manager.application import Application
    from task_manager.cli.output import Output
    from task_manager.models import StepRecord

_RANGE = re.compile(r"([0-9]+)?-([0-9]+)?|([0-9]+)")
_SIZE = TypeAdapter(ByteSize)
OPTIONS = ("--tail", "--grep", "--range", "--max-bytes")
"""The options for a part of a log."""


def log_part(*, tail: int | None, grep: str | None, lines: str | None, max_bytes: str | None) -> dict[str, Any]:
    """What options say about the part of a log, as arguments of `RunLogs.read`.

    Args:
        tail: The last lines.
        grep: A regular expression.
        lines: `A-B`, `A-`, `-B` or `A`.
        max_bytes: A size such as `64KiB`.

    Raises:
        InvalidInput: A range or a size cannot be read.
    """
    start, end = _range(lines) if lines is not None else (None, None)
    part = {"tail": tail, "pattern": grep, "start": start, "end": end, "max_bytes": _size(max_bytes)}
    return {name: value for name, value in part.items() if value is not None}


async def show_logs(
    session: Session,
    application: Application,
    run_id: str,
    *,
    step: str | None,
    streams: Sequence[str],
    part: Mapping[str, Any],
) -> None:
    """Print the logs of a run's steps.

    Args:
        session: The command.
        application: Open.
        run_id: The run.
        step: Only this step.
        streams: Which of each.
        part: What `log_part` gave.
    """
    from task_manager.store import steps

    records = await application.store.run(steps.of_run, run_id)
    if step is not None and step not in {record.step_id for record in records}:
        raise NotFound("step", step, known=[record.step_id for record in records])
    chosen = [record for record in records if step in (None, record.step_id)]
    items = [await _item(application, record, streams, part) for record in chosen]
    session.output.show(
        {"items": items}, *(line for item in items for line in _shown(session.output, item, step, part))
    )


async def _item(
    application: Application, record: StepRecord, streams: Sequence[str], part: Mapping[str, Any]
) -> dict[str, Any]:
    item: dict[str, Any] = {"step": record.step_id, "status": record.status.value}
    for stream in streams:
        found = await application.logs.read(record.run_id, record.step_id, stream, **part)
        item[stream] = found.text
        item["parts"] = {
            **item.get("parts", {}),
            stream: {
                "lines": [number for number, _ in found.lines] if "pattern" in part else len(found.lines),
                "next_line": found.next_line,
                "total_lines": found.total_lines,
            },
        }
    return item


def _shown(output: Output, item: Mapping[str, Any], step: str | None, part: Mapping[str, Any]) -> list[Text]:
    found = [output.coloured(item[stream].rstrip("\n")) for stream in ("stdout", "stderr") if item.get(stream)]
    if step is not None:
        return found
    if part and not found:
        return []
    return [Text(f"── {item['step']} ({label(item['status'])})", style="bold"), *found]


def _range(text: str) -> tuple[int | None, int | None]:
    match = _RANGE.fullmatch(text)
    first, last, single = match.groups() if match else (None, None, None)
    start, end = (single, single) if single else (first, last)
    if (start, end) == (None, None) or (start and end and int(start) > int(end)) or "0" in (start, end):
        raise InvalidInput(f"{text!r} is no range of lines.", remedy="Give --range such as 100-200, 100- or -200.")
    return int(start) if start else None, int(end) if end else None


def _size(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return int(_SIZE.validate_python(text))
    except ValidationError as error:
        raise InvalidInput(f"{text!r} is no size.", remedy="Give --max-bytes such as 4000 or 64KiB.") from error

"""How diagnoses look."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from task_manager.cli.output import fields
from task_manager.cli.statuses import label, symbol
from task_manager.models import WorkflowRun
from task_manager.results.diagnosis import Diagnosis, Flake
from task_manager.results.run_changes import Change, ChangeKind, Changes
from task_manager.results.wording import counted

_BRIEF = 5


def failure(diagnosis: Diagnosis | None, *, told: str = "", brief: bool = False) -> RenderableType | None:
    """Where and why a run failed, and what to do next; None when it did not.

    Args:
        diagnosis: Of the run.
        told: A line that is shown already.
        brief: Whether only the first thing to do is told, and few changes.
    """
    if diagnosis is None:
        return None
    lines = (Padding(Text(line, overflow="fold"), (0, 0, 0, 4)) for line in diagnosis.lines if line != told)
    return Group(*_step(diagnosis), *lines, *_explanation(diagnosis, brief=brief))


def diagnosis_report(run: WorkflowRun, title: str, diagnosis: Diagnosis | None) -> RenderableType:
    """Everything about why a run failed, or that there is nothing to tell."""
    heading = Text.assemble(symbol(run.status), " ", (title, "bold"), f"  {label(run.status)}  ", (run.id, "dim"))
    return Group(heading, failure(diagnosis) or Text("  It has not failed; there is nothing to diagnose."))


def _step(diagnosis: Diagnosis) -> Iterator[RenderableType]:
    if diagnosis.step_id is None or diagnosis.status is None:
        return
    ended = f"exit code {diagnosis.exit_code}" if diagnosis.exit_code is not None else label(diagnosis.status)
    plain = diagnosis.step_name in (None, "", diagnosis.step_id)
    name = diagnosis.step_id if plain else f"{diagnosis.step_id} ({diagnosis.step_name})"
    yield Text.assemble("  step ", (name, "bold"), ": ", (ended, "red"))


def _explanation(diagnosis: Diagnosis, *, brief: bool) -> Iterator[RenderableType]:
    kind = diagnosis.failure_class.replace("_", " ") + (f" ({diagnosis.resource})" if diagnosis.resource else "")
    why = Text.assemble((kind, "bold"), f": {diagnosis.summary}")
    rows: list[tuple[str, RenderableType | None]] = [("Why", why)]
    if diagnosis.changes is not None:
        rows.append(("Changed", _changes(diagnosis.changes, _BRIEF if brief else None)))
    if diagnosis.flake is not None:
        rows.append(("Flaky", _flake(diagnosis.flake)))
    rows += [("Tried", f"attempt {one.attempt}: {one.action}") for one in diagnosis.tried]
    actions = diagnosis.actions[:1] if brief else diagnosis.actions
    rows += [("Next", Group(Text(one.command, style="cyan"), Text(f"  {one.why}", style="dim"))) for one in actions]
    yield Padding(fields(rows), (0, 0, 0, 2))


def _changes(changes: Changes, limit: int | None) -> RenderableType:
    if not changes.total:
        return Text(f"Nothing that is known of, since {changes.since} succeeded.")
    shown = changes.changes[:limit]
    lines = [Text(f"Since {changes.since} succeeded:"), *(_change(change) for change in shown)]
    left = changes.total - len(shown)
    return Group(*lines, *([Text(f"  and {left} more")] if left else []))


def _change(change: Change) -> Text:
    if change.kind is ChangeKind.SOURCE:
        return Text(f"  {change.after or 'removed'}: {change.name}", overflow="fold")
    known = " → ".join(value if value is not None else "none" for value in (change.before, change.after))
    return Text(f"  {change.kind} {change.name}: {known}", overflow="fold")


def _flake(flake: Flake) -> str:
    return (
        f"With the same inputs it succeeded {_times(flake.succeeded)} (such as {flake.example}) "
        f"and failed {_times(flake.failed)}."
    )


def _times(number: int) -> str:
    return counted(number, "time")

"""`task-manager cache`: what is kept of runs' results, why a run was answered from it or not, and its upkeep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.filesize import decimal
from rich.padding import Padding
from rich.text import Text

from task_manager.cli.arguments import ProjectOption, RunArgument, TaskArgument
from task_manager.cli.command import command, group
from task_manager.cli.exit_codes import ExitCode
from task_manager.cli.output import fields, table
from task_manager.cli.session import Session

if TYPE_CHECKING:
    from task_manager.cache_figures import CacheFigures
    from task_manager.cache_queries import CacheExplanation, CachePrediction, Comparison
    from task_manager.caching.entries import CacheEntry
    from task_manager.store import Store
    from task_manager.workflow_cache import Selection

_SHOWN_KEY = 12
_SHOWN_VALUE = 40

TaskOption = Annotated[str | None, typer.Option("--task", metavar="TASK", help="Of this task.")]
TemplateOption = Annotated[str | None, typer.Option("--template", "-t", metavar="TEMPLATE", help="Of this template.")]
TagOption = Annotated[str | None, typer.Option("--tag", metavar="TAG", help="Of workflows whose policy has this tag.")]
FromRun = Annotated[str | None, typer.Option("--run", metavar="RUN", help="That this run gave.")]
KeyOption = Annotated[str | None, typer.Option("--key", metavar="KEY", help="With this key, or one that begins so.")]
ComponentOption = Annotated[
    str | None,
    typer.Option(
        "--component",
        metavar="NAME[/PART][=VALUE]",
        help="Whose key has this component, such as images/python:3.12-slim, or sources=sha256:…",
    ),
]
OlderThan = Annotated[str | None, typer.Option("--older-than", metavar="AGE", help="Older than this, such as 12h.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only tell what would be removed.")]


def add_commands(app: typer.Typer) -> None:
    """Add the group `cache`."""
    cache = group(app, "cache", "See and tend what is kept of runs' results.")
    command(cache, "stats", example="task-manager cache stats --project textkit")(stats)
    command(cache, "explain", example="task-manager cache explain RUN")(explain)
    command(cache, "predict", example="task-manager cache predict TASK")(predict)
    command(cache, "list", example="task-manager cache list --template python-tests")(list_)
    command(
        cache,
        "clear",
        example="task-manager cache clear --task TASK --dry-run\n"
        "task-manager cache clear --component images/python:3.12-slim",
    )(clear)
    command(cache, "verify", example="task-manager cache verify")(verify)


async def stats(session: Session, project: ProjectOption = None) -> None:
    """Show hits, misses by reason, seconds saved, and how the tiers are."""
    from task_manager.cli.lookup import find_scope

    async with session.application() as application:
        scope = await find_scope(application.store, project, None)
        figures = await application.cache.figures(scope["project_id"])
    session.output.show(asdict(figures), _figures_view(figures))


async def explain(session: Session, run_id: RunArgument) -> None:
    """Say what the cache was for a run, and what differs from the nearest earlier run: files, parameters, images."""
    from task_manager.cli.lookup import find_run

    async with session.application() as application:
        run = await find_run(application.store, run_id)
        found = await application.cache.explain(run.id)
    session.output.show(explanation_data(found), _explanation_view(found))


async def predict(session: Session, task: TaskArgument) -> None:
    """Say what the cache would be for a task if it were started now: for each step hit or miss, why, seconds saved."""
    async with session.application() as application:
        found = await application.cache.predict(task)
    session.output.show(asdict(found), _prediction_view(found))


async def list_(
    session: Session,
    *,
    project: ProjectOption = None,
    task: TaskOption = None,
    template: TemplateOption = None,
    tag: TagOption = None,
    run: FromRun = None,
    key: KeyOption = None,
    component: ComponentOption = None,
    older_than: OlderThan = None,
) -> None:
    """List the results that are kept, the newest first."""
    async with session.application() as application:
        selection = await _selection(
            application.store,
            project,
            older_than,
            task=task,
            template=template,
            tag=tag,
            run=run,
            key=key,
            component=component,
        )
        found = await application.cache.entries(selection)
    items = [{**_entry_data(entry), "tiers": list(tiers)} for entry, tiers in found]
    rows = [(*_entry_row(entry), ", ".join(tiers)) for entry, tiers in found]
    columns = ["!Key", "Task", "!Status", "!>Took", "!Made", "!Run", "Tiers"]
    session.output.show({"items": items}, table(columns, rows, empty="Nothing is kept."))


async def clear(
    session: Session,
    *,
    project: ProjectOption = None,
    task: TaskOption = None,
    template: TemplateOption = None,
    tag: TagOption = None,
    run: FromRun = None,
    key: KeyOption = None,
    component: ComponentOption = None,
    older_than: OlderThan = None,
    dry_run: DryRun = False,
) -> None:
    """Remove results that are kept: those to which all options apply; without options, all.

    What they were made of stays known, so that later runs can be explained.
    """
    async with session.application() as application:
        selection = await _selection(
            application.store,
            project,
            older_than,
            task=task,
            template=template,
            tag=tag,
            run=run,
            key=key,
            component=component,
        )
        removed = await application.cache.clear(selection, dry_run=dry_run)
    verb = "Would remove" if dry_run else "Removed"
    head = Text(f"{verb} {len(removed)} result{'' if len(removed) == 1 else 's'}.")
    listed = table(["!Key", "Task", "!Status", "!>Took", "!Made", "!Run"], map(_entry_row, removed), empty="")
    session.output.show(
        {"dry_run": dry_run, "removed": [_entry_data(entry) for entry in removed]},
        Group(head, Text(), listed) if removed else head,
    )


async def verify(session: Session) -> None:
    """Read every entry; remove those that are damaged. The exit code is 1 when there were any."""
    async with session.application() as application:
        found = await application.cache.verify()
    text = f"Checked {found.checked}."
    damaged = f"{len(found.damaged)} damaged, removed: {', '.join(map(_short, found.damaged))}."
    session.output.show(asdict(found), Text(f"{text} {damaged if found.damaged else 'Nothing is damaged.'}"))
    if found.damaged:
        raise typer.Exit(ExitCode.FAILED)


async def _selection(store: Store, project: str | None, older_than: str | None, **named: str | None) -> Selection:
    """The entries that options mean; those in `named` are fields of `Selection`."""
    from task_manager.cached_runs import age_seconds
    from task_manager.cli.lookup import find_scope
    from task_manager.errors import InvalidInput
    from task_manager.workflow_cache import Selection

    scope = await find_scope(store, project, None)
    age = age_seconds(older_than)
    if older_than is not None and age is None:
        raise InvalidInput(f"{older_than!r} is no age.", remedy="Write a number and s, min, h, d or w, such as 12h.")
    return Selection.of(named, project=scope["project_id"], older_than=age)


def explanation_data(found: CacheExplanation) -> dict[str, Any]:
    """An explanation for `--json`."""
    return {
        "run": found.run,
        "text": found.text,
        "record": found.record,
        "compared": asdict(found.compared) if found.compared else None,
    }


def _explanation_view(found: CacheExplanation) -> RenderableType:
    parts: list[RenderableType] = [Text(found.text)]
    if found.compared is not None:
        parts.append(_comparison_view(found.compared))
    return Group(*parts)


def _comparison_view(compared: Comparison) -> RenderableType:
    """The files by name, and everything else that differs with what it was and is."""
    parts: list[RenderableType] = []
    if compared.files:
        files = [(one.change, one.path) for one in compared.files]
        parts += [Text(), table(["!Source file", "Path"], files, empty="")]
    others = [
        (one.component, one.part, _value(one.before), _value(one.after))
        for one in compared.differences
        if one.component != "sources" or not compared.files
    ]
    if others:
        parts += [Text(), table(["!Component", "Part", "Was", "Is"], others, empty="")]
    if compared.steps:
        parts += [Text(), Text(f"Steps that depend on it: {', '.join(compared.steps)}.")]
    return Padding(Group(*parts), (0, 0, 0, 2)) if parts else Text()


def _value(text: str | None) -> str:
    if text is None:
        return "none"
    return text if len(text) <= _SHOWN_VALUE else f"{text[:_SHOWN_VALUE]}…"


def _prediction_view(found: CachePrediction) -> RenderableType:
    from task_manager.results.wording import seconds_text

    rows = [(step.step_id, step.outcome.value, seconds_text(step.seconds), step.text) for step in found.steps]
    parts: list[RenderableType] = [
        Text.assemble((found.outcome.value, "bold"), f": {found.text}"),
        Text(),
        table(["!Step", "!Cache", "!>Took", "Why"], rows, empty=""),
        Text(),
        Text(f"Expected to be saved: {seconds_text(found.saved_seconds) or '0 s'}."),
    ]
    if found.compared is not None:
        parts.append(_comparison_view(found.compared))
    return Group(*parts)


def _figures_view(figures: CacheFigures) -> RenderableType:
    from task_manager.results.wording import seconds_text

    misses = sum(figures.misses.values())
    asked = figures.hits + misses
    facts = fields(
        [
            ("Hits", f"{figures.hits} of {asked}" + (f" ({figures.hits / asked:.0%})" if asked else "")),
            ("Saved", seconds_text(figures.saved_seconds) or "0 s"),
            ("Misses", _counts(figures.misses)),
            ("Not asked", _counts(figures.off)),
        ]
    )
    tiers = [
        (
            tier.name,
            "in use" if tier.is_open else "left out",
            "unknown" if tier.entries is None else str(tier.entries),
            "" if tier.bytes is None else decimal(tier.bytes),
            "" if tier.limit is None else decimal(tier.limit),
            *(
                str(counts.get(tier.name, 0))
                for counts in (figures.hits_by_tier, figures.evictions, figures.damaged, figures.skips)
            ),
        )
        for tier in figures.tiers
    ]
    columns = ["!Tier", "!State", "!>Entries", "!>Size", "!>Limit", "!>Hits", "!>Evicted", "!>Damaged", "!>Skipped"]
    tier_table = table(columns, tiers, empty="")
    parts: list[RenderableType] = [facts, Text(), tier_table]
    for name, groups in (("Template", figures.by_template), ("Project", figures.by_project)):
        parts += [Text(), _groups_table(name, groups)]
    return Group(*parts)


def _groups_table(name: str, groups: Mapping[str, Mapping[str, float]]) -> RenderableType:
    from task_manager.results.wording import seconds_text

    rows = [
        (key, f"{values['hits']:.0f}", f"{values['misses']:.0f}", seconds_text(values["saved_seconds"]))
        for key, values in sorted(groups.items())
    ]
    return table([name, "!>Hits", "!>Misses", "!>Saved"], rows, empty="")


def _counts(counts: Mapping[str, int]) -> str | None:
    return ", ".join(f"{count} {reason.replace('_', ' ')}" for reason, count in sorted(counts.items())) or None


def _entry_row(entry: CacheEntry) -> tuple[str, str, str, str, str, str]:
    from task_manager.cli.statuses import moment_text
    from task_manager.models import utc_now
    from task_manager.results.wording import seconds_text

    made = moment_text(entry.created_at, utc_now())
    return _short(entry.key), entry.task_title, entry.status.value, seconds_text(entry.seconds), made, entry.run_id


def _entry_data(entry: CacheEntry) -> dict[str, Any]:
    return entry.model_dump(mode="json", exclude={"result", "steps", "artifacts"})


def _short(key: str) -> str:
    return key.removeprefix("sha256:")[:_SHOWN_KEY]

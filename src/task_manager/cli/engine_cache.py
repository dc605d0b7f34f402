"""`task-manager engine cache`: what the embedded engine has stored."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Group, RenderableType
from rich.filesize import decimal
from rich.text import Text

from task_manager.cli.command import command, group
from task_manager.cli.exit_codes import ExitCode
from task_manager.cli.output import fields, table
from task_manager.cli.session import Session

if TYPE_CHECKING:
    from task_manager.engine_cache import CacheStatistics, Pruned, Verified

_SHOWN_KEY = 16
_DAY_SECONDS = 86400

MaxBytes = Annotated[str | None, typer.Option(metavar="SIZE", help="Keep at most this much, such as 5GiB.")]
MaxAge = Annotated[str | None, typer.Option(metavar="AGE", help="Keep what was used within this time, such as 30d.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only tell what would be removed.")]
Repair = Annotated[bool, typer.Option("--repair", help="Remove what is damaged and what builds on it.")]


def add_cache_commands(engine: typer.Typer) -> None:
    """Add the group `cache` to the group `engine`."""
    cache = group(engine, "cache", "Show, prune and verify what the embedded engine has stored.")
    command(cache, "stats", example="task-manager engine cache stats")(stats)
    command(cache, "prune", example="task-manager engine cache prune --max-bytes 5GiB --max-age 30d --dry-run")(prune)
    command(cache, "verify", example="task-manager engine cache verify --repair")(verify)


async def stats(session: Session) -> None:
    """Show how much is stored, by kind, and how much of it no running session uses."""
    from task_manager.engine_cache import cache_statistics

    found = await cache_statistics(session.settings())
    session.output.show(found, _statistics_view(found))


async def prune(session: Session, max_bytes: MaxBytes = None, max_age: MaxAge = None, dry_run: DryRun = False) -> None:
    """Remove results and cache volumes, least recently used first, until the limits hold.

    What a running session uses stays. Without limits, those of the settings count: engine_cache.max_bytes and
    engine_cache.max_age.
    """
    from task_manager.engine_cache import prune_cache

    done = await prune_cache(session.settings(), max_bytes=max_bytes, max_age=max_age, dry_run=dry_run)
    session.output.show(done, _pruned_view(done))


async def verify(session: Session, repair: Repair = False) -> None:
    """Compare everything with what was noted when it was stored.

    The exit code is 1 when there is damage, repaired or not. What is removed is made again when it is needed.
    """
    from task_manager.engine_cache import verify_cache

    found = await verify_cache(session.settings(), repair=repair)
    session.output.show(found, _verified_view(found, repair=repair))
    if found.damaged:
        raise typer.Exit(ExitCode.FAILED)


def _statistics_view(found: CacheStatistics) -> RenderableType:
    rows = [(kind, str(usage.entries), decimal(usage.bytes)) for kind, usage in found.kinds.items()]
    facts = fields(
        [
            ("Store", found.state_dir),
            ("Stored", f"{found.entries}, {decimal(found.bytes)}"),
            ("Reclaimable", decimal(found.reclaimable)),
            ("Running sessions", str(found.sessions)),
            ("Longest unused", _days_ago(found.oldest_use)),
        ]
    )
    return Group(facts, Text(), table(["Kind", ">Count", ">Size"], rows, empty="Nothing is stored yet."))


def _pruned_view(done: Pruned) -> RenderableType:
    verb = "Would remove" if done.dry_run else "Removed"
    text = f"{verb} {done.removed} ({decimal(done.freed)}), kept {done.kept} ({decimal(done.kept_bytes)})."
    return Text(f"{text} {done.in_use} more are used by running sessions." if done.in_use else text)


def _verified_view(found: Verified, *, repair: bool) -> RenderableType:
    checked = Text(f"Checked {found.checked}, of which {found.recorded} for the first time.")
    if not found.damaged:
        return Group(checked, Text("Nothing is damaged.", style="green"))
    rows = [
        (damage.kind, damage.key[:_SHOWN_KEY], damage.reason, "removed" if damage.dropped else "still there")
        for damage in found.damaged
    ]
    shown = table(["!Kind", "!Key", "What is wrong", "!State"], rows, empty="")
    told = f"{len(found.damaged)} damaged, {found.dependents} more build on them, {found.dropped} removed."
    return Group(checked, Text(), shown, Text(), Text(told, style="red"), Text(_next_step(found, repair=repair)))


def _next_step(found: Verified, *, repair: bool) -> str:
    if found.sound:
        return "What was removed is made again when it is needed."
    if repair:
        return "What is still there is in use: end the running sessions and repeat."
    return "Run it again with --repair: what is removed is made again when it is needed."


def _days_ago(moment: float | None) -> str | None:
    return None if moment is None else f"{max(time.time() - moment, 0) / _DAY_SECONDS:.1f} days ago"

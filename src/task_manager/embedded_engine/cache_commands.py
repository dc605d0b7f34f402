"""`task-manager-engine cache`: what is stored, whether it is whole, and making it smaller."""

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from task_manager.embedded_engine.quantities import format_age, format_size, parse_age, parse_size

if TYPE_CHECKING:
    from task_manager.embedded_engine.config import EngineConfig
    from task_manager.embedded_engine.store.collection import Statistics
    from task_manager.embedded_engine.store.layers import LayerStore
    from task_manager.embedded_engine.store.verification import Verification

EXIT_DAMAGED = 1
_SHOWN_KEY = 16


def add_cache_commands(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
) -> list[argparse.ArgumentParser]:
    """Add `cache stats`, `cache prune` and `cache verify`; return their parsers."""
    cache = commands.add_parser("cache", help="show, prune or verify what is stored", allow_abbrev=False)
    actions = cache.add_subparsers(dest="action", required=True, metavar="ACTION")
    stats = actions.add_parser("stats", help="show how much is stored, by kind", allow_abbrev=False)
    stats.set_defaults(run=_stats)
    prune = actions.add_parser(
        "prune",
        help="remove what was not used for longest",
        allow_abbrev=False,
        description="Remove results and cache volumes, least recently used first, until the limits hold. What a "
        "running session uses stays. Without limits those of the configuration count.",
    )
    prune.add_argument("--max-bytes", type=_size, metavar="SIZE", help="keep at most this much, such as 5GiB")
    prune.add_argument("--max-age", type=_age, metavar="AGE", help="keep what was used within this time, such as 30d")
    prune.add_argument("--dry-run", action="store_true", help="only tell what would be removed")
    prune.set_defaults(run=_prune)
    verify = actions.add_parser(
        "verify", help="compare everything with what was noted when it was stored", allow_abbrev=False
    )
    verify.add_argument("--repair", action="store_true", help="remove what is damaged and what builds on it")
    verify.set_defaults(run=_verify)
    for action in (stats, prune, verify):
        action.add_argument("--json", action="store_true", help="print one JSON document")
    return [stats, prune, verify]


def _size(text: str) -> int:
    try:
        return parse_size(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _age(text: str) -> float:
    try:
        return parse_age(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _stats(options: argparse.Namespace) -> int:
    from task_manager.embedded_engine.store.collection import Statistics, take_statistics

    config = _config(options)
    with _opened(config.state_dir) as store:
        found = take_statistics(store, time.time()) if store else Statistics.of_nothing()
    _print(options, config, asdict(found), _statistics_lines(found))
    return 0


def _prune(options: argparse.Namespace) -> int:
    from task_manager.embedded_engine.store.collection import Collected, Limits, collect

    config = _config(options)
    limits = Limits(options.max_bytes, options.max_age)
    if limits == Limits():
        limits = Limits(config.max_bytes, config.max_age)
    with _opened(config.state_dir) as store:
        done = collect(store, limits, time.time(), dry_run=options.dry_run) if store else Collected(0, 0, 0, 0, 0)
    verb = "would remove" if options.dry_run else "removed"
    lines = [
        f"{verb} {done.removed} ({format_size(done.freed)}), kept {done.kept} ({format_size(done.kept_bytes)})",
        *([f"{done.in_use} more would go, but running sessions use them"] if done.in_use else []),
    ]
    _print(options, config, {**asdict(done), **asdict(limits), "dry_run": options.dry_run}, lines)
    return 0


def _verify(options: argparse.Namespace) -> int:
    from task_manager.embedded_engine.store.verification import Verification, verify

    config = _config(options)
    with _opened(config.state_dir) as store:
        progress = _show_progress if sys.stderr.isatty() and not options.json else _show_nothing
        found = verify(store, repair=options.repair, progress=progress) if store else Verification(0, 0, 0, (), 0, 0)
    _print(options, config, {**asdict(found), "sound": found.sound}, _verification_lines(found, repair=options.repair))
    return EXIT_DAMAGED if found.damaged else 0


def _config(options: argparse.Namespace) -> "EngineConfig":
    from task_manager.embedded_engine.config import load_config
    from task_manager.embedded_engine.errors import ConfigurationError

    config = load_config(options.config, options.state_dir, os.environ)
    if config.state_dir.exists() and not config.state_dir.is_dir():
        raise ConfigurationError(f"the state folder {config.state_dir} is not a folder; name it with --state-dir")
    return config


@contextmanager
def _opened(state_dir: Path) -> "Iterator[LayerStore | None]":
    """Give the store, as the user that owns all its files; None where nothing was stored yet.

    Raises:
        StorageError: It cannot be used, or failed meanwhile.
        SandboxUnavailableError: The namespace that its files belong to cannot be entered.
    """
    from task_manager.embedded_engine.sandbox import user_namespace
    from task_manager.embedded_engine.store.layers import LayerStore, storage_error

    if not (state_dir / "version").is_file():
        yield None
        return
    ids = user_namespace.planned_map()
    if ids.kind != "all":
        user_namespace.enter(ids)
    store = LayerStore(state_dir)
    store.open()
    try:
        yield store
    except OSError as error:
        raise storage_error(state_dir, error) from error
    finally:
        store.close()


def _print(options: argparse.Namespace, config: "EngineConfig", plain: dict[str, Any], lines: Sequence[str]) -> None:
    if options.json:
        text = json.dumps({"state_dir": str(config.state_dir), **plain}, indent=2)
    else:
        text = "\n".join([f"store: {config.state_dir}", *lines])
    sys.stdout.write(text + "\n")


def _statistics_lines(found: "Statistics") -> list[str]:
    rows = [(kind, str(of["entries"]), format_size(of["bytes"])) for kind, of in found.kinds.items()]
    rows.append(("total", str(found.entries), format_size(found.bytes)))
    widest = max(len(kind) for kind, _, _ in rows)
    lines = [f"{kind:<{widest}}  {count:>8}  {size:>10}" for kind, count, size in rows]
    lines.append(f"reclaimable: {format_size(found.reclaimable)}; running sessions: {found.sessions}")
    if found.oldest_use is not None and found.newest_use is not None:
        now = time.time()
        lines.append(f"last used: {format_age(now - found.newest_use)} to {format_age(now - found.oldest_use)} ago")
    return lines


def _verification_lines(found: "Verification", *, repair: bool) -> list[str]:
    lines = [f"checked {found.checked}, of which {found.recorded} for the first time"]
    if found.lost:
        lines.append(f"{found.lost} did not survive a loss of power; nothing uses them")
    for damage in found.damaged:
        state = "removed" if damage.dropped else "in use, end the sessions and repeat" if repair else "damaged"
        lines.append(f"{state}: {damage.kind} {damage.key[:_SHOWN_KEY]}: {damage.reason} ({damage.path})")
    if not found.damaged:
        return [*lines, "nothing is damaged"]
    lines.append(f"{len(found.damaged)} damaged, {found.dependents} more build on them, {found.dropped} removed")
    return lines if repair else [*lines, "Run it again with --repair: what is removed is made again when needed."]


def _show_progress(done: int, total: int) -> None:
    sys.stderr.write(f"\rverifying {done}/{total}" + ("\n" if done == total else ""))
    sys.stderr.flush()


def _show_nothing(_done: int, _total: int) -> None:
    pass

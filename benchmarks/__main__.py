"""`python -m benchmarks [names] [--quick] [--json FILE] [--plot FILE] [--note FILE]`: print figures beside goals."""

import argparse
import asyncio
import json
import logging
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from pytest import skip  # noqa: PT013 - for the reason that a missing package gives

from benchmarks import (
    agents,
    cache,
    cached_runs,
    dashboard,
    engine,
    http,
    logs,
    processes,
    recovery,
    runs,
    scripts,
    store,
)
from benchmarks.engine import QUICK, Counts
from benchmarks.figures import Figure
from benchmarks.laboratory import laboratory
from benchmarks.noting import note
from benchmarks.plot import draw

EXIT_UNABLE = 2
ON_FILES = {
    **store.BENCHMARKS,
    **logs.BENCHMARKS,
    **cache.BENCHMARKS,
    **http.BENCHMARKS,
    **dashboard.BENCHMARKS,
}
OF_PROCESSES = {**runs.BENCHMARKS, **agents.BENCHMARKS, **processes.BENCHMARKS, **recovery.BENCHMARKS}
ON_ENGINE = {**engine.BENCHMARKS, **cached_runs.BENCHMARKS, **scripts.BENCHMARKS}
NAMES = (*ON_FILES, *OF_PROCESSES, *ON_ENGINE)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0, or 2 where this machine lacks what a benchmark needs. A missed goal is a result."""
    options = _parser().parse_args(arguments)
    logging.getLogger("dagger").setLevel(logging.ERROR)
    busy = os.getloadavg()[0]
    sys.stdout.write(f"{os.cpu_count()} processors, {busy:.1f} processes waiting for them before this run; ")
    sys.stdout.write("figures are medians\n")
    try:
        figures = asyncio.run(_measured(options.names or NAMES, QUICK if options.quick else Counts()))
    except skip.Exception as error:
        sys.stderr.write(f"benchmarks: {error}\n")
        return EXIT_UNABLE
    met = sum(figure.goal.is_met(figure.value) for figure in figures.values())
    sys.stdout.write(f"{met} of {len(figures)} goals met\n")
    if options.plot:
        draw(figures, options.plot)
    if options.note:
        note(figures, options.note, busy=busy, quick=options.quick)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(_report(figures, quick=options.quick), indent=2) + "\n", encoding="utf-8")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure, and print figures and goals.")
    names = ", ".join(NAMES)
    parser.add_argument("names", nargs="*", metavar="NAME", type=_name, help=f"what to measure: {names} (all of them)")
    parser.add_argument("--quick", action="store_true", help="measure less often: rougher figures, in seconds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to a file too")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the figures beside their goals, as PNG or SVG")
    parser.add_argument("--note", type=Path, metavar="FILE", help="write the figures into the tables of a document")
    return parser


def _name(text: str) -> str:
    if text not in NAMES:
        raise argparse.ArgumentTypeError(f"there is no benchmark {text}; known are {', '.join(NAMES)}")
    return text


async def _measured(names: Sequence[str], counts: Counts) -> dict[str, Figure]:
    figures = {}
    for name in names:
        if name in ON_FILES:
            figures[name] = _shown(name, ON_FILES[name](counts))
        elif name in OF_PROCESSES:
            figures[name] = _shown(name, await OF_PROCESSES[name](counts))
    of_engine = [name for name in names if name in ON_ENGINE]
    if of_engine:
        async with laboratory() as place:
            for name in of_engine:
                figures[name] = _shown(name, await ON_ENGINE[name](place, counts))
    return figures


def _shown(name: str, figure: Figure) -> Figure:
    sys.stdout.write(f"{name:<16} {figure.line()}\n")
    sys.stdout.flush()
    return figure


def _report(figures: Mapping[str, Figure], *, quick: bool) -> dict[str, object]:
    machine = {"processors": os.cpu_count(), "kernel": platform.release(), "python": platform.python_version()}
    measured = {name: figure.plain() for name, figure in figures.items()}
    return {"machine": {**machine, "load": os.getloadavg()[0]}, "quick": quick, "figures": measured}


if __name__ == "__main__":
    sys.exit(main())

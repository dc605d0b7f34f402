"""Benchmarks of the embedded engine, through the Python SDK."""

import asyncio
import itertools
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.figures import Bound, Figure, Goal, milliseconds
from benchmarks.laboratory import Laboratory, connected, floor_command, seconds
from benchmarks.other_containers import seconds_of

SHORT_CHAIN: Final = 3
_AT_ONCE: Final = 4


@dataclass(frozen=True)
class Counts:
    """How often things are done.

    Attributes:
        steps: Single steps, cached chains, pages.
        connections: Connections of each kind, statistics.
        pipelines: Pipelines in one round.
        rounds: Rounds of pipelines, and of long chains.
        long_chain: Steps of a long chain.
        lives: Runs whose transitions are stored, from the first to the last.
        stored_runs: Runs that are there when runs are asked for.
        queued: Runs that a worker takes from the queue in one round.
        streams: Event streams that are open at once.
        clients: Pages of the dashboard that are open at once.
        events: What happens while they are.
        folders: Folders of 100 files that a run takes.
        scripts: Of what runs are compared with scripts: how many steps each has, how many are under way at once.
    """

    steps: int = 100
    connections: int = 7
    pipelines: int = 40
    rounds: int = 5
    long_chain: int = 60
    lives: int = 500
    stored_runs: int = 100_000
    queued: int = 200
    streams: int = 1000
    clients: int = 100
    events: int = 1800
    folders: int = 100
    scripts: Sequence[tuple[int, int]] = tuple(itertools.product((1, 3, 10), (1, 4, 8)))


QUICK: Final = Counts(
    steps=20, connections=3, pipelines=40, rounds=1, lives=200, queued=50, events=100, scripts=((1, 1), (3, 4), (10, 8))
)


async def uncached_step(place: Laboratory, counts: Counts) -> Figure:
    """Measure a step that never ran before against the floor, in turns, so that both meet the same machine.

    Whatever else runs containers here is measured beside them.
    """
    bases = {"step ms": place.base, **({"other engine ms": place.other} if place.other else {})}
    commands = {"floor ms": floor_command(), **{f"{name} ms": of for name, of in place.programs.items()}}
    taken: dict[str, list[float]] = {name: [] for name in (*bases, *commands)}
    for _ in range(counts.steps):
        for name, command in commands.items():
            taken[name].append(seconds_of(command))
        for name, base in bases.items():
            taken[name].append(await seconds(base.with_exec(["true", place.fresh()]).stdout))
    parts = {name: milliseconds(samples) for name, samples in taken.items()}
    ratio = parts["step ms"] / parts["floor ms"]
    return Figure("uncached step / unshare of the same namespaces", ratio, "x", Goal(Bound.AT_MOST, 8), parts)


async def cached_chain(place: Laboratory, counts: Counts) -> Figure:
    """Measure a chain of three steps whose results are stored."""
    tag = place.fresh()
    await place.chain(SHORT_CHAIN, tag).stdout()
    samples = [await seconds(place.chain(SHORT_CHAIN, tag).stdout) for _ in range(counts.steps)]
    goal = Goal(Bound.AT_MOST, 10)
    parts = {"one request ms": await _request(place, counts), "fastest ms": min(samples) * 1000}
    return Figure("cached chain of three steps", milliseconds(samples), "ms", goal, parts)


async def _request(place: Laboratory, counts: Counts) -> float:
    """Return the milliseconds of the smallest request, which every other one takes too."""
    return milliseconds([await seconds(place.client.version) for _ in range(counts.steps)])


async def running_session(place: Laboratory, counts: Counts) -> Figure:
    """Measure connecting to a session that is there."""
    samples = await _connecting(place.running, counts)
    goal = Goal(Bound.AT_MOST, 0.3)
    return Figure("connect to a running session", statistics.median(samples), "s", goal, {"slowest s": max(samples)})


async def new_session(place: Laboratory, counts: Counts) -> Figure:
    """Measure connecting where that starts a session."""
    samples = await _connecting(place.starting, counts)
    goal = Goal(Bound.AT_MOST, 1.0)
    return Figure("connect to a new session", statistics.median(samples), "s", goal, {"slowest s": max(samples)})


async def _connecting(variables: Mapping[str, str], counts: Counts) -> list[float]:
    """Return the seconds from asking for a connection to its first answer; the end of the session is not counted."""
    samples = []
    for _ in range(counts.connections):
        start = time.perf_counter()
        async with connected(variables) as client:
            await client.version()
            samples.append(time.perf_counter() - start)
    return samples


async def pipelines(place: Laboratory, counts: Counts) -> Figure:
    """Measure pipelines of three steps that never ran before, four at a time."""
    samples = [await seconds(lambda: _one_round(place, counts.pipelines)) for _ in range(counts.rounds)]
    rates = [counts.pipelines / sample for sample in samples]
    goal = Goal(Bound.AT_LEAST, 25)
    parts = {"slowest /s": min(rates), "fastest /s": max(rates)}
    return Figure(
        f"{counts.pipelines} three-step pipelines, 4 in parallel", statistics.median(rates), "/s", goal, parts
    )


async def _one_round(place: Laboratory, count: int) -> None:
    slots = asyncio.Semaphore(_AT_ONCE)

    async def run(tag: str) -> None:
        async with slots:
            await place.chain(SHORT_CHAIN, tag).stdout()

    async with asyncio.TaskGroup() as group:
        for _ in range(count):
            group.create_task(run(place.fresh()))


async def long_chain(place: Laboratory, counts: Counts) -> Figure:
    """Measure the steps of a long chain against those of a short one, about as many of each."""
    length, short = counts.long_chain, 5
    long_steps, short_steps = [], []
    for _ in range(counts.rounds):
        long_steps.append(await seconds(place.chain(length, place.fresh()).stdout) / length)
        short_chains = [place.chain(short, place.fresh()) for _ in range(length // short)]
        short_steps += [await seconds(chain.stdout) / short for chain in short_chains]
    parts = {"long ms": milliseconds(long_steps), "short ms": milliseconds(short_steps)}
    ratio = statistics.median(long_steps) / statistics.median(short_steps)
    return Figure(f"a step of {length} / a step of {short}", ratio, "x", Goal(Bound.AT_MOST, 1.5), parts)


BENCHMARKS: Final[Mapping[str, Callable[[Laboratory, Counts], Awaitable[Figure]]]] = {
    "step": uncached_step,
    "cached-chain": cached_chain,
    "connect-running": running_session,
    "connect-new": new_session,
    "pipelines": pipelines,
    "long-chain": long_chain,
}

"""Simplifying a valid pipeline without changing what it means.

What it means: the content of every output, and how every step that runs something ends. Each pass is a function from
steps to steps; they are repeated until none finds anything, since a merge can make needs redundant and the other way
round.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from task_manager.conversion.sources import narrow_sources
from task_manager.graph import layers
from task_manager.pipeline import CachePolicy, Pipeline, Report, Step, StepSource, content_digest

Steps = tuple[Step, ...]


class Simplified(NamedTuple):
    """A simplified pipeline, and what became of its steps."""

    pipeline: Pipeline
    aliases: dict[str, str]
    dropped: tuple[str, ...]
    notes: tuple[str, ...]


class _State(NamedTuple):
    steps: Steps
    aliases: dict[str, str]
    dropped: tuple[str, ...]
    notes: tuple[str, ...]


def simplify(pipeline: Pipeline) -> Simplified:
    """Simplify until nothing more is found.

    Args:
        pipeline: A valid one.

    Returns:
        The pipeline with reports that name the steps which are left, and what happened to the others.
    """
    passes: tuple[Callable[[_State], _State], ...] = (_narrow, _drop, _reduce, _merge)
    before, state = None, _State(pipeline.steps, {}, (), ())
    while state.steps != before:
        before = state.steps
        for apply in passes:
            state = apply(state)
    reports = _reports(pipeline.result.reports, state.aliases)
    result = pipeline.result.model_copy(update={"reports": reports})
    simple = pipeline.model_copy(update={"steps": state.steps, "result": result})
    return Simplified(simple, state.aliases, state.dropped, state.notes)


def _reports(reports: Iterable[Report], aliases: Mapping[str, str]) -> tuple[Report, ...]:
    """The reports on the steps that are left, each once."""
    renamed = (report.model_copy(update={"step": aliases.get(report.step, report.step)}) for report in reports)
    return tuple(dict.fromkeys(renamed))


def _narrow(state: _State) -> _State:
    outputs = {(step.id, output.name): output for step in state.steps for output in step.outputs}
    narrowed = tuple(narrow_sources(step, outputs) for step in state.steps)
    notes = (
        f"Sources of step {step.id!r} that nothing sees were taken out."
        for step, other in zip(state.steps, narrowed, strict=True)
        if len(step.sources) != len(other.sources)
    )
    return state._replace(steps=narrowed, notes=_added(state.notes, notes))


def _added(notes: tuple[str, ...], more: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*notes, *more)))


# --- steps without effect ---


def _drop(state: _State) -> _State:
    """Take out steps that neither run anything nor leave anything; who needs one needs what it needed."""
    idle = [step.id for step in state.steps if step.command is None and step.script is None and not step.outputs]
    if len(idle) == len(state.steps):  # a pipeline has at least one step
        idle = idle[1:]
    if not idle:
        return state
    beyond = _beyond(state.steps, idle)
    kept = tuple(_with_needs_beyond(step, beyond) for step in state.steps if step.id not in beyond)
    notes = (f"Step {name!r} was dropped: it runs nothing and leaves nothing." for name in idle)
    return state._replace(steps=kept, dropped=(*state.dropped, *idle), notes=_added(state.notes, notes))


def _beyond(steps: Steps, idle: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Each idle step with the other steps that it waits for, directly or through idle ones."""
    upstream = {step.id: step.upstream for step in steps}
    found: dict[str, tuple[str, ...]] = {}
    for layer in layers({name: upstream[name] for name in idle}):
        for name in layer:
            found[name] = _unique(other for need in upstream[name] for other in found.get(need, (need,)))
    return found


def _with_needs_beyond(step: Step, beyond: Mapping[str, tuple[str, ...]]) -> Step:
    needs = _unique(other for need in step.needs for other in beyond.get(need, (need,)))
    return step.model_copy(update={"needs": needs})


# --- needs that other needs imply ---


def _reduce(state: _State) -> _State:
    """Take out needs that a step source or another need implies, and sort the others."""
    below = _everything_below(state.steps)
    reduced = tuple(_with_fewest_needs(step, below) for step in state.steps)
    notes = (
        f"Needs of step {step.id!r} that others imply were taken out."
        for step, other in zip(state.steps, reduced, strict=True)
        if len(step.needs) != len(other.needs)
    )
    return state._replace(steps=reduced, notes=_added(state.notes, notes))


def _everything_below(steps: Steps) -> dict[str, frozenset[str]]:
    """Each step with all that must have succeeded before it, however indirectly."""
    upstream = {step.id: step.upstream for step in steps}
    below: dict[str, frozenset[str]] = {}
    for layer in layers(upstream):
        for name in layer:
            below[name] = upstream[name].union(*(below[other] for other in upstream[name]))
    return below


def _with_fewest_needs(step: Step, below: Mapping[str, frozenset[str]]) -> Step:
    used = {source.step for source in step.sources if isinstance(source, StepSource)}
    implied = used.union(*(below[name] for name in step.upstream))
    return step.model_copy(update={"needs": tuple(sorted(set(step.needs) - implied))})


# --- equal steps ---


def _merge(state: _State) -> _State:
    """Let one step stand for all that are equal to it, in the order of their needs."""
    found: dict[str, str] = {}
    first: dict[str, str] = {}
    by_id = {step.id: step for step in state.steps}
    for layer in layers({step.id: step.upstream for step in state.steps}):
        for name in layer:
            step = _renamed(by_id[name], found)
            if _may_be_shared(step) and first.setdefault(_meaning(step), name) != name:
                found[name] = first[_meaning(step)]
    if not found:
        return state
    kept = tuple(_renamed(step, found) for step in state.steps if step.id not in found)
    aliases = {name: found.get(other, other) for name, other in state.aliases.items()} | found
    notes = (f"Step {name!r} was merged into {other!r}, which does the same." for name, other in found.items())
    return state._replace(steps=kept, aliases=aliases, notes=_added(state.notes, notes))


def _may_be_shared(step: Step) -> bool:
    """Whether running it once is as good as running it twice.

    A cache volume is outside state, which a second run could change once more; a policy of `never` asks for each run.
    """
    return step.cache is CachePolicy.AUTO and not step.caches


def _meaning(step: Step) -> str:
    """What a step does, without what it is called; equal for steps that do the same."""
    return content_digest(step.model_dump(mode="json", exclude={"id", "name"}))


def _renamed(step: Step, aliases: Mapping[str, str]) -> Step:
    if not step.upstream & aliases.keys():
        return step
    changes: dict[str, Any] = {
        "needs": _unique(aliases.get(need, need) for need in step.needs),
        "sources": tuple(
            source.model_copy(update={"step": aliases.get(source.step, source.step)})
            if isinstance(source, StepSource)
            else source
            for source in step.sources
        ),
    }
    return step.model_copy(update=changes)


def _unique(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(values)))

"""Steps among each other: what they need, whose outputs they use, circles, and steps that can never run."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from task_manager.conversion.findings import Finding
from task_manager.errors import near_misses
from task_manager.graph import find_cycle
from task_manager.pipeline import Pipeline, Step, StepSource, TaskSource


def reference_findings(pipeline: Pipeline, *, vague: Collection[str] = ()) -> Iterator[Finding]:
    """Check every name of a step or output that a pipeline uses.

    Args:
        pipeline: It fits the schema.
        vague: Ids of steps whose outputs are not known for certain.

    Yields:
        Errors with their places.
    """
    yield from _duplicate_steps(pipeline)
    outputs = {step.id: {output.name for output in step.outputs} for step in pipeline.steps}
    for index, step in enumerate(pipeline.steps):
        yield from _needs(index, step, outputs)
        yield from _sources(index, step, outputs, vague)
    yield from _reports(pipeline, outputs, vague)
    yield from _order(pipeline)


def _duplicate_steps(pipeline: Pipeline) -> Iterator[Finding]:
    first: dict[str, int] = {}
    for index, step in enumerate(pipeline.steps):
        if first.setdefault(step.id, index) != index:
            yield Finding(
                place=f"steps[{index}].id",
                code="duplicate_step",
                message=f"The id {step.id!r} is taken by steps[{first[step.id]}].",
                remedy="Give every step an id of its own.",
            )


def _needs(index: int, step: Step, outputs: Mapping[str, Collection[str]]) -> Iterator[Finding]:
    for position, need in enumerate(step.needs):
        if need not in outputs:
            yield _unknown_step(f"steps[{index}].needs[{position}]", need, outputs)


def _sources(
    index: int, step: Step, outputs: Mapping[str, Collection[str]], vague: Collection[str]
) -> Iterator[Finding]:
    for position, source in enumerate(step.sources):
        if isinstance(source, StepSource):
            yield from _output_reference(
                f"steps[{index}].sources[{position}]", source.step, source.output, outputs, vague
            )


def _reports(pipeline: Pipeline, outputs: Mapping[str, Collection[str]], vague: Collection[str]) -> Iterator[Finding]:
    kept = {(step.id, output.name) for step in pipeline.steps for output in step.outputs if output.keep}
    for position, report in enumerate(pipeline.result.reports):
        place = f"result.reports[{position}]"
        yield from _output_reference(place, report.step, report.output, outputs, vague)
        if report.output in outputs.get(report.step, ()) and (report.step, report.output) not in kept:
            yield Finding(
                place=f"{place}.output",
                code="output_not_kept",
                message=f"The output {report.output!r} of step {report.step!r} is not kept, so it cannot be read.",
                remedy="Take `keep: false` out of the output.",
            )


def _output_reference(
    place: str, step: str, output: str, outputs: Mapping[str, Collection[str]], vague: Collection[str]
) -> Iterator[Finding]:
    if step not in outputs:
        yield _unknown_step(f"{place}.step", step, outputs)
    elif output not in outputs[step] and step not in vague:
        known = outputs[step]
        yield Finding(
            place=f"{place}.output",
            code="unknown_output",
            message=f"Step {step!r} has no output {output!r}.",
            remedy=_suggestion(output, known, f"Step {step!r} has no outputs; declare one."),
        )


def _unknown_step(place: str, step: str, known: Collection[str]) -> Finding:
    return Finding(
        place=place,
        code="unknown_step",
        message=f"There is no step {step!r}.",
        remedy=_suggestion(step, known, "Add the step, or take the reference out."),
    )


def _suggestion(word: str, known: Collection[str], otherwise: str) -> str:
    return _near(word, known) or (f"Known: {', '.join(sorted(known))}." if known else otherwise)


def _near(word: str, known: Iterable[str]) -> str:
    near = near_misses(word, known)
    return f"Did you mean {' or '.join(repr(name) for name in near)}?" if near else ""


def task_source_findings(pipeline: Pipeline, task_dependencies: Collection[str]) -> Iterator[Finding]:
    """Check that a pipeline uses the artifacts and results of tasks only that its task depends on.

    Args:
        pipeline: It fits the schema.
        task_dependencies: Ids and titles of the tasks that the task depends on.

    Yields:
        Errors with their places.
    """
    for index, step in enumerate(pipeline.steps):
        for position, source in enumerate(step.sources):
            if isinstance(source, TaskSource) and source.task not in task_dependencies:
                yield Finding(
                    place=f"steps[{index}].sources[{position}].task",
                    code="not_a_dependency",
                    message=f"The task does not depend on {source.task!r}, whose artifact or result it wants to use.",
                    remedy=_near(source.task, task_dependencies) or "Add that task to this task's dependencies.",
                )


def _order(pipeline: Pipeline) -> Iterator[Finding]:
    edges = {step.id: step.upstream for step in pipeline.steps}
    place = {step.id: index for index, step in enumerate(pipeline.steps)}
    circles = list(_circles(edges))
    for circle in circles:
        path = " → ".join(repr(name) for name in [*circle, circle[0]])
        yield Finding(
            place=f"steps[{place[circle[0]]}]",
            code="cycle",
            message=f"Steps need each other in a circle: {path}." if len(circle) > 1 else f"It needs itself: {path}.",
            remedy="Take one of these needs or step sources out.",
        )
    yield from _unreachable(edges, place, {name for circle in circles for name in circle})


def _circles(edges: Mapping[str, Collection[str]]) -> Iterator[list[str]]:
    """Circles that share no step, each once."""
    left = dict(edges)
    while circle := find_cycle(left):
        yield circle
        left = {name: needed for name, needed in left.items() if name not in circle}


def _unreachable(
    edges: Mapping[str, Collection[str]], place: Mapping[str, int], circular: Collection[str]
) -> Iterator[Finding]:
    """Steps that can never run, but for those that already have a finding of their own for that."""
    unknown = {name for name, needed in edges.items() if any(other not in edges for other in needed)}
    causes = dict.fromkeys(circular, "lies on a circle") | dict.fromkeys(
        unknown - set(circular), "needs a step that does not exist"
    )
    stuck = {name: (name, cause) for name, cause in causes.items()}
    grown = True
    while grown:
        blocked = {
            name: stuck[next(other for other in sorted(needed) if other in stuck)]
            for name, needed in edges.items()
            if name not in stuck and any(other in stuck for other in needed)
        }
        stuck |= blocked
        grown = bool(blocked)
    for name in edges:
        if name in stuck and name not in causes:
            origin, cause = stuck[name]
            yield Finding(
                place=f"steps[{place[name]}]",
                code="unreachable_step",
                message=f"Step {name!r} can never run: it waits for {origin!r}, which {cause}.",
                remedy=f"Correct {origin!r}.",
            )

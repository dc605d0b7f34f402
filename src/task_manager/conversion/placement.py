"""What lies where in a step's container: sources, cache volumes and outputs that get into each other's way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import NamedTuple

from task_manager.conversion.findings import Finding, Severity
from task_manager.conversion.paths import container_path, contains
from task_manager.pipeline import InlineSource, Source, Step


class Placed(NamedTuple):
    """Something at a place in a container: its field in the definition, and its absolute path."""

    field: str
    path: str


def placement_findings(place: str, step: Step) -> Iterator[Finding]:
    """Check that sources, cache volumes and outputs of a step leave each other room.

    Args:
        place: The step's place in the definition.
        step: The step.

    Yields:
        Errors and warnings with their places.
    """
    caches = _placed(step, "caches", "target", [cache.target for cache in step.caches])
    sources = _placed(step, "sources", "target", [source.target for source in step.sources])
    outputs = _placed(step, "outputs", "path", [output.path for output in step.outputs])
    yield from _cache_clashes(place, caches, sources, outputs)
    yield from _source_clashes(place, step.sources, sources)
    yield from _output_clashes(place, outputs)


def _placed(step: Step, field: str, part: str, paths: Sequence[str | None]) -> list[Placed]:
    return [
        Placed(f"{field}[{index}].{part}", container_path(step.workdir, path))
        for index, path in enumerate(paths)
        if path is not None
    ]


def _cache_clashes(place: str, caches: list[Placed], sources: list[Placed], outputs: list[Placed]) -> Iterator[Finding]:
    for cache in caches:
        if cache.path == "/":
            yield _clash(place, cache, "A cache volume cannot take the place of the whole container.")
    for first, second in combinations(caches, 2):
        if contains(first.path, second.path) or contains(second.path, first.path):
            yield _clash(place, second, f"{second.path!r} overlaps the cache volume of {first.field}.")
    for cache in caches:
        for source in sources:
            if contains(cache.path, source.path):
                yield _clash(place, source, f"{source.path!r} lies in the cache volume of {cache.field}.")
        for output in outputs:
            if contains(cache.path, output.path):
                yield _clash(
                    place,
                    output,
                    f"{output.path!r} lies in the cache volume of {cache.field}, whose files are no outputs.",
                )


def _clash(place: str, what: Placed, message: str) -> Finding:
    return Finding(place=f"{place}.{what.field}", code="target_clash", message=message, remedy="Choose another path.")


def _source_clashes(place: str, sources: Sequence[Source], placed: list[Placed]) -> Iterator[Finding]:
    files = [where for source, where in zip(sources, placed, strict=True) if isinstance(source, InlineSource)]
    for first, second in combinations(files, 2):
        if first.path == second.path:
            yield Finding(
                place=f"{place}.{first.field}",
                code="shadowed_source",
                message=f"The file {first.path!r} is overwritten by that of {second.field}.",
                remedy="Take one of them out, or choose another target.",
                severity=Severity.WARNING,
            )
    for file in files:
        if file.path == "/":
            yield _clash(place, file, "A file cannot take the place of the whole container.")
            continue
        for other in placed:
            if other.path != file.path and contains(file.path, other.path):
                yield _clash(place, other, f"{other.path!r} lies beneath {file.field}, which is a file.")


def _output_clashes(place: str, outputs: list[Placed]) -> Iterator[Finding]:
    for first, second in combinations(outputs, 2):
        if first.path == second.path:
            yield Finding(
                place=f"{place}.{second.field}",
                code="output_clash",
                message=f"{second.path!r} is the path of {first.field} already.",
                remedy="Declare it once, or choose another path.",
            )
        elif contains(first.path, second.path) or contains(second.path, first.path):
            inner, outer = (second, first) if contains(first.path, second.path) else (first, second)
            yield Finding(
                place=f"{place}.{inner.field}",
                code="output_clash",
                message=f"{inner.path!r} lies in {outer.path!r}, which {outer.field} takes as a whole.",
                remedy="Declare only one of them, or move one to another folder.",
            )

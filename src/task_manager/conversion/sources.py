"""Taking sources out of a step that nothing in it can see."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from task_manager.conversion.paths import container_path, source_path
from task_manager.pipeline import HostSource, InlineSource, Output, OutputType, Source, Step, StepSource

Outputs = Mapping[tuple[str, str], Output]
"""The outputs of a pipeline, by step id and output name."""


def narrow_sources(step: Step, outputs: Outputs) -> Step:
    """Take sources out that change nothing, and write the others in one form.

    Taken out are a source that comes again later, and a file that a later file overwrites. A step whose output is no
    longer used is still needed.

    Args:
        step: Of a valid pipeline.
        outputs: All outputs of the pipeline.

    Returns:
        The step, or one with fewer sources and maybe more needs.
    """
    placed = tuple(_normal(source, step.workdir) for source in step.sources)
    kept = tuple(
        source for index, source in enumerate(placed) if not _comes_again(source, placed[index + 1 :], outputs)
    )
    lost = {source.step for source in placed if isinstance(source, StepSource)}
    lost -= {source.step for source in kept if isinstance(source, StepSource)}
    needs = (*step.needs, *sorted(lost - set(step.needs)))
    return step.model_copy(update={"sources": kept, "needs": needs})


def _normal(source: Source, workdir: str) -> Source:
    changes: dict[str, object] = {"target": container_path(workdir, source.target)}
    if isinstance(source, HostSource):
        changes["path"] = source_path(source.path) or source.path
        changes["include"] = _last_of_each(source.include)
        changes["exclude"] = _last_of_each(source.exclude)
    return source.model_copy(update=changes)


def _last_of_each(patterns: Iterable[str]) -> tuple[str, ...]:
    """Patterns without repetitions; the last of equal ones stays, since the last one that matches a file decides."""
    return tuple(reversed(dict.fromkeys(reversed(tuple(patterns)))))


def _comes_again(source: Source, later: Sequence[Source], outputs: Outputs) -> bool:
    return any(
        other == source or (other.target == source.target and _is_file(source, outputs) and _is_file(other, outputs))
        for other in later
    )


def _is_file(source: Source, outputs: Outputs) -> bool:
    """Whether a source is certainly there, and one file."""
    if isinstance(source, StepSource):
        output = outputs[source.step, source.output]
        return output.type is not OutputType.DIRECTORY and not output.optional
    return isinstance(source, InlineSource)

"""What is wrong with a pipeline that fits the schema: all of it at once, each with its place.

Two halves: `references` looks at steps among each other, `contents` at each step alone.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from pydantic import ValidationError

from task_manager.conversion.contents import content_findings
from task_manager.conversion.findings import Finding
from task_manager.conversion.references import reference_findings, task_source_findings
from task_manager.conversion.schema import read_pipeline, schema_findings
from task_manager.documents import Place
from task_manager.pipeline import Pipeline, Step

_ID_DEPTH = 3  # ("steps", index, "id")


def validate(
    pipeline: Pipeline, *, files: Collection[str] | None = None, task_dependencies: Collection[str] | None = None
) -> tuple[Finding, ...]:
    """Find everything that is wrong with a pipeline.

    Args:
        pipeline: It fits the schema already.
        files: The files of the task's source folder, relative, with forward slashes; None: unknown, so that host
            sources are not looked for.
        task_dependencies: Ids and titles of the tasks that the task depends on; None: unknown, so that sources from
            other tasks are not checked.

    Returns:
        Errors and warnings; empty when all is well.
    """
    findings = (*reference_findings(pipeline), *content_findings(pipeline, files=files))
    if task_dependencies is None:
        return findings
    return (*findings, *task_source_findings(pipeline, task_dependencies))


def parse(data: object) -> tuple[Pipeline | None, tuple[Finding, ...]]:
    """Read and check a definition with steps.

    Returns:
        The pipeline, or None when it does not fit the schema, with all findings. What still makes sense of a
        definition that does not fit is checked too, so that one look shows all that is wrong.
    """
    pipeline, refused = read_pipeline(data)
    if pipeline is not None:
        return pipeline, validate(pipeline)
    places = [finding.place for finding in refused]
    return None, schema_findings(refused) + _findings_of_the_rest(data, places)


def _findings_of_the_rest(data: object, places: Collection[Place]) -> tuple[Finding, ...]:
    """What is wrong besides the schema, judged by those fields of steps that fit it."""
    steps = data.get("steps") if isinstance(data, Mapping) else None
    if not isinstance(steps, list | tuple) or _lost_ids(places):
        return ()
    refused = {index: {place[2] for place in places if place[:2] == ("steps", index)} for index in range(len(steps))}
    try:
        kept = tuple(_without(step, refused[index]) for index, step in enumerate(steps))
        pipeline = Pipeline(steps=kept)
    except ValidationError:
        return ()
    vague = {step.id for index, step in enumerate(kept) if "outputs" in refused[index]}
    return (*reference_findings(pipeline, vague=vague), *content_findings(pipeline))


def _lost_ids(places: Collection[Place]) -> bool:
    """Whether a step cannot be told by its id, so that references cannot be judged."""
    return any(place[0] == "steps" and (len(place) < _ID_DEPTH or place[2] == "id") for place in places if place)


def _without(step: Mapping[str, Any], fields: Collection[int | str]) -> Step:
    kept = {name: value for name, value in step.items() if name in Step.model_fields and name not in fields}
    return Step.model_validate({"image": "unknown", **kept})

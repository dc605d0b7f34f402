"""What is different between two runs of a task."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from pydantic import Field

from task_manager.models import StepRecord, Workflow, WorkflowRun
from task_manager.pipeline import Pipeline
from task_manager.results.parts import Part

MOST_CHANGES: Final = 30
"""How many changes are told one by one."""

_MOST_CHARACTERS: Final = 120


class ChangeKind(StrEnum):
    """What changed."""

    SOURCE = "source"
    """A file of the source folder."""
    PARAMETER = "parameter"
    """A parameter of the workflow."""
    TEMPLATE = "template"
    """The template, or its version."""
    PIPELINE = "pipeline"
    """A step's definition, or the pipeline's own."""
    IMAGE = "image"
    """What a step's image is by now."""
    INPUT = "input"
    """What a task that it depends on left."""
    ENGINE = "engine"
    """The engine that executed it."""


class Change(Part):
    """One difference.

    Attributes:
        name: Of the file, parameter, step or artifact.
        before: As it was in the earlier run; none where it was not.
        after: As it is in the later one; none where it is not.
    """

    kind: ChangeKind
    name: str
    before: str | None = None
    after: str | None = None


class Changes(Part):
    """All differences.

    Attributes:
        since: The earlier run.
        total: How many there are.
        changes: One by one; fewer than `total` when there are very many.
    """

    since: str
    total: int = Field(0, ge=0)
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True)
class RunFacts:
    """A run with what decides how it goes.

    Attributes:
        inputs: What it took from other tasks: digests by name.
    """

    run: WorkflowRun
    workflow: Workflow
    steps: tuple[StepRecord, ...]
    inputs: Mapping[str, str]


def changes_between(before: RunFacts, after: RunFacts, files: Iterable[Change] = ()) -> Changes:
    """What is different in a run.

    Args:
        before: The earlier run.
        after: The later one.
        files: The changed files of its sources.
    """
    found = [
        *files,
        *_parameters(before, after),
        *_template(before, after),
        *_pipeline(before.workflow, after.workflow),
        *_images(before.steps, after.steps),
        *_compared(ChangeKind.INPUT, before.inputs, after.inputs),
        *_engine(before.run, after.run),
    ]
    return Changes(since=before.run.id, total=len(found), changes=tuple(found[:MOST_CHANGES]))


def _parameters(before: RunFacts, after: RunFacts) -> Iterator[Change]:
    values = ({**facts.workflow.parameters, **facts.run.parameters} for facts in (before, after))
    return _compared(ChangeKind.PARAMETER, *values)


def _template(before: RunFacts, after: RunFacts) -> Iterator[Change]:
    earlier, later = _template_name(before.workflow), _template_name(after.workflow)
    if earlier != later:
        yield Change(kind=ChangeKind.TEMPLATE, name="template", before=earlier, after=later)


def _template_name(workflow: Workflow) -> str | None:
    return f"{workflow.template_id} {workflow.template_version or ''}".strip() if workflow.template_id else None


def _pipeline(before: Workflow, after: Workflow) -> Iterator[Change]:
    """Steps whose definition differs, told by their differing fields; values of parameters are told elsewhere."""
    if before.function != after.function:
        yield Change(kind=ChangeKind.PIPELINE, name="function", before=before.function, after=after.function)
    if before.parameters != after.parameters or before.pipeline is None or after.pipeline is None:
        return
    earlier, later = _definitions(before.pipeline), _definitions(after.pipeline)
    for step_id in dict.fromkeys([*earlier, *later]):
        if step_id in earlier and step_id in later:
            for field in _differing(earlier[step_id], later[step_id]):
                name = f"{step_id}.{field}"
                yield _changed(ChangeKind.PIPELINE, name, earlier[step_id][field], later[step_id][field])
        else:
            known = ("a step" if step_id in steps else None for steps in (earlier, later))
            yield Change(kind=ChangeKind.PIPELINE, name=step_id, before=next(known), after=next(known))


def _definitions(pipeline: Pipeline) -> dict[str, dict[str, Any]]:
    return {step.id: step.model_dump(mode="json") for step in pipeline.steps}


def _differing(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    return [name for name in after if before.get(name) != after[name]]


def _images(before: Sequence[StepRecord], after: Sequence[StepRecord]) -> Iterator[Change]:
    earlier, later = ({step.step_id: _image(step) for step in steps if _image(step)} for steps in (before, after))
    shared = [step_id for step_id in later if step_id in earlier]
    return _compared(ChangeKind.IMAGE, {name: earlier[name] for name in shared}, {name: later[name] for name in shared})


def _image(step: StepRecord) -> str:
    return step.image_digest or (step.image if step.started_at else "")


def _engine(before: WorkflowRun, after: WorkflowRun) -> Iterator[Change]:
    if before.engine and after.engine and before.engine != after.engine:
        yield Change(kind=ChangeKind.ENGINE, name="engine", before=before.engine, after=after.engine)


def _compared(kind: ChangeKind, before: Mapping[str, object], after: Mapping[str, object]) -> Iterator[Change]:
    for name in dict.fromkeys([*before, *after]):
        if name not in before or name not in after or before[name] != after[name]:
            yield _changed(kind, name, before.get(name), after.get(name))


def _changed(kind: ChangeKind, name: str, before: object, after: object) -> Change:
    return Change(kind=kind, name=name, before=_text(before), after=_text(after))


def _text(value: object) -> str | None:
    if value is None:
        return None
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
    return text if len(text) <= _MOST_CHARACTERS else text[: _MOST_CHARACTERS - 1] + "…"

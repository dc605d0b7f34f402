"""From a pipeline to the order in which its steps run."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from task_manager.conversion.findings import refuse_errors
from task_manager.conversion.optimisation import simplify
from task_manager.conversion.validation import validate
from task_manager.graph import layers
from task_manager.pipeline import Pipeline


class ExecutionPlan(BaseModel):
    """A pipeline with the order of its steps.

    Attributes:
        pipeline: The steps that are to run.
        layers: Ids of the steps, first layer to last; a step stands in the earliest layer that its needs allow, and
            steps of one layer need nothing of one another.
        aliases: Each step that was merged into an equal one, with the id of the step that stands for it: its state and
            its outputs are those of that step.
        dropped: Ids of steps without any effect; they count as succeeded when the steps that they need have.
        notes: What was simplified, one sentence each.
    """

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    pipeline: Pipeline
    layers: tuple[tuple[str, ...], ...]
    aliases: dict[str, str] = Field(default_factory=dict)
    dropped: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def plan(pipeline: Pipeline) -> ExecutionPlan:
    """Put a pipeline's steps in order, as they are.

    Raises:
        InvalidPipeline: Validation finds errors.
    """
    refuse_errors(validate(pipeline), subject=f"The pipeline {pipeline.name!r}")
    return ExecutionPlan(pipeline=pipeline, layers=_layers(pipeline))


def optimise(pipeline: Pipeline) -> ExecutionPlan:
    """Put a pipeline's steps in order, after taking out what changes nothing.

    Equal steps are merged, steps without effect dropped, needs that others imply and sources that nothing sees taken
    out. Every output has the content, and every step the end, that it would have without that. Optimising what was
    optimised changes nothing more.

    Raises:
        InvalidPipeline: Validation finds errors.
    """
    refuse_errors(validate(pipeline), subject=f"The pipeline {pipeline.name!r}")
    simple = simplify(pipeline)
    return ExecutionPlan(
        pipeline=simple.pipeline,
        layers=_layers(simple.pipeline),
        aliases=simple.aliases,
        dropped=simple.dropped,
        notes=simple.notes,
    )


def _layers(pipeline: Pipeline) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(layer) for layer in layers({step.id: step.upstream for step in pipeline.steps}))

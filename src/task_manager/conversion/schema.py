"""Definitions as data: reading them into records, and their JSON Schema."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from task_manager.conversion.findings import Finding
from task_manager.conversion.forms import FUNCTION_PATTERN, PIPELINE_FORMS
from task_manager.documents import place_text
from task_manager.model_findings import ModelFinding, model_findings
from task_manager.pipeline import Pipeline

_M = TypeVar("_M", bound=BaseModel)
_COMMAND_REMEDY = 'No shell reads a command: give program and arguments, ["pytest", "-q"], or use a script.'


class FunctionDefinition(BaseModel):
    """A pipeline written as a function with the Dagger SDK.

    The function is `async def name(dag, inputs)` in `module`, found in the configured `pipelines_dir`.
    """

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    function: str = Field(
        pattern=FUNCTION_PATTERN,
        description="`module:function`, found in the configured pipelines folder only.",
    )


def pipeline_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of a definition, for editors: steps, or a function."""
    schema: dict[str, Any] = TypeAdapter(Pipeline | FunctionDefinition).json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Pipeline definition", **schema}


def read_pipeline(data: object) -> tuple[Pipeline | None, tuple[ModelFinding, ...]]:
    """Read a definition with steps.

    Returns:
        The pipeline, or None with what does not fit the schema.
    """
    return _read(Pipeline, data)


def read_function(data: object) -> tuple[FunctionDefinition | None, tuple[ModelFinding, ...]]:
    """Read a definition that names a function.

    Returns:
        The function, or None with what does not fit the schema.
    """
    return _read(FunctionDefinition, data)


def _read(model: type[_M], data: object) -> tuple[_M | None, tuple[ModelFinding, ...]]:
    try:
        return model.model_validate(data), ()
    except ValidationError as error:
        found = model_findings(error, model, data, PIPELINE_FORMS)
        return None, tuple(_with_remedy(finding) for finding in found)


def _with_remedy(finding: ModelFinding) -> ModelFinding:
    if finding.place[-1:] == ("command",) and isinstance(finding.value, str):
        return replace(finding, remedy=_COMMAND_REMEDY)
    return finding


def schema_findings(found: Iterable[ModelFinding]) -> tuple[Finding, ...]:
    """What does not fit the schema, as findings about a definition."""
    return tuple(
        Finding(
            place=place_text(one.place) or "definition",
            code=one.code,
            message=one.message,
            remedy=one.remedy,
        )
        for one in found
    )


def is_function(data: object) -> bool:
    """Whether a definition names a function instead of steps."""
    return isinstance(data, Mapping) and "function" in data

"""Definitions as data: reading them into records, and their JSON Schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from task_manager.conversion.findings import Finding
from task_manager.conversion.schema_findings import FUNCTION_PATTERN, Location, relevant_details, schema_findings
from task_manager.pipeline import Pipeline


class FunctionDefinition(BaseModel):
    """A pipeline written as a function with the Dagger SDK.

    The function is `async def name(dag, inputs)` in `module`, found in the configured `pipelines_dir`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    function: str = Field(
        pattern=FUNCTION_PATTERN,
        description="`module:function`, found in the configured pipelines folder only.",
    )


def pipeline_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of a definition, for editors: steps, or a function."""
    schema: dict[str, Any] = TypeAdapter(Pipeline | FunctionDefinition).json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Pipeline definition", **schema}


def read_pipeline(data: object) -> tuple[Pipeline | None, tuple[Finding, ...]]:
    """Read a definition with steps.

    Returns:
        The pipeline, or None with what does not fit the schema.
    """
    try:
        return Pipeline.model_validate(data), ()
    except ValidationError as error:
        return None, tuple(schema_findings(error, Pipeline))


def read_function(data: object) -> tuple[FunctionDefinition | None, tuple[Finding, ...]]:
    """Read a definition that names a function.

    Returns:
        The function, or None with what does not fit the schema.
    """
    try:
        return FunctionDefinition.model_validate(data), ()
    except ValidationError as error:
        return None, tuple(schema_findings(error, FunctionDefinition))


def is_function(data: object) -> bool:
    """Whether a definition names a function instead of steps."""
    return isinstance(data, Mapping) and "function" in data


def schema_locations(data: object) -> tuple[Location, ...]:
    """Where a definition with steps does not fit the schema, as paths of keys and indices."""
    try:
        Pipeline.model_validate(data)
    except ValidationError as error:
        return tuple(detail["loc"] for detail in relevant_details(error))
    return ()

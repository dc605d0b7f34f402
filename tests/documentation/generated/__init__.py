"""Pages and schemas of the documentation that are written from the code; `make reference` writes all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from task_manager import failure_classes, run_states, template_reference
from task_manager.config import reference as settings_reference
from tests.documentation.generated import commands, drawings, errors, http, mcp, metrics, python, schemas

FILES: Final[Mapping[str, Callable[[], str]]] = MappingProxyType(
    {
        "docs/architecture/layers.md": drawings.layers,
        "docs/architecture/tables.md": drawings.tables,
        "docs/reference/cli.md": commands.page,
        "docs/reference/errors.md": errors.page,
        "docs/reference/events.md": schemas.events_page,
        "docs/reference/failure-classes.md": failure_classes.reference,
        "docs/reference/mcp.md": mcp.page,
        "docs/reference/metrics.md": metrics.page,
        "docs/reference/pipeline.schema.json": schemas.pipeline_schema,
        "docs/reference/pipelines.md": schemas.pipelines_page,
        "docs/reference/python.md": python.page,
        "docs/reference/rest.md": http.page,
        "docs/reference/run-states.md": run_states.reference,
        "docs/reference/settings.md": settings_reference.reference,
        "docs/reference/template.schema.json": schemas.template_schema,
        "docs/reference/templates.md": template_reference.reference,
    }
)
"""What is written for each file, relative to the root."""

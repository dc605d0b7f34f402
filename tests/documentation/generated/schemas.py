"""The references of pipelines, templates and events, from their records."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from task_manager.models import Event, EventKind
from task_manager.pipeline import Pipeline
from task_manager.workflow_templates import WorkflowTemplate
from tests.documentation.generated.markdown import WRITTEN, members, table
from tests.documentation.generated.markdown import page as page_of


def pipeline_schema() -> str:
    """The JSON Schema of pipelines' definitions."""
    return _text(Pipeline.model_json_schema())


def template_schema() -> str:
    """The JSON Schema of templates' files."""
    return _text(WorkflowTemplate.model_json_schema())


def _text(schema: Mapping[str, Any]) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def pipelines_page() -> str:
    """The page of pipelines' definitions, in Markdown."""
    schema = Pipeline.model_json_schema()
    parts = {"Pipeline": schema, **schema["$defs"]}
    return page_of(
        "Pipelines",
        WRITTEN + " For editors there are [pipeline.schema.json](pipeline.schema.json) and "
        "[template.schema.json](template.schema.json).",
        "A pipeline is a definition in YAML or JSON: in a template, in a file for `task-manager workflow create TASK "
        "--from FILE`, or in a task (`--pipeline`).",
        lines=[line for name, part in parts.items() for line in _part(name, part)],
    )


def _part(name: str, schema: Mapping[str, Any]) -> Iterator[str]:
    yield f"## {name}"
    yield ""
    if text := schema.get("description"):
        yield " ".join(text.split("\n\n")[0].split())
        yield ""
    if values := schema.get("enum"):
        yield "One of " + ", ".join(f"`{value}`" for value in values) + "."
        yield ""
    required = schema.get("required", ())
    rows = [
        (f"`{key}`", _kind(one), "required" if key in required else _default(one), one.get("description", ""))
        for key, one in schema.get("properties", {}).items()
    ]
    yield from table(("Field", "Type", "Default", "Meaning"), rows)


def _kind(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return " or ".join(dict.fromkeys(map(_kind, schema[key])))
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    return str(schema.get("const", schema.get("type", "anything")))


def _default(schema: Mapping[str, Any]) -> str:
    return f"`{json.dumps(schema['default'])}`" if schema.get("default") is not None else ""


def events_page() -> str:
    """The page of events, in Markdown."""
    properties = Event.model_json_schema()["properties"]
    return page_of(
        "Events",
        WRITTEN,
        "Every change is an event in one log: in the order in which it was stored, with a number that is never used "
        "again. `task-manager run events`, `GET /events`, the event streams of the REST API, MCP subscriptions and "
        "`subscribe` of Python read this log, from any number on.",
        lines=[
            "## Kinds",
            "",
            *table(("Kind", "Meaning"), [(f"`{value}`", text) for value, text in members(EventKind)]),
            "[Statuses and reasons of runs](run-states.md) has what `status` may be.",
            "",
            "## Fields",
            "",
            *table(("Field", "Type"), [(f"`{key}`", _plain(one)) for key, one in properties.items()]),
        ],
    )


def _plain(schema: Mapping[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(map(_plain, schema["anyOf"]))
    return str(schema.get("$ref", schema.get("type", ""))).rpartition("/")[2]

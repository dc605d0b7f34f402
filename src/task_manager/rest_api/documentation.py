"""The API's OpenAPI document: what the framework makes of the operations, with what it leaves out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from task_manager.rest_api.examples import EXAMPLES
from task_manager.rest_api.problems import Problem
from task_manager.rest_api.routing import TAGS
from task_manager.rest_api.schemas import LogLines

_DESCRIPTION: Final = """\
Projects and tasks, and their execution in containers.

Lists come in pages: ask again with `cursor` set to the `next_cursor` of the page before. `fields=a,b` sends only
these fields. Changes name the revision that they change (`If-Match`, from `ETag`). Whatever creates or starts
something takes an `Idempotency-Key`, so that it may be sent again. Errors are problem documents (RFC 9457) with a
stable `code`.
"""

_MAKERS: Final = {
    "create_project": "project_id",
    "create_phase": "phase_id",
    "create_task": "task_id",
    "create_workflow": "workflow_id",
    "run_task": "run_id",
    "rerun": "run_id",
    "create_container": "container_id",
}
"""Operations that make a record, each with the parameter by which others name it."""


def operation_id(route: APIRoute) -> str:
    """The name of an operation: its function's."""
    return route.name


def document(app: FastAPI, *, prefix: str) -> dict[str, Any]:
    """The document of an API, made once.

    Args:
        app: The API.
        prefix: The path at which it is mounted.
    """
    if app.openapi_schema is None:
        made = get_openapi(
            title=app.title,
            version=app.version,
            description=_DESCRIPTION,
            routes=app.routes,
            servers=[{"url": prefix}],
            tags=[{"name": name, "description": about} for name, about in TAGS.items()],
        )
        _add_components(made)
        for operation in _operations(made):
            _correct_parameters(operation)
        _link(made)
        _correct_schemas(made)
        app.openapi_schema = made
    return app.openapi_schema


def _add_components(made: dict[str, Any]) -> None:
    schemas = made["components"]["schemas"]
    for model in (Problem, LogLines):
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schema.pop("$defs", None)
        schemas[model.__name__] = schema
    for name, example in EXAMPLES.items():
        schemas[name]["examples"] = [example]
    made["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    made["security"] = [{"token": []}, {}]


def _operations(made: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for methods in made["paths"].values():
        yield from methods.values()


def _correct_parameters(operation: dict[str, Any]) -> None:
    """A parameter that is not given is left out, never null; and a change needs a revision.

    Without one a change is not answered as any other request that lacks something, so that is not for the framework.
    """
    for parameter in operation.get("parameters", ()):
        schema = parameter["schema"]
        kinds = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
        if len(kinds) == 1:
            del schema["anyOf"]
            schema.update(kinds[0])
        if parameter["name"] == "if-match" and operation["operationId"].startswith("update_"):
            parameter["required"] = True


def _link(made: dict[str, Any]) -> None:
    """Say which operations take the id of what an operation has made."""
    for operation in _operations(made):
        name = _MAKERS.get(operation["operationId"])
        if name is not None:
            operation["responses"]["201"]["links"] = {
                other["operationId"]: {
                    "operationId": other["operationId"],
                    "parameters": {name: "$response.body#/id"},
                }
                for other in _operations(made)
                if [one["name"] for one in other.get("parameters", ()) if one["in"] == "path"] == [name]
            }


def _correct_schemas(node: Any) -> None:
    """Where names of an object must match a pattern, there are no others; and in a set, the same may come twice."""
    if isinstance(node, dict):
        node.pop("uniqueItems", None)
        if "patternProperties" in node:
            node.setdefault("additionalProperties", False)
        for value in node.values():
            _correct_schemas(value)
    elif isinstance(node, list):
        for value in node:
            _correct_schemas(value)

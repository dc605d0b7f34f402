"""The API's document is whole, true to its examples, and what was published."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

from task_manager.application import Application
from task_manager.rest_api.api import create_app
from task_manager.rest_api.examples import EXAMPLES
from tests.rest_api.conftest import settings_of
from tests.rest_api.publish_document import PUBLISHED


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    with warnings.catch_warnings(action="error"):
        return create_app(Application(settings_of(tmp_path_factory.mktemp("document")))).openapi()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def test_the_document_is_the_published_one(document: dict[str, Any]) -> None:
    """A change of the API is a change of the published document: `make openapi` writes it anew."""
    assert json.loads(PUBLISHED.read_text()) == document


def test_every_operation_has_an_id_of_its_own_a_subject_and_words(document: dict[str, Any]) -> None:
    ids = [operation["operationId"] for _, operation in operations(document)]
    assert len(set(ids)) == len(ids) > 50
    subjects = {tag["name"] for tag in document["tags"]}
    for name, operation in operations(document):
        assert set(operation["tags"]) <= subjects, name
        assert operation["summary"], name
        assert operation["description"].endswith("."), name
        for parameter in operation.get("parameters", ()):
            assert {"type": "null"} not in parameter["schema"].get("anyOf", ()), name


def test_every_operation_tells_of_its_problems_and_nothing_else_is_an_error(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        for status, response in operation["responses"].items():
            assert response["description"], name
            if status >= "400":
                assert set(response["content"]) == {"application/problem+json"}, (name, status)
        assert {"400", "401", "403", "422", "500", "503"} <= set(operation["responses"]), name
        if "{" in name:
            assert "404" in operation["responses"], name
    assert "HTTPValidationError" not in document["components"]["schemas"]


def test_what_creates_or_starts_takes_a_key_and_what_changes_takes_a_revision(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        headers = {one["name"]: one for one in operation.get("parameters", ()) if one["in"] == "header"}
        if "201" in operation["responses"]:
            assert "idempotency-key" in headers, name
        if name.startswith("PATCH"):
            assert headers["if-match"]["required"], name


def test_every_example_fits_its_schema(document: dict[str, Any]) -> None:
    for name, example in EXAMPLES.items():
        schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
        jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker()).validate(example)


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    text = json.dumps(document)
    names = {part.partition('"')[0] for part in text.split('"#/components/schemas/')[1:]}
    assert names <= set(document["components"]["schemas"])
    assert document["servers"] == [{"url": "/api/v1"}]

"""Parameters as fields of a form: what is typed comes back as the values that the schema means."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from task_manager.dashboard.views.parameter_forms import (
    WHOLE_FORM,
    InputKind,
    changed_values,
    input_name,
    parameter_fields,
    problems_by_field,
    read_form,
    typed_in,
    without_defaults,
)
from task_manager.errors import InvalidParameters
from task_manager.workflow_templates import WorkflowTemplateRegistry

SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["target"],
    "properties": {
        "target": {"type": "string", "examples": ["label"], "description": "The column."},
        "script": {"type": "string"},
        "epochs": {"type": "integer", "minimum": 1, "default": 10},
        "rate": {"type": "number"},
        "shuffle": {"type": "boolean", "default": True},
        "mode": {"enum": ["fast", "exact"], "default": "fast"},
        "formats": {"type": "array", "items": {"enum": ["wheel", "sdist"]}, "default": ["wheel"]},
        "columns": {"type": "array", "items": {"type": "string"}},
        "limits": {"type": "object", "additionalProperties": {"type": "integer"}},
        "length": {"type": ["integer", "null"]},
        "password": {"type": "string", "writeOnly": True},
    },
}
LINE = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1)
VALUES = st.fixed_dictionaries(
    {},
    optional={
        "target": LINE,
        "script": LINE,
        "epochs": st.integers(-(10**15), 10**15),
        "rate": st.floats(allow_nan=False, allow_infinity=False),
        "shuffle": st.booleans(),
        "mode": st.sampled_from(["fast", "exact"]),
        "formats": st.lists(st.sampled_from(["wheel", "sdist"]), unique=True),
        "columns": st.lists(LINE, min_size=1),
        "limits": st.dictionaries(LINE, st.integers()),
        "length": st.integers(),
    },
)


def test_each_schema_has_the_field_that_fits_it() -> None:
    kinds = {field.name: field.kind.value for field in parameter_fields(SCHEMA)}
    assert kinds == {
        "target": "text",
        "script": "paragraph",
        "epochs": "number",
        "rate": "number",
        "shuffle": "switch",
        "mode": "choice",
        "formats": "choices",
        "columns": "lines",
        "limits": "json",
        "length": "number",
        "password": "secret",
    }


@given(VALUES)
def test_values_that_a_form_shows_are_what_it_reads(values: dict[str, JsonValue]) -> None:
    """Nothing is lost or changed on the way into the fields and back."""
    fields = parameter_fields(SCHEMA, values)
    reading = read_form(fields, {field.name: field.initial for field in fields})
    assert reading.problems == {}
    assert {name: reading.values[name] for name in values} == values
    assert changed_values(fields, {field.name: field.initial for field in fields}, reading.values, SCHEMA) == {}


def test_a_form_left_as_it_is_says_nothing_but_what_the_template_says_by_itself() -> None:
    fields = parameter_fields(SCHEMA)
    reading = read_form(fields, {field.name: field.initial for field in fields})
    assert without_defaults(reading.values, SCHEMA) == {}


@pytest.mark.parametrize("template", WorkflowTemplateRegistry().list(), ids=lambda template: template.id)
def test_the_forms_of_all_built_in_templates_read_what_they_show(template: Any) -> None:
    fields = parameter_fields(template.parameters)
    reading = read_form(fields, {field.name: field.initial for field in fields})
    assert reading.problems == {}
    assert without_defaults(reading.values, template.parameters) == {}


def test_what_was_typed_is_left_to_the_template_where_it_is_no_number() -> None:
    fields = parameter_fields(SCHEMA)
    values = read_form(fields, {"epochs": "many", "rate": "nan", "length": " 5 "}).values
    assert (values["epochs"], values["rate"], values["length"]) == ("many", "nan", 5)


def test_what_is_not_json_is_told_with_its_place() -> None:
    reading = read_form(parameter_fields(SCHEMA), {"limits": '{"a": 1,\n}'})
    assert "line 2" in reading.problems["limits"]
    assert "limits" not in reading.values


def test_the_browser_sends_what_is_ticked_and_nothing_of_the_rest() -> None:
    fields = parameter_fields(SCHEMA)
    sent = {
        "p.target": "label",
        "p.epochs": "3",
        input_name("p.formats", "sdist"): "on",
        "p.columns": "a\r\n b \r\n\r\n",
    }
    values = read_form(fields, typed_in(fields, sent, "p")).values
    assert without_defaults(values, SCHEMA) == {
        "target": "label",
        "epochs": 3,
        "shuffle": False,
        "formats": ["sdist"],
        "columns": ["a", "b"],
    }


def test_only_what_was_changed_counts_and_an_emptied_field_has_its_default() -> None:
    fields = parameter_fields(SCHEMA, {"target": "label", "epochs": 40, "rate": 0.5})
    typed = {field.name: field.initial for field in fields} | {"epochs": "", "rate": "0.25"}
    values = read_form(fields, typed).values
    assert changed_values(fields, typed, values, SCHEMA) == {"epochs": 10, "rate": 0.25}


def test_a_secret_is_never_sent_to_the_browser() -> None:
    field = next(one for one in parameter_fields(SCHEMA, {"password": "hunter2"}) if one.name == "password")
    assert (field.kind, field.initial) == (InputKind.SECRET, "")


def test_what_the_template_refuses_stands_at_its_field() -> None:
    template = WorkflowTemplateRegistry().get("ml-training")
    fields = parameter_fields(template.parameters)
    with pytest.raises(InvalidParameters) as refused:
        template.resolve_parameters({"epochs": "many", "features": ["a", "a"]})
    problems = problems_by_field(refused.value, fields)
    assert set(problems) == {"epochs", "features", "target", WHOLE_FORM}
    assert problems["epochs"].startswith("Expected a whole number of at least 1")

"""Values for parameters: defaults, and everything that does not fit told at once, in words."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from task_manager.errors import InvalidParameters
from task_manager.templating.parameters import check, complete, schema_findings
from task_manager.workflow_templates import WorkflowTemplateRegistry, load_template
from tests.templates.folders import with_parameters, write

SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["target"],
    "properties": {
        "target": {"type": "string", "minLength": 1},
        "epochs": {"type": "integer", "minimum": 1, "maximum": 100, "default": 10},
        "rate": {"type": "number", "exclusiveMinimum": 0, "default": 0.1},
        "mode": {"enum": ["fast", "exact"], "default": "fast"},
        "paths": {"type": "array", "items": {"type": "string", "format": "source-path"}, "default": []},
        "limits": {
            "type": "object",
            "additionalProperties": False,
            "default": {},
            "properties": {"memory": {"type": "integer", "default": 512}, "cpu": {"type": "number"}},
        },
        "columns": {"type": "array", "items": {"$ref": "#/$defs/column"}, "default": []},
        "token": {"type": "string", "writeOnly": True, "pattern": "^t-"},
    },
    "$defs": {
        "column": {
            "type": "object",
            "required": ["name"],
            "properties": {"name": {"type": "string"}, "type": {"type": "string", "default": "text"}},
        }
    },
}


def messages(values: dict[str, Any], schema: dict[str, Any] = SCHEMA) -> dict[str, str]:
    findings = check(schema, complete(schema, values))
    return {finding.name: finding.message for finding in findings}


# --- defaults ---


def test_defaults_are_filled_in_also_in_objects_and_lists() -> None:
    completed = complete(SCHEMA, {"target": "x", "limits": {"cpu": 2}, "columns": [{"name": "a"}]})
    assert completed["limits"] == {"memory": 512, "cpu": 2}
    assert completed["columns"] == [{"name": "a", "type": "text"}]
    assert (completed["epochs"], completed["rate"], completed["mode"], completed["paths"]) == (10, 0.1, "fast", [])
    assert "token" not in completed


def test_the_given_values_are_not_changed() -> None:
    given_values: dict[str, Any] = {"target": "x", "limits": {}}
    complete(SCHEMA, given_values)
    assert given_values == {"target": "x", "limits": {}}


def test_defaults_are_not_shared_between_calls() -> None:
    first = complete(SCHEMA, {})
    assert isinstance(first["paths"], list)
    first["paths"].append("changed")
    assert complete(SCHEMA, {})["paths"] == []


def test_a_whole_number_may_be_written_with_a_point() -> None:
    assert complete(SCHEMA, {"epochs": 5.0})["epochs"] == 5
    assert isinstance(complete(SCHEMA, {"epochs": 5.0})["epochs"], int)


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=5), below, max_size=3),
    max_leaves=8,
)
VALUES = st.dictionaries(st.sampled_from(sorted(SCHEMA["properties"])) | st.text(max_size=8), ANY, max_size=6)


@given(VALUES)
def test_filling_in_defaults_twice_changes_nothing(values: dict[str, Any]) -> None:
    once = complete(SCHEMA, values)
    assert complete(SCHEMA, once) == once


@given(VALUES)
def test_any_values_are_accepted_or_refused_with_a_name_and_an_expectation(values: dict[str, Any]) -> None:
    for finding in check(SCHEMA, complete(SCHEMA, values)):
        assert finding.name
        assert finding.expected
        assert finding.message[-1] in ".?"


# --- what does not fit ---


def test_a_parameter_that_there_is_not_is_told_as_such() -> None:
    schema = {"type": "object", "properties": {"epochs": {}, "rate": {}}, "additionalProperties": False}
    (near,) = check(schema, {"epoch": 1})
    assert near.message == "epoch: there is no such parameter; did you mean epochs?"
    (far,) = check(schema, {"colour": 1})
    assert far.message == "colour: there is no such parameter; expected one of the names epochs, rate."


def test_the_length_of_a_list_is_told_before_its_items() -> None:
    command = {"type": "array", "minItems": 1, "items": {"type": "string"}}
    (found,) = check({"type": "object", "properties": {"command": command}}, {"command": "oops"})
    assert found.expected == "a list of at least 1 item, each item text"


def test_all_findings_come_at_once() -> None:
    found = messages({"epochs": "ten", "rate": 0, "mode": "slow", "limits": {"memory": 1.5}})
    assert set(found) == {"target", "epochs", "rate", "mode", "limits.memory"}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "target: expected text of at least 1 character; given: nothing."),
        ({"epochs": "ten"}, 'epochs: expected a whole number of at least 1 and of at most 100; given: "ten".'),
        ({"epochs": 2.5}, "epochs: expected a whole number of at least 1 and of at most 100; given: 2.5."),
        ({"epochs": True}, "epochs: expected a whole number of at least 1 and of at most 100; given: true."),
        ({"rate": 0}, "rate: expected a number above 0; given: 0."),
        ({"mode": "slow"}, 'mode: expected one of "fast", "exact"; given: "slow".'),
        ({"paths": "src"}, "paths: expected a list, each item a path inside the source folder"),
        ({"limits": {"cpu": None}}, "limits.cpu: expected a number; given: null."),
        ({"columns": [{"name": "a"}, {}]}, "columns[1].name: expected text; given: nothing."),
    ],
)
def test_a_finding_says_what_was_expected_and_what_was_given(values: dict[str, Any], message: str) -> None:
    found = messages(values)
    assert found[message.partition(":")[0]].startswith(message)


@pytest.mark.parametrize("path", ["/etc", "../x", "a/../b", "", "./a", "a//b", "a\x00b"])
def test_a_path_outside_of_the_source_does_not_fit(path: str) -> None:
    assert "paths[0]" in messages({"target": "x", "paths": [path]})


@pytest.mark.parametrize("path", [".", "src", "src/", "data/rows.csv", "tests/test_a.py::test_b", "..hidden", "a b"])
def test_a_path_inside_of_the_source_fits(path: str) -> None:
    assert messages({"target": "x", "paths": [path]}) == {}


def test_an_unknown_name_is_refused_with_the_near_one() -> None:
    assert messages({"target": "x", "epoch": 3})["epoch"].startswith(
        "epoch: there is no such parameter; did you mean epochs?"
    )


def test_an_unknown_name_without_a_near_one_is_refused_with_all_names() -> None:
    assert "one of the names columns, epochs, limits" in messages({"target": "x", "zzz": 3})["zzz"]


def test_an_unknown_name_inside_an_object_is_refused_with_the_near_one() -> None:
    assert "did you mean memory" in messages({"target": "x", "limits": {"memry": 3}})["limits.memry"]


def test_further_names_are_accepted_where_the_schema_says_so() -> None:
    assert messages({"anything": 1}, {"type": "object", "additionalProperties": True}) == {}


@pytest.mark.parametrize("values", [{"token": "s3cret"}, {"token": 12345}, {"tokne": "s3cret"}, {"token": ["s3cret"]}])
def test_a_secret_is_never_repeated(values: dict[str, Any]) -> None:
    text = str(messages({"target": "x", **values}))
    assert "s3cret" not in text
    assert "12345" not in text
    assert "tok" in text


def test_a_secret_inside_of_an_object_or_behind_a_reference_is_never_repeated() -> None:
    schema = {
        "type": "object",
        "properties": {"login": {"$ref": "#/$defs/login"}},
        "$defs": {"login": {"type": "object", "properties": {"password": {"type": "integer", "writeOnly": True}}}},
    }
    for values in ({"login": {"password": "s3cret"}}, {"login": "s3cret"}):
        found = messages(values, schema)
        assert found
        assert "s3cret" not in str(found)


def test_a_long_value_is_cut() -> None:
    assert len(messages({"target": "x", "epochs": "x" * 10_000})["epochs"]) < 300


# --- through a template ---


def test_a_refusal_names_the_template_and_has_all_findings_as_data() -> None:
    template = WorkflowTemplateRegistry().get("ml-training")
    with pytest.raises(InvalidParameters, match="'ml-training'") as caught:
        template.resolve_parameters({"data": "../x", "epochs": 0, "lerning_rate": 1})
    findings = caught.value.details["findings"]
    assert isinstance(findings, list)
    assert [finding["name"] for finding in findings] == ["data", "epochs", "lerning_rate", "target"]
    assert "task-manager template show ml-training" in caught.value.remedy


def test_what_was_resolved_can_be_rendered_or_resolved_again() -> None:
    template = WorkflowTemplateRegistry().get("ml-training")
    resolved = template.resolve_parameters({"data": "a.csv", "target": "label"})
    assert template.resolve_parameters(resolved) == resolved
    assert template.render(resolved) == template.render({"data": "a.csv", "target": "label"})


# --- the schema itself ---


@pytest.mark.parametrize(
    ("schema", "part"),
    [
        ({"type": "objekt"}, "objekt"),
        ({"type": "array"}, "type must be object"),
        ({"type": "object", "properties": {"a": {"type": "integer", "minimum": "1"}}}, "'1'"),
        ({"type": "object", "properties": {"a-b": {}}}, "'a-b' cannot be used in expressions"),
        ({"type": "object", "properties": {"_a": {}}}, "'_a' cannot be used in expressions"),
        ({"type": "object", "properties": {"a": {"type": "integer", "default": "x"}}}, "The default does not fit"),
        ({"type": "object", "properties": {"a": {"$ref": "#/$defs/missing"}}}, "leads nowhere"),
        ({"type": "object", "properties": {"a": {"$ref": "https://example.com/schema"}}}, "leads nowhere"),
        ({"type": "object", "properties": {"a": {"$ref": "#", "default": {}}}}, "contain themselves"),
        ({"type": "object", "properties": {"a": {"type": "string", "pattern": "("}}}, "'('"),
    ],
)
def test_a_schema_that_cannot_be_used_is_found(schema: dict[str, Any], part: str) -> None:
    assert part in str(schema_findings(schema))


def test_the_line_of_a_broken_parameter_is_reported(tmp_path: Path) -> None:
    content = with_parameters({"a": {"type": "integer", "default": 1}, "b": {"type": "integer", "default": "x"}})
    write(tmp_path, {"t.json": content})
    (problem,) = WorkflowTemplateRegistry(tmp_path, built_in=None).problems
    lines = (tmp_path / "t.json").read_text().splitlines()
    assert problem.line is not None
    assert '"default": "x"' in lines[problem.line - 1]


def test_a_parameter_that_is_neither_given_nor_has_a_default_is_null(tmp_path: Path) -> None:
    content = with_parameters({"name": {"type": "string"}}, environment={"NAME": "{{ name }}", "KIND": "x"})
    template = load_template(write(tmp_path, {"t.json": content}) / "t.json")
    assert template.render({})["steps"][0]["environment"] == {"KIND": "x"}

"""From a definition and values to a pipeline: native values, nothing pasted, nothing evaluated twice."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from task_manager.errors import InvalidTemplate
from task_manager.pipeline import Pipeline
from task_manager.templating.expressions import ExpressionError, as_text, evaluate
from task_manager.templating.rendering import Renderer
from task_manager.workflow_templates import WorkflowTemplate, WorkflowTemplateRegistry, load_template
from tests.templates.folders import minimal, with_parameters, write

ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=5), below, max_size=3),
    max_leaves=8,
)
TEMPLATES = {template.id: template for template in WorkflowTemplateRegistry().list()}


# --- expressions ---


@given(ANY)
def test_a_string_that_is_one_expression_becomes_its_value_unchanged(value: Any) -> None:
    assert evaluate("{{ value }}", {"value": value}) == value
    assert type(evaluate("{{ value }}", {"value": value})) is type(value)


@pytest.mark.parametrize("text", ["123", "True", "[1, 2]", "None", "{{ other }}", "{% if x %}", "0x10", "'quoted'"])
def test_a_text_that_looks_like_something_else_stays_text(text: str) -> None:
    assert evaluate("{{ value }}", {"value": text}) == text
    assert evaluate("a {{ value }}", {"value": text}) == f"a {text}"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{{ 5 }}", 5),
        ("{{ n + 1 }}", 4),
        (" {{ n }}\n", 3),
        ("{{ names | map('upper') }}", ["A", "B"]),
        ("{{ {'n': n, 'names': names} }}", {"n": 3, "names": ["a", "b"]}),
        ("{{ n > 2 }}", True),
        ("{{ none }}", None),
        ("n={{ n }}", "n=3"),
        ("{{ n }}{{ n }}", "33"),
        ("--names={{ names | tojson }}", '--names=["a", "b"]'),
        ("--flag={{ n == 3 }}", "--flag=true"),
        ("--none={{ none }}", "--none="),
        ("{% if n > 2 %}many{% else %}few{% endif %}", "many"),
        ("line\n", "line\n"),
        ("{not an expression}", "{not an expression}"),
    ],
)
def test_expressions_are_evaluated(text: str, value: object) -> None:
    assert evaluate(text, {"n": 3, "names": ["a", "b"]}) == value


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{{ n + }}", "not a valid expression"),
        ("{% if n %}", "not a valid expression"),
        ("{{ missing }}", "'missing' is undefined"),
        ("{{ names.missing.deep }}", "unknown"),
        ("{{ ''.__class__.__mro__ }}", "sandbox forbids"),
        ("{{ names.append(1) }}", "sandbox forbids"),
        ("{{ 1 / 0 }}", "cannot be evaluated"),
        ("{{ n + 'x' }}", "cannot be evaluated"),
        ("{{ range }}", "a definition cannot hold"),
        ("{% include 'x' %}", "cannot be evaluated"),
        ("{{ range(999999999) | list }}", "cannot be evaluated"),
    ],
)
def test_an_expression_that_cannot_be_evaluated_says_why(text: str, reason: str) -> None:
    with pytest.raises(ExpressionError, match=reason):
        evaluate(text, {"n": 3, "names": ["a"]})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (None, ""),
        (1.5, "1.5"),
        (10**20, "100000000000000000000"),
        ("täxt", "täxt"),
        (["ä", 1], '["ä", 1]'),
        ({"a": None}, '{"a": null}'),
    ],
)
def test_values_become_text_in_one_way(value: object, text: str) -> None:
    assert as_text(value) == text


# --- definitions ---


def rendered(definition: dict[str, Any], values: dict[str, Any] | None = None, **scripts: str) -> dict[str, Any]:
    return Renderer(values or {}, {f"{name}.py": text for name, text in scripts.items()}).render(definition)


def test_items_whose_condition_is_false_are_left_out() -> None:
    definition = {"steps": [{"id": "a", "when": "{{ on }}"}, {"id": "b", "when": "{{ not on }}"}, {"id": "c"}]}
    assert rendered(definition, {"on": False}) == {"steps": [{"id": "b"}, {"id": "c"}]}


def test_environment_and_arguments_end_as_text_and_null_is_left_out() -> None:
    step = {
        "environment": {"A": "{{ n }}", "B": True, "C": "{{ none }}", "D": "{{ [n] }}", "E": ""},
        "command": ["run", "{{ n }}", "{{ none }}", False],
        "services": [{"environment": {"PORT": "{{ n }}"}, "command": ["{{ n }}"]}],
        "script": {"contents": "x", "arguments": ["{{ n }}", "{{ none }}"]},
        "timeout": "{{ n }}",
    }
    (result,) = rendered({"steps": [step]}, {"n": 3})["steps"]
    assert result["environment"] == {"A": "3", "B": "true", "D": "[3]", "E": ""}
    assert result["command"] == ["run", "3", "false"]
    assert result["services"] == [{"environment": {"PORT": "3"}, "command": ["3"]}]
    assert result["script"]["arguments"] == ["3"]
    assert result["timeout"] == 3


def test_a_script_file_is_put_in_without_being_evaluated() -> None:
    text = "print('{{ n }}', f'{{}}')  # {% raw %}"
    step = {"script": {"file": "train.py"}, "sources": [{"type": "inline", "file": "train.py", "target": "/x"}]}
    (result,) = rendered({"steps": [step]}, {"n": 3}, train=text)["steps"]
    assert result["script"] == {"contents": text, "name": "train.py"}
    assert result["sources"] == [{"type": "inline", "contents": text, "target": "/x"}]


def test_keys_are_not_evaluated() -> None:
    assert rendered({"{{ n }}": "{{ n }}"}, {"n": 3}) == {"{{ n }}": 3}


def test_name_and_result_type_are_filled_in(tmp_path: Path) -> None:
    template = load_template(write(tmp_path, {"t.json": minimal(result_type="build")}) / "t.json")
    assert template.render({})["name"] == "Greet"
    assert template.render({})["result"] == {"type": "build"}


def test_a_failure_that_depends_on_the_values_names_the_place_and_the_file(tmp_path: Path) -> None:
    content = with_parameters({"n": {"type": "integer", "default": 1}}, timeout="{{ 10 / n }}")
    template = load_template(write(tmp_path, {"t.json": content}) / "t.json")
    assert template.render({"n": 4})["steps"][0]["timeout"] == 2.5
    with pytest.raises(InvalidTemplate, match=r"steps\[0\].timeout: This expression cannot be evaluated") as caught:
        template.render({"n": 0})
    assert str(template.source) in caught.value.remedy


# --- laws of all built-in templates ---

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1)
PARAMETERS: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "shell-command": st.fixed_dictionaries(
        {"command": st.lists(TEXT, min_size=1)}, optional={"environment": st.dictionaries(st.just("NAME"), TEXT)}
    ),
    "python-tests": st.fixed_dictionaries({"markers": TEXT, "keywords": TEXT, "extra_arguments": st.lists(TEXT)}),
    "code-quality": st.fixed_dictionaries({"extra_arguments": st.lists(TEXT), "exclude": st.lists(TEXT)}),
    "data-processing": st.fixed_dictionaries(
        {"input": st.just("a.csv"), "numeric": st.lists(TEXT, unique=True), "group_by": st.lists(TEXT, unique=True)}
    ),
    "ml-training": st.fixed_dictionaries(
        {"data": st.just("a.csv"), "target": TEXT, "features": st.lists(TEXT, unique=True), "epochs": st.integers(1, 9)}
    ),
    "node-tests": st.fixed_dictionaries({"name_pattern": TEXT, "extra_arguments": st.lists(TEXT)}),
    "go-tests": st.fixed_dictionaries({"run": TEXT, "skip": TEXT, "extra_arguments": st.lists(TEXT)}),
    "build-package": st.fixed_dictionaries({"environment": st.dictionaries(st.just("NAME"), TEXT)}),
    "service-test": st.fixed_dictionaries(
        {
            "service_image": TEXT,
            "service_port": st.integers(1, 65535),
            "service_command": st.lists(TEXT),
            "command": st.lists(TEXT, min_size=1),
            "environment": st.dictionaries(st.just("NAME"), TEXT),
        }
    ),
}


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=list(TEMPLATES))
@given(data=st.data())
def test_any_values_give_a_pipeline_and_never_reach_a_script(template: WorkflowTemplate, data: st.DataObject) -> None:
    values = data.draw(PARAMETERS[template.id])
    pipeline = Pipeline.model_validate(template.render(values))
    contents = {step.script.contents for step in pipeline.steps if step.script}
    assert contents <= set(template.scripts.values())


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=list(TEMPLATES))
def test_no_expression_is_left_in_a_rendered_pipeline(template: WorkflowTemplate) -> None:
    values: dict[str, Any] = {"command": ["true"], "input": "a.csv", "data": "a.csv", "target": "label"}
    values |= {"service_image": "redis:7", "service_port": 6379}
    known = {name: value for name, value in values.items() if name in template.parameter_names}
    result = template.render(known)
    for step in result["steps"]:
        if step.get("script"):
            del step["script"]["contents"]
    text = json.dumps(result)
    assert [marker for marker in ("{{", "{%") if marker in text] == []


def test_a_value_full_of_expressions_and_quotes_arrives_as_it_is() -> None:
    evil = "{{ 7 * 7 }} $(reboot) `id` \"; rm -rf / #'"
    pipeline = TEMPLATES["shell-command"].render({"command": ["echo", evil], "environment": {"NAME": evil}})
    assert pipeline["steps"][0]["command"] == ["echo", evil]
    assert pipeline["steps"][0]["environment"] == {"NAME": evil}

"""From tasks to pipelines: what decides, what is explained, what is refused, what is looked up."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue, ValidationError

from task_manager.conversion.rules import built_in_rules, choices
from task_manager.errors import (
    InvalidInput,
    InvalidParameters,
    InvalidPipeline,
    NotFound,
    WorkflowTypeConflict,
)
from task_manager.models import Task, WorkflowType
from task_manager.pipeline import Pipeline, ResultType
from task_manager.pipeline_converter import Compiled, Conversion, PipelineConverter, Rule, optimise, plan
from task_manager.workflow_cache import PipelineCache
from task_manager.workflow_templates import WorkflowTemplateRegistry
from tests.conversion.strategies import pipelines

NOW = datetime(2026, 1, 2, tzinfo=UTC)
STEPS: dict[str, JsonValue] = {"steps": [{"id": "a", "image": "debian", "command": ["x"]}, {"id": "b", "image": "i"}]}
FUNCTION: dict[str, JsonValue] = {"function": "release:build"}
GREETING = {
    "id": "greeting",
    "name": "Greeting",
    "version": "1.2.0",
    "result_type": "build",
    "parameters": {
        "type": "object",
        "properties": {"who": {"type": "string", "default": "you"}, "times": {"type": "integer", "default": 1}},
        "additionalProperties": False,
    },
    "definition": {
        "steps": [{"id": "greet", "image": "debian", "command": ["echo", "{{ who }}"], "timeout": "{{ times }}"}]
    },
}
CALL = {
    "id": "call",
    "name": "Call",
    "version": "2.0.0",
    "workflow_type": "dagger_pipeline",
    "result_type": "dagger_pipeline",
    "definition": {"function": "release:build"},
}
RULES = (
    Rule.model_validate({"template": "missing", "when": {"type": ["greeting"]}, "because": "never offered"}),
    Rule.model_validate(
        {
            "template": "greeting",
            "when": {"type": ["greeting"], "files": ["*.md"]},
            "because": "people are to be greeted",
        }
    ),
)


def task(**fields: Any) -> Task:
    return Task.model_validate(
        {"id": "task-1", "project_id": "project-1", "title": "Do it", "created_at": NOW, "updated_at": NOW, **fields}
    )


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> WorkflowTemplateRegistry:
    """Two templates: `greeting` has steps, `call` names a function."""
    folder = tmp_path_factory.mktemp("templates")
    for template in (GREETING, CALL):
        (folder / f"{template['id']}.yaml").write_text(yaml.safe_dump(template))
    made = WorkflowTemplateRegistry(folder, built_in=None)
    assert made.problems == ()
    return made


@pytest.fixture
def converter(registry: WorkflowTemplateRegistry) -> PipelineConverter:
    return PipelineConverter(registry, rules=RULES)


def commands(conversion: Conversion) -> list[tuple[str, ...] | None]:
    assert conversion.pipeline is not None
    return [step.command for step in conversion.pipeline.steps]


# --- what decides ---


def test_a_definition_given_with_the_call_goes_before_everything(converter: PipelineConverter) -> None:
    conversion = converter.convert(task(pipeline=FUNCTION, template_id="call"), definition=STEPS, template_id="call")
    assert commands(conversion) == [("x",), None]
    assert conversion.explanation == "The definition given with the call was taken."
    assert (conversion.template_id, conversion.template_version) == (None, None)


def test_a_template_given_with_the_call_goes_before_what_the_task_says(converter: PipelineConverter) -> None:
    conversion = converter.convert(task(pipeline=STEPS, template_id="call"), template_id="greeting")
    assert commands(conversion) == [("echo", "you")]
    assert (conversion.template_id, conversion.template_version) == ("greeting", "1.2.0")
    assert conversion.explanation == "Template 'greeting' 1.2.0 was asked for."
    assert conversion.result_type is ResultType.BUILD
    assert conversion.workflow_type is WorkflowType.CONTAINERIZED_WORKFLOW


def test_a_tasks_own_definition_goes_before_its_template(converter: PipelineConverter) -> None:
    conversion = converter.convert(task(pipeline=STEPS, template_id="greeting"))
    assert conversion.explanation == "The task has a definition of its own."
    assert conversion.result_type is ResultType.CONTAINERIZED_WORKFLOW


def test_a_tasks_template_goes_before_the_rules(converter: PipelineConverter) -> None:
    conversion = converter.convert(task(type="greeting", template_id="call"), files=["a.md"])
    assert conversion.explanation == "The task names template 'call' 2.0.0."
    assert (conversion.function, conversion.pipeline) == ("release:build", None)
    assert conversion.workflow_type is WorkflowType.DAGGER_PIPELINE


def test_the_rules_choose_among_the_templates_that_are_there_and_say_why(converter: PipelineConverter) -> None:
    conversion = converter.convert(task(type="Greeting"), files=["src/a.py", "docs/a.md"])
    assert conversion.explanation == (
        "Template 'greeting' 1.2.0 was chosen because people are to be greeted (type 'greeting', file 'docs/a.md')."
    )


def test_a_task_that_no_rule_fits_is_told_what_would_help(converter: PipelineConverter) -> None:
    with pytest.raises(InvalidInput) as caught:
        converter.convert(task(type="greeting"), files=["a.txt"])
    assert "'Do it'" in caught.value.message
    assert "call, greeting" in caught.value.remedy
    assert "one of: greeting" in caught.value.remedy


def test_an_unknown_template_is_refused_with_a_near_miss(converter: PipelineConverter) -> None:
    with pytest.raises(NotFound) as caught:
        converter.convert(task(template_id="greting"))
    assert "greeting" in caught.value.remedy


# --- parameters and inputs ---


def test_parameters_go_before_the_tasks_inputs_and_defaults_fill_the_rest(converter: PipelineConverter) -> None:
    given_to = task(template_id="greeting", inputs={"who": "me", "times": 3})
    conversion = converter.convert(given_to, parameters={"who": "her"})
    assert conversion.parameters == {"who": "her", "times": 3}
    assert commands(conversion) == [("echo", "her")]
    assert converter.convert(task(template_id="greeting")).parameters == {"who": "you", "times": 1}


@pytest.mark.parametrize("values", [{"whoo": "me"}, {"times": "many"}])
def test_parameters_that_do_not_fit_are_refused(converter: PipelineConverter, values: dict[str, JsonValue]) -> None:
    with pytest.raises(InvalidParameters):
        converter.convert(task(template_id="greeting", inputs=values))


def test_inputs_reach_every_step_of_a_custom_definition_as_variables(converter: PipelineConverter) -> None:
    definition: dict[str, JsonValue] = {
        "steps": [
            {"id": "a", "image": "i", "command": ["x"], "environment": {"INPUT_EPOCHS": "1", "OTHER": "kept"}},
            {"id": "b", "image": "i", "script": {"contents": "x"}},
        ]
    }
    inputs: dict[str, JsonValue] = {"epochs": 20, "label": "a 'b' $c", "learning-rate": 0.5, "tags": ["ü"], "x": None}
    conversion = converter.convert(task(pipeline=definition, inputs=inputs), parameters={"x": True})
    expected = {
        "INPUT_EPOCHS": "20",
        "INPUT_LABEL": "a 'b' $c",
        "INPUT_LEARNING_RATE": "0.5",
        "INPUT_TAGS": '["ü"]',
        "INPUT_X": "true",
    }
    assert conversion.pipeline is not None
    first, second = conversion.pipeline.steps
    assert first.environment == {"OTHER": "kept", **expected}
    assert second.environment == expected
    assert conversion.parameters == {**inputs, "x": True}


@given(st.dictionaries(st.text(min_size=1, max_size=6), st.none() | st.integers() | st.text(max_size=5), max_size=4))
def test_any_inputs_make_a_pipeline_that_can_be_stored_or_are_refused(inputs: dict[str, JsonValue]) -> None:
    converter = PipelineConverter(WorkflowTemplateRegistry(built_in=None))
    try:
        conversion = converter.convert(task(pipeline=STEPS, inputs=inputs))
    except InvalidParameters as error:
        assert "would both become" in error.message  # noqa: PT017
        return
    assert conversion.pipeline is not None
    text = conversion.pipeline.model_dump_json()
    assert Pipeline.model_validate_json(text) == conversion.pipeline


def test_two_inputs_with_one_variable_are_refused(converter: PipelineConverter) -> None:
    with pytest.raises(InvalidParameters) as caught:
        converter.convert(task(pipeline=STEPS, inputs={"a-b": 1, "a_b": 2}))
    assert all(word in caught.value.message for word in ("'a-b'", "'a_b'", "INPUT_A_B"))


def test_a_function_gets_the_inputs_as_they_are(converter: PipelineConverter) -> None:
    conversion = converter.convert(task(pipeline=FUNCTION, inputs={"epochs": 20}))
    assert conversion.parameters == {"epochs": 20}
    assert conversion.result_type is ResultType.DAGGER_PIPELINE


# --- what is refused ---


@pytest.mark.parametrize("name", ["release", "release:", ":build", "a b:c", "a:b()", "../x:y", "a:b:c", "1:b"])
def test_a_function_must_have_the_form_of_one(converter: PipelineConverter, name: str) -> None:
    with pytest.raises(InvalidPipeline, match="form module:function"):
        converter.convert(task(pipeline={"function": name}))


@pytest.mark.parametrize("name", ["release:build", "pkg.release:build", "_a.b1:_c"])
def test_a_function_may_lie_in_a_package(converter: PipelineConverter, name: str) -> None:
    assert converter.convert(task(pipeline={"function": name})).function == name


def test_a_function_with_steps_beside_it_is_refused(converter: PipelineConverter) -> None:
    with pytest.raises(InvalidPipeline, match="no field 'steps'"):
        converter.convert(task(pipeline={**FUNCTION, **STEPS}))


def test_a_definition_with_errors_is_refused_with_all_of_them(converter: PipelineConverter) -> None:
    with pytest.raises(InvalidPipeline) as caught:
        converter.convert(task(pipeline={"steps": [{"id": "a", "imagee": "x", "needs": ["b"]}]}))
    findings = caught.value.details["findings"]
    assert isinstance(findings, list)
    assert [finding["place"] for finding in findings] == ["steps[0].image", "steps[0].imagee", "steps[0].needs[0]"]


def test_what_is_doubtful_is_handed_on(converter: PipelineConverter) -> None:
    definition: dict[str, JsonValue] = {"timeout": 5, "steps": [{"id": "a", "image": "i", "timeout": 10}]}
    (warning,) = converter.convert(task(pipeline=definition)).warnings
    assert warning.code == "timeout_too_long"


@pytest.mark.parametrize(
    ("definition", "asked"),
    [(STEPS, WorkflowType.DAGGER_PIPELINE), (FUNCTION, WorkflowType.CONTAINERIZED_WORKFLOW)],
)
def test_another_workflow_type_than_asked_for_is_refused(
    converter: PipelineConverter, definition: dict[str, JsonValue], asked: WorkflowType
) -> None:
    with pytest.raises(WorkflowTypeConflict, match=asked):
        converter.convert(task(pipeline=definition), workflow_type=asked)


@pytest.mark.parametrize("definition", [STEPS, FUNCTION])
def test_the_workflow_type_that_it_is_may_be_asked_for(
    converter: PipelineConverter, definition: dict[str, JsonValue]
) -> None:
    kind = converter.convert(task(pipeline=definition)).workflow_type
    assert converter.convert(task(pipeline=definition), workflow_type=kind).workflow_type is kind


def test_sources_of_other_tasks_are_checked_where_the_dependencies_are_known(converter: PipelineConverter) -> None:
    source: JsonValue = {"type": "task", "task": "Train", "target": "m"}
    reporting = task(pipeline={"steps": [{"id": "a", "image": "i", "sources": [source]}]})
    converter.convert(reporting)
    converter.convert(reporting, task_dependencies=["task-2", "Train"])
    with pytest.raises(InvalidPipeline, match=r"steps\[0\].sources\[0\].task"):
        converter.convert(reporting, task_dependencies=["task-2"])


# --- laws ---


@given(pipelines())
def test_any_valid_graph_converts_and_can_be_planned(pipeline: Pipeline) -> None:
    converter = PipelineConverter(WorkflowTemplateRegistry(built_in=None))
    conversion = converter.convert(task(pipeline=json.loads(pipeline.model_dump_json())))
    assert conversion.pipeline == pipeline
    ids = {step.id for step in pipeline.steps}
    assert {name for layer in plan(pipeline).layers for name in layer} == ids
    assert {name for layer in optimise(pipeline).layers for name in layer} <= ids


# --- looked up ---


def test_converting_the_same_again_is_a_look_up(registry: WorkflowTemplateRegistry) -> None:
    cache: PipelineCache[Compiled] = PipelineCache()
    converter = PipelineConverter(registry, cache=cache)
    first = converter.convert(task(template_id="greeting", inputs={"who": "me"}))
    again = converter.convert(task(id="task-2", title="Other"), template_id="greeting", parameters={"who": "me"})
    assert again.pipeline is first.pipeline
    assert (cache.statistics.hits, cache.statistics.misses) == (1, 1)


def test_other_values_are_compiled_anew(registry: WorkflowTemplateRegistry) -> None:
    cache: PipelineCache[Compiled] = PipelineCache()
    converter = PipelineConverter(registry, cache=cache)
    for who in ("me", "you"):
        assert commands(converter.convert(task(template_id="greeting", inputs={"who": who}))) == [("echo", who)]
    for epochs in (1, 2):
        conversion = converter.convert(task(pipeline=STEPS, inputs={"epochs": epochs}))
        assert conversion.pipeline is not None
        assert conversion.pipeline.steps[0].environment == {"INPUT_EPOCHS": str(epochs)}
    assert cache.statistics.hits == 0


def test_a_template_that_was_edited_under_the_same_version_is_compiled_anew(tmp_path: Path) -> None:
    file = tmp_path / "greeting.yaml"
    file.write_text(yaml.safe_dump(GREETING))
    registry = WorkflowTemplateRegistry(tmp_path, built_in=None)
    cache: PipelineCache[Compiled] = PipelineCache()
    converter = PipelineConverter(registry, cache=cache)
    converter.convert(task(template_id="greeting"))
    file.write_text(yaml.safe_dump(GREETING).replace("echo", "printf"))
    registry.reload()
    assert commands(converter.convert(task(template_id="greeting"))) == [("printf", "you")]


# --- the rules that come with the package ---

NODE = ["package.json", "test/shop.test.js"]
GO = ["go.mod", "stock/stock_test.go"]
PACKAGE = ["pyproject.toml", "src/pkg/main.py", "tests/test_main.py"]


@pytest.mark.parametrize(
    ("fields", "files", "template", "words"),
    [
        ({"type": "test"}, [], "python-tests", "type 'test'"),
        ({"type": "test"}, NODE, "node-tests", "type 'test', file 'package.json'"),
        ({"type": "test"}, GO, "go-tests", "type 'test', file 'go.mod'"),
        ({"type": "test"}, [*NODE, *PACKAGE], "python-tests", "type 'test', file 'tests/test_main.py'"),
        ({"type": "npm-test"}, GO, "node-tests", "type 'npm-test'"),
        ({"type": "go-tests"}, NODE, "go-tests", "type 'go-tests'"),
        ({"labels": ["tests"]}, NODE, "node-tests", "label 'tests', file 'package.json'"),
        ({"labels": ["tests"]}, GO, "go-tests", "label 'tests', file 'go.mod'"),
        ({"title": "Run the tests"}, NODE, "node-tests", "word 'tests', file 'package.json'"),
        ({"title": "Run the tests"}, GO, "go-tests", "word 'tests', file 'stock/stock_test.go'"),
        ({"type": "Lint"}, [], "code-quality", "type 'lint'"),
        ({"type": "training"}, [], "ml-training", "type 'training'"),
        ({"type": "data"}, [], "data-processing", "type 'data'"),
        ({"type": "build"}, [], "build-package", "type 'build'"),
        ({"type": "shell"}, [], "shell-command", "type 'shell'"),
        ({"inputs": {"command": ["true"]}}, [], "shell-command", "input 'command'"),
        ({"labels": ["urgent", "Tests"]}, [], "python-tests", "label 'tests'"),
        ({"title": "Run the tests!"}, PACKAGE, "python-tests", "word 'tests', file 'tests/test_main.py'"),
        ({"title": "Build the wheel"}, PACKAGE, "build-package", "word 'build', file 'pyproject.toml'"),
        ({"title": "Clean the data"}, ["data/a.csv"], "data-processing", "word 'data', file 'data/a.csv'"),
        ({"title": "Train the model"}, [], "ml-training", "word 'train'"),
        ({"title": "Lint everything"}, [], "code-quality", "word 'lint'"),
        ({"type": "data", "title": "Train and test", "labels": ["build"]}, PACKAGE, "data-processing", "type 'data'"),
    ],
)
def test_a_template_is_chosen_by_what_a_task_says_of_itself(
    fields: dict[str, Any], files: list[str], template: str, words: str
) -> None:
    choice = next(choices(built_in_rules(), task(**fields), inputs=fields.get("inputs", {}), files=files))
    assert choice.rule.template == template
    assert ", ".join(choice.evidence) == words


def test_a_title_that_speaks_of_tests_is_not_enough_without_python_code() -> None:
    with pytest.raises(InvalidInput):
        PipelineConverter(WorkflowTemplateRegistry()).convert(task(title="Write the tests down"), files=["notes.txt"])


def test_every_template_that_the_rules_name_is_built_in() -> None:
    assert {rule.template for rule in built_in_rules()} == {
        template.id for template in WorkflowTemplateRegistry().list()
    }


def test_a_rule_without_a_reason_is_refused() -> None:
    with pytest.raises(ValidationError):
        Rule.model_validate({"template": "x", "when": {"type": ["y"]}, "because": ""})

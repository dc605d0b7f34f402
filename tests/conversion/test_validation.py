"""What is wrong with definitions: every kind of finding, its place, its words; and all of them at once."""

from __future__ import annotations

import copy
import json
from contextlib import suppress
from datetime import date
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from task_manager.errors import InvalidPipeline
from task_manager.pipeline import Pipeline
from task_manager.pipeline_converter import (
    Finding,
    Severity,
    errors_of,
    parse_pipeline,
    pipeline_schema,
    validate,
)
from tests.conversion.strategies import pipelines

Data = dict[str, Any]

HOST: Data = {"type": "host", "path": "src", "target": "src"}
OUT: Data = {"name": "out", "path": "out"}
USE: Data = {"type": "step", "step": "s0", "output": "out", "target": "t"}


def definition(*steps: Data, **fields: Any) -> Data:
    return {"steps": [{"id": f"s{number}", "image": "debian", **step} for number, step in enumerate(steps)], **fields}


def found_in(data: object) -> tuple[Finding, ...]:
    """The findings of a definition, as the error tells them; of one without errors, those of its pipeline."""
    try:
        return validate(parse_pipeline(data))
    except InvalidPipeline as error:
        findings = error.details["findings"]
        assert isinstance(findings, list)
        return tuple(Finding.model_validate(finding) for finding in findings)


def only(data: object) -> Finding:
    (finding,) = found_in(data)
    return finding


# --- the schema ---


@pytest.mark.parametrize(
    ("data", "place", "code", "words"),
    [
        ([], "definition", "invalid_value", "mapping"),
        ("text", "definition", "invalid_value", "mapping"),
        (None, "definition", "invalid_value", "nothing was found"),
        ({}, "steps", "missing_field", "'steps' is missing"),
        ({"steps": []}, "steps", "invalid_value", "must not be empty"),
        ({"steps": ["x"]}, "steps[0]", "invalid_value", "mapping"),
        ({"steps": [{"image": "debian"}]}, "steps[0].id", "missing_field", "'id'"),
        ({"steps": [{"id": "a"}]}, "steps[0].image", "missing_field", "'image'"),
        (definition({}, stepz=1), "stepz", "unknown_field", "mean 'steps'"),
        (definition({"imagee": "x"}), "steps[0].imagee", "unknown_field", "mean 'image'"),
        (definition({"zzz": 1}), "steps[0].zzz", "unknown_field", "Known here: cache, "),
        (definition({"id": "1a"}), "steps[0].id", "invalid_value", "form of a name"),
        (definition({"id": 5}), "steps[0].id", "invalid_value", 'quotes: "5"'),
        (definition({"id": None}), "steps[0].id", "invalid_value", "nothing was found"),
        (definition({"image": ""}), "steps[0].image", "invalid_value", "must not be empty"),
        (definition({"command": "pytest -q"}), "steps[0].command", "invalid_value", '["pytest", "-q"]'),
        (definition({"needs": "a"}), "steps[0].needs", "invalid_value", "list"),
        (definition({"command": ["a", True]}), "steps[0].command[1]", "invalid_value", '"true"'),
        (definition({"environment": {"N": 20}}), "steps[0].environment.N", "invalid_value", '"20"'),
        (definition({"environment": {"D": date(2026, 1, 2)}}), "steps[0].environment.D", "invalid_value", "2026-01-02"),
        (definition({"environment": {"1N": "a"}}), "steps[0].environment.1N", "invalid_value", "environment variable"),
        (definition({"environment": []}), "steps[0].environment", "invalid_value", "a list was found"),
        (definition({"timeout": 0}), "steps[0].timeout", "invalid_value", "more than 0"),
        (definition({"timeout": "soon"}), "steps[0].timeout", "invalid_value", "number was expected"),
        (definition({"retries": 11}), "steps[0].retries", "invalid_value", "at most 10"),
        (definition({"retries": 1.5}), "steps[0].retries", "invalid_value", "number was expected"),
        (definition({"network": "maybe"}), "steps[0].network", "invalid_value", "true or false"),
        (definition({"cache": "allways"}), "steps[0].cache", "invalid_value", "known: auto, never"),
        (definition({"workdir": "a\0b"}), "steps[0].workdir", "invalid_value", "null character"),
        (definition({"script": {}}), "steps[0].script.contents", "missing_field", "'contents'"),
        (
            definition({"script": {"contents": "x", "name": "a/b"}}),
            "steps[0].script.name",
            "invalid_value",
            "no folders",
        ),
        (
            definition({"sources": [{"target": "x"}]}),
            "steps[0].sources[0]",
            "invalid_value",
            "host, inline, step or task",
        ),
        (
            definition({"sources": [{"type": "hots", "target": "x"}]}),
            "steps[0].sources[0]",
            "invalid_value",
            "mean 'host'",
        ),
        (
            definition({"sources": [{**HOST, "taget": "x"}]}),
            "steps[0].sources[0].taget",
            "unknown_field",
            "mean 'target'",
        ),
        (definition({"sources": ["x"]}), "steps[0].sources[0]", "invalid_value", "mapping"),
        (definition({"outputs": [{**OUT, "type": "dir"}]}), "steps[0].outputs[0].type", "invalid_value", "directory"),
        (
            definition({"services": [{"name": "DB", "image": "x", "ports": [1]}]}),
            "steps[0].services[0].name",
            "invalid_value",
            "host name",
        ),
        (
            definition({"services": [{"name": "db", "image": "x", "ports": [0]}]}),
            "steps[0].services[0].ports[0]",
            "invalid_value",
            "at least 1",
        ),
        (definition({}, name="x" * 201), "name", "invalid_value", "At most 200"),
        (
            definition({}, result={"reports": [{"step": "s0", "output": "x"}]}),
            "result.reports[0].format",
            "missing_field",
            "'format'",
        ),
    ],
)
def test_what_does_not_fit_the_schema_is_told_with_its_place(data: object, place: str, code: str, words: str) -> None:
    finding = only(data)
    assert (finding.place, finding.code) == (place, code)
    assert words in str(finding)


@pytest.mark.parametrize(
    "data",
    [
        definition({"secrets": {"TOKEN": "hunter2-canary"}}),
        definition({"secrets": "hunter2-canary"}),
        definition({"secrets": {"TOKEN": ["hunter2-canary"]}}),
    ],
)
def test_a_value_given_for_a_secret_is_never_repeated(data: object) -> None:
    with pytest.raises(InvalidPipeline) as caught:
        parse_pipeline(data)
    assert "hunter2" not in json.dumps(caught.value.as_dict())
    assert "secrets" in caught.value.message


def test_a_number_given_for_a_secret_is_never_repeated() -> None:
    assert "41975314" not in str(only(definition({"secrets": {"TOKEN": 41975314}})))


# --- references ---


@pytest.mark.parametrize(
    ("data", "place", "code", "words"),
    [
        (definition({}, {"id": "s0"}), "steps[1].id", "duplicate_step", "steps[0]"),
        (definition({"id": "build"}, {"needs": ["biuld"]}), "steps[1].needs[0]", "unknown_step", "mean 'build'"),
        (definition({"id": "build"}, {"needs": ["x"]}), "steps[1].needs[0]", "unknown_step", "Known: build, s1"),
        (
            definition({"sources": [{"type": "step", "step": "s9x", "output": "o", "target": "t"}]}),
            "steps[0].sources[0].step",
            "unknown_step",
            "'s9x'",
        ),
        (
            definition({"outputs": [OUT]}, {"sources": [{**USE, "output": "uot"}]}),
            "steps[1].sources[0].output",
            "unknown_output",
            "mean 'out'",
        ),
        (
            definition({}, {"sources": [USE]}),
            "steps[1].sources[0].output",
            "unknown_output",
            "has no outputs",
        ),
        (
            definition({}, result={"reports": [{"step": "s1", "output": "x", "format": "text"}]}),
            "result.reports[0].step",
            "unknown_step",
            "Known: s0.",
        ),
        (
            definition({"outputs": [OUT]}, result={"reports": [{"step": "s0", "output": "x", "format": "text"}]}),
            "result.reports[0].output",
            "unknown_output",
            "Known: out",
        ),
        (
            definition(
                {"outputs": [{**OUT, "keep": False}]},
                result={"reports": [{"step": "s0", "output": "out", "format": "text"}]},
            ),
            "result.reports[0].output",
            "output_not_kept",
            "keep: false",
        ),
        (definition({"needs": ["s0"]}), "steps[0]", "cycle", "It needs itself: 's0' → 's0'"),
        (
            definition({"needs": ["s1"]}, {"needs": ["s2"]}, {"needs": ["s0"]}),
            "steps[0]",
            "cycle",
            "'s0' → 's1' → 's2' → 's0'",
        ),
        (
            definition(
                {"outputs": [OUT], "needs": ["s1"]},
                {"sources": [USE]},
            ),
            "steps[0]",
            "cycle",
            "'s0' → 's1' → 's0'",
        ),
    ],
)
def test_a_wrong_reference_is_told_with_its_place(data: object, place: str, code: str, words: str) -> None:
    finding = only(data)
    assert (finding.place, finding.code) == (place, code)
    assert words in str(finding)


def test_every_circle_is_named_and_so_are_the_steps_that_wait_for_one() -> None:
    findings = found_in(
        definition({"needs": ["s1"]}, {"needs": ["s0"]}, {"needs": ["s2"]}, {"needs": ["s1"]}, {"needs": ["s3"]}, {})
    )
    assert [(finding.place, finding.code) for finding in findings] == [
        ("steps[0]", "cycle"),
        ("steps[2]", "cycle"),
        ("steps[3]", "unreachable_step"),
        ("steps[4]", "unreachable_step"),
    ]
    assert "'s4' can never run: it waits for 's1', which lies on a circle" in findings[3].message


def test_a_step_behind_one_that_needs_what_does_not_exist_can_never_run() -> None:
    findings = found_in(definition({"needs": ["gone"]}, {"needs": ["s0"]}))
    assert [(finding.place, finding.code) for finding in findings] == [
        ("steps[0].needs[0]", "unknown_step"),
        ("steps[1]", "unreachable_step"),
    ]


@pytest.mark.parametrize(
    ("known", "codes"),
    [(None, []), ((), ["not_a_dependency"]), (("Train it",), []), (("Train  it",), ["not_a_dependency"])],
)
def test_a_source_from_a_task_needs_a_dependency_on_it(known: tuple[str, ...] | None, codes: list[str]) -> None:
    source = {"type": "task", "task": "Train it", "target": "model"}
    pipeline = parse_pipeline(definition({"sources": [source]}))
    findings = validate(pipeline, task_dependencies=known)
    assert [finding.code for finding in findings] == codes
    assert all(finding.place == "steps[0].sources[0].task" for finding in findings)


def test_a_nearly_right_name_of_a_task_is_offered() -> None:
    pipeline = parse_pipeline(definition({"sources": [{"type": "task", "task": "Trian it", "target": "model"}]}))
    (finding,) = validate(pipeline, task_dependencies=["Train it", "Other"])
    assert finding.remedy == "Did you mean 'Train it'?"


# --- each step alone ---


@pytest.mark.parametrize(
    ("step", "place", "code"),
    [
        ({"command": ["a"], "script": {"contents": "b"}}, "script", "command_and_script"),
        ({"command": []}, "command", "empty_command"),
        ({"command": [" ", "x"]}, "command", "empty_command"),
        ({"workdir": "work"}, "workdir", "relative_workdir"),
        ({"environment": {"T": "a"}, "secrets": {"T": "env:T"}}, "secrets.T", "environment_clash"),
        (
            {
                "services": [
                    {"name": "db", "image": "a", "ports": [1]},
                    {"name": "db", "image": "b", "ports": [1]},
                ]
            },
            "services[1].name",
            "duplicate_service",
        ),
        (
            {"services": [{"name": "localhost", "image": "a", "ports": [1]}]},
            "services[0].name",
            "duplicate_service",
        ),
        (
            {"services": [{"name": "db", "image": "a", "ports": [1]}], "network": False},
            "network",
            "services_without_network",
        ),
        ({"outputs": [OUT, {"name": "out", "path": "b"}]}, "outputs[1].name", "duplicate_output"),
        ({"outputs": [{"name": "out"}]}, "outputs[0].path", "output_without_path"),
        ({"outputs": [{"name": "out", "type": "stdout"}]}, "outputs[0].type", "no_standard_output"),
        ({"outputs": [OUT, {"name": "b", "path": "/task/./out"}]}, "outputs[1].path", "output_clash"),
        ({"outputs": [OUT, {"name": "b", "path": "out/x"}]}, "outputs[1].path", "output_clash"),
        ({"outputs": [{"name": "b", "path": "out/x"}, OUT]}, "outputs[0].path", "output_clash"),
        ({"sources": [{**HOST, "path": "../x"}]}, "sources[0].path", "path_escape"),
        ({"sources": [{**HOST, "path": "a/../../x"}]}, "sources[0].path", "path_escape"),
        ({"sources": [{**HOST, "path": "/etc"}]}, "sources[0].path", "path_escape"),
        ({"sources": [{**HOST, "path": "C:/x"}]}, "sources[0].path", "path_escape"),
        ({"sources": [{**HOST, "path": "\\x"}]}, "sources[0].path", "path_escape"),
        ({"sources": [{**HOST, "path": "a\0b"}]}, "sources[0].path", "path_escape"),
        ({"sources": [{**HOST, "include": ["a", "../b"]}]}, "sources[0].include[1]", "path_escape"),
        ({"sources": [{**HOST, "exclude": ["a/../.."]}]}, "sources[0].exclude[0]", "path_escape"),
        ({"sources": [{"type": "inline", "contents": "", "target": "/"}]}, "sources[0].target", "target_clash"),
        (
            {"sources": [{"type": "inline", "contents": "", "target": "a"}, {**HOST, "target": "a/b"}]},
            "sources[1].target",
            "target_clash",
        ),
        ({"caches": [{"name": "a", "target": "/"}]}, "caches[0].target", "target_clash"),
        (
            {"caches": [{"name": "a", "target": "/c"}, {"name": "b", "target": "/c/"}]},
            "caches[1].target",
            "target_clash",
        ),
        (
            {"caches": [{"name": "a", "target": "/c"}, {"name": "b", "target": "/c/d"}]},
            "caches[1].target",
            "target_clash",
        ),
        ({"caches": [{"name": "a", "target": "src"}], "sources": [HOST]}, "sources[0].target", "target_clash"),
        ({"caches": [{"name": "a", "target": "out"}], "outputs": [OUT]}, "outputs[0].path", "target_clash"),
    ],
)
def test_what_is_wrong_in_a_step_is_told_with_its_place(step: Data, place: str, code: str) -> None:
    finding = only(definition({}, step))
    assert (finding.place, finding.code) == (f"steps[1].{place}", code)
    assert finding.severity is Severity.ERROR
    assert finding.remedy


@pytest.mark.parametrize(
    ("step", "place", "code"),
    [
        (
            {"command": ["a"], "outputs": [{"name": "out", "type": "stdout", "path": "x"}]},
            "outputs[0].path",
            "unused_path",
        ),
        ({"timeout": 20}, "timeout", "timeout_too_long"),
        (
            {
                "sources": [
                    {"type": "inline", "contents": "1", "target": "a"},
                    {"type": "inline", "contents": "2", "target": "./a"},
                ]
            },
            "sources[0].target",
            "shadowed_source",
        ),
    ],
)
def test_what_is_only_doubtful_does_not_stop_a_definition(step: Data, place: str, code: str) -> None:
    finding = only(definition(step, timeout=10))
    assert (finding.place, finding.code, finding.severity) == (f"steps[0].{place}", code, Severity.WARNING)
    assert errors_of([finding]) == ()


@pytest.mark.parametrize(
    "step",
    [
        {"sources": [{**HOST, "path": "./a//b/../b/"}, {**HOST, "path": "..a"}, {**HOST, "include": ["..a", "*.."]}]},
        {"caches": [{"name": "a", "target": "src/.cache"}], "sources": [HOST]},
        {"outputs": [OUT, {"name": "b", "path": "output"}]},
        {"sources": [HOST, {**HOST, "path": "data"}]},
        {"sources": [{"type": "inline", "contents": "", "target": "src/x"}, HOST]},
        {"command": ["x"], "outputs": [{"name": "out", "type": "stdout"}]},
        {"secrets": {"A": "env:A", "B": "file:/run/secret"}},
    ],
)
def test_what_is_usual_has_no_findings(step: Data) -> None:
    assert found_in(definition(step)) == ()


@pytest.mark.parametrize(
    ("path", "known"),
    [("src", True), ("src/a.py", True), ("src/", True), (".", True), ("scr", False), ("src/a", False)],
)
def test_a_host_source_must_be_there_where_the_files_are_known(path: str, known: bool) -> None:
    pipeline = parse_pipeline(definition({"sources": [{**HOST, "path": path}]}))
    assert validate(pipeline) == ()
    findings = validate(pipeline, files=["src/a.py", "README.md"])
    assert [finding.code for finding in findings] == ([] if known else ["source_missing"])


# --- all at once ---


def test_all_errors_are_told_at_once_with_their_places() -> None:
    data = definition(
        {"command": ["a"], "script": {"contents": "b"}, "needs": ["gone"]},
        {"outputs": [{"name": "x"}, {"name": "x", "path": "y"}], "workdir": "w"},
        {"needs": ["s2"], "sources": [{**HOST, "path": "/"}]},
        result={"reports": [{"step": "s1", "output": "z", "format": "csv"}]},
    )
    with pytest.raises(InvalidPipeline) as caught:
        parse_pipeline(data)
    places = {finding.place for finding in found_in(data)}
    assert places == {
        "steps[0].script",
        "steps[0].needs[0]",
        "steps[1].outputs[0].path",
        "steps[1].outputs[1].name",
        "steps[1].workdir",
        "steps[2]",
        "steps[2].sources[0].path",
        "result.reports[0].output",
    }
    assert all(f"\n  {place}: " in caught.value.message for place in places)
    assert "has 8 errors" in caught.value.message


def test_what_does_not_fit_the_schema_does_not_hide_what_else_is_wrong() -> None:
    data = definition(
        {"imagee": "x", "needs": ["s2"], "outputs": [{"name": "x", "path": 5}]},
        {"needs": ["s0", "gone"], "sources": [{"type": "step", "step": "s0", "output": "x", "target": "t"}]},
        {"needs": ["s1"], "workdir": "w"},
    )
    assert [(finding.place, finding.code) for finding in found_in(data)] == [
        ("steps[0].outputs[0].path", "invalid_value"),
        ("steps[0].imagee", "unknown_field"),
        ("steps[1].needs[1]", "unknown_step"),
        ("steps[0]", "cycle"),
        ("steps[2].workdir", "relative_workdir"),
    ]


@pytest.mark.parametrize("broken", [{"id": "1"}, {"id": None}, 5])
def test_references_are_not_judged_while_a_step_has_no_id(broken: object) -> None:
    data = definition({"needs": ["s1"]}, {})
    data["steps"][1] = broken if isinstance(broken, int) else {**data["steps"][1], **broken}  # type: ignore[dict-item]
    assert {finding.code for finding in found_in(data)} == {"invalid_value"}


# --- laws ---


@given(pipelines())
def test_what_is_valid_has_no_errors_and_is_read_back_as_it_was_written(pipeline: Pipeline) -> None:
    assert errors_of(validate(pipeline)) == ()
    assert parse_pipeline(json.loads(pipeline.model_dump_json())) == pipeline


@settings(deadline=None)
@given(pipelines())
def test_what_is_valid_fits_the_published_schema(pipeline: Pipeline) -> None:
    jsonschema.Draft202012Validator(pipeline_schema()).validate(json.loads(pipeline.model_dump_json()))


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["s0", "s1", "../x"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def places_of(value: object, place: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Every place in JSON-like data."""
    items: list[tuple[str | int, object]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    return [place] + [inner for key, item in items for inner in places_of(item, (*place, key))]


@given(pipelines(maximum=3), json_values, st.data())
def test_whatever_stands_anywhere_in_a_definition_it_is_read_or_refused(
    pipeline: Pipeline, value: object, data: st.DataObject
) -> None:
    damaged: Any = json.loads(pipeline.model_dump_json())
    place = data.draw(st.sampled_from(places_of(damaged)))
    if not place:
        damaged = value
    else:
        target = damaged
        for key in place[:-1]:
            target = target[key]
        target[place[-1]] = value
    before = copy.deepcopy(damaged)
    with suppress(InvalidPipeline):
        parse_pipeline(damaged)
    assert repr(damaged) == repr(before)


def test_the_published_schema_is_valid_and_tells_functions_from_steps() -> None:
    schema = pipeline_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    assert validator.is_valid({"function": "release:build"})
    assert validator.is_valid(definition({"command": ["x"]}))
    assert not validator.is_valid({"function": "release"})
    assert not validator.is_valid(definition({"imagee": "x"}))

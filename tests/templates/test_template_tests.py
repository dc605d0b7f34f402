"""The tests that templates carry: what is compared, and how the outcome is told."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from task_manager.errors import StepError
from task_manager.pipeline import Pipeline
from task_manager.templating.expectations import differences
from task_manager.workflow_templates import TemplateTestOutcome, load_template, run_template_tests
from tests.templates.folders import with_parameters, write

DATA = {
    "status": "failed",
    "steps": [{"id": "one", "image": "busybox", "needs": ["a", "b"]}, {"id": "two", "ok": True}],
    "metrics": [{"name": "accuracy", "value": 0.9}],
    "count": 1,
}


@pytest.mark.parametrize(
    "expected",
    [
        {},
        {"status": "failed"},
        {"steps.one.image": "busybox"},
        {"steps.1.ok": True},
        {"steps": {"one": {"needs": ["a", "b"]}, "two.ok": True}},
        {"metrics.accuracy.value": {"$at_least": 0.9}, "count": {"$at_most": 1}},
        {"steps": {"$length": 2}, "status": {"$matches": "^fail"}, "steps.one.needs": {"$contains": "a"}},
        {"steps.three": {"$present": False}, "steps.one": {"$present": True}, "status": {"$not": "succeeded"}},
    ],
)
def test_data_that_is_as_expected_has_no_differences(expected: dict[str, Any]) -> None:
    assert list(differences(expected, DATA)) == []


@pytest.mark.parametrize(
    ("expected", "difference"),
    [
        ({"status": "succeeded"}, 'status: expected "succeeded"; found "failed".'),
        ({"state": "failed"}, 'state: expected "failed"; there is nothing, only status, steps, metrics, count.'),
        ({"steps.three.image": "x"}, 'steps.three: expected "x"; there is nothing, only 2 items.'),
        ({"steps.one.needs": ["a"]}, 'steps.one.needs: expected ["a"]; found ["a", "b"].'),
        ({"steps.one": {"image": "x"}}, 'steps.one.image: expected "x"; found "busybox".'),
        ({"count": True}, "count: expected true; found 1."),
        ({"metrics.accuracy.value": {"$at_least": 1}}, "metrics.accuracy.value: expected at least 1; found 0.9."),
        ({"status": {"$at_least": 1}}, 'status: expected at least 1; found "failed".'),
        ({"status": {"$present": False}}, 'status: expected nothing; found "failed".'),
        ({"steps.5": 1}, "steps.5: expected 1; there is nothing, only 2 items."),
        ({"status.deep": 1}, "status.deep: expected 1; there is nothing."),
    ],
)
def test_a_difference_names_place_expectation_and_finding(expected: dict[str, Any], difference: str) -> None:
    assert list(differences(expected, DATA)) == [difference]


def test_an_unknown_comparison_is_named() -> None:
    assert "no comparison '$about'" in next(differences({"count": {"$about": 1}}, DATA))


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda below: (
        st.lists(below, max_size=3) | st.dictionaries(st.text("abc", min_size=1, max_size=3), below, max_size=3)
    ),
    max_leaves=8,
)


@given(PLAIN)
def test_everything_is_as_itself(data: Any) -> None:
    assert list(differences(data, data)) == []


@given(PLAIN, PLAIN)
def test_mutual_expectations_hold_only_between_equals(one: Any, other: Any) -> None:
    if list(differences(one, other)) == [] == list(differences(other, one)):
        assert one == other


# --- running them ---


async def outcomes(folder: Path, execute: Any = None, **test: object) -> list[TemplateTestOutcome]:
    content = with_parameters({"limit": {"type": "integer", "minimum": 1, "default": 5}}, timeout="{{ limit }}")
    write(folder, {"t.json": {**content, "tests": [{"name": "it", **test}]}, "fixture/a.txt": "a"})
    return list(await run_template_tests(load_template(folder / "t.json"), execute))


async def test_an_expected_pipeline_passes_or_tells_the_difference(tmp_path: Path) -> None:
    (good,) = await outcomes(tmp_path, expect_pipeline={"steps.hello.timeout": 5})
    assert (good.status, good.problems) == ("passed", ())
    (bad,) = await outcomes(tmp_path, expect_pipeline={"steps.hello.timeout": 6})
    assert (bad.status, bad.problems) == ("failed", ("steps.hello.timeout: expected 6; found 5.",))


async def test_an_expected_error_passes_only_when_it_comes(tmp_path: Path) -> None:
    (good,) = await outcomes(tmp_path, parameters={"limit": 0}, expect_error="invalid_parameters")
    assert good.status == "passed"
    (bad,) = await outcomes(tmp_path, parameters={"limit": 1}, expect_error="invalid_parameters")
    assert bad.problems == ("Expected the error invalid_parameters; the parameters were accepted.",)


async def test_another_error_or_message_than_expected_fails(tmp_path: Path) -> None:
    refused = {"parameters": {"limit": 0}}
    (code,) = await outcomes(tmp_path, **refused, expect_error="not_found")
    assert "found the error invalid_parameters" in code.problems[0]
    (text,) = await outcomes(tmp_path, **refused, expect_error="invalid_parameters", expect_message="epochs")
    assert "Expected the message to contain 'epochs'" in text.problems[0]
    (none,) = await outcomes(tmp_path, **refused, expect_pipeline={"name": "Greet"})
    assert none.status == "failed"


async def test_results_are_not_run_without_an_engine(tmp_path: Path) -> None:
    found = await outcomes(tmp_path, expect_pipeline={}, expect_result={"status": "succeeded"})
    assert [(outcome.kind, outcome.status) for outcome in found] == [("pipeline", "passed"), ("result", "not_run")]


async def test_results_come_from_running_the_pipeline_on_the_fixture(tmp_path: Path) -> None:
    async def execute(pipeline: Pipeline, source: Path) -> Mapping[str, JsonValue]:
        return {"seconds": pipeline.steps[0].timeout, "folder": source.name}

    test = {"source": "fixture", "parameters": {"limit": 7}}
    (good,) = await outcomes(tmp_path, execute, **test, expect_result={"seconds": 7, "folder": "fixture"})
    assert good.status == "passed"
    (bad,) = await outcomes(tmp_path, execute, **test, expect_result={"seconds": 8})
    assert bad.problems == ("seconds: expected 8; found 7.0.",)


async def test_a_run_without_a_result_fails_the_test(tmp_path: Path) -> None:
    async def execute(pipeline: Pipeline, source: Path) -> Mapping[str, JsonValue]:
        raise StepError(f"{pipeline.name} in {source.name} ended without a result.")

    (found,) = await outcomes(tmp_path, execute, source="fixture", expect_result={})
    assert "ended without a result" in found.problems[0]

"""Plans: their order, their layers, and that optimising keeps what a pipeline means."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings

from task_manager.errors import InvalidPipeline
from task_manager.pipeline import Pipeline
from task_manager.pipeline_converter import ExecutionPlan, errors_of, optimise, plan, validate
from task_manager.workflow_status import StepStatus
from tests.conversion.interpreter import interpret
from tests.conversion.strategies import pipelines


def assert_earliest_layers(made: ExecutionPlan) -> None:
    layer_of = {name: number for number, layer in enumerate(made.layers) for name in layer}
    assert sorted(layer_of) == sorted(step.id for step in made.pipeline.steps)
    for step in made.pipeline.steps:
        assert layer_of[step.id] == max((layer_of[name] + 1 for name in step.upstream), default=0)


@given(pipelines())
def test_a_plan_puts_every_step_into_the_earliest_layer_after_what_it_needs(pipeline: Pipeline) -> None:
    made = plan(pipeline)
    assert made.pipeline == pipeline
    assert (made.aliases, made.dropped, made.notes) == ({}, (), ())
    assert_earliest_layers(made)


@given(pipelines())
def test_an_optimised_plan_puts_every_step_into_the_earliest_layer_after_what_it_needs(pipeline: Pipeline) -> None:
    assert_earliest_layers(optimise(pipeline))


@settings(max_examples=300, deadline=None)
@given(pipelines())
def test_optimised_and_unoptimised_plans_give_equal_results(pipeline: Pipeline) -> None:
    plain, optimised = interpret(plan(pipeline)), interpret(optimise(pipeline))
    for step in pipeline.steps:
        if step.id in optimised:
            assert optimised[step.id] == plain[step.id], step.id
        else:
            assert not plain[step.id].outputs
            assert plain[step.id].status in (StepStatus.SUCCEEDED, StepStatus.SKIPPED)


@given(pipelines())
def test_every_step_is_kept_merged_or_dropped(pipeline: Pipeline) -> None:
    made = optimise(pipeline)
    kept = {step.id for step in made.pipeline.steps}
    parts = [kept, set(made.aliases), set(made.dropped)]
    assert set.union(*parts) == {step.id for step in pipeline.steps}
    assert sum(map(len, parts)) == len(pipeline.steps)
    assert set(made.aliases.values()) <= kept


@given(pipelines())
def test_an_optimised_pipeline_is_valid(pipeline: Pipeline) -> None:
    assert errors_of(validate(optimise(pipeline).pipeline)) == ()


@given(pipelines())
def test_optimising_twice_changes_nothing_more(pipeline: Pipeline) -> None:
    once = optimise(pipeline)
    twice = optimise(once.pipeline)
    assert twice == once.model_copy(update={"aliases": {}, "dropped": (), "notes": ()})


@given(pipelines())
def test_steps_that_ask_for_a_run_of_their_own_are_never_merged(pipeline: Pipeline) -> None:
    for removed in optimise(pipeline).aliases:
        step = pipeline.step(removed)
        assert step.cache == "auto"
        assert not step.caches


@given(pipelines())
def test_reports_name_the_steps_that_stand_for_merged_ones(pipeline: Pipeline) -> None:
    made = optimise(pipeline)
    assert set(made.pipeline.result.reports) == {
        report.model_copy(update={"step": made.aliases.get(report.step, report.step)})
        for report in pipeline.result.reports
    }


def test_a_plan_of_a_pipeline_with_errors_is_refused() -> None:
    pipeline = Pipeline.model_validate({"steps": [{"id": "a", "image": "i", "needs": ["b"]}]})
    for make in (plan, optimise):
        with pytest.raises(InvalidPipeline, match="There is no step 'b'"):
            make(pipeline)


# --- each simplification by example ---

OUT = {"name": "out", "path": "out"}


def made_of(*steps: dict[str, Any]) -> ExecutionPlan:
    return optimise(Pipeline.model_validate({"steps": [{"image": "debian", **step} for step in steps]}))


def test_equal_steps_are_merged_and_those_after_them_follow() -> None:
    made = made_of(
        {"id": "a", "command": ["x"], "outputs": [OUT]},
        {"id": "b", "name": "again", "command": ["x"], "outputs": [OUT]},
        {"id": "c", "command": ["y"], "needs": ["a"]},
        {"id": "d", "command": ["y"], "needs": ["b"]},
    )
    assert made.aliases == {"b": "a", "d": "c"}
    assert made.layers == (("a",), ("c",))
    assert made.notes == (
        "Step 'b' was merged into 'a', which does the same.",
        "Step 'd' was merged into 'c', which does the same.",
    )


@pytest.mark.parametrize(
    "difference",
    [
        {"image": "python"},
        {"command": ["y"]},
        {"environment": {"A": "1"}},
        {"secrets": {"T": "env:TWO"}},
        {"retries": 1},
        {"timeout": 5},
        {"network": False},
        {"outputs": []},
        {"cache": "never"},
        {"caches": [{"name": "pip", "target": "/cache"}]},
        {"sources": [{"type": "inline", "target": "/f", "contents": "2"}]},
    ],
)
def test_steps_that_differ_in_anything_but_names_are_not_merged(difference: dict[str, Any]) -> None:
    same = {
        "command": ["x"],
        "secrets": {"T": "env:ONE"},
        "outputs": [OUT],
        "sources": [{"type": "inline", "target": "/f", "contents": "1"}],
    }
    assert made_of({"id": "a", **same}, {"id": "b", **same}).aliases == {"b": "a"}
    assert made_of({"id": "a", **same}, {"id": "b", **same, **difference}).aliases == {}


@pytest.mark.parametrize("own", [{"cache": "never"}, {"caches": [{"name": "pip", "target": "/cache"}]}])
def test_steps_that_read_outside_state_are_not_merged_even_when_equal(own: dict[str, Any]) -> None:
    assert made_of({"id": "a", "command": ["x"], **own}, {"id": "b", "command": ["x"], **own}).aliases == {}


def test_the_order_of_environment_variables_does_not_matter() -> None:
    made = made_of(
        {"id": "a", "command": ["x"], "environment": {"A": "1", "B": "2"}},
        {"id": "b", "command": ["x"], "environment": {"B": "2", "A": "1"}},
    )
    assert made.aliases == {"b": "a"}


def test_a_step_without_effect_is_dropped_and_what_it_waits_for_is_still_waited_for() -> None:
    made = made_of(
        {"id": "a1", "command": ["x"]},
        {"id": "a2", "command": ["y"]},
        {"id": "gate", "needs": ["a1", "a2"]},
        {"id": "gate2", "needs": ["gate"]},
        {"id": "b", "command": ["z"], "needs": ["gate2"]},
    )
    assert made.dropped == ("gate", "gate2")
    assert made.pipeline.step("b").needs == ("a1", "a2")


def test_a_step_that_only_runs_a_command_is_kept_since_it_can_fail() -> None:
    assert made_of({"id": "a", "command": ["deploy"]}).dropped == ()


def test_of_a_pipeline_without_any_effect_one_step_is_left() -> None:
    made = made_of({"id": "a", "needs": ["b"]}, {"id": "b"})
    assert made.layers == (("a",),)
    assert made.dropped == ("b",)


def test_needs_that_others_imply_are_taken_out() -> None:
    made = made_of(
        {"id": "a", "command": ["x"], "outputs": [OUT]},
        {"id": "b", "command": ["y"], "needs": ["a"]},
        {
            "id": "c",
            "command": ["z"],
            "needs": ["a", "b"],
            "sources": [{"type": "step", "step": "a", "output": "out", "target": "in"}],
        },
    )
    assert made.pipeline.step("c").needs == ("b",)


def test_sources_that_nothing_sees_are_taken_out_and_what_they_waited_for_is_still_waited_for() -> None:
    made = made_of(
        {"id": "a", "command": ["x"], "outputs": [OUT]},
        {
            "id": "b",
            "command": ["y"],
            "sources": [
                {"type": "step", "step": "a", "output": "out", "target": "in"},
                {"type": "host", "path": "./data/", "target": "data"},
                {"type": "inline", "target": "in", "contents": "instead"},
                {"type": "host", "path": "data", "target": "/task/data"},
            ],
        },
    )
    step = made.pipeline.step("b")
    assert [source.target for source in step.sources] == ["/task/in", "/task/data"]
    assert step.needs == ("a",)


@pytest.mark.parametrize("later", [{**OUT, "optional": True}, {**OUT, "type": "directory"}])
def test_a_source_stays_where_the_later_one_may_not_hide_all_of_it(later: dict[str, Any]) -> None:
    made = made_of(
        {"id": "a", "command": ["x"], "outputs": [later]},
        {
            "id": "b",
            "command": ["y"],
            "sources": [
                {"type": "inline", "target": "in", "contents": "default"},
                {"type": "step", "step": "a", "output": "out", "target": "in"},
            ],
        },
    )
    assert len(made.pipeline.step("b").sources) == 2


def test_of_equal_patterns_the_last_one_stays() -> None:
    source = {"type": "host", "target": "src", "include": ["*.py", "!a.py", "*.py"], "exclude": ["x", "x"]}
    kept = made_of({"id": "a", "command": ["x"], "sources": [source]}).pipeline.steps[0].sources[0]
    assert kept.model_dump(include={"include", "exclude"}) == {"include": ("!a.py", "*.py"), "exclude": ("x",)}


def test_a_thousand_steps_are_optimised() -> None:
    gates = [{"id": f"g{n}", "needs": [f"g{n - 1}"] if n else []} for n in range(499)]
    steps = [{"id": f"s{n}", "command": [str(n % 50)], "needs": [f"g{n % 499}"]} for n in range(501)]
    made = made_of(*gates, *steps)
    assert len(made.dropped) == 499
    assert len(made.pipeline.steps) == 50

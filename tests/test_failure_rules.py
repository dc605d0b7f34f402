"""The rules that tell what kind of failure it is."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from task_manager import errors
from task_manager.failure_classes import reference
from task_manager.failure_rules import Evidence, Example, FailureClass, FailureRule, built_in_rules, classify

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "task_manager"
NO_FAILURES = {
    *(
        "cached",
        "engine_reconnected",
        "handed_back",
        "recovered",
        "run_ended",
        "same_failure_again",
        "without_effect",
        "form_failed",
    ),
    *("form_failed", "host_toolchain", "network_not_isolated", "other_settings"),
    *("equal_run", "no_worker", "project_limit", "project_paused", "starting", "template_limit"),
    *("waiting_for_dependencies", "waiting_for_place", "waiting_for_retry"),
}
"""Why something waits, goes on, or needs a warning."""
EXAMPLES = [(rule, example) for rule in built_in_rules() for example in rule.examples]
OUR_OWN = {
    *("cached_output_gone", "internal_error", "cancelled", "stopped", "upstream_failed", "dependency_failed"),
    *("run_timed_out", "recovery_given_up", "lost"),
}


def _codes(error: type[errors.TaskManagerError]) -> set[str]:
    """The codes of an error and of those below it, but for what other modules add for themselves."""
    below = (one for one in error.__subclasses__() if one.__module__ == errors.__name__)
    return {error.code}.union(*map(_codes, below))


@pytest.mark.parametrize(("rule", "example"), EXAMPLES, ids=[f"{rule.id}-{one.code}" for rule, one in EXAMPLES])
def test_each_example_is_told_by_its_rule_and_by_no_earlier_one(rule: FailureRule, example: Example) -> None:
    found = classify(Evidence(example.code, example.exit_code, example.output))
    assert (found.rule, found.failure_class, found.resource) == (rule.id, rule.failure_class, rule.resource)


def test_every_rule_has_an_example_and_a_name_of_its_own() -> None:
    rules = built_in_rules()
    assert [rule.id for rule in rules if not rule.examples] == []
    assert len({rule.id for rule in rules}) == len(rules)


def test_every_class_but_the_unknown_has_a_rule() -> None:
    assert {rule.failure_class for rule in built_in_rules()} == set(FailureClass) - {FailureClass.UNKNOWN}


def test_rules_name_codes_that_exist() -> None:
    known = _codes(errors.TaskManagerError) | OUR_OWN
    assert {code for rule in built_in_rules() for code in rule.codes} <= known


def test_every_error_has_a_rule() -> None:
    told_by_its_message = errors.EngineError.code
    codes = _codes(errors.TaskManagerError) - {told_by_its_message}
    assert {code for code in codes if classify(Evidence(code)).failure_class is FailureClass.UNKNOWN} == set()


def test_every_reason_of_the_product_has_a_rule_or_is_none_of_a_failure() -> None:
    codes = {code for file in PACKAGE.rglob("*.py") for code in _reasons(ast.parse(file.read_text("utf-8")))}
    assert {"internal_error", "recovery_given_up", "waiting_for_place"} <= codes, "they are found"
    unknown = {code for code in codes if classify(Evidence(code)).failure_class is FailureClass.UNKNOWN}
    assert unknown == NO_FAILURES


def _reasons(tree: ast.Module) -> Iterator[str]:
    """The codes that a module gives to reasons, as texts or by a constant of its own."""
    constants = {
        target.id: node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Reason":
            (code,) = [one.value for one in node.keywords if one.arg == "code"]
            known = constants.get(code.id) if isinstance(code, ast.Name) else code
            if isinstance(known, ast.Constant):
                yield str(known.value)


def test_what_no_rule_is_for_is_unknown() -> None:
    found = classify(Evidence("engine_error", None, "something new"))
    assert (found.failure_class, found.again) == (FailureClass.UNKNOWN, False)


def test_tests_that_quote_a_lost_connection_have_failed_all_the_same() -> None:
    output = "E   ConnectionResetError: Connection reset by peer\nFAILED tests/test_a.py::test_b - ConnectionResetError"
    assert classify(Evidence("step_failed", 1, output)).rule == "tests_failed"


@given(st.text(), st.one_of(st.none(), st.integers(-300, 300)), st.sampled_from(["step_failed", "engine_error", "x"]))
def test_every_failure_has_exactly_one_class(output: str, exit_code: int | None, code: str) -> None:
    assert classify(Evidence(code, exit_code, output)).failure_class in FailureClass


def test_of_a_long_output_the_end_counts() -> None:
    long = "MemoryError\n" + "x" * 30_000
    assert classify(Evidence("step_failed", 1, long)).rule == "command_failed"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "a rule without any would fit everything"),
        ({"patterns": ["("]}, "a regular expression"),
        ({"signals": ["SIGNOTHING"]}, "the name of a signal"),
        ({"exit_codes": [1], "failure_class": "odd"}, "Input should be"),
    ],
)
def test_a_rule_that_cannot_be_used_is_refused_with_the_reason(fields: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        FailureRule.model_validate({"id": "mine", "failure_class": "transient", "summary": "S.", **fields})


def test_the_reference_is_what_the_rules_say() -> None:
    page = (ROOT / "docs" / "reference" / "failure-classes.md").read_text(encoding="utf-8")
    assert page == reference(), "python -m task_manager.failure_classes > docs/reference/failure-classes.md"

"""Results in other forms: what they say stays the same, and one form that fails fails alone."""

from __future__ import annotations

import importlib
import json
import sys
from datetime import UTC, datetime
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from task_manager.errors import InvalidInput, NotFound
from task_manager.pipeline import ResultType
from task_manager.results.comparison import compare
from task_manager.results.conditions import MetricCondition
from task_manager.results.parsers.junit import parse_junit
from task_manager.results.parsers.sarif import parse_sarif
from task_manager.results.schemas import WorkflowResult, make_result, parse_result, result_schema
from task_manager.results.transformers import GROUP, transform
from task_manager.results.transformers.junit import UNNAMED

NOW = datetime(2026, 1, 2, tzinfo=UTC).isoformat()
FAILED = {"name": "test_a", "suite": "tests.test_m", "kind": "failure", "message": "1 <> 2 | \x08", "details": "…"}
TESTS = {"total": 3, "passed": 2, "failed": 1, "seconds": 0.5, "failures": [FAILED]}
FINDING = {"rule": "F401", "level": "error", "message": "unused", "file": "src/a b.py", "line": 3, "column": 1}
LINT = {"tools": ["ruff 0.12"], "total": 1, "by_rule": {"F401": 1}, "by_level": {"error": 1}, "findings": [FINDING]}
SPECIAL: dict[ResultType, dict[str, object]] = {
    ResultType.TEST_REPORT: {"tests": TESTS},
    ResultType.LINT_REPORT: {"lint": LINT},
    ResultType.ML_TRAINING: {"curves": {"epochs": [1, 2], "values": {"loss": [0.5, None]}}},
}


def result(kind: ResultType, **fields: object) -> WorkflowResult:
    artifact = {"name": "a/b", "path": "a/b/c.txt", "size": 5, "digest": "sha256:00", "media_type": "text/plain"}
    common = {
        "type": kind,
        "run_id": "run-1",
        "task_id": "task-1",
        "project_id": "project-1",
        "status": "succeeded",
        "finished_at": NOW,
        "seconds": 2.0,
        "headline": "2 passed, *1* failed",
        "metrics": [{"name": "accuracy", "value": 0.93}],
        "artifacts": [artifact],
    }
    return make_result(common | SPECIAL.get(kind, {}) | fields)


@pytest.mark.parametrize("kind", ResultType)
def test_stored_results_fit_the_published_schema_of_their_type(kind: ResultType) -> None:
    schema = result_schema(kind)
    jsonschema.Draft202012Validator.check_schema(schema)
    stored = result(kind).model_dump(mode="json")
    jsonschema.validate(stored, schema, jsonschema.Draft202012Validator)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**stored, "run_id": 7}, schema, jsonschema.Draft202012Validator)


def test_a_test_report_comes_back_from_junit(tmp_path: Path) -> None:
    (made,) = transform(result(ResultType.TEST_REPORT), ["junit"])
    (tmp_path / "junit.xml").write_bytes(made.content or b"")
    read = parse_junit(tmp_path / "junit.xml", "junit.xml").report
    assert [(one.name, one.suite) for one in read.failures] == [("test_a", "tests.test_m")]
    assert read.failures[0].message == "1 <> 2 | \ufffd"
    assert b'tests="3"' in (made.content or b"")


def test_tests_that_passed_or_were_skipped_keep_their_names_in_junit(tmp_path: Path) -> None:
    others = [
        {"name": "test_b", "suite": "tests.test_m", "seconds": 0.25},
        {"name": "test_\x01", "suite": "", "skipped": True},
    ]
    tests = {**TESTS, "passed": 1, "skipped": 1, "others": others}
    (made,) = transform(result(ResultType.TEST_REPORT, tests=tests), ["junit"])
    (tmp_path / "junit.xml").write_bytes(made.content or b"")
    read = parse_junit(tmp_path / "junit.xml", "junit.xml").report
    assert (read.total, read.passed, read.failed, read.skipped) == (3, 1, 1, 1)
    assert [(one.name, one.skipped, one.seconds) for one in read.others] == [
        ("test_b", False, 0.25),
        ("test_\ufffd", True, 0.0),
    ]
    assert UNNAMED.encode() not in (made.content or b"")


def test_junit_says_how_many_tests_have_no_case() -> None:
    (made,) = transform(result(ResultType.TEST_REPORT), ["junit"])
    assert f'<property name="{UNNAMED}" value="2"/>'.encode() in (made.content or b"").replace(b" />", b"/>")


def test_findings_come_back_from_sarif(tmp_path: Path) -> None:
    (made,) = transform(result(ResultType.LINT_REPORT), ["sarif"])
    (tmp_path / "report.sarif").write_bytes(made.content or b"")
    read = parse_sarif(tmp_path / "report.sarif", "report.sarif", folder="").report
    assert [one.model_dump(mode="json") for one in read.findings] == [FINDING]


@pytest.mark.parametrize("kind", ResultType)
def test_json_is_the_result(kind: ResultType) -> None:
    (made,) = transform(result(kind), ["json"])
    assert parse_result(json.loads(made.content or b"")) == result(kind)


def test_markdown_tells_what_came_out_and_means_nothing_else() -> None:
    (made,) = transform(result(ResultType.TEST_REPORT), ["markdown"])
    text = (made.content or b"").decode()
    assert text.startswith("## 2 passed, \\*1\\* failed\n")
    assert "| accuracy | 0.93 |  |" in text
    assert "- test\\_a: 1 \\<\\> 2 \\|" in text
    assert "| a/b | 5 B | sha256:00 |" in text


@pytest.mark.parametrize("kind", [ResultType.ML_TRAINING, ResultType.BUILD])
def test_metrics_are_drawn(kind: ResultType) -> None:
    (made,) = transform(result(kind), ["picture"])
    assert made.error is None
    assert (made.content or b"").startswith(b"\x89PNG")


def test_a_form_that_does_not_fit_fails_alone() -> None:
    junit, markdown, sarif = transform(result(ResultType.BUILD), ["junit", "markdown", "sarif"])
    assert junit.error is not None
    assert "has no tests" in junit.error.message
    assert sarif.error is not None
    assert markdown.content


def test_a_picture_without_matplotlib_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    (made,) = transform(result(ResultType.BUILD), ["picture"])
    assert made.error is not None
    assert "task-manager-dagger[picture]" in made.error.remedy


def test_transformers_of_other_packages_are_isolated(monkeypatch: pytest.MonkeyPatch) -> None:
    other = ModuleType("team_reports")

    def leaves(_: WorkflowResult) -> bytes:
        raise SystemExit(3)

    vars(other).update(good=lambda one: one.run_id.encode(), bad=lambda _: 1 / 0, wrong=lambda _: "text", leaves=leaves)
    monkeypatch.setitem(sys.modules, "team_reports", other)
    names = ("good", "bad", "wrong", "leaves", "missing")
    points = [EntryPoint(f"team.{name}", f"team_reports:{name}", GROUP) for name in names]
    module = importlib.import_module("task_manager.results.transformers")
    monkeypatch.setattr(module, "entry_points", lambda group: points if group == GROUP else [])
    made = transform(result(ResultType.BUILD), [*(one.name for one in points), "json"])
    assert [one.content is not None for one in made] == [True, False, False, False, False, True]
    assert (made[0].content, made[0].ending) == (b"run-1", "good")
    errors = [one.error.message for one in made if one.error]
    assert "ZeroDivisionError" in errors[0]
    assert "returned str, not bytes" in errors[1]
    with pytest.raises(NotFound, match=r"team\.god"):
        transform(result(ResultType.BUILD), ["team.god"])


@pytest.mark.parametrize(
    ("text", "fits"),
    [("accuracy", True), ("accuracy>0.9", True), ("accuracy < 0.9", False), ("accuracy=0.93", True), ("loss", False)],
)
def test_a_condition_on_a_metric(text: str, fits: bool) -> None:
    condition = MetricCondition.parse(text)
    assert (
        condition.name == "accuracy" and (not condition.compare or condition.compare(0.93, condition.value))
    ) is fits


@pytest.mark.parametrize("text", ["", ">1", "a>", "a>b", "a>nan", "a b"])
def test_what_is_no_condition_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="no condition"):
        MetricCondition.parse(text)


def test_two_results_are_compared() -> None:
    before = result(ResultType.TEST_REPORT)
    other = {**FAILED, "name": "test_b"}
    after = result(
        ResultType.TEST_REPORT,
        run_id="run-2",
        tests={**TESTS, "failures": [other]},
        metrics=[{"name": "accuracy", "value": 0.95}, {"name": "loss", "value": 1, "unit": "x"}],
        artifacts=[],
    )
    found = compare(before, after)
    assert (found.newly_failing, found.fixed) == (("tests.test_m::test_b",), ("tests.test_m::test_a",))
    assert [(one.name, one.before, one.after) for one in found.metrics] == [
        ("accuracy", 0.93, 0.95),
        ("loss", None, 1.0),
    ]
    assert [(one.name, one.after) for one in found.artifacts] == [("a/b", None)]


@given(st.sampled_from(ResultType))
def test_a_result_does_not_differ_from_itself(kind: ResultType) -> None:
    found = compare(result(kind), result(kind))
    differences = [found.metrics, found.newly_failing, found.fixed, found.new_findings, found.artifacts]
    assert not any(differences)

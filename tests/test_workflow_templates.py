"""The registry of templates: which files it reads, which of them win, how it reports those that it cannot use."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from task_manager.errors import InvalidTemplate, NotFound
from task_manager.models import WorkflowType
from task_manager.pipeline import Pipeline, ResultType
from task_manager.template_reference import reference
from task_manager.templating.loading import examine
from task_manager.workflow_templates import (
    BUILT_IN_TEMPLATES,
    TemplateTestOutcome,
    TestStatus,
    WorkflowTemplate,
    WorkflowTemplateRegistry,
    load_template,
    run_template_tests,
    template_files,
)
from tests.templates.folders import MINIMAL, minimal, write

BUILT_IN = (
    "build-package",
    "code-quality",
    "data-processing",
    "go-tests",
    "ml-training",
    "node-tests",
    "python-tests",
    "service-test",
    "shell-command",
)


def registry(folder: Path) -> WorkflowTemplateRegistry:
    return WorkflowTemplateRegistry(folder, built_in=None)


# --- the built-in templates ---


def test_the_built_in_templates_are_there_without_any_folder() -> None:
    built_in = WorkflowTemplateRegistry()
    assert tuple(template.id for template in built_in.list()) == BUILT_IN
    assert [problem for file in template_files(BUILT_IN_TEMPLATES) for problem in examine(file).problems] == []


def test_each_built_in_template_has_a_category_and_a_result_type() -> None:
    types = {template.id: template.result_type for template in WorkflowTemplateRegistry().list()}
    assert types == {
        "build-package": ResultType.BUILD,
        "code-quality": ResultType.LINT_REPORT,
        "data-processing": ResultType.DATA_PROCESSING,
        "go-tests": ResultType.TEST_REPORT,
        "ml-training": ResultType.ML_TRAINING,
        "node-tests": ResultType.TEST_REPORT,
        "python-tests": ResultType.TEST_REPORT,
        "service-test": ResultType.CONTAINERIZED_WORKFLOW,
        "shell-command": ResultType.CONTAINERIZED_WORKFLOW,
    }
    assert WorkflowTemplateRegistry().categories() == (
        "build",
        "data",
        "general",
        "machine-learning",
        "quality",
        "testing",
    )


def test_importing_templates_loads_no_engine_and_no_database() -> None:
    code = "import sys, task_manager.workflow_templates; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"dagger", "sqlalchemy", "typer", "sklearn", "uvicorn"}.isdisjoint(done.stdout.split())


# --- finding and overriding ---


@pytest.mark.parametrize("name", ["greet.yaml", "greet.yml", "greet/template.yaml", "greet/template.json"])
def test_a_template_is_a_file_or_a_folder_with_a_template_file(tmp_path: Path, name: str) -> None:
    content = minimal() if name.endswith(".json") else MINIMAL
    template = registry(write(tmp_path, {name: content})).get("greet")
    assert (template.name, template.source) == ("Greet", tmp_path / name)


def test_other_files_are_no_templates(tmp_path: Path) -> None:
    files = {"README.md": "text", ".hidden.yaml": MINIMAL, ".git/template.yaml": MINIMAL, "shared/tool.py": ""}
    found = registry(write(tmp_path, files))
    assert (found.list(), found.problems) == ((), ())


def test_a_folder_of_the_user_overrides_a_built_in_template_of_the_same_id_and_version(tmp_path: Path) -> None:
    write(tmp_path, {"mine.yaml": minimal(id="python-tests", name="Mine", version="1.0.0")})
    assert WorkflowTemplateRegistry(tmp_path).get("python-tests").name == "Mine"


def test_the_file_with_the_later_name_wins(tmp_path: Path) -> None:
    write(tmp_path, {"a.yaml": minimal(name="First"), "b.yaml": minimal(name="Second")})
    assert registry(tmp_path).get("greet").name == "Second"


def test_without_a_version_the_highest_is_taken_by_number(tmp_path: Path) -> None:
    write(tmp_path, {f"{version}.yaml": minimal(version=version) for version in ("1.9", "1.10.1", "1.10")})
    found = registry(tmp_path)
    assert found.get("greet").version == "1.10.1"
    assert found.get("greet", "1.10.0").version == "1.10"
    assert [template.version for template in found.versions("greet")] == ["1.9", "1.10", "1.10.1"]
    assert [template.version for template in found.list()] == ["1.10.1"]


def test_reloading_sees_new_changed_and_removed_files(tmp_path: Path) -> None:
    found = registry(write(tmp_path, {"a.yaml": minimal(), "b.yaml": minimal(id="other")}))
    assert [template.id for template in found.list()] == ["greet", "other"]
    write(tmp_path, {"a.yaml": minimal(name="Changed"), "c.yaml": minimal(id="third")})
    (tmp_path / "b.yaml").unlink()
    assert [template.name for template in found.list()] == ["Greet", "Greet"]
    found.reload()
    assert [(template.id, template.name) for template in found.list()] == [("greet", "Changed"), ("third", "Greet")]


def test_templates_are_listed_by_category(tmp_path: Path) -> None:
    write(tmp_path, {"a.yaml": minimal(category="ops"), "b.yaml": minimal(id="other")})
    found = registry(tmp_path)
    assert found.categories() == ("general", "ops")
    assert [template.id for template in found.list("ops")] == ["greet"]


# --- what is not there ---


def test_an_unknown_id_is_answered_with_near_ones() -> None:
    with pytest.raises(NotFound, match="There is no template 'pyton-tests'") as caught:
        WorkflowTemplateRegistry().get("pyton-tests")
    assert "python-tests" in caught.value.remedy


def test_an_unknown_version_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    found = registry(write(tmp_path, {"a.yaml": minimal(version="1.0"), "b.yaml": minimal(version="2.0")}))
    for version in ("3.0", "latest", ""):
        with pytest.raises(NotFound, match="template greet of version") as caught:
            found.get("greet", version)
        assert "1.0, 2.0" in caught.value.remedy


def test_an_unknown_category_is_answered_with_near_ones() -> None:
    with pytest.raises(NotFound, match="no template category 'test'"):
        WorkflowTemplateRegistry().list("test")


def test_a_folder_that_is_missing_is_reported_and_hides_nothing(tmp_path: Path) -> None:
    found = WorkflowTemplateRegistry(tmp_path / "missing")
    assert [problem.reason for problem in found.problems] == ["There is no such folder of templates."]
    assert tuple(template.id for template in found.list()) == BUILT_IN


# --- broken files ---


def test_a_broken_file_is_reported_and_does_not_stop_the_others(tmp_path: Path) -> None:
    found = registry(write(tmp_path, {"bad.yaml": "id: bad\nname: [", "good.yaml": MINIMAL}))
    assert [template.id for template in found.list()] == ["greet"]
    (problem,) = found.problems
    assert (problem.file, problem.line) == (tmp_path / "bad.yaml", 2)
    assert "cannot be parsed" in problem.reason


def test_asking_for_a_broken_template_names_what_is_wrong_with_its_file(tmp_path: Path) -> None:
    found = registry(write(tmp_path, {"bad.yaml": "id: bad\n"}))
    with pytest.raises(NotFound) as caught:
        found.get("bad")
    assert f"Its file cannot be used: {tmp_path / 'bad.yaml'}" in caught.value.remedy


def test_loading_one_file_raises_with_all_its_problems(tmp_path: Path) -> None:
    write(tmp_path, {"bad.yaml": "id: BAD\nnmae: Greet\ndefinition: {}\n"})
    with pytest.raises(InvalidTemplate) as caught:
        load_template(tmp_path / "bad.yaml")
    problems = caught.value.details["problems"]
    assert isinstance(problems, list)
    assert [(problem["line"], problem["reason"][:20]) for problem in problems] == [
        (None, "name: The field 'nam"),
        (1, "id: Text 'BAD' does "),
        (2, "nmae: There is no fi"),
    ]


def test_a_file_that_cannot_be_read_is_reported(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").symlink_to("/proc/self/mem")  # its first page is no memory: reading it fails for everybody
    assert "cannot be read" in registry(tmp_path).problems[0].reason


# --- the tests that templates carry ---


def run(template: WorkflowTemplate) -> tuple[TemplateTestOutcome, ...]:
    return asyncio.run(run_template_tests(template))


@pytest.mark.parametrize("template_id", BUILT_IN)
def test_the_pipeline_tests_of_the_built_in_templates_pass(template_id: str) -> None:
    outcomes = run(WorkflowTemplateRegistry().get(template_id))
    assert [outcome for outcome in outcomes if outcome.status is TestStatus.FAILED] == []
    assert {TestStatus.PASSED, TestStatus.NOT_RUN} == {outcome.status for outcome in outcomes}


def test_a_template_for_a_function_renders_to_its_name(tmp_path: Path) -> None:
    content = minimal(workflow_type="dagger_pipeline", definition={"function": "release:{{ name }}"})
    content["parameters"] = {"type": "object", "properties": {"name": {"type": "string", "default": "main"}}}
    template = registry(write(tmp_path, {"a.yaml": content})).get("greet")
    assert (template.workflow_type, template.result_type) == (WorkflowType.DAGGER_PIPELINE, ResultType.DAGGER_PIPELINE)
    assert template.render({"name": "nightly"}) == {"function": "release:nightly"}


def test_every_rendered_built_in_pipeline_fits_the_schema() -> None:
    for template in WorkflowTemplateRegistry().list():
        for case in template.tests:
            if case.expect_error is None:
                pipeline = Pipeline.model_validate(template.render(case.parameters))
                assert pipeline.result.type is template.result_type


def test_the_digest_follows_the_scripts_and_not_the_place_of_the_file(tmp_path: Path) -> None:
    script = {"id": "hello", "image": "busybox", "script": {"file": "hello.sh"}}
    for name, text in (("a", "echo hello"), ("b", "echo hello"), ("c", "echo bye")):
        content = minimal(definition={"steps": [script]})
        write(tmp_path / name, {"greet.yaml": content, "hello.sh": text})
    one, same, other = (load_template(tmp_path / name / "greet.yaml").digest for name in "abc")
    assert one == same != other


# --- the page of the built-in templates ---


def test_the_committed_page_of_templates_is_what_their_files_give() -> None:
    page = Path(__file__).parents[1] / "docs/reference/templates.md"
    command = "python -m task_manager.template_reference > docs/reference/templates.md"
    assert page.read_text(encoding="utf-8") == reference(), f"write it anew: {command}"
    assert command in page.read_text(encoding="utf-8")

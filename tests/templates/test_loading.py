"""Template files: everything that is wrong with one is told at once, with its line."""

from pathlib import Path

import pytest

from task_manager.templating.loading import examine
from tests.templates.folders import MINIMAL, minimal, with_parameters, write


def problems(folder: Path, content: object, name: str = "t.yaml", **files: str) -> list[tuple[int | None, str]]:
    write(folder, {name: content, **{key.replace("__", "."): text for key, text in files.items()}})
    return [(problem.line, problem.reason) for problem in examine(folder / name).problems]


def with_lines(*lines: str) -> str:
    return "\n".join(lines) + "\n"


def test_a_correct_file_has_no_problems(tmp_path: Path) -> None:
    assert problems(tmp_path, MINIMAL) == []


@pytest.mark.parametrize(
    ("text", "line", "part"),
    [
        ("id: greet\nname: [\n", 2, "cannot be parsed"),
        ("id: greet\n\tname: x\n", 2, "cannot be parsed"),
        ("id: greet\nid: other\n", 2, "'id' stands here a second time"),
        ("a: 1\n---\nb: 2\n", 2, "cannot be parsed"),
        ("id: !!python/object:os.system x\n", 1, "cannot be parsed"),
        ("- id\n", None, "must hold a mapping"),
        ("", None, "is missing"),
        ("id: \x01\n", None, "cannot be parsed"),
    ],
)
def test_broken_yaml_is_reported_with_its_line(tmp_path: Path, text: str, line: int | None, part: str) -> None:
    found = problems(tmp_path, text)
    assert part in found[0][1]
    assert found[0][0] == line


def test_broken_json_is_reported_with_its_line(tmp_path: Path) -> None:
    assert problems(tmp_path, '{\n "id": "greet",\n "name": }', "t.json")[0][0] == 3


def test_text_that_is_not_utf_8_is_reported(tmp_path: Path) -> None:
    (tmp_path / "t.yaml").write_bytes(b"id: gr\xfc\xdft\n")
    assert "not UTF-8" in examine(tmp_path / "t.yaml").problems[0].reason


def test_endless_aliases_are_refused(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    assert "too many values" in problems(tmp_path, with_lines(*lines))[0][1]


def test_an_alias_of_itself_is_refused(tmp_path: Path) -> None:
    assert "nested too deeply" in problems(tmp_path, "a: &a [*a]\n")[0][1]


def test_unknown_keys_are_reported_with_their_lines_and_near_ones(tmp_path: Path) -> None:
    text = with_lines("id: greet", "name: Greet", "categroy: ops", "definition: {steps: []}", "paramters: {}")
    assert problems(tmp_path, text) == [
        (3, "categroy: There is no field 'categroy' here. Did you mean 'category'?"),
        (5, "paramters: There is no field 'paramters' here. Did you mean 'parameters'?"),
    ]


def test_unknown_keys_of_steps_are_reported_with_their_lines_and_near_ones(tmp_path: Path) -> None:
    text = with_lines(
        "id: greet",
        "name: Greet",
        "definition:",
        "  steps:",
        "    - id: one",
        "      image: busybox",
        "      comand: [echo]",
        "      sources:",
        "        - type: host",
        "          taget: /src",
    )
    assert problems(tmp_path, text) == [
        (7, "definition: steps[0].comand: There is no field 'comand' here. Did you mean 'command'?"),
        (9, "definition: steps[0].sources[0].target: The field 'target' is missing. Add it."),
        (10, "definition: steps[0].sources[0].taget: There is no field 'taget' here. Did you mean 'target'?"),
    ]


def test_the_line_is_right_where_an_earlier_item_is_left_out(tmp_path: Path) -> None:
    text = with_lines(
        "id: greet",
        "name: Greet",
        "definition:",
        "  steps:",
        "    - {id: one, image: busybox, when: false}",
        "    - id: two",
        "      image: 5",
    )
    ((line, reason),) = problems(tmp_path, text)
    assert line == 7
    assert reason.startswith("definition: steps[0].image: Text was expected, 5 was found.")


def test_a_version_that_is_a_number_is_refused(tmp_path: Path) -> None:
    ((line, reason),) = problems(tmp_path, MINIMAL + "version: 1.0\n")
    assert line == 6
    assert reason.startswith("version: Text was expected, 1.0 was found.")


# --- expressions ---


def test_broken_expressions_are_reported_with_their_lines(tmp_path: Path) -> None:
    text = with_lines(
        "id: greet",
        "name: Greet",
        "definition:",
        "  steps:",
        "    - id: one",
        '      image: "{{ image }}"',
        '      timeout: "{{ 1 + }}"',
        "parameters: {type: object, properties: {images: {type: string, default: busybox}}}",
    )
    assert [line for line, _ in problems(tmp_path, text)] == [6, 7]
    assert "there is no parameter 'image'. Did you mean images?" in problems(tmp_path, text)[0][1]
    assert "not a valid expression" in problems(tmp_path, text)[1][1]


def test_a_definition_that_its_defaults_do_not_make_a_pipeline_is_reported(tmp_path: Path) -> None:
    content = with_parameters({"limit": {"type": "integer", "default": -1}}, timeout="{{ limit }}")
    ((line, reason),) = problems(tmp_path, content)
    assert line is not None
    assert "steps[0].timeout: The number must be more than 0, -1 was found." in reason


def test_a_definition_that_the_values_of_a_test_do_not_make_a_pipeline_is_reported(tmp_path: Path) -> None:
    content = with_parameters({"limit": {"type": "integer"}}, timeout="{{ limit }}")
    content["parameters"] = {**dict(content["parameters"]), "required": ["limit"]}  # type: ignore[call-overload]
    content["tests"] = [{"name": "low", "parameters": {"limit": -5}, "expect_pipeline": {"name": "Greet"}}]
    assert "-5 was found" in problems(tmp_path, content)[0][1]


def test_contradicting_result_types_are_reported(tmp_path: Path) -> None:
    content = minimal(result_type="build")
    content["definition"] = {**dict(content["definition"]), "result": {"type": "test_report"}}  # type: ignore[call-overload]
    assert "result_type is build, definition.result.type is test_report" in problems(tmp_path, content)[0][1]


def test_an_unknown_result_type_is_reported_with_the_near_one(tmp_path: Path) -> None:
    content = minimal()
    content["definition"] = {**dict(content["definition"]), "result": {"type": "test_reports"}}  # type: ignore[call-overload]
    assert "Did you mean test_report" in problems(tmp_path, content)[0][1]


@pytest.mark.parametrize("definition", [{"function": "release"}, {"function": "a:b", "steps": []}, {"steps": []}])
def test_a_dagger_pipeline_names_a_function_and_nothing_else(tmp_path: Path, definition: object) -> None:
    found = problems(tmp_path, minimal(workflow_type="dagger_pipeline", definition=definition))
    assert '{"function": "module:name"}' in found[0][1]


# --- scripts and fixtures ---


def scripted(file: object) -> dict[str, object]:
    return minimal(definition={"steps": [{"id": "one", "image": "busybox", "script": {"file": file}}]})


@pytest.mark.parametrize(
    ("file", "part"),
    [
        ("missing.sh", "there is no 'missing.sh' beside the template"),
        ("../outside.sh", "lies outside of the templates' folder"),
        ("/etc/passwd", "lies outside of the templates' folder"),
        ("link.sh", "lies outside of the templates' folder"),
        ("{{ name }}.sh", "without expressions"),
        (5, "without expressions"),
        (".", "cannot be read as text"),
        ("binary", "cannot be read as text"),
    ],
)
def test_a_script_file_that_cannot_be_used_is_reported(tmp_path: Path, file: object, part: str) -> None:
    folder = tmp_path / "templates"
    write(tmp_path, {"outside.sh": "echo", "templates/t.json": scripted(file)})
    (folder / "link.sh").symlink_to(tmp_path / "outside.sh")
    (folder / "binary").write_bytes(b"\xff\xfe")
    reasons = [problem.reason for problem in examine(folder / "t.json").problems]
    assert any(part in reason for reason in reasons), reasons


def test_a_template_in_a_folder_may_use_scripts_of_its_neighbours(tmp_path: Path) -> None:
    write(tmp_path, {"one/template.json": scripted("../shared/hello.sh"), "shared/hello.sh": "echo hello"})
    template = examine(tmp_path / "one" / "template.json").template
    assert template is not None
    assert template.scripts == {"../shared/hello.sh": "echo hello"}


def test_tests_may_stand_in_a_file_beside_the_template(tmp_path: Path) -> None:
    beside = {"tests": [{"name": "two", "expect_pipeline": {"name": "Greet"}}]}
    content = minimal(tests=[{"name": "one", "expect_pipeline": {"name": "Greet"}}])
    write(tmp_path, {"one/template.json": content, "one/tests.yaml": beside})
    template = examine(tmp_path / "one" / "template.json").template
    assert template is not None
    assert [test.name for test in template.tests] == ["one", "two"]


def test_problems_of_the_tests_file_name_that_file(tmp_path: Path) -> None:
    write(tmp_path, {"one/template.json": minimal(), "one/tests.yaml": "tests:\n  - name: one\n    expect: 1\n"})
    found = {(problem.file.name, problem.line) for problem in examine(tmp_path / "one" / "template.json").problems}
    assert found == {("tests.yaml", 3)}


@pytest.mark.parametrize(
    ("tests", "part"),
    [
        ([{"name": "a"}], "A test needs expect_pipeline, expect_error or expect_result"),
        ([{"name": "a", "expect_error": "x", "expect_result": {"a": 1}}], "neither a pipeline nor a result"),
        ([{"name": "a", "expect_result": {}, "source": "missing"}], "there is no 'missing' beside the template"),
        ([{"name": "a", "expect_result": {}, "source": "../../x"}], "outside of the templates' folder"),
        ([{"name": "a", "expect_error": "x"}, {"name": "a", "expect_error": "y"}], "Two tests have the name 'a'"),
    ],
)
def test_tests_that_cannot_be_run_are_reported(tmp_path: Path, tests: object, part: str) -> None:
    assert part in str(problems(tmp_path, minimal(tests=tests)))

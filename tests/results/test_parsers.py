"""Reading reports: what real tools wrote, and what is broken, foreign, hostile or missing."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from task_manager.errors import OutputInvalid
from task_manager.results.lint_reports import LintLevel, LintReport
from task_manager.results.parsers.documents import parse_json, parse_text
from task_manager.results.parsers.files import Parsed
from task_manager.results.parsers.go_tests import parse_go_tests
from task_manager.results.parsers.junit import parse_junit
from task_manager.results.parsers.linters import parse_eslint, parse_lint_lines, parse_ruff
from task_manager.results.parsers.metrics import parse_curves, parse_metrics
from task_manager.results.parsers.sarif import parse_sarif
from task_manager.results.parsers.tables import parse_csv
from task_manager.results.parsers.wheels import parse_wheels
from task_manager.results.table_statistics import ColumnType
from task_manager.results.test_reports import LONGEST_NAME, MOST_OTHERS, FailureKind, TestReport
from tests.results import GOLDEN

WHEEL = "greeter-1.2.3-py3-none-any.whl"
PARSERS: dict[str, Callable[[Path, str], Parsed[Any]]] = {
    "pytest.xml": parse_junit,
    "ruff.sarif": parse_sarif,
    "metrics.json": parse_metrics,
    "history.jsonl": parse_curves,
    "cleaned.csv": parse_csv,
    WHEEL: parse_wheels,
    "stats.json": parse_json,
    "pytest-output.txt": parse_text,
    "jest.xml": parse_junit,
    "unittest.xml": parse_junit,
    "go-test.jsonl": parse_go_tests,
    "ruff.json": parse_ruff,
    "eslint.json": parse_eslint,
    "flake8.txt": parse_lint_lines,
}
STRICT = [name for name in PARSERS if name not in ("pytest-output.txt", "flake8.txt")]
LINE_BY_LINE = ("cleaned.csv", "history.jsonl", "go-test.jsonl")


def refused(parse: Callable[[Path, str], object], path: Path) -> OutputInvalid:
    with pytest.raises(OutputInvalid) as caught:
        parse(path, "step/output")
    error = caught.value
    assert error.message.startswith("step/output")
    assert error.details["expected"]
    assert error.details["found"]
    assert "Traceback" not in error.message
    return error


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


# --- what real tools wrote ---


def test_pytest_counts_and_failures_are_read() -> None:
    parsed = parse_junit(GOLDEN / "pytest.xml", "test/junit")
    report = parsed.report
    assert parsed.problems == ()
    assert (report.total, report.passed, report.failed, report.errors, report.skipped) == (8, 3, 2, 1, 2)
    assert report.seconds == pytest.approx(0.320)
    assert report.headline == "3 passed, 2 failed, 1 error, 2 skipped in 0.3 s"
    first, second, third = report.failures
    assert (first.name, first.place, first.message) == (
        "test_counts_characters[a  b]",
        "tests/test_words.py:14",
        "AssertionError: assert 2 == 4",
    )
    assert "where 2 = count('a  b')" in first.details
    assert (second.kind, second.suite) == (FailureKind.FAILURE, "tests.test_words")
    assert (third.kind, third.message) == (
        FailureKind.ERROR,
        'failed on setup with "RuntimeError: no data"',
    )


def test_tests_that_did_not_fail_are_named_up_to_a_number(tmp_path: Path) -> None:
    report = parse_junit(GOLDEN / "pytest.xml", "test/junit").report
    assert len(report.others) == report.passed + report.skipped
    assert sum(one.skipped for one in report.others) == report.skipped
    assert report.unnamed == 0
    cases = "".join(f'<testcase name="{number:0300}"/>' for number in range(MOST_OTHERS + 5))
    many = parse_junit(written(tmp_path, "a.xml", f"<testsuite>{cases}</testsuite>"), "a").report
    assert (len(many.others), many.unnamed, many.passed) == (MOST_OTHERS, 5, MOST_OTHERS + 5)
    assert len(many.others[0].name) == LONGEST_NAME
    assert TestReport.joined([many, many]).unnamed == MOST_OTHERS + 10


def test_the_older_form_of_pytests_report_says_the_same() -> None:
    newer = parse_junit(GOLDEN / "pytest.xml", "a").report
    older = parse_junit(GOLDEN / "pytest-xunit1.xml", "b").report
    same = {"seconds", "failures", "others"}
    assert older.model_dump(exclude=same) == newer.model_dump(exclude=same)
    assert [(one.name, one.skipped) for one in older.others] == [(one.name, one.skipped) for one in newer.others]
    assert [failure.place for failure in older.failures] == [failure.place for failure in newer.failures]


def test_a_test_without_traceback_is_placed_where_it_stands(tmp_path: Path) -> None:
    xml = '<testsuite><testcase name="t" classname="c" file="a.py" line="7"><failure/></testcase></testsuite>'
    report = parse_junit(written(tmp_path, "a.xml", xml), "a").report
    assert report.failures[0].place == "a.py:7"
    assert report.headline == "0 passed, 1 failed in 0.0 s"


def test_nested_and_empty_suites_are_counted(tmp_path: Path) -> None:
    inner = '<testsuite name="i" time="1.5"><testcase name="a"/><testcase name="b"><skipped/></testcase></testsuite>'
    xml = f'<testsuites><testsuite name="o" time="2">{inner}</testsuite><testsuite name="e"/></testsuites>'
    report = parse_junit(written(tmp_path, "a.xml", xml), "a").report
    assert (report.total, report.passed, report.skipped, report.seconds) == (2, 1, 1, 2.0)


def test_ruffs_findings_are_read_with_their_places() -> None:
    parsed = parse_sarif(GOLDEN / "ruff.sarif", "check/sarif")
    report = parsed.report
    assert parsed.problems == ()
    assert (report.total, report.by_level) == (8, {LintLevel.ERROR: 6, LintLevel.WARNING: 2})
    assert list(report.by_rule.items())[:3] == [("F401", 2), ("F821", 2), ("invalid-syntax", 2)]
    assert report.tools[0].startswith("ruff ")
    assert report.headline == "8 findings (6 errors, 2 warnings)"
    found = report.findings[2]
    assert (found.place, found.rule, found.message) == ("sample.py:1:8", "F401", "`os` imported but unused")


def test_good_code_has_no_findings() -> None:
    report = parse_sarif(GOLDEN / "ruff-clean.sarif", "check/sarif").report
    assert (report.total, report.headline) == (0, "0 findings")


def sarif(*results: object, **driver: object) -> str:
    run = {"tool": {"driver": {"name": "tool", **driver}}, "results": results}
    return json.dumps({"version": "2.1.0", "runs": [run]})


def test_places_are_told_relative_to_the_checked_folder(tmp_path: Path) -> None:
    def at(uri: str) -> object:
        return {"message": {"text": "m"}, "locations": [{"physicalLocation": {"artifactLocation": {"uri": uri}}}]}

    uris = ["file:///task/source/a%20b.py", "file:///other/c.py", "d/e.py", "https://example.org/f.py"]
    path = written(tmp_path, "a.sarif", sarif(*map(at, uris)))
    report = parse_sarif(path, "a", folder="/task/source").report
    assert [finding.file for finding in report.findings] == [
        "a b.py",
        "/other/c.py",
        "d/e.py",
        "https://example.org/f.py",
    ]


def test_levels_and_messages_come_from_the_rule_where_a_result_has_none(tmp_path: Path) -> None:
    rule = {
        "id": "R1",
        "defaultConfiguration": {"level": "note"},
        "messageStrings": {"found": {"text": "{0} is like {1}"}},
    }
    message = {"id": "found", "arguments": ["a", "b"]}
    text = sarif({"ruleIndex": 0, "message": message}, {"rule": {"id": "R1"}, "message": message}, rules=[rule])
    report = parse_sarif(written(tmp_path, "a.sarif", text), "a").report
    assert {(one.rule, one.level, one.message) for one in report.findings} == {("R1", LintLevel.NOTE, "a is like b")}


def test_results_that_passed_or_were_suppressed_are_no_findings(tmp_path: Path) -> None:
    text = sarif({"kind": "pass", "message": {}}, {"message": {}, "suppressions": [{"kind": "inSource"}]}, {})
    assert parse_sarif(written(tmp_path, "a.sarif", text), "a").report.total == 1


def test_a_result_that_does_not_fit_is_a_problem_and_the_others_are_kept(tmp_path: Path) -> None:
    text = sarif({"message": {"text": "good"}}, {"level": "terrible"}, 5, {"message": {"text": "good too"}})
    parsed = parse_sarif(written(tmp_path, "a.sarif", text), "a")
    assert [finding.message for finding in parsed.report.findings] == ["good", "good too"]
    assert [problem.details["file"] for problem in parsed.problems] == ["a runs[0].results[1]", "a runs[0].results[2]"]


def test_final_metrics_are_read_and_what_is_no_number_is_kept_as_facts() -> None:
    parsed = parse_metrics(GOLDEN / "metrics.json", "train/metrics")
    numbers = {metric.name: metric.value for metric in parsed.report.numbers}
    assert (numbers["accuracy"], numbers["epochs"], numbers["validation_loss"]) == (1.0, 5.0, 0.447811)
    assert parsed.report.facts["features"] == ["height", "petals", "width"]
    assert parsed.problems == ()


def test_nested_metrics_get_dotted_names_and_units_are_kept(tmp_path: Path) -> None:
    text = '{"test": {"f1": 0.5, "ok": true}, "time": {"value": 3, "unit": "s"}, "huge": 1' + "0" * 400 + "}"
    parsed = parse_metrics(written(tmp_path, "m.json", text), "m")
    assert [(one.name, one.value, one.unit) for one in parsed.report.numbers] == [
        ("test.f1", 0.5, ""),
        ("time", 3.0, "s"),
    ]
    assert parsed.report.facts == {"test.ok": True}
    assert parsed.problems[0].details["file"] == "m huge"


def test_learning_curves_are_read_epoch_by_epoch() -> None:
    parsed = parse_curves(GOLDEN / "history.jsonl", "train/history")
    assert parsed.problems == ()
    assert parsed.report.epochs == (1, 2, 3, 4, 5)
    assert parsed.report.values["train_loss"] == (0.808184, 0.6504, 0.549853, 0.478329, 0.424701)
    assert parsed.report.headline == "5 epochs"


def test_a_line_that_was_cut_is_a_problem_and_the_epochs_before_it_are_kept(tmp_path: Path) -> None:
    content = (GOLDEN / "history.jsonl").read_bytes()
    parsed = parse_curves(written(tmp_path, "h.jsonl", content[:-30]), "h")
    assert parsed.report.epochs == (1, 2, 3, 4)
    assert parsed.problems[0].details["file"] == "h line 5"


def test_epochs_without_numbers_are_counted_and_gaps_are_kept(tmp_path: Path) -> None:
    path = written(tmp_path, "h.jsonl", '{"loss": 2}\n\n{"accuracy": 0.5}\n{"loss": 1, "note": "x"}\n')
    report = parse_curves(path, "h").report
    assert report.epochs == (1, 2, 3)
    assert report.values == {"loss": (2.0, None, 1.0), "accuracy": (None, 0.5, None)}


def test_a_tables_columns_are_described() -> None:
    parsed = parse_csv(GOLDEN / "cleaned.csv", "clean/cleaned")
    assert parsed.problems == ()
    table = parsed.report
    assert (table.rows, table.headline) == (4, "4 rows, 4 columns")
    price = next(column for column in table.columns if column.name == "price")
    assert (price.type, price.filled) == (ColumnType.NUMBER, 4)
    assert price.minimum is not None
    assert price.maximum is not None
    assert price.mean is not None
    assert price.minimum <= price.mean <= price.maximum


def test_rows_with_another_number_of_cells_are_problems_and_the_others_are_counted(tmp_path: Path) -> None:
    text = "\ufeffa,b\n1,x\n\n2\n3,,\n" + '"4","y\n,z"\n'
    parsed = parse_csv(written(tmp_path, "a.csv", text), "a")
    assert parsed.report.rows == 2
    assert [problem.details["found"] for problem in parsed.problems] == ["1 in row 3", "3 in row 4"]
    assert [column.type for column in parsed.report.columns] == [ColumnType.NUMBER, ColumnType.TEXT]
    assert parsed.report.columns[0].name == "a"


def test_cells_that_only_look_like_numbers_are_text(tmp_path: Path) -> None:
    text = "a,b,c,d,e\nnan,1_000,1e999,0x1, -1.5e-3 \n,,,,\n"
    columns = parse_csv(written(tmp_path, "a.csv", text), "a").report.columns
    assert [column.type for column in columns] == [*[ColumnType.TEXT] * 4, ColumnType.NUMBER]
    assert columns[4].mean == -0.0015


def test_tabs_separate_the_cells_of_a_tsv_file(tmp_path: Path) -> None:
    assert parse_csv(written(tmp_path, "a.tsv", "a\tb\n1\t2,5\n"), "a").report.headline == "1 row, 2 columns"


def test_a_wheels_metadata_size_and_digest_are_read() -> None:
    ((package,), problems) = (parsed := parse_wheels(GOLDEN / WHEEL, "build/wheel")).report, parsed.problems
    assert problems == ()
    assert (package.name, package.version, package.tags) == ("greeter", "1.2.3", ("py3-none-any",))
    content = (GOLDEN / WHEEL).read_bytes()
    assert package.digest == f"sha256:{hashlib.sha256(content).hexdigest()}"
    assert package.headline == f"{WHEEL} (996 B)"


def test_the_wheels_of_a_folder_are_read_and_broken_ones_are_problems(tmp_path: Path) -> None:
    shutil.copy(GOLDEN / WHEEL, tmp_path)
    written(tmp_path, "greeter-1.2.3.tar.gz", b"sdist")
    written(tmp_path, "broken-1-py3-none-any.whl", b"PK")
    parsed = parse_wheels(tmp_path, "build/dist")
    assert [package.file for package in parsed.report] == [WHEEL]
    assert [problem.details["file"] for problem in parsed.problems] == ["build/dist/broken-1-py3-none-any.whl"]


def test_of_a_long_text_the_end_is_kept(tmp_path: Path) -> None:
    path = written(tmp_path, "a.txt", "x" * 200_000 + "\x00\nend\n")
    text = parse_text(path, "a").report
    assert len(text) == 64 * 1024
    assert text.endswith("\ufffd\nend\n")


# --- what is broken, foreign or hostile ---


@pytest.mark.parametrize("name", PARSERS)
def test_a_missing_file_is_told(name: str, tmp_path: Path) -> None:
    assert refused(PARSERS[name], tmp_path / name).details["found"] == "no such file or directory"


@pytest.mark.parametrize("name", [name for name in PARSERS if name != WHEEL])
def test_a_folder_in_place_of_a_file_is_told(name: str, tmp_path: Path) -> None:
    assert refused(PARSERS[name], tmp_path).details["found"] == "a folder"


@pytest.mark.parametrize("name", PARSERS)
def test_links_are_not_followed(name: str, tmp_path: Path) -> None:
    (tmp_path / name).symlink_to(GOLDEN / name)
    assert refused(PARSERS[name], tmp_path / name).details["found"] == "a link"


@pytest.mark.parametrize("name", PARSERS)
def test_a_pipe_without_writer_does_not_block(name: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / name)
    assert refused(PARSERS[name], tmp_path / name).details["found"] == "something that is no file"


@pytest.mark.parametrize("name", STRICT)
@pytest.mark.parametrize("content", [b"", b"\n\n"])
def test_an_empty_file_is_told(name: str, content: bytes, tmp_path: Path) -> None:
    refused(PARSERS[name], written(tmp_path, name, content))


@pytest.mark.parametrize("name", [name for name in STRICT if name != WHEEL])
@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "cp500"])
def test_another_encoding_is_told_or_understood(name: str, encoding: str, tmp_path: Path) -> None:
    text = re.sub('encoding="(utf|UTF)-8"', "", (GOLDEN / name).read_text())
    path = written(tmp_path, name, text.encode(encoding))
    if name.endswith(".xml") and encoding == "utf-16":  # XML says by itself which encoding it has
        assert parse_junit(path, "a").report == parse_junit(GOLDEN / name, "a").report
    else:
        refused(PARSERS[name], path)


@pytest.mark.parametrize("name", [name for name in STRICT if name not in LINE_BY_LINE])
def test_a_file_that_was_cut_is_told(name: str, tmp_path: Path) -> None:
    content = (GOLDEN / name).read_bytes()
    for end in (len(content) // 3, len(content) // 2, len(content) - 5):
        refused(PARSERS[name], written(tmp_path, name, content[:end]))


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("pytest.xml", 33),
        ("ruff.sarif", 17),
        ("metrics.json", 5),
        ("history.jsonl", 17),
        ("ruff.json", 17),
        ("eslint.json", 17),
        ("flake8.txt", 17),
        ("go-test.jsonl", 65),
        ("stats.json", 5),
    ],
)
def test_a_file_that_is_too_large_is_not_read(name: str, size: int, tmp_path: Path) -> None:
    path = written(tmp_path, name, b"")
    os.truncate(path, size * 1024 * 1024)
    assert "more than the" in str(refused(PARSERS[name], path).details["found"])


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))


@pytest.mark.parametrize(
    "document_type",
    [
        f'<!DOCTYPE testsuites [<!ENTITY l0 "ha">{LAUGHS}]>',
        '<!DOCTYPE testsuites [<!ENTITY l9 SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE testsuites SYSTEM "http://127.0.0.1:9/dtd">',
        '<!DOCTYPE testsuites [<!ENTITY % p SYSTEM "file:///etc/passwd">%p;]>',
    ],
)
def test_entities_are_never_expanded(document_type: str, tmp_path: Path) -> None:
    body = '<testsuites><testsuite><testcase name="a"><failure>&l9;</failure></testcase></testsuite></testsuites>'
    for encoding in ("utf-8", "utf-16"):
        path = written(tmp_path, "a.xml", (document_type + body).encode(encoding))
        assert "document type" in refused(parse_junit, path).message


def test_endlessly_nested_xml_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "a.xml", "<testsuite>" * 200_000)
    assert "nested" in refused(parse_junit, path).message


@pytest.mark.parametrize(
    ("xml", "found"),
    [
        ("<html/>", "<html>"),
        ('<testsuite time="fast"><testcase name="a"/></testsuite>', "no number"),
        ('<testsuite time="inf"><testcase name="a"/></testsuite>', "no number"),
        ('<testsuite time="1"><testcase name="a" time="nan"/></testsuite>', None),
        ('<?xml version="1.0" encoding="no-such"?><testsuite/>', "well-formed"),
        ("<testsuite><testcase></testsuite>", "well-formed"),
    ],
)
def test_xml_that_is_no_report_is_told(xml: str, found: str | None, tmp_path: Path) -> None:
    path = written(tmp_path, "a.xml", xml)
    if found is None:
        assert parse_junit(path, "a").report.total == 1
    else:
        assert found in refused(parse_junit, path).message


@pytest.mark.parametrize("parse", [parse_sarif, parse_metrics, parse_curves, parse_json])
@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("{", "syntax error"),
        ('{"a": NaN}', "NaN"),
        ('{"a": -Infinity}', "-Infinity"),
        ('{"a": ' + "[" * 300 + "]" * 300 + "}", "nested"),
        ('{"a": ' + "[" * 100_000 + "]" * 100_000 + "}", "nested"),
        ('{"a": ' + "1" * 5000 + "}", "does not have"),
    ],
)
def test_what_is_no_json_is_told(parse: Callable[[Path, str], object], text: str, found: str, tmp_path: Path) -> None:
    assert found in refused(parse, written(tmp_path, "a.json", text)).message


@pytest.mark.parametrize("text", ["[]", "5", '"a"', "null"])
def test_metrics_must_be_a_mapping(text: str, tmp_path: Path) -> None:
    path = written(tmp_path, "a.json", text)
    for parse in (parse_metrics, parse_curves):
        assert "JSON that is " in refused(parse, path).message


@pytest.mark.parametrize("text", ["[]", "{}", '{"runs": 5}', '{"runs": [], "version": "2.0.0"}'])
def test_json_that_is_no_sarif_is_told(text: str, tmp_path: Path) -> None:
    refused(parse_sarif, written(tmp_path, "a.sarif", text))


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ('a,b\n1,"2\n', "unexpected end of data"),
        ('a,b\n1,"2"3\n', "expected after"),
        ("a,b\n1," + "x" * 200_000 + "\n", "field larger"),
        (b"a,b\n1,\xff\n", "not UTF-8"),
        (",".join(map(str, range(1001))), "1001 columns"),
    ],
)
def test_what_is_no_table_is_told(content: str | bytes, found: str, tmp_path: Path) -> None:
    assert found in refused(parse_csv, written(tmp_path, "a.csv", content)).message


def wheel(**members: str) -> bytes:
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name.replace("__", "/"), text)
    return memory.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("a.whl", wheel(), "'a.whl'"),
        ("a-1-py3-none-any.whl", wheel(), "0 of them"),
        ("a-1-py3-none-any.whl", wheel(**{"a.dist-info__METADATA": "", "b.dist-info__METADATA": ""}), "2 of them"),
        ("a-1-py3-none-any.whl", wheel(**{"a.dist-info__METADATA": "Name: a\n"}), "without them"),
        ("a-1-py3-none-any.whl", wheel(**{"a.dist-info__METADATA": "x" * 2_000_000}), "2,000,000 bytes"),
        ("a-1-py3-none-any.whl", b"no zip", "no readable zip"),
    ],
)
def test_what_is_no_wheel_is_told(name: str, content: bytes, found: str, tmp_path: Path) -> None:
    assert found in refused(parse_wheels, written(tmp_path, name, content)).message


def test_a_wheel_with_damaged_compression_is_told(tmp_path: Path) -> None:
    content = bytearray(wheel(**{"a.dist-info__METADATA": "Name: a\nVersion: 1\n"}))
    begin = content.index(b"METADATA") + len(b"METADATA")
    content[begin] = 0xFF  # a block of a type that the deflate format does not have
    assert "no readable zip" in refused(parse_wheels, written(tmp_path, "a-1-py3-none-any.whl", bytes(content))).message


def test_a_folder_without_wheel_is_told_with_what_it_has(tmp_path: Path) -> None:
    assert refused(parse_wheels, tmp_path).details["found"] == "an empty folder"
    for name in "edcba":
        written(tmp_path, name, b"")
    assert refused(parse_wheels, tmp_path).details["found"] == "a folder with a, b, c and 2 more"


def test_text_that_no_database_takes_is_replaced(tmp_path: Path) -> None:
    path = written(tmp_path, "a.json", '{"a\\u0000": ["\\ud800", "\\ud83d\\ude00"]}')
    value = parse_json(path, "a").report
    assert value == {"a\ufffd": ["\ufffd", "😀"]}


# --- laws ---


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(name=st.sampled_from(sorted(PARSERS)), data=st.data())
def test_whatever_is_damaged_is_read_or_refused_and_what_is_read_can_be_stored(name: str, data: st.DataObject) -> None:
    content = bytearray((GOLDEN / name).read_bytes())
    start = data.draw(st.integers(0, len(content)))
    length = data.draw(st.integers(0, 40))
    content[start : start + length] = data.draw(st.binary(max_size=40))
    assert_read_or_refused(name, bytes(content))


@settings(deadline=None)
@given(st.sampled_from(sorted(PARSERS)), st.binary(max_size=200))
@example("cleaned.csv", b"a\n-1.7e308\n1.7e308\n")
@example("metrics.json", b'{"a": {"value": "x"}, "b": {"value": {"value": 1}}, "c": {"value": 1, "unit": 2}}')
@example("history.jsonl", b'{"epoch": 1e300}')
@example("history.jsonl", b'{"epoch": 1.5, "loss": true}')
@example("stats.json", b'"\\ud800"')
def test_any_bytes_are_read_or_refused(name: str, content: bytes) -> None:
    assert_read_or_refused(name, content)


def assert_read_or_refused(name: str, content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder, suppress(OutputInvalid):
        parsed = PARSERS[name](written(Path(folder), name, content), "a")
        text = TypeAdapter(Any).dump_json(parsed.report)
        assert "\x00" not in json.dumps(json.loads(text), ensure_ascii=False)


@given(st.lists(st.sampled_from(["pytest.xml", "pytest-xunit1.xml"]), max_size=3))
def test_several_test_reports_add_up(names: list[str]) -> None:
    reports = [parse_junit(GOLDEN / name, name).report for name in names]
    joined = TestReport.joined(reports)
    assert joined.total == 8 * len(names)
    assert joined.total == joined.passed + joined.failed + joined.errors + joined.skipped
    assert len(joined.failures) == joined.failed + joined.errors


@given(st.lists(st.sampled_from(["ruff.sarif", "ruff-clean.sarif"]), max_size=3))
def test_several_lint_reports_add_up(names: list[str]) -> None:
    joined = LintReport.joined(parse_sarif(GOLDEN / name, name).report for name in names)
    assert joined.total == sum(joined.by_rule.values()) == sum(joined.by_level.values()) == len(joined.findings)

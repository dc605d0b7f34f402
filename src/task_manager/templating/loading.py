"""From a template's file to a checked template, with every problem and its line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, JsonValue, TypeAdapter, ValidationError

from task_manager.conversion.schema import read_function, read_pipeline
from task_manager.documents import Document, Place, place_text, read_document
from task_manager.errors import InvalidParameters, InvalidTemplate, near_misses
from task_manager.model_findings import model_findings
from task_manager.models import WorkflowType
from task_manager.pipeline import ResultType
from task_manager.templating.expressions import ExpressionError, unknown_names
from task_manager.templating.parameters import schema_findings
from task_manager.templating.records import TemplateFile, TemplateTest, WorkflowTemplate
from task_manager.templating.rendering import RenderingError, script_files

SUFFIXES: Final = (".yaml", ".yml", ".json")
_M = TypeVar("_M", bound=BaseModel)


@dataclass(frozen=True)
class TemplateProblem:
    """Why a template's file cannot be used.

    Attributes:
        line: Counted from 1; none when the whole file is meant.
        reason: One sentence.
    """

    file: Path
    line: int | None
    reason: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.reason}" if self.line else f"{self.file}: {self.reason}"


@dataclass(frozen=True)
class Examined:
    """What became of a file: a template, or at least one problem."""

    template: WorkflowTemplate | None
    problems: tuple[TemplateProblem, ...] = ()


def load_template(file: Path, root: Path | None = None) -> WorkflowTemplate:
    """The template in a file.

    Args:
        file: YAML or JSON.
        root: As for `examine`.

    Raises:
        InvalidTemplate: `details["problems"]` has every problem: file, line, reason.
    """
    examined = examine(file, root)
    if examined.template is not None and not examined.problems:
        return examined.template
    raise InvalidTemplate(
        "\n".join(str(problem) for problem in examined.problems),
        details={
            "problems": [{"file": str(one.file), "line": one.line, "reason": one.reason} for one in examined.problems]
        },
    )


def examine(file: Path, root: Path | None = None, *, checked: bool = False) -> Examined:
    """Read a template's file and check everything that can be checked without parameters.

    Args:
        file: YAML or JSON.
        root: The folder of templates, which its scripts and fixtures must lie in; by default the file's folder, and for
            a `template.yaml` the folder around that.
        checked: Parameters, expressions and renderings were checked already, which takes longer than all else.
    """
    if root is None:
        root = file.absolute().parent.parent if _has_own_folder(file) else file.absolute().parent
    try:
        document = read_document(file, InvalidTemplate)
    except InvalidTemplate as error:
        return Examined(None, (_unreadable(file, error),))
    examination = _Examination(file, root.resolve(), document)
    template = examination.run(checked=checked)
    problems = sorted(examination.problems, key=lambda problem: (problem.file, problem.line or 0))
    return Examined(None if problems else template, tuple(dict.fromkeys(problems)))


def _unreadable(file: Path, error: InvalidTemplate) -> TemplateProblem:
    line = error.details.get("line")
    reason = re.sub(f"^{re.escape(str(file))}(:[0-9]+)? ", "The file ", error.message)
    return TemplateProblem(file, line if isinstance(line, int) else None, reason)


class _TestsFile(BaseModel):
    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")
    tests: tuple[TemplateTest, ...]


class _Examination:
    """One file's way from data to a template."""

    def __init__(self, file: Path, root: Path, document: Document) -> None:
        self.problems: list[TemplateProblem] = []
        self._file = file
        self._root = root
        self._document = document

    def run(self, *, checked: bool) -> WorkflowTemplate | None:
        """The template; none, or one that must not be used, when there are problems."""
        content = self._content(TemplateFile, self._document, self._file)
        if content is None:
            return None
        if checked:
            return self._template(content)
        for path, reason in schema_findings(content.parameters):
            self._report(("parameters", *path), f"{place_text(('parameters', *path))}: {reason}")
        self._check_expressions(content)
        template = self._template(content)
        if not self.problems:
            self._check_rendering(template)
        return template

    def _report(self, path: Place, reason: str, line_within: int | None = None) -> None:
        line = self._document.line(path)
        if line is not None and line_within is not None:
            line += line_within - 1
        self.problems.append(TemplateProblem(self._file, line, reason))

    def _content(self, model: type[_M], document: Document, file: Path) -> _M | None:
        try:
            return TypeAdapter(model).validate_python(document.data)
        except ValidationError as error:
            for finding in model_findings(error, model, document.data):
                self.problems.append(TemplateProblem(file, document.line(finding.place), finding.located("the file")))
            return None

    def _template(self, content: TemplateFile) -> WorkflowTemplate:
        fields = content.model_dump(exclude={"result_type", "tests"})
        return WorkflowTemplate(
            **fields,
            result_type=self._result_type(content),
            scripts=self._scripts(content.definition),
            tests=self._tests(content),
            source=self._file,
        )

    def _result_type(self, content: TemplateFile) -> ResultType:
        result = content.definition.get("result")
        stated = result.get("type") if isinstance(result, dict) else None
        if content.workflow_type is WorkflowType.DAGGER_PIPELINE:
            return content.result_type or ResultType.DAGGER_PIPELINE
        if stated is None:
            return content.result_type or ResultType.CONTAINERIZED_WORKFLOW
        if stated not in list(ResultType):
            self._report(("definition", "result", "type"), f"definition.result.type: {_no_result_type(stated)}")
            return ResultType.CONTAINERIZED_WORKFLOW
        if content.result_type not in (None, stated):
            self._report(("result_type",), f"result_type is {content.result_type}, definition.result.type is {stated}.")
        return ResultType(str(stated))

    def _check_expressions(self, content: TemplateFile) -> None:
        properties = content.parameters.get("properties")
        known = frozenset(properties) if isinstance(properties, dict) else frozenset()
        for path, text in _strings(content.definition, ("definition",)):
            try:
                unknown = unknown_names(text, known)
            except ExpressionError as error:
                self._report(path, f"{place_text(path)}: {error}", error.line)
                continue
            for name in sorted(unknown):
                self._report(path, f"{place_text(path)}: {_no_parameter(name, known)}")

    def _scripts(self, definition: Mapping[str, JsonValue]) -> dict[str, str]:
        scripts = {}
        for below, name in script_files(dict(definition)):
            path = ("definition", *below)
            file = self._contained(name, path)
            if file is None:
                continue
            try:
                scripts[str(name)] = file.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                self._report(path, f"{place_text(path)}: {name!r} cannot be read as text: {error}.")
        return scripts

    def _contained(self, name: JsonValue, path: Place) -> Path | None:
        """The file or folder of that name beside the template, if it lies within the root."""
        if not isinstance(name, str) or not name or "{{" in name or "\x00" in name:
            self._report(path, f"{place_text(path)}: this must be a path beside the template, without expressions.")
            return None
        found = (self._file.parent / name).resolve()
        if not found.is_relative_to(self._root):
            self._report(path, f"{place_text(path)}: {name!r} lies outside of the templates' folder.")
            return None
        if not found.exists():
            self._report(path, f"{place_text(path)}: there is no {name!r} beside the template.")
            return None
        return found

    def _tests(self, content: TemplateFile) -> tuple[TemplateTest, ...]:
        tests = (*content.tests, *self._tests_beside())
        names = [test.name for test in tests]
        for name in sorted({name for name in names if names.count(name) > 1}):
            self._report(("tests",), f"Two tests have the name {name!r}.")
        for index, test in enumerate(tests):
            if test.source is not None:
                self._contained(test.source, ("tests", index, "source"))
        return tests

    def _tests_beside(self) -> tuple[TemplateTest, ...]:
        file = self._file.parent / "tests.yaml"
        if not _has_own_folder(self._file) or not file.is_file():
            return ()
        try:
            content = self._content(_TestsFile, read_document(file, InvalidTemplate), file)
        except InvalidTemplate as error:
            self.problems.append(_unreadable(file, error))
            return ()
        return content.tests if content else ()

    def _check_rendering(self, template: WorkflowTemplate) -> None:
        """Render with the default parameters, where all parameters have one, and with those of the tests."""
        for values in ({}, *(test.parameters for test in template.tests if test.expect_error is None)):
            try:
                resolved = template.resolve_parameters(values)
            except InvalidParameters:
                continue
            self._check_rendered(template, resolved)

    def _check_rendered(self, template: WorkflowTemplate, resolved: Mapping[str, JsonValue]) -> None:
        renderer = template.renderer(resolved)
        try:
            rendered = template.rendered_by(renderer)
        except RenderingError as error:
            path = ("definition", *error.path)
            self._report(path, f"{place_text(path)}: {error.reason}", error.line)
            return
        for below, reason in _definition_findings(template, rendered):
            self._report(("definition", *_origin(below, renderer.origins)), f"definition: {reason}")


def _has_own_folder(file: Path) -> bool:
    return file.stem == "template"


def _origin(path: Place, origins: Mapping[Place, Place]) -> Place:
    for length in range(len(path), -1, -1):
        if path[:length] in origins:
            return (*origins[path[:length]], *path[length:])
    return path


def _definition_findings(template: WorkflowTemplate, rendered: dict[str, Any]) -> Iterator[tuple[Place, str]]:
    if template.workflow_type is WorkflowType.DAGGER_PIPELINE:
        if read_function(rendered)[0] is None:
            yield (), 'a dagger_pipeline has the definition {"function": "module:name"}.'
        return
    for finding in read_pipeline(rendered)[1]:
        yield finding.place, finding.located("the whole")


def _strings(part: JsonValue, path: Place) -> Iterator[tuple[Place, str]]:
    if isinstance(part, str):
        yield path, part
    elif isinstance(part, dict):
        for key, below in part.items():
            yield from _strings(below, (*path, key))
    elif isinstance(part, list):
        for index, below in enumerate(part):
            yield from _strings(below, (*path, index))


def _no_parameter(name: str, known: frozenset[str]) -> str:
    near = near_misses(name, known)
    return f"there is no parameter {name!r}." + (f" Did you mean {', '.join(near)}?" if near else "")


def _no_result_type(stated: object) -> str:
    near = near_misses(str(stated), list(ResultType))
    meant = f"Did you mean {', '.join(near)}?" if near else f"Known are {', '.join(ResultType)}."
    return f"there is no result type {stated!r}. {meant}"

"""What a template is, once its file has been read and checked."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints, model_validator

from task_manager.documents import place_text
from task_manager.errors import InvalidParameters, InvalidTemplate
from task_manager.models import WorkflowType
from task_manager.pipeline import ResultType, content_digest
from task_manager.templating.descriptions import ParameterLine, parameter_lines
from task_manager.templating.parameters import check, complete
from task_manager.templating.rendering import Definition, Renderer, RenderingError

TemplateId = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", max_length=63)]
TemplateVersion = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,9}(\.[0-9]{1,9}){0,2}$")]
Category = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]*$", max_length=63)]


class _Record(BaseModel):
    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")


class TemplateTest(_Record):
    """One check of a template, stated in its file or in `tests.yaml` beside it.

    With `expect_pipeline` or `expect_error` it is about rendering alone; with `expect_result` the pipeline is run on a
    fixture folder.
    """

    name: str = Field(min_length=1)
    parameters: dict[str, JsonValue] = Field(default_factory=dict)
    source: str | None = Field(None, description="The fixture: a folder beside the template's file.")
    expect_pipeline: dict[str, JsonValue] | None = Field(
        None, description="Parts of the rendered pipeline: `steps.train.image: python:3.12-slim`."
    )
    expect_error: str | None = Field(None, description="The code of the error that the parameters cause.")
    expect_message: str | None = Field(None, description="A text that the error's message contains.")
    expect_result: dict[str, JsonValue] | None = Field(
        None, description="Parts of the run's result: `status: succeeded`."
    )

    @model_validator(mode="after")
    def _expects_something(self) -> Self:
        if self.expect_error is None and self.expect_pipeline is None and self.expect_result is None:
            raise ValueError("a test needs expect_pipeline, expect_error or expect_result")
        if self.expect_error is not None and (self.expect_pipeline or self.expect_result):
            raise ValueError("a test that expects an error can expect neither a pipeline nor a result")
        return self


class TemplateFile(_Record):
    """What stands in a template's file."""

    id: TemplateId
    name: str = Field(min_length=1, max_length=100)
    description: str = ""
    category: Category = "general"
    version: TemplateVersion = "1.0.0"
    workflow_type: WorkflowType = WorkflowType.CONTAINERIZED_WORKFLOW
    result_type: ResultType | None = None
    parameters: dict[str, JsonValue] = Field(default_factory=lambda: dict[str, JsonValue](type="object", properties={}))
    definition: dict[str, JsonValue]
    tests: tuple[TemplateTest, ...] = ()


class WorkflowTemplate(_Record):
    """A reusable, parameterised definition.

    Attributes:
        id: Lower case words joined by `-`.
        version: One to three numbers joined by dots.
        result_type: What the runs' results are about.
        parameters: A JSON Schema (2020-12) of type object. Parameters that are neither given nor have a default are
            null in expressions.
        definition: In the schema of `Pipeline`, or `{"function": "module:name"}`; its strings may hold expressions
            (`templating.rendering` says how it becomes a pipeline).
        scripts: The texts of the script files that the definition names.
        source: The template's file.
    """

    id: TemplateId
    name: str
    description: str = ""
    category: Category = "general"
    version: TemplateVersion = "1.0.0"
    workflow_type: WorkflowType = WorkflowType.CONTAINERIZED_WORKFLOW
    result_type: ResultType = ResultType.CONTAINERIZED_WORKFLOW
    parameters: dict[str, JsonValue]
    definition: dict[str, JsonValue]
    scripts: dict[str, str] = Field(default_factory=dict)
    tests: tuple[TemplateTest, ...] = ()
    source: Path

    @property
    def version_numbers(self) -> tuple[int, int, int]:
        """The version as three numbers, for comparison."""
        return version_numbers(self.version)

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """The names of the parameters, in the order of the file."""
        properties = self.parameters.get("properties")
        return tuple(properties) if isinstance(properties, dict) else ()

    def table(self) -> tuple[ParameterLine, ...]:
        """The parameters as tables show them, in the order of the file."""
        return parameter_lines(self.parameters)

    @cached_property
    def digest(self) -> str:
        """`sha256:…` over everything that a rendered pipeline depends on."""
        return content_digest(self.model_dump(mode="json", exclude={"source", "tests"}))

    def resolve_parameters(self, values: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
        """The values with defaults applied, nested ones included.

        Raises:
            InvalidParameters: `details["findings"]` has every finding: name, expected, given.
        """
        completed = complete(self.parameters, values)
        findings = check(self.parameters, completed)
        if not findings:
            return completed
        raise InvalidParameters(
            f"The parameters do not fit template {self.id!r}. " + " ".join(finding.message for finding in findings),
            remedy=f"`task-manager template show {self.id}` lists its parameters.",
            details={
                "template": self.id,
                "version": self.version,
                "findings": [
                    {"name": one.name, "expected": one.expected, "given": one.given, "message": one.message}
                    for one in findings
                ],
            },
        )

    def render(self, parameters: Mapping[str, JsonValue]) -> Definition:
        """The definition with these parameters, in the schema of `Pipeline`, or `{"function": "module:name"}`.

        Args:
            parameters: Values as given, or as `resolve_parameters` returned them.

        Raises:
            InvalidParameters: They do not fit.
            InvalidTemplate: The definition cannot be rendered with them.
        """
        renderer = self.renderer(self.resolve_parameters(parameters))
        try:
            return self.rendered_by(renderer)
        except RenderingError as error:
            raise InvalidTemplate(
                f"Template {self.id!r} cannot be rendered: {place_text(error.path)}: {error.reason}",
                remedy=f"Correct {self.source}.",
                details={"template": self.id, "file": str(self.source), "place": place_text(error.path)},
            ) from error

    def renderer(self, resolved: Mapping[str, JsonValue]) -> Renderer:
        """What renders the definition with resolved parameters."""
        return Renderer({**dict.fromkeys(self.parameter_names), **resolved}, self.scripts)

    def rendered_by(self, renderer: Renderer) -> Definition:
        """The rendered definition, with its name and result type filled in.

        Raises:
            RenderingError: It cannot be rendered.
        """
        rendered = renderer.render(self.definition)
        if self.workflow_type is WorkflowType.CONTAINERIZED_WORKFLOW:
            rendered.setdefault("name", self.name)
            result = rendered.setdefault("result", {})
            if isinstance(result, dict):
                result.setdefault("type", self.result_type.value)
        return rendered


def version_numbers(version: str) -> tuple[int, int, int]:
    """`1.2` as `(1, 2, 0)`."""
    major, minor, patch = (*(int(part) for part in version.split(".")), 0, 0)[:3]
    return major, minor, patch

"""From a task to the pipeline that is to run: `PipelineConverter`.

Three ways lead to a pipeline: a template, a custom definition, or rules that choose a template by what the task says of
itself. All of it is pure: what the source folder holds, and which tasks the task depends on, is passed in.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from task_manager.conversion.findings import Finding, Severity, errors_of, refusal, refuse_errors
from task_manager.conversion.planning import ExecutionPlan, optimise, plan
from task_manager.conversion.references import task_source_findings
from task_manager.conversion.rules import Choice, Rule, built_in_rules, choices
from task_manager.conversion.schema import is_function, pipeline_schema, read_function, schema_findings
from task_manager.conversion.validation import parse, validate
from task_manager.errors import InvalidInput, InvalidParameters, WorkflowTypeConflict
from task_manager.models import Task, WorkflowType
from task_manager.pipeline import Pipeline, ResultType, content_digest

if TYPE_CHECKING:
    from task_manager.workflow_templates import WorkflowTemplateRegistry

__all__ = [
    "Compiled",
    "Conversion",
    "ExecutionPlan",
    "Finding",
    "PipelineConverter",
    "Rule",
    "Severity",
    "errors_of",
    "optimise",
    "parse_pipeline",
    "pipeline_schema",
    "plan",
    "validate",
]


class Compiled(BaseModel):
    """What a definition becomes.

    Attributes:
        pipeline: The steps; none when a function was named.
        function: `module:name`; none when there are steps.
        warnings: What is probably not meant.
    """

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    pipeline: Pipeline | None = None
    function: str | None = None
    warnings: tuple[Finding, ...] = ()


class CompiledPipelines(Protocol):
    """Where compiled pipelines are kept; `workflow_cache.PipelineCache` is one."""

    def get_or_compile(self, key: str, compile_: Callable[[], Compiled]) -> Compiled:
        """The entry of that key, compiled now when there is none."""


class Conversion(BaseModel):
    """What a task is converted to.

    Attributes:
        pipeline: The steps, for a `containerized_workflow`.
        function: `module:name`, for a `dagger_pipeline`.
        parameters: For a template, all its parameters with their values; else the inputs.
        explanation: Why this template or definition was taken, one sentence.
        warnings: What is probably not meant.
    """

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    workflow_type: WorkflowType
    pipeline: Pipeline | None = None
    function: str | None = None
    template_id: str | None = None
    template_version: str | None = None
    parameters: dict[str, JsonValue] = Field(default_factory=dict)
    result_type: ResultType = ResultType.CONTAINERIZED_WORKFLOW
    explanation: str
    warnings: tuple[Finding, ...] = ()


class PipelineConverter:
    """Turns tasks into pipelines."""

    def __init__(
        self,
        registry: WorkflowTemplateRegistry,
        rules: Sequence[Rule] | None = None,
        cache: CompiledPipelines | None = None,
    ) -> None:
        """Make a converter.

        Args:
            registry: Where templates come from.
            rules: How a template is chosen for a task that names none, first match wins; None: the built-in rules.
            cache: Where compiled pipelines are kept; None: nowhere.
        """
        self._registry = registry
        self._rules = tuple(rules) if rules is not None else built_in_rules()
        self._cache = cache

    def convert(
        self,
        task: Task,
        *,
        template_id: str | None = None,
        parameters: Mapping[str, JsonValue] | None = None,
        definition: Mapping[str, JsonValue] | None = None,
        workflow_type: WorkflowType | None = None,
        files: Collection[str] = (),
        task_dependencies: Collection[str] | None = None,
    ) -> Conversion:
        """Turn a task into what is to run.

        What is given first decides: `definition`, `template_id`, the task's own definition, its template, the rules.

        Args:
            task: What is to be done.
            template_id: A template to use instead of the task's own.
            parameters: Values that go before the task's inputs.
            definition: A definition to use instead of the task's own: steps, or `{"function": "module:name"}`.
            workflow_type: What it must become; None: whatever it is.
            files: Paths in the source folder, relative, with forward slashes, for the rules.
            task_dependencies: Ids and titles of the tasks that the task depends on; None: unknown, so that sources
                from other tasks are not checked.

        Raises:
            NotFound: No such template.
            InvalidInput: No rule fits.
            InvalidParameters: The values do not fit the template, or two inputs have one environment variable.
            InvalidPipeline: The definition has errors; all are listed.
            WorkflowTypeConflict: It is of another type than asked for.
        """
        values = {**task.inputs, **(parameters or {})}
        if definition is not None:
            conversion = self._custom(definition, values, "The definition given with the call was taken.")
        elif template_id is not None:
            conversion = self._from_template(template_id, values, "Template {} was asked for.")
        elif task.pipeline is not None:
            conversion = self._custom(task.pipeline, values, "The task has a definition of its own.")
        elif task.template_id is not None:
            conversion = self._from_template(task.template_id, values, "The task names template {}.")
        else:
            conversion = self._by_rules(task, values, files)
        _check_type(conversion, workflow_type)
        _check_task_sources(conversion, task_dependencies)
        return conversion

    def _custom(
        self, definition: Mapping[str, JsonValue], values: dict[str, JsonValue], explanation: str
    ) -> Conversion:
        environment = _input_environment(values)
        compiled = self._compile(
            {"definition": dict(definition), "parameters": values},
            lambda: _with_environment(_compile(dict(definition), "The definition"), environment),
        )
        return Conversion(
            **_fields(compiled),
            parameters=values,
            result_type=compiled.pipeline.result.type if compiled.pipeline else ResultType.DAGGER_PIPELINE,
            explanation=explanation,
        )

    def _by_rules(self, task: Task, values: dict[str, JsonValue], files: Collection[str]) -> Conversion:
        choice = self._choose(task, values, files)
        evidence = ", ".join(choice.evidence)
        return self._from_template(
            choice.rule.template, values, f"Template {{}} was chosen because {choice.rule.because} ({evidence})."
        )

    def _choose(self, task: Task, values: Collection[str], files: Collection[str]) -> Choice:
        known = {template.id for template in self._registry.list()}
        for choice in choices(self._rules, task, inputs=values, files=files):
            if choice.rule.template in known:
                return choice
        types = sorted({name for rule in self._rules for name in rule.when.type if rule.template in known})
        raise InvalidInput(
            f"No template fits the task {task.title!r} (type {task.type!r}), and it names none.",
            remedy=f"Name a template ({', '.join(sorted(known))}), give a definition, "
            f"or set the task's type to one of: {', '.join(types)}.",
            details={"task": task.id, "type": task.type, "templates": sorted(known)},
        )

    def _from_template(self, template_id: str, values: Mapping[str, JsonValue], explanation: str) -> Conversion:
        template = self._registry.get(template_id)
        parameters = template.resolve_parameters(values)
        name = f"{template.id!r} {template.version}"
        compiled = self._compile(
            {"template": template.digest, "parameters": parameters},
            lambda: _compile(template.render(parameters), f"What template {name} makes of these parameters"),
        )
        return Conversion(
            **_fields(compiled),
            template_id=template.id,
            template_version=template.version,
            parameters=parameters,
            result_type=compiled.pipeline.result.type if compiled.pipeline else template.result_type,
            explanation=explanation.replace("{}", name, 1),
        )

    def _compile(self, content: JsonValue, compile_: Callable[[], Compiled]) -> Compiled:
        if self._cache is None:
            return compile_()
        return self._cache.get_or_compile(content_digest(content), compile_)


def parse_pipeline(data: object, *, subject: str = "The definition") -> Pipeline:
    """Read and check a definition with steps.

    Args:
        data: What a file or a task holds, in the schema of `Pipeline`.
        subject: What it is, as the first words of the error's message.

    Raises:
        InvalidPipeline: It has errors; the message lists all of them with their places.
    """
    return _parsed(data, subject)[0]


def _parsed(data: object, subject: str) -> tuple[Pipeline, tuple[Finding, ...]]:
    """The pipeline and the warnings."""
    pipeline, findings = parse(data)
    if pipeline is None or errors_of(findings):
        raise refusal(findings, subject=subject)
    return pipeline, findings


def _compile(data: dict[str, JsonValue], subject: str) -> Compiled:
    if not is_function(data):
        pipeline, warnings = _parsed(data, subject)
        return Compiled(pipeline=pipeline, warnings=warnings)
    function, refused = read_function(data)
    if function is None:
        raise refusal(schema_findings(refused), subject=subject)
    return Compiled(function=function.function)


def _fields(compiled: Compiled) -> dict[str, Any]:
    kind = WorkflowType.CONTAINERIZED_WORKFLOW if compiled.pipeline else WorkflowType.DAGGER_PIPELINE
    return {
        "workflow_type": kind,
        "pipeline": compiled.pipeline,
        "function": compiled.function,
        "warnings": compiled.warnings,
    }


def _check_type(conversion: Conversion, asked: WorkflowType | None) -> None:
    if asked is None or asked is conversion.workflow_type:
        return
    holds = "steps" if conversion.pipeline else "a function"
    raise WorkflowTypeConflict(
        f"A {asked} was asked for, but this is a {conversion.workflow_type}: it holds {holds}. "
        f"{conversion.explanation}",
        remedy=f"Leave the workflow type out, ask for {conversion.workflow_type}, or give another definition.",
        details={"asked": asked, "workflow_type": conversion.workflow_type},
    )


def _check_task_sources(conversion: Conversion, task_dependencies: Collection[str] | None) -> None:
    if conversion.pipeline is not None and task_dependencies is not None:
        refuse_errors(
            task_source_findings(conversion.pipeline, task_dependencies),
            subject=f"The pipeline {conversion.pipeline.name!r}",
        )


def _input_environment(values: Mapping[str, JsonValue]) -> dict[str, str]:
    """Inputs as environment variables: `INPUT_NAME`, values that are not text as JSON."""
    origin: dict[str, str] = {}
    environment = {}
    for name, value in values.items():
        variable = "INPUT_" + re.sub(r"[^A-Za-z0-9_]", "_", name).upper()
        if origin.setdefault(variable, name) != name:
            raise InvalidParameters(
                f"The inputs {origin[variable]!r} and {name!r} would both become the variable {variable}.",
                remedy="Rename one of them.",
                details={"inputs": [origin[variable], name], "variable": variable},
            )
        environment[variable] = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return environment


def _with_environment(compiled: Compiled, environment: Mapping[str, str]) -> Compiled:
    if compiled.pipeline is None or not environment:
        return compiled
    steps = tuple(
        step.model_copy(update={"environment": {**step.environment, **environment}}) for step in compiled.pipeline.steps
    )
    return compiled.model_copy(update={"pipeline": compiled.pipeline.model_copy(update={"steps": steps})})

"""Pipelines: what is to be run, as a graph of container steps, free of any engine.

The same schema serves a custom definition (in a task or a file), a template's rendered definition and a stored
workflow. `Pipeline.model_json_schema()` is what editors get.
"""

from __future__ import annotations

import hashlib
import json
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints

from task_manager.cache_policy import WorkflowCachePolicy
from task_manager.failure_rules import FailureRule
from task_manager.retry_policy import RetryPolicy

HOST_TOOLCHAIN = "task-manager.invalid/host-toolchain"
"""The reserved image reference under which the embedded engine offers the host's own programs, read-only."""

Identifier = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,62}$")]
"""A step's or output's name: a letter, then letters, digits, `_` or `-`, at most 63 characters."""

ContainerPath = Annotated[str, StringConstraints(min_length=1, max_length=4096, pattern=r"^[^\x00]+$")]
"""A path inside a step's container; a relative one counts from the step's working folder."""

EnvironmentName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
SecretReference = Annotated[str, StringConstraints(pattern=r"^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$")]


class _Definition(BaseModel):
    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")


class Script(_Definition):
    """A script file that is put into the container and run.

    Values reach it as environment variables or arguments, never by being pasted into its text.
    """

    contents: str = Field(description="The script's text.")
    interpreter: tuple[str, ...] = Field(("sh",), min_length=1, description="The program that reads it, with options.")
    arguments: tuple[str, ...] = Field((), description="What the script gets as arguments.")
    name: str = Field(
        "script", pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$", description="Its file name, as messages show it."
    )


class HostSource(_Definition):
    """A folder or file of the host, inside the task's source folder."""

    type: Literal["host"] = "host"
    path: str = Field(".", description="Relative to the task's source folder; it must not leave it.")
    target: ContainerPath = Field(description="Where it appears in the container.")
    include: tuple[str, ...] = Field((), description="Only what matches one of these patterns.")
    exclude: tuple[str, ...] = Field((), description="Nothing that matches one of these patterns.")
    gitignore: bool = Field(True, description="Whether .gitignore files are honoured.")
    optional: bool = Field(False, description="Whether it is left out where the task has no source folder.")


class InlineSource(_Definition):
    """A file whose text stands in the definition."""

    type: Literal["inline"] = "inline"
    target: ContainerPath
    contents: str
    executable: bool = False


class StepSource(_Definition):
    """An output of another step of the same pipeline."""

    type: Literal["step"] = "step"
    step: Identifier
    output: Identifier
    target: ContainerPath


class TaskSource(_Definition):
    """An artifact or the result of a task that this task depends on."""

    type: Literal["task"] = "task"
    task: str = Field(description="The other task's id, or its title within the project.", min_length=1)
    artifact: str | None = Field(None, description="The artifact's name; none: the result as JSON.")
    target: ContainerPath
    optional: bool = Field(False, description="Whether a missing artifact is left out instead of failing the run.")


Source = Annotated[HostSource | InlineSource | StepSource | TaskSource, Field(discriminator="type")]


class CacheVolume(_Definition):
    """A folder that is kept between runs, shared by all steps that name it."""

    name: Identifier
    target: ContainerPath


class Service(_Definition):
    """A container that runs beside a step and is reached under its name."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$")]
    image: str = Field(min_length=1)
    command: tuple[str, ...] = Field((), description="Empty: the image's own entry point and arguments.")
    ports: tuple[Annotated[int, Field(ge=1, le=65535)], ...] = Field(min_length=1)
    environment: dict[EnvironmentName, str] = Field(default_factory=dict)


class OutputType(StrEnum):
    """What an output is."""

    FILE = "file"
    """One file at `path`."""
    DIRECTORY = "directory"
    """The folder at `path`, with everything in it."""
    STDOUT = "stdout"
    """What the step's command writes to its standard output."""


class Output(_Definition):
    """Something a step leaves behind, for other steps and, if it is kept, as an artifact of the run."""

    name: Identifier
    type: OutputType = OutputType.FILE
    path: ContainerPath | None = Field(None, description="Required, but for `stdout`.")
    optional: bool = Field(False, description="Whether it may be missing.")
    keep: bool = Field(True, description="Whether it becomes an artifact; what only other steps use need not.")
    media_type: str | None = None


class CachePolicy(StrEnum):
    """Whether a step may be answered from an earlier, equal one."""

    AUTO = "auto"
    """Equal steps run once; the engine keeps what they produced."""
    NEVER = "never"
    """It runs anew in every run; for steps that read clocks, networks or other outside state."""


class Step(_Definition):
    """One container that runs one command."""

    id: Identifier
    name: str = Field("", description="For people; by default the id.")
    image: str = Field(min_length=1, description=f"An image reference, or {HOST_TOOLCHAIN}.")
    command: tuple[str, ...] | None = Field(
        None,
        description="Program and arguments; no shell reads them. Without command and script only files are gathered.",
    )
    script: Script | None = Field(None, description="Instead of a command.")
    workdir: ContainerPath = Field("/task", description="Where the command starts.")
    environment: dict[EnvironmentName, str] = Field(default_factory=dict)
    secrets: dict[EnvironmentName, SecretReference] = Field(
        default_factory=dict, description="Environment variables filled from `env:NAME` or `file:PATH` of the host."
    )
    sources: tuple[Source, ...] = ()
    caches: tuple[CacheVolume, ...] = ()
    services: tuple[Service, ...] = ()
    needs: tuple[Identifier, ...] = Field((), description="Steps that must have succeeded before.")
    timeout: float | None = Field(None, gt=0, le=7 * 24 * 3600, description="Seconds; none: the setting's default.")
    retries: int = Field(0, ge=0, le=10, description="How often a failed command is run again.")
    network: bool = Field(True, description="Whether the step may reach a network.")
    outputs: tuple[Output, ...] = ()
    cache: CachePolicy = CachePolicy.AUTO
    requires: tuple[str, ...] = Field(
        (),
        description="Programs it needs; `module:NAME` is a Python module. Checked before a host toolchain is used.",
    )

    @property
    def title(self) -> str:
        """The name for people."""
        return self.name or self.id

    @property
    def upstream(self) -> frozenset[str]:
        """The ids of the steps that must have succeeded before: those needed and those whose outputs are used."""
        used = {source.step for source in self.sources if isinstance(source, StepSource)}
        return frozenset(self.needs) | used


class ResultType(StrEnum):
    """What a workflow's result is about."""

    CONTAINERIZED_WORKFLOW = "containerized_workflow"
    DAGGER_PIPELINE = "dagger_pipeline"
    TEST_REPORT = "test_report"
    LINT_REPORT = "lint_report"
    ML_TRAINING = "ml_training"
    DATA_PROCESSING = "data_processing"
    BUILD = "build"


class ReportFormat(StrEnum):
    """How an output that the result is made from is written."""

    JUNIT = "junit"
    GO_TEST_JSON = "go_test_json"
    SARIF = "sarif"
    RUFF_JSON = "ruff_json"
    ESLINT_JSON = "eslint_json"
    LINT_LINES = "lint_lines"
    METRICS_JSON = "metrics_json"
    METRICS_JSONL = "metrics_jsonl"
    CSV = "csv"
    WHEEL = "wheel"
    JSON = "json"
    TEXT = "text"


class Report(_Definition):
    """An output that the result is made from."""

    step: Identifier
    output: Identifier
    format: ReportFormat


class ResultDefinition(_Definition):
    """What the result is, and what it is made from."""

    type: ResultType = ResultType.CONTAINERIZED_WORKFLOW
    reports: tuple[Report, ...] = ()
    forms: tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")], ...] = Field(
        (),
        max_length=20,
        description="Kept as artifacts too: markdown, json, junit, sarif, picture, or others.",
    )


class Pipeline(_Definition):
    """A graph of steps."""

    name: str = Field("pipeline", min_length=1, max_length=200)
    description: str = ""
    steps: tuple[Step, ...] = Field(min_length=1, max_length=1000)
    result: ResultDefinition = ResultDefinition()
    timeout: float | None = Field(None, gt=0, le=7 * 24 * 3600, description="Seconds for the whole run.")
    retry: RetryPolicy | None = Field(None, description="When a failed run is tried again; none: the setting's.")
    failures: tuple[FailureRule, ...] = Field(
        (), max_length=100, description="Kinds of failures of its own; they are asked before the built-in ones."
    )
    cache: WorkflowCachePolicy | None = Field(None, description="How results are used again; none: by default.")

    def step(self, step_id: str) -> Step:
        """The step of that id.

        Raises:
            KeyError: There is none.
        """
        for step in self.steps:
            if step.id == step_id:
                return step
        raise KeyError(step_id)

    @property
    def digest(self) -> str:
        """`sha256:…` over the canonical form: equal pipelines have equal digests, whatever their keys' order."""
        return content_digest(self.model_dump(mode="json"))


def content_digest(value: JsonValue) -> str:
    """`sha256:…` of JSON-like data in canonical form (sorted keys, no spaces, UTF-8)."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return "sha256:" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

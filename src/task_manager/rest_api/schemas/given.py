"""What clients send."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, StrictBool, StringConstraints

from task_manager.communication import ContainerSpec
from task_manager.models import Priority, WorkflowType
from task_manager.workflow_status import TaskStatus

Name = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"\S")]
Label = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"\S")]
Reference = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00]+$")]
Folder = Annotated[str, StringConstraints(min_length=1, max_length=4096)]
Document = dict[str, JsonValue]


def _is_number(given: object) -> object:
    """What was given, unless it is a text or a truth value that could be read as a number."""
    if isinstance(given, str | bool):
        raise ValueError("it is no number")  # noqa: TRY004 - what validation reports
    return given


Place = Annotated[int, Field(ge=0, le=2**31 - 1), BeforeValidator(_is_number)]
Port = Annotated[int, Field(ge=1, le=65535), BeforeValidator(_is_number)]


def _without_defaults(schema: dict[str, Any]) -> None:
    for described in schema["properties"].values():
        described.pop("default", None)


class Given(BaseModel):
    """What a client sends."""

    model_config = ConfigDict(extra="forbid")

    def given(self) -> dict[str, Any]:
        """The fields that were sent."""
        return {name: getattr(self, name) for name in self.model_fields_set}


class Changes(Given):
    """What to change: what is left out stays as it is, so nothing has a default."""

    model_config = ConfigDict(json_schema_extra=_without_defaults)


class _ProjectFields(Given):
    description: str = ""
    source_folder: Folder | None = Field(None, description="An existing folder of the server.")
    metadata: Document = Field(default_factory=dict)


class NewProject(_ProjectFields):
    """A project to create."""

    name: Name = Field(description="Unique among all projects.", examples=["textkit"])


class ProjectChanges(_ProjectFields, Changes):
    """What to change in a project; what is left out stays as it is."""

    name: Name = Field("", description="Unique among all projects.", examples=["textkit"])


class NewPhase(Given):
    """A phase to create."""

    project_id: Reference = Field(description="The project's id or name.")
    name: Name = Field(description="Unique in the project.", examples=["Deliver"])
    order: Place | None = Field(None, description="Its place, from 0; null: after all others.")


class PhaseChanges(Changes):
    """What to change in a phase; what is left out stays as it is."""

    name: Name = Field("", description="Unique in the project.", examples=["Deliver"])
    order: Place = Field(0, description="Its place, from 0.")


class _TaskFields(Given):
    description: str = ""
    type: Label = Field("general", description="What kind of work it is.", examples=["test"])
    priority: Priority = Priority.MEDIUM
    phase_id: Reference | None = Field(None, description="A phase of the project, by id or name.")
    dependencies: tuple[Reference, ...] = Field(
        (), max_length=1000, description="Tasks of the project, by id or title."
    )
    labels: tuple[Label, ...] = Field((), max_length=1000)
    source_folder: Folder | None = Field(None, description="An existing folder of the server; null: the project's.")
    template_id: Reference | None = Field(None, description="What its workflow is made from; null: found by type.")
    inputs: Document = Field(default_factory=dict, description="Values for the template's parameters.")
    pipeline: Document | None = Field(None, description="A definition of its own, in the schema of `Pipeline`.")
    acceptance_criteria: tuple[str, ...] = Field((), max_length=1000)
    metadata: Document = Field(default_factory=dict)


class NewTask(_TaskFields):
    """A task to create."""

    project_id: Reference = Field(description="The project's id or name.")
    title: Name = Field(description="For people.", examples=["Run the tests"])


class TaskChanges(_TaskFields, Changes):
    """What to change in a task; what is left out stays as it is."""

    title: Name = Field("", description="For people.", examples=["Run the tests"])
    status: TaskStatus = TaskStatus.TODO


class NewWorkflow(Given):
    """A workflow to make for a task: from a template, from a definition, or by what the task says."""

    name: Name | None = Field(None, description="By default the task's title.")
    template_id: Reference | None = Field(None, description="The template.", examples=["python-tests"])
    definition: Document | None = Field(None, description="A definition, in the schema of `Pipeline`.")
    parameters: Document = Field(default_factory=dict, description="Values that win over the task's inputs.")


class NewContainer(ContainerSpec):
    """A container that somebody wants to hold."""

    # FastAPI names bodies in a way that pydantic warns of when it is built later.
    model_config = ConfigDict(defer_build=False)

    ports: tuple[Port, ...] = Field(
        (), description="TCP ports that must accept connections before it counts as started."
    )


class Selection(Given):
    """Which tasks of a project are meant."""

    phase_id: Reference | None = Field(None, description="Those of this phase, by its id.")
    status: TaskStatus | None = Field(None, description="Those in this status.")


class NewRun(Given):
    """How a task's workflow is run."""

    workflow_type: WorkflowType | None = Field(None, description="What the workflow must be.")
    parameters: Document = Field(default_factory=dict, description="Values for this and later runs.")
    skip_cache: StrictBool = Field(False, description="Whether no step may be answered from an earlier run.")


class NewRuns(Selection):
    """How the tasks of a project are run."""

    workflow_type: WorkflowType | None = Field(None, description="What each workflow must be.")
    skip_cache: StrictBool = Field(False, description="Whether no step may be answered from an earlier run.")


class Repetition(Given):
    """How a run is repeated."""

    from_step: Reference | None = Field(None, description="The step from which on everything is run again.")


class Parameters(Given):
    """Values for a template."""

    parameters: Document = Field(default_factory=dict)


class RunSelection(Given):
    """Runs that something is done with."""

    run_ids: tuple[Reference, ...] = Field(min_length=1, max_length=200, description="Their ids.")

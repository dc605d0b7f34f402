"""Lists of records."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from task_manager.communication import ContainerRecord
from task_manager.models import Artifact, Event, Phase, Project, StepRecord, Task, WorkerRecord, Workflow, WorkflowRun
from task_manager.rest_api.views import PageOf


class Shown(BaseModel):
    """What a client gets."""

    model_config = ConfigDict(frozen=True)


class ProjectPage(PageOf[Project]):
    """A page of projects."""


class PhasePage(PageOf[Phase]):
    """A page of phases."""


class TaskPage(PageOf[Task]):
    """A page of tasks."""


class WorkflowPage(PageOf[Workflow]):
    """A page of workflows."""


class RunPage(PageOf[WorkflowRun]):
    """A page of runs."""


class RunList(Shown):
    """Runs that were started or cancelled together."""

    items: tuple[WorkflowRun, ...]


class WorkflowList(Shown):
    """Workflows that were made together."""

    items: tuple[Workflow, ...]


class StepList(Shown):
    """The steps of a run, in their order."""

    items: tuple[StepRecord, ...]


class ArtifactList(Shown):
    """What a run left behind."""

    items: tuple[Artifact, ...]


class EventList(Shown):
    """Events, in order."""

    items: tuple[Event, ...]
    last_sequence: int = Field(description="The `after` of the next request.")


class ContainerList(Shown):
    """Containers of runs, and those that somebody holds."""

    items: tuple[ContainerRecord, ...]


class WorkerList(Shown):
    """The processes that execute runs."""

    items: tuple[WorkerRecord, ...]


class Removed(Shown):
    """What went with a record that was removed."""

    runs: tuple[str, ...] = Field(description="The ids of the removed runs.")
